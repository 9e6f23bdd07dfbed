"""Sends what others write."""

"""Fixtures of this service's own tests; the template's are in conftest.py beside the Makefile."""

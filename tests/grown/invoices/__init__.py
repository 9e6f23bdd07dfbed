"""The invoices domain."""

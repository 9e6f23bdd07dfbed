# The template's: copier update merges it.
"""A package, so that a test of the service's own may have the name of one of these."""

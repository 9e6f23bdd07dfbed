# The template's: copier update merges it.
"""Whether the server has a thread for a request: server.py says it, and the application asks."""

from threading import local

# What this thread serves.
serving = local()


def is_refused() -> bool:
    """Whether no thread was free in time for the request at hand: it is to be answered 503, and nothing else done for it."""
    return getattr(serving, "refused", False)

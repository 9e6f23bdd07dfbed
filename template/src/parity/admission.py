# The template's: copier update merges it.
"""What the server says and the application has to know: that no thread is free for a request, or that its client is too slow."""

import errno
from threading import local

# What this thread serves.
serving = local()


def is_refused() -> bool:
    """Whether no thread was free in time for the request at hand: it is to be answered 503, and nothing else done for it."""
    return getattr(serving, "refused", False)


class SlowClientError(ConnectionResetError):
    """A client sent or read too slowly: for too long, or while as many others did as there are threads for that."""

    def __init__(self) -> None:
        super().__init__(errno.ECONNRESET, "the client is too slow")

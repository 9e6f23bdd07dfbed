# The template's: copier update merges it.
"""Slow senders: who sends a request bit by bit holds one of some of the threads, and that not for long.

Upstream, a thread waits for headers and body as long as another byte comes before a timeout: a matter for the proxy in front
(https://github.com/benoitc/gunicorn/issues/2222), of which many hand bodies on as they come.
"""

import select
from threading import BoundedSemaphore
from time import monotonic
from typing import Any

from gunicorn.http.unreader import SocketUnreader

from .admission import SlowSenderError

# How long (seconds) a thread waits in all for the parts of a request before its sender is a slow one, and before it gives
# up: 1 MiB within it are 35 kB a second.
PROMPT_SECONDS, SLOW_SECONDS = 0.1, 30


class PatientUnreader(SocketUnreader):  # type: ignore[misc]
    """What reads requests from a connection, and counts how long it waits for the parts of each.

    Args:
        sock: the connection.
        places: of the process, for those that are slow.
    """

    def __init__(self, sock: Any, places: BoundedSemaphore) -> None:
        super().__init__(sock)
        self.places = places
        self.waited, self.is_slow, self.patience = 0.0, False, PROMPT_SECONDS

    def begin(self, patience: float) -> None:
        """Begin to read a request, whose sender is a slow one after a while (seconds); without patience, it is not waited for."""
        self.waited, self.patience = 0.0, patience

    def finish(self) -> None:
        """Give back what the request held."""
        if self.is_slow:
            self.is_slow = False
            self.places.release()

    def chunk(self, size_hint: int | None = None) -> bytes:
        """Return the next part.

        Raises:
            SlowSenderError: if it is not waited for any more.
        """
        began = monotonic()
        if not self.is_slow:
            look = select.poll()
            look.register(self.sock, select.POLLIN)
            if not look.poll(max(0, self.patience - self.waited) * 1000):
                if not self.patience or not self.places.acquire(blocking=False):
                    raise SlowSenderError
                self.is_slow = True
        part: bytes = super().chunk(size_hint)
        self.waited += monotonic() - began
        if self.waited > SLOW_SECONDS:
            raise SlowSenderError
        return part

# The template's: copier update merges it.
"""Slow clients: who sends a request or takes an answer bit by bit holds one of some of the threads, and that not for long.

Upstream, a thread waits for headers and body, or until an answer is taken, as long as another byte moves before a timeout: a
matter for the proxy in front (https://github.com/benoitc/gunicorn/issues/2222), of which many hand bodies on as they come.
"""

import select
import socket
from threading import BoundedSemaphore
from time import monotonic
from typing import Any

from gunicorn.http.unreader import SocketUnreader

from .admission import SlowClientError

# How long (seconds) a thread waits in all for the parts of a request before its sender is a slow one, and before it gives
# up: 1 MiB within it are 35 kB a second.
PROMPT_SECONDS, SLOW_SECONDS = 0.1, 30
# How long (seconds) a thread waits in all for an answer to be taken before its reader is a slow one; and how much (bytes) of
# it gives the reader a second more.
READER_SECONDS, PACE = 0.5, 35_000
# How long (seconds) a read or write waits for a client that stalls.
STALL_SECONDS = 10


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
        # How long an answer was waited for, as `waited` is for a request, and how much of it (bytes) is sent.
        self.drained, self.sent = 0.0, 0

    def begin(self, patience: float) -> None:
        """Begin to read a request, whose sender is a slow one after a while (seconds); without patience, it is not waited for."""
        self.waited, self.drained, self.sent, self.patience = 0.0, 0.0, 0, patience

    def finish(self) -> None:
        """Give back what the request held."""
        if self.is_slow:
            self.is_slow = False
            self.places.release()

    def chunk(self, size_hint: int | None = None) -> bytes:
        """Return the next part.

        Raises:
            SlowClientError: if it is not waited for any more.
        """
        began = monotonic()
        self.look(select.POLLIN, self.patience - self.waited)
        part: bytes = super().chunk(size_hint)
        self.waited += monotonic() - began
        if self.waited > SLOW_SECONDS:
            raise SlowClientError
        return part

    def drain(self) -> None:
        """Wait until more of an answer can be sent.

        Raises:
            SlowClientError: if it is not waited for any more.
        """
        began = monotonic()
        look = self.look(select.POLLOUT, READER_SECONDS - self.drained if self.patience else 0)
        if not look.poll(max(0, min(STALL_SECONDS, SLOW_SECONDS + self.sent / PACE - self.drained)) * 1000):
            raise SlowClientError
        self.drained += monotonic() - began

    def look(self, event: int, left: float) -> select.poll:
        """Return what sees an event, which the client is a slow one without, if it does not come within what is left (seconds).

        Raises:
            SlowClientError: if there is no place for a slow one.
        """
        look = select.poll()
        look.register(self.sock, event)
        if not self.is_slow and not look.poll(max(0, left) * 1000):
            if not self.patience or not self.places.acquire(blocking=False):
                raise SlowClientError
            self.is_slow = True
        return look


class PatientSocket(socket.socket):
    """A connection whose answers are waited for as its requests are.

    Args:
        accepted: the connection as it was accepted, which this one takes over.
        places: of the process, for those that are slow.
    """

    def __init__(self, accepted: socket.socket, places: BoundedSemaphore) -> None:
        super().__init__(fileno=accepted.detach())
        self.unreader = PatientUnreader(self, places)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send all of it."""
        rest = memoryview(data)
        while rest:
            try:
                sent = self.send(rest, flags | socket.MSG_DONTWAIT)
            except BlockingIOError:
                self.unreader.drain()
            else:
                rest, self.unreader.sent = rest[sent:], self.unreader.sent + sent

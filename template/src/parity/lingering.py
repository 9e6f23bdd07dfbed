# The template's: copier update merges it.
"""The end of a connection, for which nobody waits.

Whoever closes a connection has to hear its other side out, or the end of the answer may be lost (RFC 9112, section 9.6).
gunicorn 27's thread worker does that in the loop that accepts: any client that leaves its own side open stops it for two
seconds, and thirty of them stop it for a minute.
"""

import socket
from collections import deque
from contextlib import suppress
from selectors import EVENT_READ
from time import monotonic
from typing import Any

from gunicorn.workers.gthread import TConn

# How long (seconds), and how many reads, the other side is heard out.
LINGER_SECONDS, MOST_READS = 2, 16


class Lingering:
    """The connections of a worker that wait for their other side; each counts as one of its connections until then."""

    def __init__(self, worker: Any) -> None:
        self.worker = worker
        # Until when (time.monotonic()), the first one first, and how often each was read.
        self.open: deque[tuple[float, socket.socket]] = deque()
        self.reads: dict[socket.socket, int] = {}

    def add(self, sock: socket.socket) -> None:
        """Say that nothing more is sent."""
        try:
            sock.setblocking(False)
            sock.shutdown(socket.SHUT_WR)
            self.worker.poller.register(sock, EVENT_READ, self.read)
        except OSError:
            sock.close()
            return
        self.worker.nr_conns += 1
        self.reads[sock] = 0
        self.open.append((monotonic() + LINGER_SECONDS, sock))

    def read(self, sock: socket.socket) -> None:
        """Hear the other side."""
        said = b""
        try:
            said = sock.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            pass
        self.reads[sock] += 1
        if not said or self.reads[sock] > MOST_READS:
            self.close(sock)

    def expire(self) -> None:
        """Close those that were waited for long enough."""
        while self.open and (self.open[0][0] <= monotonic() or self.open[0][1] not in self.reads):
            self.close(self.open.popleft()[1])

    def close(self, sock: socket.socket) -> None:
        """Close one, once."""
        if self.reads.pop(sock, None) is not None:
            with suppress(KeyError, ValueError):
                self.worker.poller.unregister(sock)
            sock.close()
            self.worker.nr_conns -= 1


class Connection(TConn):  # type: ignore[misc]
    """A connection that is closed in the loop of its worker.

    Args:
        lingering: those of the worker that are being closed.
        arguments: gunicorn's.
    """

    def __init__(self, lingering: Lingering, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.lingering = lingering

    def close(self, graceful: bool = False) -> None:
        """Close it, after its other side has, or without a wait."""
        if graceful:
            self.lingering.add(self.sock)
        else:
            super().close()

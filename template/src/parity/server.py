# The template's: copier update merges it.
"""What gunicorn.conf.py asks of gunicorn beyond its settings: memory that stays shared, and a stop that loses nothing.

Each part names what is open upstream (https://github.com/benoitc/gunicorn/issues). They change gunicorn's own worker, so
pyproject.toml bounds the version; the template's tests stop gunicorn's own one in the same ways, and say when they can go.
"""

import gc
import os
import signal
import socket
import struct
from functools import partial
from select import select
from threading import Timer
from time import monotonic
from types import FrameType
from typing import Any

from .queueing import QueueingWorker
from .slow_clients import STALL_SECONDS

STOP_SIGNALS = {signal.SIGINT, signal.SIGQUIT, signal.SIGTERM}

# Loading makes no garbage worth collecting; when_ready() turns the collector on again. (The Python documentation's
# advice for a process that forks: https://docs.python.org/3/library/gc.html#gc.freeze)
gc.disable()


class Worker(QueueingWorker):
    """gunicorn's threads with a short queue, and a stop that resets no connection and waits for nobody who is silent."""

    linger_seconds = 0.0
    lingers = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop, with SIGTERM: go on for a while first (#2884)."""
        if not self.lingers:
            self.lingers = True
            # Not from here: to start a thread can wait for a lock that the interrupted code holds.
            self.method_queue.defer(self.linger, sig, frame)

    def linger(self, sig: int, frame: FrameType | None) -> None:
        """Stop after a while (seconds)."""
        Timer(self.linger_seconds, super().handle_exit, (sig, frame)).start()

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """End at once: gunicorn's own handler waits for requests, and for locks (python/cpython#121649)."""
        self.cfg.worker_int(self)
        os._exit(0)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Answer, and have the client connect anew for its next request once this server stops."""
        if self.lingers:
            req.force_close()
        return super().handle_request(req, conn)

    def set_accept_enabled(self, enabled: bool) -> None:
        """Accept connections or not; in the end, those that are made: the listener's end resets them (#3038, #3397, #3612)."""
        super().set_accept_enabled(enabled)
        if enabled or self.alive:
            return
        while self.sockets:
            listener = self.sockets.pop()
            while select([listener], [], [], 0)[0]:
                self.accept(listener)
            listener.close()
        # Who says nothing is not waited for (#3635).
        for connection in self.pending_conns:
            connection.timeout = min(connection.timeout, monotonic() + 1)


def when_ready(server: Any) -> None:
    """Prepare what the workers inherit: called after the application is loaded, before the first fork."""
    # Upstream's own reads and writes have no time limit.
    stall = struct.pack("@ll", STALL_SECONDS, 0)
    for listener in server.LISTENERS:
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, stall)
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, stall)
    # What is loaded now stays: the collector need not write to its pages, which keeps them shared.
    gc.freeze()
    gc.enable()

    # A signal that reached a worker between the fork and its own handlers would be lost, and the stop would wait for it
    # (#1910). What a worker itself forks is not this server's.
    def mask(how: int) -> None:
        if os.getpid() == server.pid:
            signal.pthread_sigmask(how, STOP_SIGNALS)

    os.register_at_fork(
        before=partial(mask, signal.SIG_BLOCK), after_in_parent=partial(mask, signal.SIG_UNBLOCK)
    )


def post_worker_init(worker: Any) -> None:
    """Let the worker have the signals of its first moments."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)

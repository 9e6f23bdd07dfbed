# The template's: copier update merges it.
"""gunicorn's threads with a short queue: who comes while there is more to do than can be done is refused early.

Upstream, a connection on which nothing is said holds a thread for five seconds, and a request waits for one as long as it
takes: /livez too, whereupon whoever asks it would end the process. Who sends or reads slowly: slow_clients.py.
"""

import socket
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ
from threading import BoundedSemaphore
from time import monotonic
from typing import Any

from gunicorn import http
from gunicorn.workers.gthread import ThreadWorker

from .admission import serving
from .lingering import Connection, Lingering
from .slow_clients import PROMPT_SECONDS, PatientSocket

# How long (seconds) a request waits for a thread, before it is refused, and how often there is a look for such.
QUEUE_SECONDS, LOOK_SECONDS = 1, 0.2


class QueueingWorker(ThreadWorker):  # type: ignore[misc]
    """A worker that refuses what waits too long, tells that it lives meanwhile, and gives no thread to silence."""

    # Told apart by the first bytes, and served without a wait, if it is all there.
    liveness, end = b"GET /livez ", b"\r\n\r\n"

    def init_process(self) -> None:
        """Begin to serve."""
        # Beside the threads that serve.
        self.prober, self.refuser = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self.lingering = Lingering(self)
        # Who waits for a thread, the longest first: since when (time.monotonic()), the connection and the task.
        self.queue: deque[tuple[float, Any, Future[Any]]] = deque()
        # Half of the threads are for those who send at once.
        self.slow = BoundedSemaphore(max(1, self.cfg.threads // 2))
        super().init_process()

    def accept(self, listener: Any) -> None:
        """Accept a connection, which takes a thread once the client says something."""
        # Another process may have been faster.
        with suppress(BlockingIOError, ConnectionAbortedError):
            accepted, address = listener.accept()
            client = PatientSocket(accepted, self.slow)
            self.nr_conns += 1
            connection = Connection(self.lingering, self.cfg, client, address, listener.getsockname())
            connection.timeout = monotonic() + self.cfg.keepalive
            connection.parser = http.get_parser(self.cfg, client, address)
            connection.parser.unreader = client.unreader
            self.pending_conns.append(connection)
            self.poller.register(client, EVENT_READ, partial(self.on_pending_socket_readable, connection))

    def enqueue_req(self, conn: Any) -> None:
        """Have a thread read a request and answer."""
        said = b""
        with suppress(OSError):
            said = conn.sock.recv(2048, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        if said.startswith(self.liveness) and self.end in said:
            self.submit(self.prober, partial(self.serve, patience=0), conn)
        else:
            conn.waits = True
            self.queue.append((monotonic(), conn, self.submit(self.tpool, self.begin, conn)))

    def submit(self, pool: ThreadPoolExecutor, task: Any, conn: Any) -> Future[Any]:
        """Have a pool do a task with a connection, which is then kept or closed as gunicorn does, unless it was cancelled."""

        def finish(future: Future[Any]) -> None:
            if not future.cancelled():
                self.method_queue.defer(self.finish_request, conn, future)

        future = pool.submit(task, conn)
        future.add_done_callback(finish)
        return future

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait for something to do; and have refused what no thread has begun in time."""
        is_quiet = not self.queue and not self.lingering.open
        super().wait_for_and_dispatch_events(timeout if is_quiet else min(timeout, LOOK_SECONDS))
        self.lingering.expire()
        overdue = monotonic() - QUEUE_SECONDS
        while self.queue:
            since, connection, task = self.queue[0]
            if connection.waits and since > overdue:
                break
            self.queue.popleft()
            if connection.waits and task.cancel():
                self.submit(self.refuser, self.refuse, connection)

    def begin(self, conn: Any) -> Any:
        """Read a request, and answer."""
        conn.waits = False
        return self.serve(conn)

    def serve(self, conn: Any, patience: float = PROMPT_SECONDS) -> Any:
        """Read a request as long as it may take, and answer."""
        conn.parser.unreader.begin(patience)
        try:
            return self.handle(conn)
        finally:
            conn.parser.unreader.finish()

    def refuse(self, conn: Any) -> Any:
        """Have the application refuse a request."""
        serving.refused = True
        try:
            return self.serve(conn, patience=0)
        finally:
            serving.refused = False

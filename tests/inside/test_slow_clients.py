"""Who sends bit by bit holds some of the threads, and the others go on."""

import socket
import time
from contextlib import ExitStack, suppress
from http.client import HTTPConnection

import pytest

HEADERS = b"POST /json HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n"
SLOW = {
    "headers": HEADERS,
    "a body": HEADERS + b'\r\n"',
    "chunks": HEADERS.replace(b"Content-Length: 100", b"Transfer-Encoding: chunked") + b'\r\n3\r\n"ab\r\n',
    "what begins like a probe": b"GET /livez HTTP/1.1\r\nHost: x\r\n",
    "a probe with a body": b"GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n",
}


@pytest.mark.parametrize("sent", SLOW.values(), ids=SLOW)
def test_slow_senders_leave_threads_to_others(served: int, sent: bytes) -> None:
    """Five times as many as there are threads, which go on dripping."""
    with ExitStack() as connections:
        slow = [
            connections.enter_context(socket.create_connection(("127.0.0.1", served), timeout=5))
            for _ in range(40)
        ]
        for each in slow:
            each.sendall(sent)
        for moment in range(30):
            time.sleep(0.1)
            for each in slow:
                # Who was told that it is too slow is gone.
                with suppress(OSError):
                    each.sendall(b" ")
            for path in ("/livez", "/raw"):
                began = time.monotonic()
                client = HTTPConnection("127.0.0.1", served, timeout=5)
                client.request("GET" if path == "/livez" else "POST", path)
                status = client.getresponse().status
                client.close()
                # At first, each of them has to be found out, by the threads that others wait for.
                expected = {200} if moment > 10 or path == "/livez" else {200, 503}
                assert status in expected, path
                assert time.monotonic() - began < 1.5, path


def test_a_body_that_is_a_little_late_is_read(served: int) -> None:
    with socket.create_connection(("127.0.0.1", served), timeout=5) as client:
        client.sendall(b"POST /raw HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n")
        for part in (b"ab", b"cd", b"ef"):
            time.sleep(0.4)
            client.sendall(part)
        assert client.recv(1000).startswith(b"HTTP/1.1 200")


def test_a_sender_that_is_refused_hears_why(served: int) -> None:
    """A body for which there is no place is answered 408."""
    with ExitStack() as connections:
        slow = [
            connections.enter_context(socket.create_connection(("127.0.0.1", served), timeout=5))
            for _ in range(12)
        ]
        for each in slow:
            each.sendall(SLOW["a body"])
        time.sleep(1.5)
        answers = []
        for each in slow:
            each.setblocking(False)
            with suppress(BlockingIOError):
                answers.append(each.recv(1000))
        assert len(answers) == 8
        assert all(b" 408 " in answer and b"application/problem+json" in answer for answer in answers)


def test_slow_readers_leave_threads_to_others(served: int) -> None:
    """Twice as many as there are threads, which take an answer bit by bit."""
    with ExitStack() as connections:
        slow = []
        for _ in range(16):
            each = connections.enter_context(socket.socket())
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            each.settimeout(5)
            each.connect(("127.0.0.1", served))
            each.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
            each.setblocking(False)
            slow.append(each)
        for moment in range(25):
            time.sleep(0.1)
            for each in slow:
                with suppress(OSError):
                    each.recv(500)
            began = time.monotonic()
            client = HTTPConnection("127.0.0.1", served, timeout=5)
            client.request("POST", "/raw")
            status = client.getresponse().status
            client.close()
            assert status in ({200} if moment > 10 else {200, 503})
            assert time.monotonic() - began < 1.5


def test_a_reader_who_takes_his_time_has_all_of_it(served: int) -> None:
    with socket.create_connection(("127.0.0.1", served), timeout=5) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        time.sleep(2)
        taken = 0
        while part := client.recv(1_000_000):
            taken += len(part)
            time.sleep(0.001)
        assert taken > 8_000_000


@pytest.mark.parametrize("path", ["/livez", "/nowhere"])
def test_who_does_not_hang_up_holds_up_nobody(served: int, path: str) -> None:
    """Nobody waits for the end of connections whose answer is sent."""
    with ExitStack() as connections:
        for _ in range(30):
            each = connections.enter_context(socket.create_connection(("127.0.0.1", served), timeout=5))
            each.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        began = time.monotonic()
        for _ in range(10):
            client = HTTPConnection("127.0.0.1", served, timeout=5)
            client.request("GET", "/livez")
            assert client.getresponse().status == 200
            client.close()
        assert time.monotonic() - began < 1.5

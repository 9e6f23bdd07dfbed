"""Requests as no library writes them: what comes is refused or read as it is meant, and nothing is left for the next one."""

import re
import socket

import pytest

LIMIT = 1024 * 1024
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def post(path: str, headers: bytes, body: bytes = b"", version: bytes = b"1.1") -> bytes:
    return b"POST %s HTTP/%s\r\nHost: x\r\n%s\r\n%s" % (path.encode(), version, headers, body)


def length(number: int) -> bytes:
    return b"Content-Length: %d\r\n" % number


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


END = b"0\r\n\r\n"
JSON = b"Content-Type: application/json\r\n"
GET = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"

# What is sent, and the statuses of the answers, before the connection ends.
BATTERY: dict[str, tuple[bytes, list[int]]] = {
    "a length": (post("/raw", length(3), b"abc"), [200]),
    "two requests at once": (post("/raw", length(3), b"abc") + GET, [200, 200]),
    "a body that nobody reads, then another request": (post("/users", length(3), b"abc") + GET, [401, 200]),
    "a length of nothing": (post("/raw", length(0)), [200]),
    "a length that is no number": (post("/raw", b"Content-Length: 3x\r\n", b"abc"), [400]),
    "a length with a sign": (post("/raw", b"Content-Length: +3\r\n", b"abc"), [400]),
    "two lengths": (post("/raw", length(3) + length(4), b"abcd"), [400]),
    "a length and chunks": (post("/raw", length(3) + CHUNKED, chunk(b"abc") + END), [400]),
    "a body that ends too early": (post("/raw", length(9), b"abc"), [400]),
    "a body at the limit": (post("/raw", length(LIMIT), b"x" * LIMIT), [200]),
    "a body over the limit": (post("/raw", length(LIMIT + 1), b"x" * (LIMIT + 1)), [413]),
    "chunks": (post("/raw", CHUNKED, chunk(b"abc") + chunk(b"de") + END), [200]),
    "chunks, and another request": (post("/raw", CHUNKED, chunk(b"abc") + END) + GET, [200, 200]),
    "chunks at the limit": (post("/raw", CHUNKED, chunk(b"x" * LIMIT) + END), [200]),
    "chunks over the limit": (post("/raw", CHUNKED, chunk(b"x" * LIMIT) + chunk(b"x") + END), [413]),
    "chunks of JSON over the limit": (
        post("/json", CHUNKED + JSON, chunk(b'"' + b"x" * LIMIT) + chunk(b'"') + END),
        [413],
    ),
    "chunks without an end": (post("/raw", CHUNKED, chunk(b"abc")), [400]),
    "a chunk without a size": (post("/raw", CHUNKED, b"\r\nabc\r\n" + END), [400]),
    "a chunk whose size is no number": (post("/raw", CHUNKED, b"xyz\r\nabc\r\n" + END), [400]),
    "a chunk with a negative size": (post("/raw", CHUNKED, b"-3\r\nabc\r\n" + END), [400]),
    "a chunk longer than its size": (post("/raw", CHUNKED, b"2\r\nabc\r\n" + END), [400]),
    "a chunk with a bare line feed": (post("/raw", CHUNKED, b"3\nabc\n0\n\n"), [400]),
    "trailers": (post("/raw", CHUNKED, chunk(b"abc") + b"0\r\nX-After: 1\r\n\r\n"), [200]),
    "another encoding": (post("/raw", b"Transfer-Encoding: gzip, chunked\r\n", chunk(b"abc") + END), [501]),
    "chunks of HTTP 1.0": (post("/raw", CHUNKED, chunk(b"abc") + END, b"1.0"), [400]),
    "HTTP 1.0": (post("/raw", length(3), b"abc", b"1.0"), [200]),
    "HTTP 9.9": (post("/raw", length(3), b"abc", b"9.9"), [400]),
    "an absolute form": (b"GET http://x/livez HTTP/1.1\r\nHost: x\r\n\r\n", [200]),
    "an asterisk": (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", [404]),
    "a request for a tunnel": (b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", [404]),
    "no Host": (b"GET /livez HTTP/1.1\r\n\r\n", [200]),
    "bare line feeds": (b"GET /livez HTTP/1.1\nHost: x\n\n", [400]),
    "a header with an underscore": (b"GET /livez HTTP/1.1\r\nHost: x\r\nContent_Length: 9\r\n\r\n", [200]),
    "a space before a colon": (b"GET /livez HTTP/1.1\r\nHost : x\r\n\r\n", [400]),
    "a folded header": (b"GET /livez HTTP/1.1\r\nHost: x\r\nX-A: 1\r\n 2\r\n\r\n", [400]),
    "a NUL in a header": (b"GET /livez HTTP/1.1\r\nHost: x\r\nX-A: \0\r\n\r\n", [400]),
    "a header too long": (b"GET /livez HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 9000 + b"\r\n\r\n", [431]),
    "too many headers": (b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"X-A: 1\r\n" * 200 + b"\r\n", [431]),
    "a path too long": (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", [414]),
    "a path that is no UTF-8": (b"GET /%ff%fe HTTP/1.1\r\nHost: x\r\n\r\n", [404]),
    "a NUL in a path": (b"GET /users/%00 HTTP/1.1\r\nHost: x\r\n\r\n", [404]),
    "an id that no table has": (b"GET /things/9223372036854775808 HTTP/1.1\r\nHost: x\r\n\r\n", [404]),
    "an id in digits of another script": (b"GET /things/%F0%9E%85%87 HTTP/1.1\r\nHost: x\r\n\r\n", [404]),
    "a fraction in digits of another script": (b"GET /shares/1.%D9%A7 HTTP/1.1\r\nHost: x\r\n\r\n", [404]),
    "a fraction": (b"GET /shares/1.7 HTTP/1.1\r\nHost: x\r\n\r\n", [200]),
    "an id of 2,000 digits": (b"GET /things/" + b"9" * 2000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", [404]),
    "an invented method": (b"BREW /livez HTTP/1.1\r\nHost: x\r\n\r\n", [405]),
    "no request at all": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", [400]),
    "JSON nested too deeply": (post("/json", JSON + length(400000), b"[" * 400000), [400]),
    "JSON that is none": (post("/json", JSON + length(3), b"NaN"), [400]),
    "JSON with a number of 5,000 digits": (post("/json", JSON + length(5000), b"9" * 5000), [400]),
    "JSON that is no UTF-8": (post("/json", JSON + length(4), b'"\xff"' + b" "), [400]),
}


@pytest.mark.parametrize("name", BATTERY)
def test_what_no_library_writes_is_read_as_it_is_meant(served: int, name: str) -> None:
    sent, statuses = BATTERY[name]
    with socket.create_connection(("127.0.0.1", served), timeout=15) as client:
        try:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
        except OSError:
            # It has refused before it had heard all.
            pass
        answered = b""
        try:
            while data := client.recv(65536):
                answered += data
        except ConnectionResetError:
            pass
    found = [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", answered)]
    assert found == statuses, answered

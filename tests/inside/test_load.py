"""More than the server can do: it says so at once, goes on with the rest, and tells that it lives."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from http.client import HTTPConnection, HTTPResponse
from typing import NamedTuple

THREADS = 8


class Answer(NamedTuple):
    """What came, and after how many seconds."""

    status: int
    seconds: float
    retry_after: str | None


def begin(port: int, path: str, stack: ExitStack) -> HTTPResponse:
    connection = stack.enter_context(closing(HTTPConnection("127.0.0.1", port, timeout=10)))
    connection.request("GET", path)
    return connection.getresponse()


def ask(port: int, path: str) -> Answer:
    began = time.monotonic()
    with ExitStack() as stack:
        response = begin(port, path, stack)
        response.read()
        return Answer(response.status, time.monotonic() - began, response.headers["Retry-After"])


def test_more_than_the_threads_can_do_is_refused_early(served: int) -> None:
    with ThreadPoolExecutor(40) as pool:
        asked = [pool.submit(ask, served, "/sleep") for _ in range(40)]
        time.sleep(0.3)
        alive = ask(served, "/livez")
        answers = [future.result() for future in asked]
    refused = [answer for answer in answers if answer.status != 200]
    assert len(answers) - len(refused) == THREADS
    assert {(answer.status, answer.retry_after) for answer in refused} == {(503, "1")}
    assert max(answer.seconds for answer in refused) < 3
    assert alive.status == 200
    assert alive.seconds < 0.5
    assert ask(served, "/openapi.json").status == 200


def test_streams_leave_half_of_the_threads(served: int) -> None:
    with ExitStack() as stack:
        streams = [begin(served, "/endless", stack) for _ in range(THREADS)]
        assert sorted(stream.status for stream in streams) == [200] * 4 + [503] * 4
        for stream in streams:
            if stream.status == 200:
                assert stream.fp.readline()
        other, alive = ask(served, "/openapi.json"), ask(served, "/livez")
    assert (other.status, alive.status) == (200, 200)
    assert other.seconds < 2
    assert alive.seconds < 0.5
    # Once their clients are gone, others may have them.
    deadline = time.monotonic() + 5
    while True:
        with ExitStack() as stack:
            if begin(served, "/endless", stack).status == 200:
                break
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_who_says_nothing_holds_up_nobody(served: int) -> None:
    with ExitStack() as stack:
        for _ in range(2000):
            connection = stack.enter_context(closing(HTTPConnection("127.0.0.1", served)))
            connection.connect()
        answer = ask(served, "/openapi.json")
    assert answer.status == 200
    assert answer.seconds < 1

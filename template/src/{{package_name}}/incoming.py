# The template's: copier update merges it.
"""What a request may bring: a body that is whole and not too long, JSON that can be read, an id that can exist. And what
it may hold: a thread that is free, and for a stream not the last ones.
"""

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from threading import BoundedSemaphore
from typing import IO, Any, NoReturn

from apiflask import APIFlask, HTTPError
from flask import Request, Response, abort
from flask.json.provider import DefaultJSONProvider
from werkzeug.exceptions import BadRequest, HTTPException, RequestEntityTooLarge, RequestTimeout
from werkzeug.routing import FloatConverter, IntegerConverter
from werkzeug.utils import cached_property
from werkzeug.wsgi import LimitedStream

from parity.admission import SlowClientError, is_refused

from .config import Settings

MAX_BODY_BYTES = 1024 * 1024
BUSY = HTTPError(503, "There is more to do than can be done.", headers={"Retry-After": "1"})


class Body(LimitedStream):
    """A body, which with a length in front is all of that."""

    def on_disconnect(self, error: Exception | None = None) -> None:
        """Say why it is not whole.

        Raises:
            RequestTimeout: if it came too slowly.
            ClientDisconnected: if its sender is gone.
        """
        if isinstance(error, SlowClientError):
            raise RequestTimeout from error
        super().on_disconnect(error)


class ChunkedBody(Body):
    """A body without a length in front: all of it, or 413. Werkzeug's own ends at the limit as if the body did."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        # One byte more shows that it is too long.
        super().__init__(stream, limit + 1, is_max=True)

    def readinto(self, b: bytearray) -> int | None:  # type: ignore[override]
        """Read a part.

        Raises:
            BadRequest: if its chunks are malformed, for which each server has an error of its own.
        """
        try:
            return super().readinto(b)
        except HTTPException:
            raise
        except Exception as error:
            raise BadRequest("The chunks of the body are malformed.") from error

    def readall(self) -> bytes:
        """Read it.

        Raises:
            RequestEntityTooLarge: if it is longer.
        """
        body = super().readall()
        if self.is_exhausted:
            raise RequestEntityTooLarge
        return body


class WholeRequest(Request):
    """A request whose body is never taken for whole when it ends too early or too late."""

    @cached_property
    def stream(self) -> IO[bytes]:
        """The body.

        Raises:
            RequestEntityTooLarge: if it is too long.
            HTTPException: 501, if it is encoded in another way than in chunks.
            ClientDisconnected: a 400, by a read of what ends before its Content-Length.
        """
        source, limit, length = self.environ["wsgi.input"], self.max_content_length, self.content_length
        if limit is None or (length is None and "wsgi.input_terminated" not in self.environ):
            return super().stream
        if self.headers.get("Transfer-Encoding", "chunked").lower() != "chunked":
            abort(501)
        if length is None:
            return ChunkedBody(source, limit)  # type: ignore[return-value]
        if length > limit:
            raise RequestEntityTooLarge
        return Body(source, length)  # type: ignore[return-value]

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:
        """Read the body as JSON.

        Raises:
            BadRequest: if it is malformed, or null where APIFlask, which asks with force, would take that for an empty object.
        """
        document = super().get_json(force=force, silent=silent, cache=cache)
        if document is None and force and not silent:
            raise BadRequest
        return document


class StrictJSON(DefaultJSONProvider):
    """JSON as RFC 8259 has it: without Python's NaN and Infinity. What is nested too deeply is malformed, and no failure."""

    def loads(self, s: str | bytes, **options: Any) -> Any:
        """Read a document.

        Raises:
            ValueError: if it is malformed, which Flask answers with 400.
        """
        try:
            return super().loads(s, parse_constant=refuse_constant, **options)
        except RecursionError:
            raise ValueError("nested too deeply") from None


def refuse_constant(name: str) -> NoReturn:
    """Refuse what is no JSON."""
    raise ValueError(f"{name} is no JSON")


class BigintConverter(IntegerConverter):
    """``<int:…>`` in a route: what PostgreSQL's bigint holds. There is nothing with a greater id, so it matches no route.

    Nor does it in digits of another script, which Python takes for numbers and JSON does not.
    """

    regex = "[0-9]{1,19}"

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"max": 2**63 - 1} | options)


class DecimalConverter(FloatConverter):
    """``<float:…>`` in a route: digits of JSON, and not so many that the number is infinite."""

    regex = r"[0-9]{1,300}\.[0-9]{1,300}"


def refuse_when_busy() -> None:
    """Refuse what waited for a thread in vain.

    Raises:
        HTTPError: 503.
    """
    if is_refused():
        raise BUSY


def release(held: list[BoundedSemaphore]) -> None:
    """Release what is held, once."""
    with suppress(IndexError):
        held.pop().release()


def until_released(chunks: Any, held: list[BoundedSemaphore]) -> Iterator[Any]:
    """Yield a stream, and release what it holds at its end, even if nobody closes it: Flask's test client does not."""
    yield from chunks
    release(held)


def init_app(app: APIFlask, settings: Settings) -> None:
    """Bind all of it to an application, before it has a route."""
    streams = BoundedSemaphore(max(1, settings.web_threads // 2))

    @app.after_request
    def limit_streams(response: Response) -> Response:
        """Let streams hold half of the threads: one that has no end would otherwise leave none for anybody else."""
        if response.is_streamed and not response.direct_passthrough:
            if not streams.acquire(blocking=False):
                response.close()
                return app.make_response(app.handle_user_exception(BUSY))
            held = [streams]
            response.call_on_close(partial(release, held))
            response.response = until_released(response.response, held)
        return response

    app.before_request(refuse_when_busy)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.request_class = WholeRequest
    app.json = StrictJSON(app)
    app.url_map.converters |= {"int": BigintConverter, "float": DecimalConverter}

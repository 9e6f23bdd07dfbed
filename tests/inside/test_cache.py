"""A memoized result is never older than a write that was answered, but for the time that Redis is away."""

from apiflask import APIFlask
from redis.connection import AbstractConnection
from service.extensions import cache, invalidate


def test_no_reader_keeps_what_a_writer_has_made_wrong(app: APIFlask, monkeypatch):
    """Before each command that a reader sends, and before it has its result, somebody writes and invalidates."""
    stored, moments, send = [0], [0], AbstractConnection.send_packed_command

    def moment() -> None:
        moments[0] -= 1
        if not moments[0]:
            stored[0] += 1
            invalidate(read)

    def send_after_a_moment(self, *args, **options):
        moment()
        return send(self, *args, **options)

    @cache.memoize(timeout=60)
    def read() -> int:
        found = stored[0]
        moment()
        return found

    monkeypatch.setattr(AbstractConnection, "send_packed_command", send_after_a_moment)
    with app.app_context():
        for warm in (False, True):
            for moments_before in range(1, 100):
                invalidate(read)
                if warm:
                    assert read() == stored[0]
                moments[0] = moments_before
                assert read() in (stored[0], stored[0] - 1)
                if moments[0] > 0:
                    break
                assert read() == read() == stored[0], f"a write at moment {moments_before} was undone"
            assert moments_before > 2
            moments[0] = 0


def test_what_was_forgotten_begins_anew(app: APIFlask):
    """A cache that lost its generation has none of the results that were kept under an older one."""
    stored = [0]

    @cache.memoize(timeout=60)
    def read() -> int:
        return stored[0]

    redis = app.extensions["redis"]
    with app.app_context():
        assert read() == read() == 0
        stored[0] = 1
        assert read() == 0
        (key,) = [key for key in redis.keys("generation:*") if b"test_what_was_forgotten" in key]
        redis.delete(key)
        assert read() == 1

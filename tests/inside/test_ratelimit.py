"""Limits that are counted in blocks: as exact as those of the library, with fewer round trips."""

import sys
from collections import Counter
from itertools import count
from unittest.mock import Mock

import pytest
from flask import Blueprint, Flask
from flask.testing import FlaskClient
from flask_limiter import Limiter
from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from parity.ratelimit import BlockRateLimiter, DefaultLimiter

CALLERS = count()


class Storage(MemoryStorage):
    """Counts its round trips."""

    asked = 0

    def incr(self, *arguments, **options):
        """Count."""
        self.asked += 1
        return super().incr(*arguments, **options)


def passed(limiters: list[FixedWindowRateLimiter], limit: str, hits: int) -> int:
    """How many of a caller's hits pass, which several processes take in turn."""
    caller = f"caller {next(CALLERS)}"
    return sum(limiters[number % len(limiters)].hit(parse(limit), caller) for number in range(hits))


@pytest.mark.parametrize(
    "limit", ["2 per minute", "199 per minute", "250 per minute", "600 per minute", "60000 per hour"]
)
@pytest.mark.parametrize("processes", [1, 4])
def test_a_limit_holds_and_none_is_lost(limit: str, processes: int) -> None:
    """For each process by itself, and for all together."""
    storage, amount = Storage(), parse(limit).amount
    limiters = [BlockRateLimiter(storage) for _ in range(processes)]
    found = passed(limiters, limit, 2 * amount)
    assert amount * (1 - 0.01 * processes) <= found <= amount
    assert storage.asked <= 2 * amount
    if amount >= 600:
        assert storage.asked < 1.3 * amount


def test_a_new_window_begins_with_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was left of the window before is not counted among its hits."""
    storage = Storage()
    limiter = BlockRateLimiter(storage)
    assert passed([limiter], "600 per minute", 1) == 1
    ((key, (left, _)),) = limiter.blocks.items()
    assert left == 5
    limiter.blocks[key] = (left, 0.0)
    storage.reset()
    assert passed([limiter], "600 per minute", 700) == 600


def test_the_library_asks_for_each_hit() -> None:
    """When it no longer does, parity/ratelimit.py can go."""
    storage = Storage()
    passed([FixedWindowRateLimiter(storage)], "600 per minute", 100)
    assert storage.asked == 100


def test_the_blocks_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes from many addresses fills no memory."""
    monkeypatch.setattr("parity.ratelimit.MOST_BLOCKS", 10)
    limiter = BlockRateLimiter(Storage())
    for _ in range(50):
        passed([limiter], "600 per minute", 1)
    assert len(limiter.blocks) <= 10


def application(kind: type[Limiter], with_blueprints: bool = False) -> Flask:
    """An application with a route of each kind; each default limit is of two requests, each own one of one."""
    app = Flask(__name__)
    limiter = kind(
        lambda: "caller",
        app=app,
        default_limits=[lambda: "2 per hour"],
        default_limits_exempt_when=lambda: app.testing,
        storage_uri="memory://",
    )
    app.add_url_rule("/default", "default", named("default"))
    app.add_url_rule("/other", "other", named("other"))
    app.add_url_rule("/exempt", "exempt", limiter.exempt(named("exempt")))
    app.add_url_rule("/own", "own", limiter.limit("1 per hour")(named("own")))
    app.add_url_rule("/both", "both", limiter.limit("1 per hour", override_defaults=False)(named("both")))
    app.add_url_rule("/inner", "inner", inner(limiter))
    if with_blueprints:
        for name, change in (("limited", limiter.limit("1 per hour")), ("free", limiter.exempt)):
            bp, child = Blueprint(name, __name__), Blueprint(f"{name}-child", __name__)
            for each in (bp, child):
                each.add_url_rule(f"/{each.name}", each.name, named(each.name))
            change(bp)
            bp.register_blueprint(child)
            app.register_blueprint(bp)
            app.register_blueprint(bp, name=f"{name}-again", url_prefix="/again")
    return app


def named(name: str):
    """A view with a name of its own: the library knows views by that."""

    def view() -> str:
        return name

    view.__qualname__ = view.__name__ = name
    return view


def inner(limiter: Limiter):
    """A view that limits a part of itself."""

    def view() -> str:
        with limiter.limit("1 per hour"):
            return ""

    return view


def answered(app: Flask) -> dict[str, list[int]]:
    """What three requests to each route are answered."""
    client = app.test_client()
    paths = ["/static/none", "/none", *sorted(rule.rule for rule in app.url_map.iter_rules())]
    return {path: [client.get(path).status_code for _ in range(3)] for path in paths if "<" not in path}


@pytest.mark.parametrize("with_blueprints", [False, True])
def test_the_limits_are_those_of_the_library(with_blueprints: bool) -> None:
    """Whatever a team does with Flask-Limiter has its effect."""
    found = answered(application(DefaultLimiter, with_blueprints))
    assert found == answered(application(Limiter, with_blueprints))
    assert found["/default"] == [200, 200, 429]
    assert found["/own"] == [200, 429, 429]
    assert found["/exempt"] == [200, 200, 200]


def test_the_service_goes_the_short_way(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own routes have the default limits alone, whatever else is exempt."""
    library = Mock(side_effect=AssertionError)
    monkeypatch.setattr(Limiter, "_check_request_limit", library)
    assert client.get("/openapi.json").status_code == 200
    library.assert_not_called()


def test_the_default_limits_do_not_count_where_they_are_not_to() -> None:
    """What default_limits_exempt_when says holds."""
    app = application(DefaultLimiter)
    app.testing = True
    assert answered(app)["/default"] == [200, 200, 200]


def calls(kind: type[Limiter]) -> int:
    """How many calls of Python functions a request's limits take."""
    app, made = application(kind), Counter()
    with app.test_request_context("/default"):
        (hook,) = app.before_request_funcs[None]
        hook()
        sys.setprofile(lambda frame, event, _: made.update([event]))
        try:
            hook()
        finally:
            sys.setprofile(None)
    return made["call"]


def test_the_library_does_much_more_than_to_count() -> None:
    """Once it does not, DefaultLimiter can go."""
    assert calls(Limiter) > 3 * calls(DefaultLimiter)

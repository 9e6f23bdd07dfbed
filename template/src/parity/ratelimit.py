# The template's: copier update merges it.
"""Rate limits by Flask-Limiter, at a fraction of its work for a request.

A strategy of the library limits (https://limits.readthedocs.io): fixed windows, of which a process takes several hits at once. A round trip to the server of the counts for each request costs a fifth of what a service that reads a row can serve (docs/server.md of
the template has the figures).
"""

import time
from functools import lru_cache
from threading import Lock
from typing import Any

from flask import current_app, request
from flask_limiter import Limiter
from flask_limiter.util import get_qualified_name
from limits import RateLimitItem, parse_many
from limits.strategies import STRATEGIES, FixedWindowRateLimiter

NAME = "fixed-window-in-blocks"
# A block is this part of a limit, and not more than so many hits: what one process took, no other can use.
SHARE, MOST_HITS = 100, 100
# How many callers' blocks a process keeps.
MOST_BLOCKS = 10_000


class BlockRateLimiter(FixedWindowRateLimiter):
    """Never lets more pass than the limit; and of a caller at its limit, each process at most a hundredth less."""

    def __init__(self, storage: Any) -> None:
        super().__init__(storage)
        self.lock = Lock()
        # By the key of the count: how many hits are left of a block, and when its window ends (time.time()).
        self.blocks: dict[str, tuple[int, float]] = {}

    def hit(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        """Count a hit, and return whether it is within the limit."""
        block = min(item.amount // SHARE, MOST_HITS)
        if block <= cost:
            return super().hit(item, *identifiers, cost=cost)
        key = item.key_for(*identifiers)
        with self.lock:
            left, end = self.blocks.get(key, (0, 0.0))
            if left >= cost and time.time() < end:
                self.blocks[key] = (left - cost, end)
                return True
        if not super().hit(item, *identifiers, cost=block):
            return False
        end = self.storage.get_expiry(key)
        with self.lock:
            if len(self.blocks) >= MOST_BLOCKS:
                self.blocks.clear()
            self.blocks[key] = (block - cost, end)
        return True


STRATEGIES[NAME] = BlockRateLimiter

parse = lru_cache(parse_many)


class DefaultLimiter(Limiter):
    """Flask-Limiter, which does not work out for each request that it has the default limits and no others.

    That takes it three times as many calls. Without it a service that reads a row served 1.11 times as many requests (wrk, both in
    turn, median of nine rounds).
    Whatever is refused, exempt, or has limits of its own goes the library's way.
    """

    def _check_request_limit(self, callable_name: str | None = None, in_middleware: bool = True) -> None:
        """Count a request, and raise `RateLimitExceeded` above its limits."""
        if not in_middleware or self._storage_dead or not self.has_defaults_alone() or not self.passes():
            super()._check_request_limit(callable_name, in_middleware)

    def has_defaults_alone(self) -> bool:
        """Whether nothing but a default limit, which is a string or returns one, can apply to the request."""
        manager, endpoint = self.limit_manager, request.endpoint or "static"
        if endpoint.endswith("static") or not self.enabled or self._request_filters or self._meta_limits:
            return False
        name = get_qualified_name(current_app.view_functions[endpoint])
        if manager._application_limits or manager.has_hints(endpoint) or name in manager._route_exemptions:
            return False
        own = (
            self._marked_for_limiting
            | manager._blueprint_limits.keys()
            | manager._blueprint_exemptions.keys()
        )
        names = {name}
        if blueprint := request.blueprint:
            names |= {current_app.blueprints[blueprint].name, *blueprint.split(".")}
        return own.isdisjoint(names)

    def passes(self) -> bool:
        """Count a request, and return whether it is within the default limits: False, too, once the counts are out of reach."""
        for default in self.limit_manager._default_limits:
            if default.exempt_when and default.exempt_when():
                continue
            given, key = default.limit_provider, default.limit_by()
            for limit in parse(given() if callable(given) else given):
                try:
                    if not self.limiter.hit(limit, key, request.endpoint or ""):
                        return False
                except Exception as error:
                    # As the library does. From here on it takes over, with its fallback, until they are back.
                    self.logger.warning("rate limits' storage out of reach: %s", error)
                    self._storage_dead = True
                    return False
        return True

"""Limits that are counted in blocks: as exact as those of the library, with fewer round trips."""

from itertools import count

import pytest
from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from parity.ratelimit import BlockRateLimiter

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

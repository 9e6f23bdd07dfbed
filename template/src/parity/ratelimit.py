# The template's: copier update merges it.
"""A strategy of the library limits (https://limits.readthedocs.io): fixed windows, of which a process takes several hits at once.

A round trip to the server of the counts for each request costs a fifth of what a service that reads a row can serve (docs/server.md of
the template has the figures).
"""

import time
from threading import Lock
from typing import Any

from limits import RateLimitItem
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

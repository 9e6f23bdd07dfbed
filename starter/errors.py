"""What stops a command before it has done anything."""

from collections.abc import Iterable


class Refused(Exception):
    """Nothing was done: one sentence that names the cause and the remedy, for exit status 2."""


def listed(names: Iterable[object], most: int = 5) -> str:
    """Return names as a part of a sentence, the first few of many.

    Args:
        names: what is to be listed.
        most: how many are named before the rest is counted.
    """
    all_names = [str(name) for name in names]
    rest = len(all_names) - most
    return ", ".join(all_names[:most]) + (f" and {rest} more" if rest > 0 else "")

"""Conflicts that are none: lists to which both sides added, and pins that both moved."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.version import InvalidVersion, Version

from .git import Git, GitError, neutral

LABELS = ("before updating", "last update", "after updating")
# What moves when a pin does: a digest, a commit, a version with a dot or a v, or a number by itself behind a sign.
_MOVES = re.compile(
    r"sha256:[0-9a-f]{64}|\b[0-9a-f]{40}\b|(?<![\w.])v?\d+(?:\.\d+)*(?:(?:a|b|rc|\.?post|\.?dev)\d+)?(?![\w.])"
)
# A line in which a pin stands, and no other number.
_PIN = re.compile(
    r"""\s*(?:-\s+)?(?:uses|image|rev): | \s*FROM\s | \s*COPY\s.*--from= | \s*ARG\s+\w*VERSION=
        | \s*["'][\w.-]+(?:\[[\w,\s-]+\])?\s*[<>=!~]=[^"']*["'],?\s*(?:\#.*)?$ | [\w.-]+(?:\[[\w,-]+\])?[<>=!~]=\S+\s*$""",
    re.VERBOSE,
)
# What a workflow uses.
_USES = re.compile(r"(?m)(?P<head>^\s*(?:- )?uses: (?P<action>[\w.-]+/[\w./-]+)@)(?P<pin>\S+(?: +#.*)?)$")
# A line that is one entry of a list: a string, a scalar of YAML, a requirement, a setting, the name of a file.
_ENTRY = re.compile(
    r"""\s* (?: "(?:[^"\\]|\\.)*",? | '[^']*',? | -\ [^:{\[\s][^:]* | -\ (?:[^:]|:\S)* | [A-Za-z0-9._-]+(\[[\w,-]+\])? [<>=!~]=.* | \#?[A-Z][A-Z0-9_]*=.* )
        \s* (?:\#.*)?""",
    re.VERBOSE,
)
# A line that is a list itself: a name, then words.
_WORDS = re.compile(r"(?P<head>\s*[\w.$(){}-]+\s*(?::|[:+?]?=)\s*\[?)(?P<words>[^\[\]]*?)(?P<tail>\]?\s*)")


@dataclass(frozen=True)
class Hunk:
    """Lines that both sides changed: as the service has them, as the release before had them, as the release has them."""

    ours: list[str]
    base: list[str]
    theirs: list[str]


@dataclass
class Merge:
    """A file after a merge.

    Attributes:
        parts: its lines, and the hunks that are in conflict among them.
        joined: what was joined, for a person.
    """

    parts: list[str | Hunk]
    joined: list[str] = field(default_factory=list)

    @property
    def conflicts(self) -> int:
        """How many hunks are left to a person."""
        return sum(isinstance(part, Hunk) for part in self.parts)

    def text(self) -> bytes:
        """Return the file, with what is left between markers, as Copier writes them."""
        lines: list[str] = []
        for part in self.parts:
            if isinstance(part, str):
                lines.append(part)
            else:
                lines += [
                    f"<<<<<<< {LABELS[0]}\n",
                    *part.ours,
                    "=======\n",
                    *part.theirs,
                    f">>>>>>> {LABELS[2]}\n",
                ]
        return "".join(lines).encode(errors="surrogateescape")


def merge(ours: bytes, base: bytes, theirs: bytes) -> Merge | None:
    """Merge a file, and join what can be joined; None if it is no text."""
    with TemporaryDirectory(prefix="starter-") as folder:
        for label, side in zip(LABELS, (ours, base, theirs), strict=True):
            Path(folder, label).write_bytes(side)
        labels = [f"-L{label}" for label in LABELS]
        try:
            # Its status is the number of conflicts.
            found = Git(Path(folder), neutral()).raw(
                "merge-file", "-p", "--diff3", *labels, *LABELS, fails_from=128
            )
        except GitError:
            return None
    result = Merge([])
    for part in _parts(found.decode(errors="surrogateescape").splitlines(keepends=True)):
        joined = join(part) if isinstance(part, Hunk) else None
        if joined is None or isinstance(part, str):
            result.parts.append(part)
        else:
            result.parts += joined
            result.joined += _kept(joined, part)
    return result


def _kept(joined: Sequence[str], hunk: Hunk) -> list[str]:
    """Return what of the service's own is in a joined hunk: lines, or the words of one."""
    if len(hunk.ours) == len(hunk.theirs) == len(joined) == 1 and joined[0] not in (*hunk.ours, *hunk.theirs):
        return [
            word for word in re.split(r"[\s,]+", joined[0]) if word not in re.split(r"[\s,]+", hunk.theirs[0])
        ]
    kept = [line for line in joined if line not in hunk.theirs]
    return [line.strip() for line in kept or joined]


def _parts(lines: Sequence[str]) -> list[str | Hunk]:
    """Return the lines of a merged file, each of its conflicts as a hunk."""
    parts: list[str | Hunk] = []
    sides: list[list[str]] = []
    for line in lines:
        bare = line.rstrip("\r\n")
        if bare == f"<<<<<<< {LABELS[0]}":
            sides = [[]]
        elif sides and bare in (f"||||||| {LABELS[1]}", "======="):
            sides.append([])
        elif sides and bare == f">>>>>>> {LABELS[2]}":
            parts.append(Hunk(*sides))
            sides = []
        elif sides:
            sides[-1].append(line)
        else:
            parts.append(line)
    return parts


def join(hunk: Hunk) -> list[str] | None:
    """Return the lines that keep what both sides added to a list and moved in it; None if they contradict each other."""
    if len(hunk.ours) == len(hunk.base) == len(hunk.theirs) == 1:
        words = _join_words(hunk.ours[0], hunk.base[0], hunk.theirs[0])
        if words is not None:
            return [words]
    ours, base, theirs = (_entries(side) for side in (hunk.ours, hunk.base, hunk.theirs))
    if ours is None or base is None or theirs is None:
        return None
    shared = ours.keys() & base.keys() & theirs.keys()
    if not all(
        key in shared or _ENTRY.fullmatch(line.rstrip("\r\n"))
        for each in (ours, base, theirs)
        for key, line in each.items()
    ):
        return None
    kept: dict[str, str] = {}
    for key in _order([*ours], [*theirs]):
        mine, before, new = (_bare(each.get(key)) for each in (ours, base, theirs))
        if mine == new or new == before:
            line = ours.get(key)
        elif mine == before:
            line = theirs.get(key)
        elif mine is None or new is None or (line := newer(ours[key], theirs[key])) is None:
            return None
        if line is not None:
            kept[key] = line
    return _with_commas([*kept.values()], hunk)


def newer(one: str, other: str) -> str | None:
    """Return the line with the newer pin of two that differ in their pins alone; None if neither is."""
    if not _PIN.match(one):
        return None
    for left, right in zip(_MOVES.findall(one), _MOVES.findall(other), strict=True):
        if left == right or len(left) >= 40:
            continue
        try:
            return one if Version(left) > Version(right) else other
        except InvalidVersion:
            return None
    return None


def one_pin_each(text: str, release: str) -> tuple[str, list[str]]:
    """Return a workflow in which each action that the release pins once has one pin, the newest, and the pins that it got.

    Args:
        text: the merged workflow, in which somebody's newer pin may stand beside the release's.
        release: the release's own workflow.
    """
    pins: dict[str, list[str]] = {}
    for match in _USES.finditer(text):
        pins.setdefault(match["action"], []).append(match["pin"].rstrip())
    moved = []
    for action, found in pins.items():
        meant = {match["pin"].rstrip() for match in _USES.finditer(release) if match["action"] == action}
        if len({*found}) < 2 or len(meant) != 1:
            continue
        best = found[0]
        for pin in found[1:]:
            # Told apart as whole lines.
            line = newer(f"uses: {pin}", f"uses: {best}") or ""
            best = line.removeprefix("uses: ") or best
        text = _USES.sub(
            lambda match, a=action, b=best: match["head"] + b if match["action"] == a else match[0], text
        )  # type: ignore[misc]
        moved.append(f"{action}@{best}")
    return text, moved


def _entries(lines: Sequence[str]) -> dict[str, str] | None:
    """Return lines by what they are about, their pins left out; None if two are about the same."""
    found = {_MOVES.sub("\0", _bare(line) or ""): line for line in lines}
    return found if len(found) == len(lines) and "" not in found else None


def _bare(line: str | None) -> str | None:
    return None if line is None else line.strip().rstrip(",")


def _order(ours: Sequence[str], theirs: Sequence[str]) -> list[str]:
    """Return the entries of both: in the release's order, each of the service's own behind the one that it stands behind."""
    order = [*theirs]
    for before, key in zip([None, *ours], ours, strict=False):
        if key not in order:
            order.insert(order.index(before) + 1 if before is not None else 0, key)
    return order


def _with_commas(lines: list[str], hunk: Hunk) -> list[str]:
    """Return the entries of a list with a comma behind each, if that is what they have."""
    sides = [line.rstrip() for side in (hunk.ours, hunk.base, hunk.theirs) for line in side]
    if not any(line.endswith('",') or line.endswith("',") for line in sides):
        return lines
    return [line if line.rstrip().endswith(",") or "#" in line else f"{line.rstrip()},\n" for line in lines]


def _join_words(ours: str, base: str, theirs: str) -> str | None:
    """Return a line whose words are those that both sides have in theirs; None if one of them changed anything else."""
    found = [_WORDS.fullmatch(line.rstrip("\r\n")) for line in (ours, base, theirs)]
    mine, before, new = (
        match and (match["head"], match["tail"], re.split(r",?\s+", match["words"].strip()))
        for match in found
    )
    if not mine or not before or not new or len({mine[:2], before[:2], new[:2]}) > 1:
        return None
    if not {*before[2]} <= {*mine[2]} & {*new[2]} or len(before[2]) < 2:
        return None
    words = _order(mine[2], new[2])
    separator = ", " if "," in base else " "
    return f"{mine[0]}{separator.join(words)}{mine[1]}\n"

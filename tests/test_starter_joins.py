"""What two sides did to one list is no conflict, and what contradicts itself stays one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starter.joins import merge, one_pin_each

OLD, NEW, NEWER = ("a" * 40, "b" * 40, "c" * 40)


def text(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


@pytest.mark.parametrize(
    ("ours", "base", "theirs", "joined"),
    [
        # Beside a bound that moved; at the end, of both; in place of a package that the release drops.
        (['"flask>=3.1",', '"zstd",'], ['"flask>=3.1",'], ['"flask>=3.2",'], ['"flask>=3.2",', '"zstd",']),
        (['"a",', '"z"'], ['"a"'], ['"a",', '"b"'], ['"a",', '"z",', '"b",']),
        (['"a",', '"b",', '"z",'], ['"a",', '"b",'], ['"a",'], ['"a",', '"z",']),
        (['"a",', r'"b; os_name == \"nt\"",'], ['"a",'], ['"a",', '"c",'], ['"a",', r'"b; os_name == \"nt\"",', '"c",']),
        # Both moved one pin: the newer, whoever has it.
        (['"flask>=3.3",'], ['"flask>=3.1",'], ['"flask>=3.2",'], ['"flask>=3.3",']),
        (["    image: postgres:18.2-trixie"], ["    image: postgres:18.1-trixie"], ["    image: postgres:18.10-trixie"], ["    image: postgres:18.10-trixie"]),
        (["FROM python:3.14.2-slim AS x"], ["FROM python:3.14.0-slim AS x"], ["FROM python:3.14.1-slim AS x"], ["FROM python:3.14.2-slim AS x"]),
        ([f"  - uses: a/b@{NEWER} # v4.3.0"], [f"  - uses: a/b@{OLD} # v4.1.0"], [f"  - uses: a/b@{NEW} # v4.2.0"], [f"  - uses: a/b@{NEWER} # v4.3.0"]),
        # Words in a line.
        ([".PHONY: up ours"], [".PHONY: up down"], [".PHONY: up down theirs"], None),
        ([".PHONY: up down ours"], [".PHONY: up down"], [".PHONY: up theirs down"], [".PHONY: up theirs down ours"]),
        (["branches: [main, ours]"], ["branches: [main, next]"], ["branches: [main, next, theirs]"], None),
        (["branches: [main, next, ours]"], ["branches: [main, next]"], ["branches: [main, next, theirs]"], ["branches: [main, next, ours, theirs]"]),
        # Entries of YAML, settings.
        (["  - ours"], ["  - a"], ["  - a", "  - theirs"], ["  - ours", "  - theirs"]),
        (["OURS=1"], [], ["THEIRS=1"], ["OURS=1", "THEIRS=1"]),
        # Statements have an order, and numbers in them a meaning.
        (["x = 1", "ours()"], ["x = 1"], ["x = 1", "theirs()"], None),
        (["timeout = 3"], ["timeout = 1"], ["timeout = 2"], None),
        (["if version >= 3:"], ["if version >= 1:"], ["if version >= 2:"], None),
        (["Ours is a sentence."], ["A sentence."], ["Theirs is a sentence."], None),
        (["name: a mapping", "on: ours"], ["name: a mapping"], ["name: a mapping", "on: theirs"], None),
        # One removed what the other moved.
        (['"b",'], ['"flask>=3.1",', '"b",'], ['"flask>=3.2",', '"b",'], None),
    ],
)  # fmt: skip
def test_a_hunk_is_joined_or_left_to_a_person(ours, base, theirs, joined):
    # Lines around it, which a merge needs to find its place.
    merged = merge(*(text("[", *side, "]") for side in (ours, base, theirs)))
    if joined is None:
        assert merged.conflicts == 1
        assert b"<<<<<<< before updating\n" in merged.text()
        assert b">>>>>>> after updating\n" in merged.text()
        assert not merged.joined
    else:
        assert (merged.conflicts, merged.text()) == (0, text("[", *joined, "]"))


def test_a_picture_is_not_merged():
    assert merge(b"\0ours", b"\0base", b"\0theirs") is None


@given(
    base=st.lists(st.sampled_from("abcdefgh"), unique=True),
    ours=st.lists(st.tuples(st.integers(0, 9), st.sampled_from("ijklmnop")), unique_by=lambda each: each[1]),
    theirs=st.lists(
        st.tuples(st.integers(0, 9), st.sampled_from("qrstuvwx")), unique_by=lambda each: each[1]
    ),
)
def test_whatever_both_add_to_a_list_is_there_once(base, ours, theirs):
    def added(entries: list[tuple[int, str]]) -> list[str]:
        found = [*base]
        for place, name in entries:
            found.insert(min(place, len(found)), name)
        return [f'    "{name}",' for name in found]

    sides = (added(ours), [f'    "{name}",' for name in base], added(theirs))
    merged = merge(*(text("[", *side, "]") for side in sides))
    assert merged.conflicts == 0
    lines = merged.text().decode().splitlines()
    assert sorted(lines[1:-1]) == sorted({*sides[0], *sides[2]})


@given(
    sides=st.lists(st.lists(st.sampled_from(["a", "b", "", "x = 1", '"p>=1",', '"p>=2",', "- q", "r: [s, t]", "r: [s, t, u]"]), max_size=8), min_size=3, max_size=3)
)  # fmt: skip
def test_no_line_of_either_side_is_lost(sides):
    """What only one side wrote is in the result, in a conflict at the worst; a pin gives way to a newer one alone."""
    ours, base, theirs = sides
    merged = merge(*(text(*side) for side in sides))
    lines = merged.text().decode().splitlines()
    for mine, other in ((ours, theirs), (theirs, ours)):
        for line in {*mine} - {*base}:
            newer = line == '"p>=1",' and '"p>=2",' in lines
            longer = line == "r: [s, t]" and "r: [s, t, u]" in lines
            assert line in lines or newer or longer, (line, other, lines)


def test_an_action_has_one_pin_where_the_release_has_one():
    workflow = f"""\
      - uses: a/checkout@{NEWER} # v4.3.0
      - uses: a/checkout@{NEW} # v4.2.0
      - name: other
        uses: a/setup@{NEW} # v1.0.0
"""
    release = workflow.replace(f"{NEWER} # v4.3.0", f"{NEW} # v4.2.0")
    text, moved = one_pin_each(workflow, release)
    assert text.count(f"a/checkout@{NEWER} # v4.3.0\n") == 2
    assert moved == [f"a/checkout@{NEWER} # v4.3.0"]
    # A team that keeps one of its jobs on another means it.
    assert one_pin_each(workflow, workflow) == (workflow, [])

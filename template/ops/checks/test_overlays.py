# The template's: copier update merges it.
"""Overlays hold differences only: each of the template's with its reason, and some things differ nowhere."""

import re
import shlex
from collections.abc import Iterator

import yaml
from repository import STACK, Item, command, overlays, reports, text

# The team's own, which need no reasons.
TEAMS = re.compile(r"(?:deploy/)?compose\.project\..+")
# Keys that no reason may change: of every service, and of those behind ours.
FIXED = {"user", "read_only", "cap_drop", "cap_add", "security_opt", "privileged", "entrypoint"}
FIXED_BEHIND = FIXED | {"image", "build"}
# In the dev container, from which nothing ships, an editor installs its own server, and writes files that are a person's.
EXEMPT = {".devcontainer/compose.yaml": {"read_only", "user"}}


def explained(name: str, key: yaml.Node, value: yaml.Node) -> bool:
    """Whether a comment is directly above a key, its value's first child, or the anchor (&) that its value has."""
    first = value.value[0] if isinstance(value, yaml.CollectionNode) and value.value else value
    nodes = [key, value, first[0] if isinstance(first, tuple) else first]
    return any(text(name).splitlines()[node.start_mark.line - 1].lstrip().startswith("#") for node in nodes)


@reports
def test_overlays_explain_what_they_change() -> Iterator[str]:
    """A difference from compose.yaml is declared: a comment says why."""
    for name, service, _, origin in overlays():
        if TEAMS.fullmatch(name) or (not origin and explained(name, service.key, service.value)):
            continue
        for item in [Item(*pair) for pair in service.value.value if isinstance(pair, tuple)]:
            # What `make settings` writes.
            settings = item.key.value == "extends" and "compose.settings.yaml" in item.shown
            if not settings and not explained(name, item.key, item.value):
                told = f"{item.at} sets {item.key.value} of the service {service.key.value} to another value than {STACK}"
                yield f"{told}, without a reason: say why in a comment directly above it, or take it out"


@reports
def test_overlays_leave_what_is_fixed() -> Iterator[str]:
    """A backing service's image, the user, the file system and the privileges are the same everywhere."""
    for name, service, keys, origin in overlays():
        ours = origin or ({"extends", "build"} & keys.keys() and not TEAMS.fullmatch(name))
        fixed = FIXED_BEHIND if origin and "build" not in origin else FIXED if ours else set()
        for key in sorted(fixed & keys.keys() - EXEMPT.get(name, set())):
            said = origin[key].shown if key in origin else "nothing of its own"
            told = f"{keys[key].at} sets {key} of the service {service.key.value} to {keys[key].shown}"
            yield f"{told}, {STACK} has {said}: this is the same in every environment, so take it out"


@reports
def test_overlays_run_the_same_commands() -> Iterator[str]:
    """What an overlay starts is what compose.yaml or the image starts, but for a reloader or a check."""
    for _, service, keys, origin in overlays():
        if "build" in origin and "command" in keys:
            words, (expected, where) = keys["command"].words, command(origin)
            said = shlex.join(expected)
            reloaded = words[0] == "watchfiles" and said in words
            if words not in (expected, ["sh", "-c", f"{said} && flask parity check"]) and not reloaded:
                told = f"{keys['command'].at} has the service {service.key.value} run `{shlex.join(words)}`"
                yield f"{told}, {where} `{said}`: write the same words, at most behind watchfiles or before a parity check"

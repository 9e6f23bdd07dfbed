# The template's: copier update merges it.
"""A variable that an environment is given is a setting, or read by what deploys it."""

import re
from collections.abc import Iterator

from repository import Said, entries, find, named, overlays, reports, text

ASSIGNED = r"^#?(?:export )?([A-Z][A-Z0-9_]*)="


def given() -> Iterator[Said]:
    """Yield what environments' files say to the application, and what overlays do."""
    stacks = "\n".join(text(name) for name in named("compose*.y*ml", "deploy/**/*.y*ml"))
    for said in (said for name in named("deploy/**/*.env") for said in find(name, ASSIGNED)):
        if not re.search(rf"\$\{{?{said.value}\b", stacks):
            yield said
    for _, _, keys, origin in overlays():
        if "build" in origin and "environment" in keys:
            yield from (Said(name, item.at) for name, item in entries(keys["environment"].value).items())


@reports
def test_every_variable_is_read() -> Iterator[str]:
    """A misspelt variable is refused, and one that nothing reads any more."""
    # `make settings` writes it from the settings, and `make lint` holds it to them.
    known = {said.value for said in find(".env.example", ASSIGNED)}
    programs = "\n".join(text(name) for name in named("ops/[!R]*", "Dockerfile", "Makefile", "*.mk"))
    for said in sorted(set(given())):
        if said.value not in known and not re.search(rf"\b{said.value}\b", programs):
            remedy = "add it to ProjectSettings (settings.py), then make settings, or take it out"
            yield f"{said.at} names {said.value}, which is no setting, and nothing reads it: {remedy}"

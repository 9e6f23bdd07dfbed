# The template's: copier update merges it.
"""The tests run in what ships, with nothing else in it: `make test` passes the layers of both images."""

import json
import os
import re
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name
from repository import find, reports, stack

# The last USER of the stage that ships, and of each that has one.
SHIPS = r"^FROM .* AS production\n(?:(?!FROM ).*\n)*USER +(\S+)"
ENDS = r"^USER +(\S+).*\n(?=(?:(?!USER |FROM ).*\n)*(?:FROM |\Z))"
in_container = pytest.mark.skipif("SHIPPED_LAYERS" not in os.environ, reason="only under `make test`")


@reports
def test_the_image_has_one_user() -> Iterator[str]:
    """A stage of the Dockerfile ends with the user of the one that ships, which is not root."""
    ships = next(find("Dockerfile", SHIPS), None)
    assert ships, "Dockerfile has no USER in the stage production, and would run as root: name one"
    for user in find("Dockerfile", ENDS):
        if user.value != ships.value or user.value.startswith(("0", "root")):
            yield f"{user.at} sets USER {user.value}, {ships.at} has USER {ships.value}: let the stage end with that"


@in_container
@reports
def test_the_container_has_no_privileges() -> Iterator[str]:
    """The tests run as what ships runs: its user, no capabilities, nothing to write to."""
    status = dict(re.findall(r"^(\w+):\t(\S+)", Path("/proc/self/status").read_text(), re.MULTILINE))
    status["ReadOnly"] = str(os.statvfs("/").f_flag & os.ST_RDONLY)
    user, web = next(find("Dockerfile", SHIPS)), stack()["web"]
    for where, what, expected, fact in [
        (user.at, "user id", user.value.split(":")[0], "Uid"),
        (web["cap_drop"].at, "capabilities", "0" * 16, "CapBnd"),
        (web["security_opt"].at, "no_new_privs", "1", "NoNewPrivs"),
        (web["read_only"].at, "read-only root", "1", "ReadOnly"),
    ]:
        if status[fact] != expected:
            yield f"{where} has {expected} as {what}, the container of the tests {status[fact]}: take out what changes it"


@in_container
@reports
def test_the_development_image_begins_with_the_shipped_one() -> Iterator[str]:
    """What is tested is what ships, to the byte, with development's layers on top."""
    shipped, tested = (json.loads(os.environ[name]) for name in ("SHIPPED_LAYERS", "TESTED_LAYERS"))
    where = next(find("Dockerfile", r"^(FROM) .* AS development$")).at
    for number, (layer, found) in enumerate(zip_longest(shipped, tested[: len(shipped)]), 1):
        if layer != found:
            yield f"{where} has {found} as layer {number}, the shipped image {layer}: begin the stage with FROM production"


@in_container
@reports
def test_the_shipped_packages_are_those_of_the_lock() -> Iterator[str]:
    """The environment /opt/venv holds what requirements.txt names, and no development package."""
    from parity.contract import locked_packages
    from parity.environment import collect_image

    lines = {canonicalize_name(pin): at for pin, at in find("requirements.txt", r"^([\w-]+)")}
    where, pinned = next(find("Dockerfile", r"(/opt/venv) uv pip")).at, locked_packages()
    packages = {key.partition(".")[::2]: version for key, version in collect_image().items()}
    found = {name: version for (kind, name), version in packages.items() if kind == "package"}
    for package, version in sorted(found.items() - pinned.items()):
        yield f"{where} leaves {package} {version} in the shipped image, requirements.txt does not name it: install what it names"
    for package, version in sorted(pinned.items() - found.items()):
        yield f"{lines[package]} names {package} {version}, {where} leaves none in the shipped image: install the whole lock"

"""The parity contract, as far as an image can break it: the tests run in what ships, with nothing else in it.

`make test` passes the layers of both images. Elsewhere, as in the dev container, there is nothing to compare.
"""

import importlib.metadata
import json
import os
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from repository import STACK, find, instructions, report

pytestmark = pytest.mark.skipif(
    "SHIPPED_LAYERS" not in os.environ, reason="only in the container of `make test`"
)


def test_the_container_has_no_privileges() -> None:
    """The tests run as what ships runs: its user, no capabilities, nothing to write to."""
    status = dict(re.findall(r"^(\w+):\t(\S+)", Path("/proc/self/status").read_text(), re.MULTILINE))
    user, capabilities = instructions("USER")[0], next(find(STACK, r"^ +(cap_drop):")).at
    facts = [
        (user.at, "user id", user.value.split(":")[0], status["Uid"]),
        (capabilities, "effective capabilities", "0" * 16, status["CapEff"]),
        (capabilities, "capabilities within reach", "0" * 16, status["CapBnd"]),
        (next(find(STACK, r"^ +(security_opt):")).at, "no_new_privs", "1", status["NoNewPrivs"]),
        (
            next(find(STACK, r"^ +(read_only):")).at,
            "read-only root",
            "1",
            str(os.statvfs("/").f_flag & os.ST_RDONLY),
        ),
    ]
    report(
        f"{where} has {expected} as {what}, the container of the tests {found}: take out what an overlay or the "
        "Dockerfile's last stages change"
        for where, what, expected, found in facts
        if found != expected
    )


def test_the_development_image_begins_with_the_shipped_one() -> None:
    """What is tested is what ships, to the byte, with development's layers on top."""
    shipped, tested = (json.loads(os.environ[name]) for name in ("SHIPPED_LAYERS", "TESTED_LAYERS"))
    where = next(find("Dockerfile", r"^(FROM) .* AS development$")).at
    pairs = zip(range(1, len(shipped) + 1), shipped, [*tested, *["nothing"] * len(shipped)], strict=False)
    report(
        f"{where} has {found} as layer {number} of the development image, the shipped image {layer}: "
        "begin the stage with FROM production, and only add to it"
        for number, layer, found in pairs
        if layer != found
    )


def test_the_shipped_packages_are_those_of_the_lock() -> None:
    """The environment /opt/venv holds what requirements.txt names, and no development package."""
    pins = [(Requirement(pin), at) for pin, at in find("requirements.txt", r"^(\w[^\\\n]*)")]
    wanted = {f"{pin.name}{pin.specifier}": at for pin, at in pins if not pin.marker or pin.marker.evaluate()}
    site_packages = [str(path) for path in Path("/opt/venv").glob("lib/python*/site-packages")]
    installed = importlib.metadata.distributions(path=site_packages)
    found = {f"{canonicalize_name(package.name)}=={package.version}" for package in installed}
    where = next(find("Dockerfile", r"(/opt/venv) uv pip")).at
    problems = [
        f"{where} leaves {package} in the shipped image, requirements.txt does not name it: install there what "
        "requirements.txt names, and development packages in the stage development-packages"
        for package in sorted(found - wanted.keys())
    ]
    problems += [
        f"{at} names {package}, {where} leaves no such package in the shipped image: install the whole lock"
        for package, at in wanted.items()
        if package not in found
    ]
    report(problems)

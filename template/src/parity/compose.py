# The template's: copier update merges it.
"""What the Compose files say: the stack of every environment, and the values that an overlay gives to variables."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

# The image's working directory holds the files of the repository that state the contract.
ROOT = Path.cwd()

Facts = dict[str, str]


def read_services(path: Path) -> dict[str, Any]:
    """Return the services of a Compose file by name."""
    content = yaml.load(path.read_text(), yaml.CSafeLoader) or {}
    return content.get("services") or {}


@cache
def stack() -> dict[str, Any]:
    """Return the services of compose.yaml by name."""
    return read_services(ROOT / "compose.yaml")


def options(words: list[str]) -> Facts:
    """Return what ``--name=value`` and ``--name value`` say, the names as the servers spell them."""
    found: Facts = {}
    name = ""
    for word in words:
        if word.startswith("--"):
            name, _, value = word.removeprefix("--").partition("=")
            found[name] = value
        elif name:
            found[name] = word
    return found


def session_settings() -> Facts:
    """Return the settings of PostgreSQL that a session of the service is to have."""
    named = options(stack()["postgres"]["command"]).items()
    # Of the server's own log, only its administrator decides.
    return {name.replace("-", "_"): value for name, value in named if not name.startswith("log-")}


@cache
def overlay_values() -> dict[str, dict[str, str]]:
    """Return the values that overlays give to variables, and the overlay's name, by the variable's name."""
    found: dict[str, dict[str, str]] = {}
    # The team's part of the stack itself, which compose.yaml includes, is none.
    for path in sorted(set(ROOT.glob("compose.*.yaml")) - {ROOT / "compose.project.yaml"}):
        for service in read_services(path).values():
            for name, value in assigned((service or {}).get("environment") or {}).items():
                default = re.fullmatch(r"\$\{\w+:-(.*)\}", value)
                found.setdefault(name, {}).setdefault(default[1] if default else value, path.name)
    return found


def assigned(environment: dict[str, Any] | list[str]) -> Facts:
    """Return the variables that a service has a value for; one without is passed on."""
    if isinstance(environment, list):
        environment = dict(item.split("=", 1) for item in environment if "=" in item)
    return {name: str(value) for name, value in environment.items() if value is not None}

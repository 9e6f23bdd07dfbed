"""What the Compose files of an existing repository say."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import yaml

Service = dict[str, Any]

NAME = re.compile(r"(?:docker-)?compose(?:[.-][\w.-]+)?\.ya?ml")


def services(content: bytes) -> Iterator[tuple[str, Service]]:
    """Yield the services of a Compose file by name; none of one that cannot be read."""
    with suppress(yaml.YAMLError, AttributeError):
        for name, service in ((yaml.safe_load(content) or {}).get("services") or {}).items():
            yield name, service or {}


def values(found: Mapping[str, Service]) -> Iterator[tuple[str, str]]:
    """Yield the variables that Compose services give a value to, which names no server that may have another name now."""
    for service in found.values():
        told = service.get("environment") or {}
        pairs = told.items() if isinstance(told, dict) else (str(each).partition("=")[::2] for each in told)
        for name, value in pairs:
            text = "" if value is None else str(value)
            if text and "://" not in text and "$" not in text and text not in found:
                yield str(name), text


def images(found: Mapping[str, Service], pattern: str) -> Iterator[tuple[str, str]]:
    """Yield what fits the first group of a pattern in the services' images, and which service's it is."""
    for name, service in found.items():
        if match := re.search(pattern, str(service.get("image", ""))):
            yield match[1], f"the image of the Compose service {name}"

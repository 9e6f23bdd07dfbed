# The template's: copier update merges it.
"""What is held against what: an environment against the contract, or one set of facts against another."""

import os
import re

from pydantic_settings import BaseSettings

from .acceptance import apply_acceptances
from .compose import Facts, overlay_values
from .contract import CLOCK_SECONDS, contract, known_migrations
from .environment import collect_facts
from .report import Level, Report, Row, remedy

UNITS = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86400}


def compare(expected: Facts, found: Facts) -> list[Row]:
    """Compare the facts that both sides have, and the packages that only one has."""
    rows = []
    for key in sorted(expected | found):
        wanted, there = expected.get(key), found.get(key)
        if wanted is not None and there is not None:
            level = weigh(key, wanted, there)
            rows.append(Row(key, wanted, there, level, remedy(key) if level in ("warning", "error") else ""))
        elif key.startswith("package."):
            rows.append(Row(key, wanted or "not there", there or "not there", "error", remedy(key)))
    return rows


def weigh(key: str, expected: str, found: str) -> Level:
    """Say whether a fact is what it should be, and what it weighs if not."""
    if key == "database.migration":
        known = known_migrations().issuperset(found.split(", "))
        return "ok" if found == expected else "error" if known else "warning"
    if key == "database.extensions":
        wanted, there = set(expected.split(", ")), set(found.split(", "))
        return "error" if wanted - there else "warning" if there - wanted else "ok"
    if key == "database.connections":
        return "ok"
    if key == "database.superuser":
        return "ok" if found == expected else "warning"
    if key == "clock.skew":
        return "ok" if abs(float(found.removesuffix(" s"))) <= CLOCK_SECONDS else "warning"
    if key == "python.version":
        return "ok" if numbers(found)[:2] == numbers(expected)[:2] else "error"
    if key in ("database.version", "cache.version"):
        if numbers(found)[:1] != numbers(expected)[:1]:
            return "error"
        return "warning" if numbers(found) < numbers(expected) else "ok"
    if key.startswith("config."):
        name = key.removeprefix("config.")
        return "ok" if found == expected else "declared" if name in overlay_values() else "warning"
    return "ok" if duration(found) == duration(expected) else "error"


def numbers(version: str) -> list[int]:
    """Return the numbers of a version."""
    return [int(number) for number in re.findall(r"\d+", version)]


def duration(text: str) -> str | float:
    """Return the seconds of a duration, which PostgreSQL may write in another unit than it was given, or else the text."""
    match = re.fullmatch(r"(\d+) ?(ms|s|min|h|d)", text)
    return int(match[1]) * UNITS[match[2]] if match else text


def check(settings: BaseSettings) -> Report:
    """Hold this environment against the contract."""
    return evaluate(settings, *collect_facts(settings))


def evaluate(settings: BaseSettings, found: Facts, failed: list[Row]) -> Report:
    """Hold what there is against the contract."""
    rows = [*failed, *compare(contract(), found)]
    rows += [variable_row(settings, key, value) for key, value in found.items() if key.startswith("config.")]
    if allowed := found.get("database.connections"):
        needed, key = connections(settings), "database.connections"
        level: Level = "ok" if int(allowed) >= needed else "warning"
        rows.append(Row(key, f"at least {needed}", allowed, level, remedy(key) if level != "ok" else ""))
    if version := found.get("database.collation_version"):
        key, expected = "database.collation_version", "what the indexes are sorted by"
        rows.append(Row(key, expected, version, *(("error", remedy(key)) if "," in version else ())))
    return apply_acceptances(rows)


def connections(settings: BaseSettings) -> int:
    """Return how many connections one container of each service may have at once, by the settings of this one."""
    values = dict(settings)
    processes = values.get("web_concurrency") or len(os.sched_getaffinity(0))
    # A worker hands over what is due beside its processes.
    jobs = values["worker_concurrency"] + 1 if "worker_concurrency" in values else 0
    return int(processes * values.get("web_threads", 1) + jobs)


def variable_row(settings: BaseSettings, key: str, value: str) -> Row:
    """Judge where a variable's value comes from: an overlay's value belongs into that overlay's environment."""
    name = key.removeprefix("config.")
    if value == "unknown":
        advice = f"Remove {name}, or spell it as in .env.example."
        return Row(key, "a variable of this service", value, "warning", advice)
    if value in ("set", "default"):
        return Row(key, value, value)
    if dict(settings)["parity"] == "warn":
        return Row(key, "a value of its own", value, "declared")
    required = type(settings).model_fields[name.lower()].is_required()
    return Row(key, "a value of its own", value, "error" if required else "warning", remedy(key))

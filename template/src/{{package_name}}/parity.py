"""The parity contract: what the repository states, held against what runs (https://12factor.net/dev-prod-parity).

It is stated once, where it takes effect: compose.yaml names the backing services and their settings, the
Dockerfile names Python, requirements.txt the packages, migrations/ the schema, and config.py the
configuration. The image carries these files, so that every environment can be asked whether it keeps them.
"""

import gc
import json
import os
import platform
import re
import shlex
import sysconfig
import tomllib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from functools import cache as once
from pathlib import Path
from typing import IO, Any, Literal, NoReturn, get_args

import click
import psycopg
import structlog
import yaml
from alembic.script import ScriptDirectory
from apiflask import APIBlueprint, APIFlask
from flask import Response, current_app, jsonify, make_response, render_template, request
from flask.cli import AppGroup
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from redis import Redis
from redis.exceptions import RedisError

from .config import Settings
from .security import browser_auth

# The image's working directory holds the files of the repository that state the contract.
ROOT = Path.cwd()
ACCEPTED = ROOT / "parity.toml"

# The form of a snapshot. A newer one may have further facts; one that two snapshots do not share is not compared.
SCHEMA = 1
CONNECT_SECONDS = 2
# Clocks that are further apart (seconds) make times in logs and rows contradict each other.
CLOCK_SECONDS = 1
ACCEPT_DAYS = 90

Level = Literal["error", "unknown", "warning", "accepted", "declared", "ok"]
WORST_FIRST: tuple[Level, ...] = get_args(Level)
Facts = dict[str, str]

log = structlog.get_logger()


@dataclass(frozen=True)
class Row:
    """One comparison.

    Args:
        key: what was compared, such as ``database.timezone``.
        expected: what the contract, or the first of two environments, says.
        found: what there is.
        level: ``error`` is drift, ``warning`` is to be looked at, ``declared`` differs by an overlay, ``accepted`` by
            parity.toml, and ``unknown`` could not be looked at.
        remedy: what to do about it.
    """

    key: str
    expected: str
    found: str
    level: Level = "ok"
    remedy: str = ""


@dataclass(frozen=True)
class Report:
    """All comparisons of one look."""

    rows: list[Row]

    @property
    def verdict(self) -> Literal["kept", "drift", "unknown"]:
        """Say whether parity is kept. Drift that was seen outweighs what could not be."""
        levels = {row.level for row in self.rows}
        return "drift" if "error" in levels else "unknown" if "unknown" in levels else "kept"

    @property
    def exit_status(self) -> int:
        """Return 0, 1 on drift, or 2 if something could not be looked at."""
        return ("kept", "drift", "unknown").index(self.verdict)

    def as_dict(self) -> dict[str, Any]:
        """Return what a program reads."""
        return {"verdict": self.verdict, "rows": [asdict(row) for row in self.rows]}


# What to do, by the beginning of the key.
REMEDIES = {
    "database.server": "Use PostgreSQL: another server only looks like it.",
    "database.version": "Run the version that compose.yaml names; the README tells how to move the data.",
    "database.encoding": "Set when a database is created: make one that has it, and move the data.",
    "database.locale_provider": "Set when a database is created: make one that has it, and move the data.",
    "database.collation_version": "Indexes are sorted the old way: REINDEX DATABASE, then ALTER DATABASE … REFRESH COLLATION VERSION.",
    "database.collation": "Set when a database is created: make one that has it, and move the data.",
    "database.extensions": "CREATE EXTENSION in a migration, and name it in compose.yaml.",
    "database.migration": "Run the migrations of this release: flask db upgrade.",
    "database.": "Set it for the service's role: ALTER ROLE … SET.",
    "cache.server": "Run the server that compose.yaml names.",
    "cache.version": "Run the version that compose.yaml names.",
    "cache.": "Set it in the server's configuration, as compose.yaml does.",
    "python.": "Run the image that was built from this repository.",
    "package.": "Run the image that was built from this lock; nothing is installed into a container.",
    "config.": "Set the variable to a value of this environment's own.",
    "clock.": "Synchronise the clocks of both machines (NTP).",
}


def remedy(key: str) -> str:
    """Return what to do about a key that differs."""
    return next((text for start, text in REMEDIES.items() if key.startswith(start)), "")


# What the repository states.


@once
def stack() -> dict[str, Any]:
    """Return the services of compose.yaml by name."""
    services: dict[str, Any] = read_yaml(ROOT / "compose.yaml")["services"]
    return services


def read_yaml(path: Path) -> Any:
    """Read a YAML file with the parser in C."""
    return yaml.load(path.read_text(), yaml.CSafeLoader)


def options(words: Iterable[str]) -> Facts:
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


@once
def contract() -> Facts:
    """Return what the repository states.

    Raises:
        CannotLook: if compose.yaml leaves something unsaid.
    """
    try:
        return stated()
    except (KeyError, AttributeError) as error:
        raise CannotLook(f"compose.yaml does not say {error}: see how the template states it.") from None


def stated() -> Facts:
    """Read the contract from the files that state it."""
    services = stack()
    postgres, cache = services["postgres"], services.get("redis") or services["valkey"]
    created = options(shlex.split(postgres["environment"]["POSTGRES_INITDB_ARGS"]))
    configured = options(cache["command"])
    python = re.search(r"^FROM python:([\d.]+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    facts = {
        "database.server": "PostgreSQL",
        "database.version": tag(postgres["image"]),
        "database.encoding": created["encoding"],
        "database.locale_provider": created["locale-provider"],
        "database.collation": created["locale"],
        "database.extensions": ", ".join(sorted(postgres["x-extensions"])),
        "database.migration": migration_head() or "none",
        "cache.server": {"redis": "Redis", "valkey": "Valkey"}[re.split("[/:]", cache["image"])[-2]],
        "cache.version": tag(cache["image"]),
        "cache.eviction": configured["maxmemory-policy"],
        "python.version": python[1] if python else "none",
        "clock.skew": f"at most {CLOCK_SECONDS:.0f} s",
    }
    if "appendonly" in configured:
        facts["cache.persistence"] = configured["appendonly"]
    facts |= {f"database.{name}": value for name, value in session_settings().items()}
    return facts | {f"package.{name}": version for name, version in locked().items()}


def session_settings() -> Facts:
    """Return the settings of PostgreSQL that a session of the service is to have."""
    named = options(stack()["postgres"]["command"]).items()
    # Of the server's own log, only its administrator decides.
    return {name.replace("-", "_"): value for name, value in named if not name.startswith("log-")}


@once
def migrations() -> ScriptDirectory:
    """Return the migrations of this release, read once."""
    return ScriptDirectory(str(ROOT / "migrations"))


def migration_head() -> str | None:
    """Return the last migration of this release."""
    return migrations().get_current_head()


@once
def known_migrations() -> frozenset[str]:
    """Return the migrations of this release, and ``none``. Any other is a newer release's: both run while it is rolled out."""
    return frozenset({"none", *(script.revision for script in migrations().walk_revisions())})


def tag(image: str) -> str:
    """Return the version that an image's tag names."""
    return re.sub(r"[^\d.].*", "", image.rpartition(":")[2])


def locked() -> Facts:
    """Return the packages that the lock names for this platform, and their versions."""
    found: Facts = {}
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        if line and line[0] not in "# ":
            requirement = Requirement(line.removesuffix("\\"))
            if not requirement.marker or requirement.marker.evaluate():
                found[canonicalize_name(requirement.name)] = str(requirement.specifier).removeprefix("==")
    return found


@once
def overlay_values() -> dict[str, dict[str, str]]:
    """Return the values that overlays give to variables, and the overlay's name, by the variable's name."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted(ROOT.glob("compose.*.yaml")):
        for service in read_yaml(path)["services"].values():
            for name, value in (service.get("environment") or {}).items():
                default = re.fullmatch(r"\$\{\w+:-(.*)\}", str(value))
                given = default[1] if default else str(value)
                found.setdefault(name, {}).setdefault(given, path.name)
    return found


# What there is.

DATABASE_FACTS = """
SELECT split_part(version(), ' ', 1), split_part(current_setting('server_version'), ' ', 1),
    pg_encoding_to_char(encoding), to_jsonb(d), pg_database_collation_actual_version(oid), clock_timestamp(),
    (SELECT coalesce(string_agg(extname, ', ' ORDER BY extname), 'none') FROM pg_extension),
    to_regclass('alembic_version')
FROM pg_database d WHERE datname = current_database()
"""
PROVIDERS = {"b": "builtin", "c": "libc", "i": "icu"}


def look_at_database(settings: Settings) -> Facts:
    """Return what the database says of itself, to a session like those of the service.

    Raises:
        psycopg.Error: if it cannot be asked.
    """
    url = re.sub(r"^[^:]+", "postgresql", str(settings.database_url))
    with psycopg.connect(url, connect_timeout=CONNECT_SECONDS, autocommit=True) as connection:
        asked = datetime.now(UTC)
        row = connection.execute(DATABASE_FACTS).fetchone()
        answered = datetime.now(UTC)
        assert row  # noqa: S101
        server, version, encoding, database, collation_version, now, extensions, migrated = row
        skew = now - (asked + (answered - asked) / 2)
        query = "SELECT lower(name), current_setting(name) FROM pg_settings WHERE lower(name) = ANY(%s)"
        found = {
            f"database.{name}": value for name, value in connection.execute(query, [[*session_settings()]])
        }
        heads = connection.execute("SELECT version_num FROM alembic_version").fetchall() if migrated else []
    # What was recorded when the indexes were sorted may be older than what the system sorts by now.
    recorded = database["datcollversion"]
    if recorded != collation_version:
        collation_version = f"{collation_version}, but the indexes are sorted by {recorded}"
    return found | {
        "database.server": server,
        "database.version": version,
        "database.encoding": encoding,
        "database.locale_provider": PROVIDERS[database["datlocprovider"]],
        "database.collation": database.get("datlocale") or database["datcollate"],
        "database.collation_version": collation_version or "none",
        "database.extensions": extensions,
        "database.migration": ", ".join(sorted(head for (head,) in heads)) or "none",
        "clock.skew": f"{skew.total_seconds():.3f} s",
    }


def look_at_cache(settings: Settings) -> Facts:
    """Return what the cache server says of itself.

    Raises:
        RedisError: if it cannot be asked.
    """
    client = Redis.from_url(
        str(settings.redis_url), socket_connect_timeout=CONNECT_SECONDS, socket_timeout=CONNECT_SECONDS
    )
    with client:
        info = client.info()
    return {
        "cache.server": "Valkey" if "valkey_version" in info else "Redis",
        "cache.version": str(info.get("valkey_version") or info["redis_version"]),
        "cache.eviction": info["maxmemory_policy"],
        "cache.persistence": "yes" if info["aof_enabled"] else "no",
    }


@once
def look_at_image() -> Facts:
    """Return Python's version, and those of the packages beside it."""
    # Each has a folder NAME-VERSION.dist-info (https://packaging.python.org/en/latest/specifications/recording-installed-packages/).
    folders = Path(sysconfig.get_path("purelib")).glob("*.dist-info")
    found = dict(folder.stem.split("-", 1) for folder in folders)
    packages = {f"package.{canonicalize_name(name)}": version for name, version in found.items()}
    return {"python.version": platform.python_version(), **packages}


def look_at_configuration() -> Facts:
    """Return where each variable's value comes from, but no value."""
    found: Facts = {}
    folder = Settings.model_config.get("secrets_dir")
    # Kubernetes keeps its own files beside the secrets: ..data and what it leads to.
    secrets = {path.name.upper(): path for path in Path(str(folder)).glob("[!.]*")} if folder else {}
    names = [name.upper() for name in Settings.model_fields]
    for name in names:
        value = os.environ.get(name) or (secrets[name].read_text().strip() if name in secrets else "")
        overlay = overlay_values().get(name, {}).get(value) if value else None
        found[f"config.{name}"] = f"the value of {overlay}" if overlay else "set" if value else "default"
    for name in {*os.environ, *secrets} - set(names):
        if name in secrets or get_close_matches(name, names, cutoff=0.8):
            found[f"config.{name}"] = "unknown"
    return found


def look(settings: Settings) -> tuple[Facts, list[Row]]:
    """Return what there is, and a row for each server that could not be asked."""
    found = look_at_image() | look_at_configuration()
    failed = []
    for part, look_at in (("database", look_at_database), ("cache", look_at_cache)):
        try:
            found |= look_at(settings)
        except (psycopg.Error, RedisError) as error:
            # The first line says what; no driver repeats a password.
            reason = str(error).strip().partition("\n")[0]
            failed.append(Row(part, "an answer", reason, "unknown", "Start it, or mend its URL."))
    return found, failed


# Comparing.

UNITS = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86400}


def same(key: str, expected: str, found: str) -> Level:
    """Say whether a fact is what it should be."""
    if key == "database.migration":
        return "ok" if found == expected else "error" if found in known_migrations() else "warning"
    if key == "database.extensions":
        wanted, there = set(expected.split(", ")), set(found.split(", "))
        return "error" if wanted - there else "warning" if there - wanted else "ok"
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


def compare(expected: Facts, found: Facts) -> list[Row]:
    """Compare the facts that both sides have, and the packages that only one has."""
    rows = []
    for key in sorted(expected | found):
        wanted, there = expected.get(key), found.get(key)
        if wanted is not None and there is not None:
            level = same(key, wanted, there)
            rows.append(Row(key, wanted, there, level, remedy(key) if level in ("warning", "error") else ""))
        elif key.startswith("package."):
            rows.append(Row(key, wanted or "not there", there or "not there", "error", remedy(key)))
    return rows


def check(settings: Settings) -> Report:
    """Hold this environment against the contract."""
    return judge(settings, *look(settings))


def judge(settings: Settings, found: Facts, failed: list[Row]) -> Report:
    """Hold what there is against the contract."""
    rows = [*failed, *compare(contract(), found)]
    for key, value in found.items():
        if key.startswith("config."):
            rows.append(configuration_row(key, value, development=settings.parity == "warn"))
        if key == "database.collation_version":
            expected = "what the indexes are sorted by"
            rows.append(Row(key, expected, value, *(("error", remedy(key)) if "," in value else ())))
    return weighed(rows)


def configuration_row(key: str, value: str, development: bool) -> Row:
    """Judge where a variable's value comes from: an overlay's value belongs into that overlay's environment."""
    name = key.removeprefix("config.")
    if value == "unknown":
        advice = f"Remove {name}, or spell it as in .env.example."
        return Row(key, "a variable of this service", value, "warning", advice)
    if value in ("set", "default"):
        return Row(key, value, value)
    required = Settings.model_fields[name.lower()].is_required()
    level: Level = "declared" if development else "error" if required else "warning"
    return Row(key, "a value of its own", value, level, "" if development else remedy(key))


def weighed(rows: list[Row]) -> Report:
    """Return the rows as parity.toml has them: accepted with a reason, or drift again after the day it names."""
    entries, today = accepted(), datetime.now(UTC).date()
    report = []
    for row in rows:
        entry = entries.get(row.key) if row.level in ("warning", "error") else None
        if entry and entry.until >= today:
            row = replace(row, level="accepted", remedy=entry.reason)
        elif entry:
            row = replace(row, remedy=f"{row.remedy} It was accepted, and that has run out: {entry.reason}")
        report.append(row)
    return Report(report)


@dataclass(frozen=True)
class Acceptance:
    """A difference that is meant.

    Args:
        key: what differs.
        because: why.
        by: who answers for it.
        until: the last day it holds.
    """

    key: str
    because: str
    by: str
    until: date

    @property
    def reason(self) -> str:
        """Why, who and how long, in one line."""
        return f"{self.because} ({self.by}, until {self.until})"


def accepted() -> dict[str, Acceptance]:
    """Return what parity.toml accepts, by key.

    Raises:
        CannotLook: if it cannot be read.
    """
    try:
        entries = [Acceptance(**entry) for entry in tomllib.loads(ACCEPTED.read_text()).get("accepted", [])]
    except (OSError, TypeError, tomllib.TOMLDecodeError) as error:
        raise CannotLook(f"parity.toml: {error}.") from None
    return {entry.key: entry for entry in entries}


def snapshot(settings: Settings) -> dict[str, Any]:
    """Return an environment's fingerprint.

    Raises:
        CannotLook: if a part of it cannot be asked.
    """
    found, failed = look(settings)
    if failed:
        raise CannotLook("; ".join(f"{row.key}: {row.found}" for row in failed))
    found.pop("clock.skew")
    return {"schema": SCHEMA, "taken": datetime.now(UTC).isoformat(timespec="seconds"), "facts": found}


def diff(first: dict[str, Any], second: dict[str, Any]) -> Report:
    """Compare two snapshots. What an older form of them did not record is left out."""
    facts = [dict(taken["facts"]) for taken in (first, second)]
    parts = [{key.partition(".")[0] for key in side} for side in facts]
    for side in facts:
        for key in [key for key in side if key.partition(".")[0] not in parts[0] & parts[1]]:
            del side[key]
    return weighed(compare(*facts))


def read_snapshot(source: IO[str]) -> dict[str, Any]:
    """Read a snapshot.

    Raises:
        CannotLook: if it is none, or of a newer form.
    """
    try:
        taken = json.load(source)
        schema, facts = int(taken["schema"]), dict(taken["facts"])
    except (ValueError, KeyError, TypeError) as error:
        advice = "make one with flask parity snapshot"
        raise CannotLook(f"{source.name}: not a snapshot ({error}): {advice}.") from None
    if schema > SCHEMA:
        raise CannotLook(f"{source.name}: of a newer form ({schema}) than this release knows ({SCHEMA}).")
    return {"schema": schema, "facts": {key: str(value) for key, value in facts.items()}}


# Telling.


class CannotLook(click.ClickException):
    """A sentence on what could not be looked at."""

    exit_code = 2


def brief(report: Report) -> list[Row]:
    """Return the rows for a person: the worst first, and the packages that are as they should be in one."""
    kept = [row for row in report.rows if row.level == "ok" and row.key.startswith("package.")]
    rows = [row for row in report.rows if row not in kept]
    rows += [Row("package", f"{len(kept)} packages", "the same")] if kept else []
    return sorted(rows, key=lambda row: (WORST_FIRST.index(row.level), row.key))


def show(report: Report, as_json: bool) -> NoReturn:
    """Print a report, and end the command with its exit status."""
    if as_json:
        click.echo(json.dumps(report.as_dict(), indent=2))
    else:
        rows = brief(report)
        widths = [max(len(getattr(row, name)) for row in rows) for name in ("level", "key", "expected")]
        for row in rows:
            line = f"{row.level:{widths[0]}}  {row.key:{widths[1]}}  {row.expected:{widths[2]}}  {row.found}"
            click.secho(line.rstrip(), fg=COLORS.get(row.level))
            if row.remedy:
                click.echo(f"{'':{widths[0]}}  {row.remedy}")
        click.echo(f"\nParity: {report.verdict}.")
    # Before it ends, Python would look for garbage in all that was loaded, which takes longer than the check.
    gc.freeze()
    raise SystemExit(report.exit_status)


COLORS = {"warning": "yellow", "error": "red", "unknown": "red", "declared": "cyan", "accepted": "cyan"}

cli = AppGroup("parity", help="Hold this environment against what the repository states.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for a program.")


@cli.command("check")
@json_option
def check_command(as_json: bool) -> None:
    """Compare this environment with the contract. Exit 1 on drift, 2 if it cannot be looked at."""
    show(check(current_app.extensions["parity"]), as_json)


@cli.command("snapshot")
def snapshot_command() -> None:
    """Print this environment's fingerprint as JSON; it holds no secret."""
    click.echo(json.dumps(snapshot(current_app.extensions["parity"]), indent=2))


@cli.command("diff")
@click.argument("first", type=click.File())
@click.argument("second", type=click.File())
@json_option
def diff_command(first: IO[str], second: IO[str], as_json: bool) -> None:
    """Compare two snapshots (files, or - for standard input). Exit 1 on drift, 2 if one cannot be read."""
    show(diff(read_snapshot(first), read_snapshot(second)), as_json)


@cli.command("accept")
@click.argument("key")
@click.option("--because", required=True, help="Why the difference is meant.")
@click.option("--by", required=True, envvar="AUTHOR", help="Who answers for it.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="Its last day; by default 90 days from now.")
def accept_command(key: str, because: str, by: str, until: datetime | None) -> None:
    """Record in parity.toml that a difference is meant, until a day."""
    words = {"key": key, "because": because, "by": by}
    variables = {f"config.{name.upper()}" for name in Settings.model_fields}
    known = {*contract(), *variables, "database.collation_version"}
    if key not in known:
        near = get_close_matches(key, known, n=1)
        raise CannotLook(f"{key}: no such key; {f'is it {near[0]}?' if near else 'make parity lists them.'}")
    last = until.date() if until else datetime.now(UTC).date() + timedelta(days=ACCEPT_DAYS)
    if last < datetime.now(UTC).date():
        raise CannotLook(f"--until {last}: that day has passed; name a later one.")
    if not all(value.isprintable() for value in words.values()):
        raise CannotLook("--because and --by: one line of printable text, please.")
    if key in accepted():
        raise CannotLook(f"{key}: parity.toml accepts it already; change that entry.")
    # A JSON string is a TOML string.
    words = {name: json.dumps(value, ensure_ascii=False) for name, value in words.items()}
    lines = [f"{name} = {value}" for name, value in words.items()]
    with ACCEPTED.open("a") as file:
        file.write("\n".join(["", "[[accepted]]", *lines, f"until = {last}", ""]))
    click.echo(f"parity.toml: {key} is accepted until {last}. Commit it.")


bp = APIBlueprint("parity", __name__, enable_openapi=False)


@bp.get("/parity")
@browser_auth.login_required
def page() -> Response:
    """Show this environment against the contract, and the configured snapshot of another beside it."""
    settings: Settings = current_app.extensions["parity"]
    found, failed = look(settings)
    reports = {"The contract, and this environment": judge(settings, found, failed)}
    if settings.parity_snapshot:
        with settings.parity_snapshot.open() as file:
            reports[f"{settings.parity_snapshot.stem}, and this environment"] = diff(
                read_snapshot(file), {"schema": SCHEMA, "facts": found}
            )
    if request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html":
        tables = {title: (report.verdict, brief(report)) for title, report in reports.items()}
        return make_response(render_template("parity.html", tables=tables))
    return jsonify({title: report.as_dict() for title, report in reports.items()})


def at_start(app: APIFlask) -> None:
    """Log whether this environment keeps the contract; where it must, stop the process if it does not.

    A server that cannot be asked stops nothing: the service answers without it, and recovers.

    Raises:
        SystemExit: with status 1, on drift where PARITY is ``enforce``.
    """
    settings: Settings = app.extensions["parity"]
    try:
        report = check(settings)
    except CannotLook as error:
        raise SystemExit(error.message) from None
    told = {"kept": log.info, "unknown": log.warning, "drift": log.error}[report.verdict]
    worth_telling = {
        row.key: f"{row.level}: expected {row.expected}, found {row.found}"
        for row in report.rows
        if row.level in ("error", "warning", "unknown")
    }
    told("parity", verdict=report.verdict, checked=len(report.rows), differences=worth_telling)
    if report.verdict == "drift" and settings.parity == "enforce":
        raise SystemExit(1)


def init_app(app: APIFlask, settings: Settings) -> None:
    """Bind the commands and the page to an application."""
    app.extensions["parity"] = settings
    app.cli.add_command(cli)
    app.register_blueprint(bp)

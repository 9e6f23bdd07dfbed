# The template's: copier update merges it.
"""What there is: the facts of the servers, the image and the variables of this environment."""

import os
import platform
import sysconfig
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import cache
from importlib.metadata import PathDistribution
from pathlib import Path

import psycopg
from packaging.utils import canonicalize_name
from pydantic_settings import BaseSettings
from redis import Redis
from redis.exceptions import RedisError

from .compose import Facts, overlay_values, session_settings
from .report import Row

CONNECT_SECONDS = 2
# The indexes may have been sorted by an older collation than the system's. Connections: those that this role may have.
DATABASE_FACTS = """
SELECT clock_timestamp(), to_regclass('alembic_version'), jsonb_build_object(
    'server', split_part(version(), ' ', 1), 'version', split_part(current_setting('server_version'), ' ', 1),
    'superuser', current_setting('is_superuser'), 'encoding', pg_encoding_to_char(encoding),
    'locale_provider', CASE datlocprovider WHEN 'b' THEN 'builtin' WHEN 'c' THEN 'libc' WHEN 'i' THEN 'icu' END,
    'collation', coalesce(to_jsonb(d) ->> 'datlocale', datcollate),
    'collation_version', concat(sorts, ', but the indexes are sorted by ' || nullif(coalesce(datcollversion, 'none'), sorts)),
    'connections', LEAST(current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
        nullif(datconnlimit, -1), (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user))::text,
    'extensions', (SELECT coalesce(string_agg(extname, ', ' ORDER BY extname), 'none') FROM pg_extension)
) || (SELECT coalesce(jsonb_object_agg(lower(name), current_setting(name)), '{}') FROM pg_settings WHERE lower(name) = ANY(%s))
FROM pg_database d, coalesce(pg_database_collation_actual_version(oid), 'none') sorts WHERE datname = current_database()
"""


def collect_database(settings: BaseSettings) -> Facts:
    """Return what the database says of itself, to a session like those of the service.

    Raises:
        psycopg.Error: if it cannot be asked.
    """
    url = str(dict(settings)["database_url"])
    with psycopg.connect(url, connect_timeout=CONNECT_SECONDS, autocommit=True) as connection:
        asked = datetime.now(UTC)
        ((now, migrated, facts),) = connection.execute(DATABASE_FACTS, [[*session_settings()]])
        answered = datetime.now(UTC)
        heads = connection.execute("SELECT version_num FROM alembic_version").fetchall() if migrated else []
    facts["migration"] = ", ".join(sorted(head for (head,) in heads)) or "none"
    skew = (now - (asked + (answered - asked) / 2)).total_seconds()
    return {"clock.skew": f"{skew:.3f} s"} | {f"database.{name}": value for name, value in facts.items()}


def collect_cache(settings: BaseSettings) -> Facts:
    """Return what the cache server says of itself.

    Raises:
        RedisError: if it cannot be asked.
    """
    timeouts = {"socket_connect_timeout": CONNECT_SECONDS, "socket_timeout": CONNECT_SECONDS}
    with Redis.from_url(str(dict(settings)["redis_url"]), **timeouts) as client:
        info = client.info()
    return {
        "cache.server": "Valkey" if "valkey_version" in info else "Redis",
        "cache.version": str(info.get("valkey_version") or info["redis_version"]),
        "cache.eviction": info["maxmemory_policy"],
        "cache.persistence": "yes" if info["aof_enabled"] else "no",
    }


@cache
def collect_image() -> Facts:
    """Return Python's version, and those of the packages beside it, or the address of one that has no index."""
    facts = {"python.version": platform.python_version()}
    # Each has a folder NAME-VERSION.dist-info (https://packaging.python.org/en/latest/specifications/recording-installed-packages/).
    for folder in Path(sysconfig.get_path("purelib")).glob("*.dist-info"):
        name, version = folder.stem.split("-", 1)
        if (origin := PathDistribution(folder).origin) and not origin.url.startswith("file:"):
            is_git = hasattr(origin, "vcs_info")
            version = f"git+{origin.url}@{origin.vcs_info.commit_id}" if is_git else origin.url
        facts[f"package.{canonicalize_name(name)}"] = version
    return facts


def collect_configuration(settings: BaseSettings) -> Facts:
    """Return where each variable's value comes from, but no value."""
    found: Facts = {}
    folder = settings.model_config.get("secrets_dir")
    # Kubernetes keeps its own files beside the secrets: ..data and what it leads to.
    secrets = {path.name.upper(): path for path in Path(str(folder)).glob("[!.]*")} if folder else {}
    names = [name.upper() for name in type(settings).model_fields]
    for name in names:
        value = os.environ.get(name) or (secrets[name].read_text().strip() if name in secrets else "")
        overlay = overlay_values().get(name, {}).get(value) if value else None
        found[f"config.{name}"] = f"the value of {overlay}" if overlay else "set" if value else "default"
    for name in {*os.environ, *secrets} - set(names):
        if name in secrets or get_close_matches(name, names, cutoff=0.8):
            found[f"config.{name}"] = "unknown"
    return found


def collect_facts(settings: BaseSettings) -> tuple[Facts, list[Row]]:
    """Return what there is, and a row for each server that could not be asked."""
    found = collect_image() | collect_configuration(settings)
    failed = []
    for part, collect in (("database", collect_database), ("cache", collect_cache)):
        try:
            found |= collect(settings)
        except (psycopg.Error, RedisError) as error:
            # The first line says what; no driver repeats a password.
            reason = str(error).strip().partition("\n")[0]
            failed.append(Row(part, "an answer", reason, "unknown", "Start it, or mend its URL."))
    return found, failed

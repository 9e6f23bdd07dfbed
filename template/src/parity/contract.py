# The template's: copier update merges it.
"""What the repository states, read from the files that state it; the image carries them."""

import ast
import inspect
import re
import shlex
from functools import cache

import yaml
from alembic.script import ScriptDirectory
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .compose import ROOT, Facts, options, session_settings, stack
from .report import CannotLook

# How a migration makes or drops an extension of PostgreSQL.
EXTENSION = re.compile(
    r'(?:^|;)\s*(CREATE|DROP)\s+EXTENSION\s+(?:IF\s+(?:NOT\s+)?EXISTS\s+)?"?([\w-]+)', re.IGNORECASE
)
# Clocks that are further apart (seconds) make times in logs and rows contradict each other.
CLOCK_SECONDS = 1


@cache
def contract() -> Facts:
    """Return what the repository states.

    Raises:
        CannotLook: if compose.yaml leaves something unsaid.
    """
    try:
        services = service_facts()
    except (KeyError, AttributeError) as error:
        raise CannotLook(f"compose.yaml does not say {error}: see how the template states it.") from None
    python = re.search(r"^FROM python:([\d.]+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    return services | {
        "database.migration": migration_head(),
        "database.extensions": ", ".join(sorted(extensions())),
        "database.superuser": "off",
        "python.version": python[1] if python else "none",
        "clock.skew": f"at most {CLOCK_SECONDS:.0f} s",
        **{f"package.{name}": version for name, version in locked_packages().items()},
    }


def service_facts() -> Facts:
    """Return what compose.yaml says of the backing services."""
    postgres, store = stack()["postgres"], stack().get("redis") or stack()["valkey"]
    created = options(shlex.split(postgres["environment"]["POSTGRES_INITDB_ARGS"]))
    configured = options(store["command"])
    facts = {f"database.{name}": value for name, value in session_settings().items()}
    if "appendonly" in configured:
        facts["cache.persistence"] = configured["appendonly"]
    return facts | {
        "database.server": "PostgreSQL",
        "database.version": tag(postgres["image"]),
        "database.encoding": created["encoding"],
        "database.locale_provider": created["locale-provider"],
        "database.collation": created["locale"],
        "cache.server": {"redis": "Redis", "valkey": "Valkey"}[re.split("[/:]", store["image"])[-2]],
        "cache.version": tag(store["image"]),
        "cache.eviction": configured["maxmemory-policy"],
    }


def tag(image: str) -> str:
    """Return the version that an image's tag names."""
    return re.sub(r"[^\d.].*", "", image.rpartition(":")[2])


def locked_packages() -> Facts:
    """Return the packages that the lock names for this platform, and the version of each or its address."""
    found: Facts = {}
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        if line and line[0] not in "# ":
            requirement = Requirement(line.removesuffix("\\"))
            if not requirement.marker or requirement.marker.evaluate():
                version = (requirement.url or str(requirement.specifier)).removeprefix("==").partition("#")[0]
                found[canonicalize_name(requirement.name)] = version
    return found


@cache
def migrations() -> ScriptDirectory:
    """Return the migrations of this release, read once."""
    return ScriptDirectory(str(ROOT / "migrations"))


def migration_head() -> str:
    """Return the last migration of this release; two of them, if the migrations of two branches were not joined."""
    return ", ".join(sorted(migrations().get_heads())) or "none"


def extensions() -> set[str]:
    """Return the extensions that the migrations make, and those that somebody else does (compose.project.yaml)."""
    project = yaml.safe_load((ROOT / "compose.project.yaml").read_text()) or {}
    found = {"plpgsql", *(project.get("x-extensions") or [])}
    for migration in [*migrations().walk_revisions()][::-1]:
        for call in ast.walk(ast.parse(inspect.getsource(migration.module.upgrade))):
            for node in ast.walk(call) if isinstance(call, ast.Call) else []:
                for verb, name in EXTENSION.findall(str(getattr(node, "value", ""))):
                    (found.add if verb.upper() == "CREATE" else found.discard)(name)
    return found


@cache
def known_migrations() -> frozenset[str]:
    """Return the migrations of this release, and ``none``. Any other is a newer release's: both run while it is rolled out."""
    return frozenset({"none", *(script.revision for script in migrations().walk_revisions())})

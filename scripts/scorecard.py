"""Work out this template's column of docs/parity.md from a service rendered with the default answers.

python scripts/scorecard.py            write the column, and the evidence for it
python scripts/scorecard.py --check    exit 1 when the page does not say what the service does

Each dimension is a function that refuses a service which contradicts it. It returns the cell; its docstring is
the row's name and the evidence.
"""

import ast
import re
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import copier
import yaml

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "parity.md"
CONFIG = "src/orders/config.py"
EXTENSIONS = "src/orders/extensions.py"
# What overlays set of what the dimensions look at; each says why in the file.
DECLARED = {
    ".devcontainer/compose.yaml": {
        "test-worker.depends_on",
        "test-worker.healthcheck",
        "web.depends_on",
        "web.read_only",
        "web.user",
        "web.volumes",
    },
    "compose.override.yaml": {"web.command", "web.volumes"},
    "compose.test.yaml": {"postgres.depends_on", "test.depends_on", "test.healthcheck", "test.volumes"},
}
SERVERS = r"\bflask run\b|\bapp\.run\(|\b(?:granian|hypercorn|uvicorn|uwsgi|waitress)\b"


class ContradictionError(Exception):
    """The rendered service is not what the page says of it."""


def hold(fact: object, otherwise: str) -> None:
    """Refuse a service for which a fact is not true."""
    if not fact:
        raise ContradictionError(otherwise)


class Service:
    """A rendered service, read as far as the dimensions need it."""

    def __init__(self, folder: Path):
        files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".pyc"]
        self.files = {str(path.relative_to(folder)): path.read_text(errors="replace") for path in files}
        # The contract's own modules and checks name what they look for.
        own = ("ops/checks/", "src/parity/")
        python = [name for name in self.files if name.endswith(".py") and not name.startswith(own)]
        self.code = "\n".join(self.files[name] for name in python)
        # Those that a laptop and CI run.
        stacks = [
            name
            for name in self.files
            if Path(name).match("compose*.yaml") and not name.startswith("deploy/")
        ]
        self.overlays = {name: yaml.safe_load(self.files[name])["services"] for name in stacks}
        self.stack = self.overlays.pop("compose.yaml")
        self.tests = self.overlays["compose.test.yaml"]["test"]

    def says(self, file: str, pattern: str, otherwise: str) -> re.Match:
        """Find what a file says, or refuse it."""
        found = re.search(pattern, self.files[file], re.MULTILINE)
        hold(found, otherwise)
        return found

    def never(self, pattern: str) -> None:
        """Refuse Python files in which a pattern is found."""
        found = re.findall(pattern, self.code)
        hold(not found, f"the code has {', '.join(sorted(set(found)))}")

    def unchanged(self, *keys: str) -> None:
        """Refuse an overlay that sets one of these keys, of one service or of any, and is not declared to."""
        for file, services in self.overlays.items():
            set_here = {f"{name}.{key}" for name, settings in services.items() for key in settings}
            found = {name for name in set_here if name in keys or name.partition(".")[2] in keys}
            undeclared = found - DECLARED.get(file, set())
            hold(not undeclared, f"not declared: {file}: {', '.join(sorted(undeclared))}")

    def version(self, server: str) -> str:
        """The version of a server's image, which no file but compose.yaml may name."""
        self.unchanged(f"{server}.image", f"{server}.build", f"{server}.command")
        for name, text in self.files.items():
            images = re.findall(r"""\b(?:image|container)["']?:\s*["']?([^\s"',}]+)""", text)
            named = [image for image in images if server in image]
            elsewhere = named and name != "compose.yaml" and not name.endswith((".md", ".py"))
            hold(not elsewhere, f"{name} names the image {', '.join(named)}")
        return self.stack[server]["image"].partition(":")[2]

    def locked(self, lock: str) -> dict[str, str]:
        """The packages in a lock with their versions."""
        entries = re.findall(r"^[a-z].*(?:\n .*)*", self.files[lock], re.MULTILINE)
        pins = dict(re.findall(r"^([^\s=]+)==([^\s;]+).*\\\n +--hash=", "\n".join(entries), re.MULTILINE))
        hold(len(pins) == len(entries) > 0, f"{lock} has a package without a version or hashes")
        return pins


def image(service: Service) -> str:
    """Image tested and shipped: `Dockerfile`: `development` begins `FROM production` and adds files and variables only, the dev container's `editor` begins `FROM development`, and `fuzz` has a tool and nothing of the service; the last stage is `production`. `compose.test.yaml`: the tests run in `development`."""
    editor = r"(?:#.*\n)+FROM development AS editor\n(?:.+\n)+\n"
    fuzz = r"(?:#.*\n)+FROM base AS fuzz\nCOPY --from=uv .*\n(?:(?!COPY).+\n)+\n"
    last = rf"^FROM production AS development\n(?:(?:COPY|ENV| ) .*\n)+\n{editor}{fuzz}FROM production\n\Z"
    service.says("Dockerfile", last, "development is not production with files on top, or the last stage")
    targets = [part["build"]["target"] for part in (service.stack["web"], service.tests)]
    hold(targets == ["production", "development"], f"what is built is {targets}")
    return "one: tests run in `development`, which is `FROM production`"


def server(service: Service) -> str:
    """Server: `Dockerfile`: the command is `gunicorn`, which reads `gunicorn.conf.py`. `compose.override.yaml` wraps it in `watchfiles`. No Python file names another server. Most tests call the application without a server."""
    service.says("Dockerfile", r'^CMD \["gunicorn"\]$', "the image does not run gunicorn")
    service.says("gunicorn.conf.py", r"^wsgi_app = ", "gunicorn.conf.py names no application")
    service.unchanged("web.command")
    command = service.overlays["compose.override.yaml"]["web"]["command"]
    hold(command[0] == "watchfiles" and "gunicorn" in command, "development does not run gunicorn")
    service.never(SERVERS)
    return "gunicorn, one `gunicorn.conf.py`; development adds the reload"


def packages(service: Service) -> str:
    """Python and packages: `Dockerfile`: one Python; the build stops at a lock that does not match `pyproject.toml`, and installs with `--verify-hashes`. `requirements.txt`, `requirements-dev.txt`: a version and hashes for each package, the same in both."""
    pythons = re.findall(r"^FROM python:([\d.]+)", service.files["Dockerfile"], re.MULTILINE)
    hold(len(pythons) == 1, f"the Dockerfile begins from the Pythons {', '.join(pythons)}")
    shipped, development = service.locked("requirements.txt"), service.locked("requirements-dev.txt")
    differing = {name for name in shipped.keys() & development.keys() if shipped[name] != development[name]}
    hold(not differing, f"the locks differ in {', '.join(sorted(differing))}")
    service.says("Dockerfile", r'cmp "\$lock"', "the build takes a stale lock")
    hold(service.files["Dockerfile"].count("--verify-hashes") == 2, "the build checks no hashes")
    return f"Python {pythons[0]}, one lock with hashes; the build refuses a stale one"


def database(service: Service) -> str:
    """Database: `compose.yaml` names the image; no other file does, and no overlay replaces it. No Python file knows SQLite."""
    service.never("(?i)sqlite")
    return f"PostgreSQL {service.version('postgres')}, stated in `compose.yaml` only"


def database_settings(service: Service) -> str:
    """Database settings, driver: `compose.yaml`: the server's command and `POSTGRES_INITDB_ARGS`: encoding, locale, time zone, isolation, time limits of a statement and of an idle transaction. An overlay sets the password, and whether the role may create databases. `extensions.py` names the driver, and the lock has no other."""
    for file, services in service.overlays.items():
        again = services.get("postgres", {}).get("environment", {}).keys() - {
            "POSTGRES_PASSWORD",
            "ROLE_OPTIONS",
        }
        hold(not again, f"{file} sets {', '.join(sorted(again))}")
    others = service.locked("requirements.txt").keys() & {"asyncpg", "pg8000", "psycopg2", "psycopg2-binary"}
    hold(not others, f"there is another driver: {', '.join(sorted(others))}")
    service.says(EXTENSIONS, r"postgresql\+psycopg\b", "extensions.py does not name the driver")
    postgres = service.stack["postgres"]
    options = [*postgres["command"], *postgres["environment"]["POSTGRES_INITDB_ARGS"].split()]
    stated = dict(option[2:].split("=", 1) for option in options if "=" in option)
    shown = ["encoding", "locale-provider", "locale", "timezone", "default-transaction-isolation"]
    shown += ["statement-timeout", "idle-in-transaction-session-timeout"]
    missing = [option for option in shown if option not in stated]
    hold(not missing, f"compose.yaml does not state {', '.join(missing)}")
    return ", ".join(stated[option] for option in shown) + "; psycopg"


def cache_and_broker(service: Service) -> str:
    """Cache and broker: `compose.yaml` names image, eviction policy and persistence; no other file names an image, and no overlay replaces one of them. No Python file knows a stand-in."""
    service.never("fakeredis|memory://|SimpleCache|NullCache|task_always_eager")
    command = service.stack["redis"]["command"]
    stated = dict(zip(command[::2], command[1::2], strict=True))
    hold(stated.get("--appendonly") == "yes", "queued jobs do not survive a restart")
    hold("--maxmemory-policy" in stated, "compose.yaml states no eviction policy")
    eviction = stated["--maxmemory-policy"]
    return f"Redis {service.version('redis')}, `{eviction}`, append-only, stated in `compose.yaml` only"


def schema(service: Service) -> str:
    """Schema: `compose.yaml`: `migrate` runs `flask db upgrade` before `web`; the tests' service extends `web`. No Python file has `create_all`. `ops/checks/test_migrations.py` goes down and up again."""
    service.never(r"\bcreate_all\b")
    hold(service.stack["migrate"]["command"] == ["flask", "db", "upgrade"], "migrate runs something else")
    service.unchanged("migrate.command")
    tests = service.overlays["compose.settings.yaml"][service.tests["extends"]["service"]]
    hold(tests["extends"]["service"] == "web", "the tests do not wait for the migrations")
    service.says("ops/checks/test_migrations.py", r"\bdowngrade\(", "no test undoes the migrations")
    return "migrations only, before every start, in the tests too"


def configuration(service: Service) -> str:
    """Configuration: `make settings` writes `.env.example` and `compose.settings.yaml`, which every service of the application extends, from `config.py` and `settings.py`. `load_settings` ends a process that misses a variable."""
    classes = [node for node in ast.parse(service.files[CONFIG]).body if isinstance(node, ast.ClassDef)]
    body = next(node.body for node in classes if node.name == "Settings")
    fields = {node.target.id.upper() for node in body if isinstance(node, ast.AnnAssign)}
    listed = re.findall(r"^#?([A-Z_]+)=", service.files[".env.example"], re.MULTILINE)
    application = service.overlays["compose.settings.yaml"]["application"]["environment"]
    for name in ("web", "worker", "migrate"):
        extended = service.stack[name].get("extends", {}).get("service")
        hold(extended == "application", f"{name} is not given the settings")
    for file, names in {".env.example": listed, "compose.settings.yaml": application}.items():
        differing = fields.symmetric_difference(names)
        hold(not differing, f"config.py and {file} differ in {', '.join(sorted(differing))}")
    service.says(CONFIG, r"raise SystemExit\(1\)", "a missing variable does not end the process")
    return "one typed class; a missing or malformed variable stops the start"


def confinement(service: Service) -> str:
    """User, files, capabilities: `Dockerfile`: `USER`. `compose.yaml`: `read_only`, `cap_drop`, `no-new-privileges`. One overlay changes two of them: in the dev container an editor installs its server, and the user is who uses it. It and `compose.override.yaml` mount the working tree."""
    user = service.says("Dockerfile", r"^USER (\d+):\d+$", "the image names no user by number")
    for name in ("web", "worker", "migrate"):
        stated = [service.stack[name].get(key) for key in ("read_only", "cap_drop", "security_opt")]
        hold(stated == [True, ["ALL"], ["no-new-privileges:true"]], f"{name} is not confined")
    service.unchanged("cap_add", "cap_drop", "privileged", "read_only", "security_opt", "user")
    service.unchanged("web.volumes", "test.volumes")
    return f"user {user[1]}, read-only, no capabilities; development mounts the tree, the dev container is writable"


def commands(service: Service) -> str:
    """Commands in CI: `.github/workflows/ci-cd.yml`: every step is a `make` command of the `Makefile`; the runner sets up nothing and has no services."""
    targets = re.findall(r"^([a-z-]+):", service.files["Makefile"], re.MULTILINE)
    # What carries the image from one job to the next, looks at it, and signs it.
    carriers = ["actions/attest", "actions/checkout", "actions/download-artifact", "actions/upload-artifact"]
    carriers += ["anchore/sbom-action", "anchore/scan-action"]
    run = []
    for job in yaml.safe_load(service.files[".github/workflows/ci-cd.yml"])["jobs"].values():
        hold(not job.keys() & {"container", "services"}, "the workflow brings containers of its own")
        for step in job["steps"]:
            action, command = step.get("uses", "").partition("@")[0], step.get("run", "").strip()
            hold(action in ("", *carriers), f"a step uses {action}")
            known = re.fullmatch(r"make ([a-z-]+)(?: [A-Z_]+=\S+)*", command)
            hold(action or (known and known[1] in targets), f"a step is not a make command: {command}")
            # Of the commands that go with a deployment, the others carry.
            if known and known[1] in ("build", "lint", "test", "publish", "deploy"):
                run.append(f"`make {known[1]}`")
    run = list(dict.fromkeys(run))
    return f"CI runs {', '.join(run)} and sets up nothing"


def probes(service: Service) -> str:
    """Probes, start order: `Dockerfile`: `HEALTHCHECK` asks `/livez`; `health.py` has `/readyz` beside it. `compose.yaml`: `web` waits for the migrations and for healthy servers; the overlays leave that, and the dev container adds a worker for the tests. `compose.test.yaml` turns the check off where pytest runs."""
    service.says("Dockerfile", r"^HEALTHCHECK .*\\\n.*/livez", "nobody asks /livez")
    service.says("src/orders/health.py", r'^@bp.get\("/readyz"\)$', "there is no /readyz")
    waits = {name: wait["condition"][8:] for name, wait in service.stack["web"]["depends_on"].items()}
    expected = {"migrate": "completed_successfully", "postgres": "healthy", "redis": "healthy"}
    hold(waits == expected, "web does not wait for migrations, PostgreSQL and Redis")
    service.unchanged("depends_on", "healthcheck")
    return "`/livez` and `/readyz`, the same everywhere; servers, then migrations, then web"


def drift(service: Service) -> str:
    """Who notices drift: `Dockerfile` compares the lock with `pyproject.toml`, `health.py` the schema with the migrations; `ops/checks/test_versions.py`, `src/parity/` and `PARITY` in `config.py` count where they are there."""
    service.says("src/orders/health.py", r"= migration_head\(\)", "/readyz does not look at the schema")
    noticing = {
        "each build (lock)": "does not match pyproject.toml" in service.files["Dockerfile"],
        "`make test` (files)": "ops/checks/test_versions.py" in service.files,
        "each start": "\n    parity: " in service.files[CONFIG],
        "`flask parity check`": "src/parity/__init__.py" in service.files,
        "`/readyz` (schema)": True,
    }
    return ", ".join(who for who, notices in noticing.items() if notices)


DIMENSIONS = [image, server, packages, database, database_settings, cache_and_broker, schema]
DIMENSIONS += [configuration, confinement, commands, probes, drift]


def page(service: Service, text: str) -> str:
    """The page with this template's column, and the evidence for it, as the service has them."""
    proof = ""
    for dimension in DIMENSIONS:
        name, _, evidence = dimension.__doc__.partition(": ")
        cell = rf"\g<1>{dimension(service)}"
        text, rows = re.subn(rf"^(\| {name} \| ).*?(?= \| )", cell, text, flags=re.MULTILINE)
        hold(rows == 1, f"the page has {rows} rows named {name}")
        proof += f"- **{name}.** {evidence}\n"
    before, begin, rest = text.partition("<!-- evidence -->\n")
    _, end, after = rest.partition("<!-- /evidence -->\n")
    return f"{before}{begin}\n{proof}\n{end}{after}"


def render(folder: Path) -> Service:
    """The service with the default answers, from the working tree; without git, Copier takes what is not committed."""
    source = folder / "template"
    for name in ("includes", "template"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "copier.yml", source)
    settings = copier.Settings()  # not the person's own
    copier.run_copy(str(source), folder / "service", defaults=True, quiet=True, settings=settings)
    return Service(folder / "service")


def main(arguments: list[str]) -> int:
    """Write the page, or with --check say whether it is stale."""
    try:
        with TemporaryDirectory() as folder:
            text = page(render(Path(folder)), PAGE.read_text())
    except ContradictionError as contradiction:
        print(f"docs/parity.md no longer holds: {contradiction}", file=sys.stderr)
        return 1
    if "--check" not in arguments:
        PAGE.write_text(text)
    elif PAGE.read_text() != text:
        print("docs/parity.md is stale: run make scorecard", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

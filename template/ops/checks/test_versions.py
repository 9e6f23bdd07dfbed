# The template's: copier update merges it.
"""A version stands once: the backing services' in compose.yaml, Python's and uv's in the Dockerfile."""

import re
from collections.abc import Iterator

from repository import STACK, files, find, line, reports

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
CACHE = "the cache server"
PRODUCTS = dict(postgres="PostgreSQL", postgresql="PostgreSQL", python="Python", py="Python", uv="uv")
DECLARED = (
    r"^(?: +image:|FROM) +(?:[&-]\S+ +)?['\"]?(?:[\w.:-]+/)*((?:postgres|redis|\w+key|python|uv):[\w.-]+)"
)


def declared_versions() -> dict[str, tuple[str, str, str]]:
    """Return for each product its name, its version, and the one place that says so."""
    found: dict[str, tuple[str, str, str]] = {}
    for said in [*find(STACK, DECLARED), *find("Dockerfile", DECLARED)]:
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


@reports
def test_versions_stand_once() -> Iterator[str]:
    """No file names another PostgreSQL, cache server, Python or uv than compose.yaml and the Dockerfile."""
    declared = declared_versions()
    missing = sorted({*PRODUCTS.values(), CACHE} - declared.keys())
    assert not missing, f"{STACK} and Dockerfile name no version of {', '.join(missing)}: write image:version"
    problems = {}
    for pattern in IMAGES + MENTIONS:
        compiled = re.compile(pattern.replace("CACHE", declared[CACHE][0]), re.MULTILINE | re.IGNORECASE)
        for file, content in files().items():
            for found in compiled.finditer(f"python {content}" if file == ".python-version" else content):
                what = PRODUCTS.get(found["name"].lower(), CACHE)
                name, version, where = declared[what]
                if differs(found["name"].lower(), found["version"], pattern in IMAGES, declared[what]):
                    at = f"{file}:{line(found, 'version')}"
                    told = f"{at} names {found['name']} {found['version'] or 'without a version'}, but {where} has"
                    problems[at, what] = f"{told} {name} {version}: write that, or leave the version out"
    yield from problems.values()

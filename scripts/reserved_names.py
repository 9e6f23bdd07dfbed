"""Write includes/reserved.jinja: the names that a service and its package cannot have.

    python scripts/reserved_names.py            add the running Python's names to the file
    python scripts/reserved_names.py --locks    also read the names that the service's locks install (needs uv)

Run it with each Python that a service may choose. The first form needs the standard library only, so it also runs in a
bare image: docker run --rm -v "$PWD:/template" -w /template python:3.14-slim python scripts/reserved_names.py
"""

import json
import keyword
import re
import subprocess
import sys
import tempfile
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INCLUDE = ROOT / "includes" / "reserved.jinja"
# The validator has refused every other form before it looks a name up.
REACHABLE = re.compile(r"[a-z][a-z0-9_]*\Z")
# Folders of the service, and modules of its tools, which stand before src/ where they run.
FOLDERS = ["checks", "conftest", "migrations", "parity", "repository", "settings", "squawk", "tests"]
POSTGRES_NAMES = ["none", "postgres", "public", "template0", "template1"]
YAML_WORDS = ["false", "no", "null", "off", "on", "true", "yes"]


def read() -> dict:
    """The lists as they stand in the include file."""
    text = INCLUDE.read_text() if INCLUDE.exists() else ""
    return {
        name: json.loads(value)
        for name, value in re.findall(r"{% set (\w+) = '(.*?)' \| from_json %}", text, re.DOTALL)
    }


def write(names: dict) -> None:
    """Write the include file."""
    # As JSON in a string, which Jinja need not compile name by name: a tenth of the time of a copy.
    lists = "\n".join(
        f"{{% set {name} = '{json.dumps(value, indent=1)}' | from_json %}}" for name, value in names.items()
    )
    INCLUDE.write_text(f"{{# Written by scripts/reserved_names.py. #}}\n{lists}\n")


def python_keywords() -> set[str]:
    """The running Python's keywords that could be package names."""
    return {name for name in [*keyword.kwlist, *keyword.softkwlist] if REACHABLE.match(name)}


def python_modules() -> set[str]:
    """The running Python's standard library."""
    # The list leaves out the interpreter's own tests, which are importable all the same.
    return {name for name in sys.stdlib_module_names | {"test"} if REACHABLE.match(name)}


def locked_names(lock: str) -> set[str]:
    """The distributions that a hashed requirements file pins."""
    return set(re.findall(r"^([a-z0-9][a-z0-9-]*)(?:\[[^\]]*\])?==", lock, re.MULTILINE))


def lock_text() -> str:
    """Both locks of the template with every feature in them: the lines without their Jinja conditions."""
    files = sorted((ROOT / "template").glob("requirements*.txt*"))
    return "\n".join(
        line
        for file in files
        for line in file.read_text().splitlines()
        if not line.lstrip().startswith(("{%", "-r "))
    )


def installed_names(lock: str) -> dict[str, list[str]]:
    """Which names each distribution of a lock brings for `import`."""
    with tempfile.TemporaryDirectory() as folder:
        requirements, target = Path(folder, "requirements.txt"), Path(folder, "target")
        requirements.write_text(lock)
        install = ["uv", "pip", "install", "--quiet", "--no-deps", "--python-version", "3.14"]
        subprocess.run([*install, "--target", target, "--requirement", requirements], check=True)
        names = {}
        for distribution in distributions(path=[str(target)]):
            tops = {
                file.parts[0].split(".")[0]
                for file in distribution.files or []
                if file.suffix in {".py", ".so", ".pyd"}
            }
            key = re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()
            names[key] = sorted(filter(REACHABLE.match, tops))
    # A distribution for another platform only is not installed here; its name is the likely one.
    return {name: names.get(name, [name.replace("-", "_")]) for name in sorted(locked_names(lock))}


def main(arguments: list[str]) -> None:
    """Add to the lists what is new; what an older Python or lock had stays."""
    names = read()
    write(
        {
            "keywords": sorted(python_keywords() | set(names.get("keywords", []))),
            "standard_library": sorted(python_modules() | set(names.get("standard_library", []))),
            "dependencies": installed_names(lock_text())
            if "--locks" in arguments
            else names.get("dependencies", {}),
            "folders": FOLDERS,
            "postgres_names": POSTGRES_NAMES,
            "yaml_words": YAML_WORDS,
        }
    )


if __name__ == "__main__":
    main(sys.argv[1:])

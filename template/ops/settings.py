# The template's: copier update merges it.
"""`make settings`: write what has to know the settings, from their declaration in settings.py and config.py.

With ``--check``, say which file is not as it would be written, and end with 1.
"""

import importlib
import json
import os
import sys
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from textwrap import fill

import yaml
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python

PACKAGE = os.environ["FLASK_APP"]
WIDTH = 118
BY = "Written by `make settings`, from settings.py and config.py:"

Settings = dict[str, FieldInfo]


def settings() -> Settings:
    """Return every setting by the name of its variable."""
    model = importlib.import_module(f"{PACKAGE}.config").Settings
    return {name.upper(): field for name, field in model.model_fields.items()}


def example(field: FieldInfo) -> str:
    """Return a value that a setting may have, as a variable has it: its first example, or its default."""
    value = field.examples[0] if field.examples else field.get_default(call_default_factory=True)
    if value is None or value is PydanticUndefined:
        return ""
    value = to_jsonable_python(value.get_secret_value() if isinstance(value, SecretStr) else value)
    return value if isinstance(value, str) else json.dumps(value) if value not in ([], {}) else ""


def services(name: str) -> dict[str, dict]:
    """Return the services of a Compose file, none if it is empty."""
    return (yaml.safe_load(Path(name).read_text()) or {}).get("services") or {}


def unset(found: Settings, *names: str) -> Settings:
    """Return the settings that are required, and that Compose files have no value for."""
    variables = [service.get("environment", {}) for name in names for service in services(name).values()]
    given = {name for listed in variables for name, value in listed.items() if value is not None}
    return {name: field for name, field in found.items() if field.is_required() and name not in given}


def applications() -> Iterator[str]:
    """Yield the services that run the application, with their secrets: compose.yaml builds them, the team's extend one."""
    for name, service in services("compose.yaml").items():
        if "build" in service:
            yield f"  {name}: *secrets\n"
    own = services("compose.project.yaml")
    for name in own:
        if extends_application(own, name):
            yield f"  {name}:\n    <<: *secrets\n" + "    depends_on: !reset {}\n"


def extends_application(own: dict[str, dict], name: str) -> bool:
    """Whether a service of the team's extends one of compose.yaml's, or another of its own that does."""
    extends = own[name].get("extends", {})
    base = {"service": extends} if isinstance(extends, str) else extends
    in_own = "file" not in base and base.get("service") in own
    return base.get("file") == "compose.yaml" or (in_own and extends_application(own, base["service"]))


def refusals(found: Settings) -> Iterator[str]:
    """Yield what a declaration lacks, with its file and line."""
    for name, field in found.items():
        if field.validation_alias:
            yield f"{declaration(name)} declares {name}: name the field as its variable, without an alias"
        if not field.description:
            yield f'{declaration(name)} declares {name}: add description="…", for .env.example'
        if name in unset(found, "compose.yaml", "compose.override.yaml"):
            if not example(field):
                yield f'{declaration(name)} declares {name}: add examples=["…"], a value for development and the tests'
            elif "\n" in example(field) or min(braces(example(field))) < 0:
                told = "write an example without line breaks, and { before each }"
                yield f"{declaration(name)} declares {name}: {told}"


def braces(text: str) -> list[int]:
    """Return how many braces are open after each letter of an example, which Compose reads within braces."""
    return [*accumulate(((letter == "{") - (letter == "}") for letter in text), initial=0)]


def declaration(name: str) -> str:
    """Return file and line of a setting."""
    for path in (Path(f"src/{PACKAGE}/{module}.py") for module in ("settings", "config")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if line.startswith(f"    {name.lower()}:"):
                return f"{path}:{number}"
    return f"src/{PACKAGE}/settings.py"


def comment(text: str) -> str:
    """Return a text as lines of comment."""
    return fill(text, WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def environment(found: Settings, form: str) -> str:
    """Return a service's `environment`, each value in a form: `%(name)s` and `%(value)s`."""
    values = {name: example(field).replace("$", "$$") for name, field in found.items()}
    lines = [f"      {name}: {json.dumps(form % {'name': name, 'value': values[name]})}\n" for name in values]
    return f"    environment:\n{''.join(lines)}" if lines else "    environment: {}\n"


def env_example(found: Settings) -> str:
    """Return .env.example."""
    about = comment(
        f"{BY} every variable that the service reads. Development needs none of them. Copy this file to .env to change "
        "one on your machine; elsewhere the environment sets them, or files of the same names in lower case under "
        "/run/secrets."
    )
    entries = [about]
    for name, field in found.items():
        text = f"{field.description} Required." if field.is_required() else str(field.description)
        entries.append(f"{comment(text)}\n#{name}={example(field)}")
    return "\n\n".join(entries) + "\n"


def stack(found: Settings) -> str:
    """Return compose.settings.yaml."""
    variables = "".join(f"      {name}:\n" for name in found)
    development = unset(found, "compose.yaml", "compose.override.yaml")
    test = unset(found, "compose.yaml", "compose.test.yaml")
    return (
        f"{comment(f'{BY} what compose.yaml and its overlays extend.')}\n\nservices:\n"
        "  # Each setting's variable, with its value from the environment or .env, if there is one.\n"
        f"  application:\n    environment:\n{variables}\n"
        "  # What is required and has no value in a Compose file: its example, in development unless .env has another.\n"
        f"  development:\n{environment(development, '${%(name)s:-%(value)s}')}\n"
        f"  test: &test\n{environment(test, '%(value)s')}\n"
        "  test-web:\n    <<: *test\n    extends: {file: compose.yaml, service: web}\n"
    )


def swarm(found: Settings) -> str:
    """Return deploy/compose.settings.yaml."""
    secrets = [name.lower() for name in unset(found, "compose.yaml")]
    about = comment(
        f"{BY} on Docker Swarm, what is required and has no value in compose.yaml is a secret, a file under /run/secrets "
        "that only these containers have. `make secrets` makes it; a new value is a new name."
    )
    form = '  %s: {external: true, name: "${SECRET_%s:-none}"}\n'
    made = "".join(form % (name, name.upper()) for name in secrets)
    listed = f"x-secrets: &secrets\n  secrets: [{', '.join(secrets)}]"
    return f"{about}\n\n{listed}\n\nservices:\n{''.join(applications())}\nsecrets:\n{made}"


def main() -> None:
    """Write the files, or check them; end with status 1 and a line for each thing that is to be done."""
    found = settings()
    if problems := [*refusals(found)]:
        sys.exit("\n".join(problems))
    files = {".env.example": env_example(found), "compose.settings.yaml": stack(found)}
    if Path("deploy/compose.swarm.yaml").exists():
        files["deploy/compose.settings.yaml"] = swarm(found)
    written = {name: Path(name).read_text() for name in files if Path(name).exists()}
    stale = [name for name, text in files.items() if written.get(name) != text]
    if "--check" in sys.argv and stale:
        told = "is not what the settings say: run make settings, and commit it"
        sys.exit("\n".join(f"{name} {told}" for name in stale))
    for name in stale:
        Path(name).write_text(files[name])
        print(f"Wrote {name}.")


if __name__ == "__main__":
    main()

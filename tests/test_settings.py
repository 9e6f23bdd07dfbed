"""`make settings` in a generated service: one declaration, and everything that has to know it is worked out or refused."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from conftest import render

# In place of config.py, which needs the service's packages: the same fields, without what checks their values.
CONFIG = """
from pydantic import BaseModel, Field

from orders.settings import ProjectSettings

class Settings(ProjectSettings):
    database_url: str = Field(description="PostgreSQL.", examples=["postgresql://orders:development@postgres/orders"])
    redis_url: str = Field(description="Redis.", examples=["redis://redis"])
    api_tokens: str = Field(description="Who may call.", examples=["a:b"])
    parity: str = Field("enforce", description="Whether drift stops the start.")
"""
SETTINGS = """from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Literal

from pydantic import AnyUrl, BaseModel, Field, SecretStr

Kind = Enum("Kind", {{"A": "a", "B": "b"}})

class Server(BaseModel):
    host: str
    ports: list[int] = []

class ProjectSettings(BaseModel):
    {}
"""
REQUIRED = 'stripe_key: SecretStr = Field(description="The key.", examples=["{}"])'
TEAMS = """services:
  mail:
    image: mailpit
  beat:
    extends: {file: compose.yaml, service: worker}
  other-beat:
    extends: beat
  third-beat:
    extends: {service: other-beat}
  other-mail:
    extends: mail
"""


@pytest.fixture
def service(projects, tmp_path) -> Path:
    """A copy of the default service, with settings that the Python of these tests can import."""
    path = shutil.copytree(projects["default"].path, tmp_path / "service")
    (path / "src" / "orders" / "__init__.py").write_text("")
    (path / "src" / "orders" / "config.py").write_text(CONFIG)
    return path


@pytest.fixture
def make_settings(service) -> Callable[..., subprocess.CompletedProcess]:
    """Declare settings of the team's, and run what `make settings` runs."""

    def run(declaration: str = '"""None."""', *arguments: str) -> subprocess.CompletedProcess:
        (service / "src" / "orders" / "settings.py").write_text(SETTINGS.format(declaration))
        command = [sys.executable, "-P", "ops/settings.py", *arguments]
        environment = os.environ | {
            "FLASK_APP": "orders",
            "PYTHONPATH": "src",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return subprocess.run(command, cwd=service, env=environment, capture_output=True, text=True)

    return run


def read(file: Path) -> dict:
    return yaml.load(file.read_text().replace("!reset", "").replace("!override", ""), yaml.SafeLoader)


def test_a_required_setting_reaches_every_environment(service, make_settings):
    (service / "compose.project.yaml").write_text(TEAMS)
    done = make_settings(REQUIRED.format("sk_$1"))
    assert (done.returncode, done.stderr) == (0, "")
    written = [".env.example", "compose.settings.yaml", "deploy/compose.settings.yaml"]
    assert done.stdout.splitlines() == [f"Wrote {name}." for name in written]

    assert "# The key. Required.\n#STRIPE_KEY=sk_$1\n" in (service / ".env.example").read_text()
    stack = read(service / "compose.settings.yaml")["services"]
    assert stack["application"]["environment"]["STRIPE_KEY"] is None
    # Compose reads $$ as $.
    assert stack["development"]["environment"] == {"STRIPE_KEY": "${STRIPE_KEY:-sk_$$1}"}
    assert stack["test"]["environment"] == {"STRIPE_KEY": "sk_$$1"}
    assert stack["test-web"]["environment"] == stack["test"]["environment"]

    swarm = read(service / "deploy" / "compose.settings.yaml")
    assert list(swarm["secrets"]) == ["stripe_key", "database_url", "api_tokens"]
    assert swarm["secrets"]["stripe_key"] == {"external": True, "name": "${SECRET_STRIPE_KEY:-none}"}
    # The team's own that runs the application has the secrets, too, and the one with an image of its own has not.
    assert list(swarm["services"]) == ["web", "worker", "migrate", "beat", "other-beat", "third-beat"]
    assert {tuple(each["secrets"]) for each in swarm["services"].values()} == {tuple(swarm["secrets"])}

    again = make_settings(REQUIRED.format("sk_$1"))
    assert (again.returncode, again.stdout) == (0, "")


def test_an_optional_setting_is_no_secret(service, make_settings):
    assert make_settings('greeting: str = Field("Hello", description="What to say.")').returncode == 0
    assert "# What to say.\n#GREETING=Hello\n" in (service / ".env.example").read_text()
    stack = read(service / "compose.settings.yaml")["services"]
    assert "GREETING" in stack["application"]["environment"]
    assert (stack["development"]["environment"], stack["test"]["environment"]) == ({}, {})
    assert "greeting" not in (service / "deploy" / "compose.settings.yaml").read_text()


def test_a_stale_file_is_refused(service, make_settings):
    make_settings()
    assert make_settings('"""None."""', "--check").returncode == 0
    before = (service / ".env.example").read_text()
    refused = make_settings(REQUIRED.format("sk"), "--check")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.splitlines()[0] == (
        ".env.example is not what the settings say: run make settings, and commit it"
    )
    assert len(refused.stderr.splitlines()) == 3
    assert (service / ".env.example").read_text() == before


@pytest.mark.parametrize(
    ("declaration", "shown"),
    [
        ('x: bool = Field(False, description="x")', "false"),
        ('x: int = Field(0, description="x")', "0"),
        ('x: list[str] = Field(default_factory=list, description="x")', ""),
        ('x: list[str] = Field(["a", "b"], description="x")', '["a", "b"]'),
        ('x: dict = Field({"a": 1}, description="x")', '{"a": 1}'),
        ('x: str | None = Field(None, description="x")', ""),
        ('x: str | None = Field(None, description="x", examples=["y"])', "y"),
        ('x: Kind = Field(Kind.B, description="x")', "b"),
        ('x: timedelta = Field(timedelta(hours=1), description="x")', "PT1H"),
        ('x: SecretStr = Field(SecretStr("y"), description="x")', "y"),
        ('x: AnyUrl = Field("http://y/", description="x")', "http://y/"),
    ],
)
def test_a_default_stands_there_as_a_variable_has_it(service, make_settings, declaration, shown):
    done = make_settings(declaration)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"# x\n#X={shown}\n" in (service / ".env.example").read_text()


@pytest.mark.parametrize(
    ("declaration", "what"),
    [
        ("stripe_key: str", 'add description="…", for .env.example'),
        ('stripe_key: str = "none"', 'add description="…", for .env.example'),
        (
            'stripe_key: str = Field(description="x")',
            'add examples=["…"], a value for development and the tests',
        ),
        (
            'stripe_key: str = Field("x", description="x", validation_alias="KEY")',
            "name the field as its variable, without an alias",
        ),
        (REQUIRED.format("}{"), "write an example without line breaks, and { before each }"),
        (REQUIRED.format("a\\nb"), "write an example without line breaks, and { before each }"),
        (REQUIRED.format("a}b"), "write an example without line breaks, and { before each }"),
    ],
)
def test_what_cannot_be_worked_out_is_refused_with_its_line(service, make_settings, declaration, what):
    before = (service / "compose.settings.yaml").read_text()
    refused = make_settings(declaration)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"src/orders/settings.py:15 declares STRIPE_KEY: {what}" in refused.stderr.splitlines()
    assert (service / "compose.settings.yaml").read_text() == before


# Required, and what a variable or a secret has; two have names that begin alike.
TYPES = {
    "flag: bool = Field(description='x', examples=[True])": "true",
    "flag_name: str = Field(description='x', examples=['a b # c'])": "a b # c",
    "kind: Kind = Field(description='x', examples=[Kind.B])": "b",
    "mode: Literal['a', 'b'] = Field(description='x', examples=['a'])": "a",
    "names: list[str] = Field(description='x', examples=[['a', 'b']])": '["a", "b"]',
    "rates: dict[str, dict[str, int]] = Field(description='x', examples=[{'a': {'b': 1}, 'c': {}}])": (
        '{"a": {"b": 1}, "c": {}}'
    ),
    "folder: Path = Field(description='x', examples=['/var/x'])": "/var/x",
    "secret: SecretStr = Field(description='x', examples=['a$b\"c'])": 'a$b"c',
    "server: Server = Field(description='x', examples=[Server(host='h', ports=[1])])": '{"host": "h", "ports": [1]}',
    "url: AnyUrl = Field(description='x', examples=['https://u:p@x.example/?a=b&c'])": (
        "https://u:p@x.example/?a=b&c"
    ),
}
VALUES = {declaration.partition(":")[0].upper(): value for declaration, value in TYPES.items()}
needs_compose = pytest.mark.skipif(
    subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode != 0
    if shutil.which("docker")
    else True,
    reason="docker compose is not installed",
)


def stack(service: Path, *files: str, **environment: str) -> dict:
    """What Compose makes of some files: each service with its variables and secrets."""
    command = [
        "docker",
        "compose",
        *(f"--file={name}" for name in files),
        "--profile=*",
        "config",
        "--format=json",
    ]
    done = subprocess.run(
        command, cwd=service, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["services"]


def unescaped(variables: dict) -> dict:
    """Variables as a container gets them: Compose writes $ as $$."""
    return {name: value and value.replace("$$", "$") for name, value in variables.items()}


@needs_compose
def test_a_value_of_any_type_reaches_development_tests_and_swarm(service, make_settings):
    done = make_settings("\n    ".join(TYPES))
    assert (done.returncode, done.stderr) == (0, "")
    development = stack(service, "compose.yaml", "compose.override.yaml")
    tests = stack(service, "compose.yaml", "compose.test.yaml")
    for found in (development["web"], development["worker"], development["migrate"], tests["test"]):
        assert unescaped(found["environment"]).items() >= VALUES.items()

    # What .env has instead, on a laptop; the tests keep to the examples.
    (service / ".env").write_text('NAMES=["c"]\nSERVER={"host": "other"}\nFLAG=false\n')
    given = {"NAMES": '["c"]', "SERVER": '{"host": "other"}', "FLAG": "false"}
    development = stack(service, "compose.yaml", "compose.override.yaml")
    assert development["web"]["environment"].items() >= given.items()
    assert (
        unescaped(stack(service, "compose.yaml", "compose.test.yaml")["test"]["environment"])["FLAG"]
        == "true"
    )

    (service / ".env").unlink()
    swarm = stack(
        service, "compose.yaml", "deploy/compose.settings.yaml", SECRET_FLAG="one", SECRET_FLAG_NAME="two"
    )
    for name in ("web", "worker", "migrate"):
        secrets = {secret["source"] for secret in swarm[name]["secrets"]}
        assert secrets == {name.lower() for name in VALUES} | {"database_url", "api_tokens"}
        assert not {value for key, value in swarm[name]["environment"].items() if key in VALUES} - {None}


OPTIONAL = {
    "retries: int = Field(3, description='x')": "5",
    "origins: list[str] = Field([], description='x')": '["https://a.example.com", "https://b.example.com"]',
    "limits: dict[str, int] = Field({}, description='x')": '{"a": 1}',
}


@needs_compose
def test_an_optional_value_is_taken_from_the_environments_file_on_swarm(service, make_settings):
    assert make_settings("\n    ".join(OPTIONAL)).returncode == 0
    given = {declaration.partition(":")[0].upper(): value for declaration, value in OPTIONAL.items()}
    file = service / "deploy" / "staging.env"
    file.write_text("".join(f"{name}={value}\n" for name, value in given.items()))
    found = stack(service, "compose.yaml", "deploy/compose.settings.yaml", COMPOSE_ENV_FILES=str(file))
    for name in ("web", "worker", "migrate"):
        assert found[name]["environment"].items() >= given.items()


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is missing")
def test_kubernetes_takes_secrets_by_name_and_optional_values_from_its_overlay(
    service, make_settings, template, tmp_path
):
    cluster = render(template, tmp_path / "cluster", {"deployment": "kubernetes"}).path
    assert make_settings("\n    ".join([*TYPES, *OPTIONAL])).returncode == 0
    shutil.copy(service / ".env.example", cluster)
    # The functions of ops/kubernetes that read what is required and what is known.
    script = "\n".join(
        line
        for line in (cluster / "ops" / "kubernetes").read_text().splitlines()
        if line.startswith("required()")
    )
    done = subprocess.run(
        ["bash", "-c", f"{script}\nrequired"], cwd=cluster, capture_output=True, text=True, check=True
    )
    assert {*done.stdout.split()} == {*VALUES, "DATABASE_URL", "REDIS_URL", "API_TOKENS"}
    # All of the Secret's keys are files.
    pod = (cluster / "deploy/kubernetes/base/pod.yaml").read_text()
    assert "mountPath: /run/secrets" in pod
    assert "secretName: secrets" in pod

    staging = cluster / "deploy/kubernetes/staging/kustomization.yaml"
    literals = "".join(
        f"      - '{declaration.partition(':')[0].upper()}={value}'\n"
        for declaration, value in OPTIONAL.items()
    )
    generator = f"\nconfigMapGenerator:\n  - name: settings\n    behavior: merge\n    literals:\n{literals}"
    staging.write_text(staging.read_text() + generator)
    shown = subprocess.run(
        ["kubectl", "kustomize", "deploy/kubernetes/staging"],
        cwd=cluster,
        capture_output=True,
        text=True,
        check=True,
    )
    (settings,) = [each for each in yaml.safe_load_all(shown.stdout) if each["kind"] == "ConfigMap"]
    for declaration, value in OPTIONAL.items():
        assert settings["data"][declaration.partition(":")[0].upper()] == value


def test_a_service_without_swarm_has_no_secrets_of_it(service, make_settings):
    (service / "deploy" / "compose.swarm.yaml").unlink()
    (service / "deploy" / "compose.settings.yaml").unlink()
    assert make_settings(REQUIRED.format("sk")).returncode == 0
    assert not (service / "deploy" / "compose.settings.yaml").exists()

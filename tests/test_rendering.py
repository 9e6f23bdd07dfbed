"""What is rendered: files that parse, hold the answers literally, and leave every linter nothing to say."""

import ast
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import questions
import yaml
from answers import EXTREME
from conftest import ROOT, Project, copy_template, render
from house import fits
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jinja2 import meta

BIN = Path(sysconfig.get_path("scripts"))
YAML, JSON, TOML, PYTHON = ["*.yaml", "*.yml"], ["*.json"], ["*.toml"], ["*.py"]


def everything(projects: dict[str, Project], *patterns: str) -> list[Path]:
    return [file for project in projects.values() for file in project.files(*patterns)]


def distinct(files: Iterable[Path]) -> list[Path]:
    """One file of each content."""
    return list({file.read_bytes(): file for file in files}.values())


class StackLoader(yaml.SafeLoader):
    """Knows Compose's tag for what an overlay takes away (https://docs.docker.com/reference/compose-file/merge/)."""


StackLoader.add_constructor("!reset", lambda loader, node: None)
StackLoader.add_constructor("!override", lambda loader, node: loader.construct_mapping(node))


def parse(file: Path) -> object:
    """What a file says, for the formats that have a grammar."""
    text = file.read_text(encoding="utf-8")
    match file.suffix:
        case ".py":
            # Of a syntax that is newer than the Python of these tests, Ruff is the judge.
            with contextlib.suppress(*[SyntaxError] * (sys.version_info < (3, 12))):
                return ast.parse(text)
        case ".toml":
            return tomllib.loads(text)
        case ".json":
            return json.loads(text)
        case ".yaml" | ".yml":
            return list(yaml.load_all(text, StackLoader))
    return text


def strings(value: object) -> Iterator[str]:
    """Every string in what a file says."""
    match value:
        case str():
            yield value
        case dict():
            yield from (text for pair in value.items() for item in pair for text in strings(item))
        case list():
            yield from (text for item in value for text in strings(item))
        case ast.AST():
            yield from (
                node.value
                for node in ast.walk(value)
                if isinstance(node, ast.Constant) and isinstance(node.value, str)
            )


def lint(*command: object) -> None:
    """Run a linter of this environment; it has nothing to say."""
    program, *arguments = map(str, command)
    result = subprocess.run([BIN / program, *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_template_needs_no_trust(config):
    assert not config.keys() & {"_tasks", "_jinja_extensions"}
    assert all("version" in migration for migration in config.get("_migrations", []))


def test_scripts_pass_shellcheck(projects):
    scripts = [path for path in everything(projects, "ops/*") if path.read_text().startswith("#!")]
    assert {path.name for path in scripts} >= {
        "swarm",
        "kubernetes",
        "image",
        "update",
        "upgrade-postgres",
        "quietly",
        "test",
    }
    lint("shellcheck", *scripts)
    assert all(os.access(path, os.X_OK) for path in scripts)


def test_a_misspelt_variable_stops_the_rendering(tmp_path):
    template = copy_template(tmp_path)
    (template / "template" / "misspelt.txt.jinja").write_text("{{ projekt_name }}\n")
    with pytest.raises(Exception, match="'projekt_name' is undefined"):
        render(template, tmp_path / "project", {})


@pytest.mark.parametrize("patterns", [YAML, JSON, TOML, PYTHON], ids=lambda patterns: patterns[0])
def test_every_file_parses(projects, patterns):
    files = everything(projects, *patterns)
    assert files
    for file in files:
        parse(file)


def test_no_file_has_a_loose_end(projects):
    problems = []
    for project in projects.values():
        free_text = [project.answers[name] for name in ("project_name", "description")]
        # Within quotes, whichever they are.
        free_text += [
            project.answers[f"{name}_{form}"][1:-1]
            for name in ("project_name", "description")
            for form in ("python", "toml")
        ]
        for file in project.files():
            text = file.read_text(encoding="utf-8")
            for answer in sorted(free_text, key=len, reverse=True):
                text = text.replace(answer, "x")
            # GitHub writes ${{ … }}, Docker's --format {{.Name}}, {{json …}} or {{with …}}, and an f-string {{{…}}}.
            found = {
                "is empty": not text and file.name != "py.typed",
                # The service's own pages are templates too.
                "has Jinja left": file.name != ".copier-answers.yml"
                and file.suffix != ".html"
                and re.search(
                    r"(?<![${])\{\{-? ?(?!(?:json|with|range|index|if|println|slice) |end\}\})[a-z_]|\{[%#][ -]",
                    text,
                ),
                "has a blank at the end of a line": re.search(r"[ \t\r]$", text, re.MULTILINE),
                "does not end in one newline": text and not re.search(r"(^|[^\n])\n\Z", text),
                "has more than two empty lines": "\n\n\n\n" in text,
                "begins with an empty line": text.startswith("\n"),
            }
            problems += [f"{file} {problem}" for problem, holds in found.items() if holds]
    assert not problems, "\n".join(problems)


def test_the_answers_decide_which_files_there_are(projects, config, template, tmp_path):
    everything = set()
    for deployment, updates in (("swarm", "renovate"), ("kubernetes", "workflow")):
        given = {"license": "MIT", "production_approval": True, "template_updates": updates}
        full = render(template, tmp_path / deployment, given | {"deployment": deployment})
        everything |= {str(file.relative_to(full.path)) for file in full.files()}
    guarded = re.findall(
        r"{% if not \(?(\w+)(?: \| default\(true\)\))? %}\n(.*?){% endif %}",
        "".join(config["_exclude"]),
        re.DOTALL,
    )
    conditions = {path: set() for path in everything}
    for answer, patterns in guarded:
        for pattern in patterns.replace("{{ package_name }}", full.answers["package_name"]).split():
            # A folder's condition is that of its files.
            paths = [path for path in everything if fits(f"/{path}", pattern)]
            assert paths, pattern
            for path in paths:
                conditions[path].add(answer)
    for project in projects.values():
        expected = {
            path for path in everything if all(project.answers[answer] for answer in conditions[path])
        }
        package = f"src/{project.answers['package_name']}/"
        expected = {path.replace(f"src/{full.answers['package_name']}/", package) for path in expected}
        assert {str(file.relative_to(project.path)) for file in project.files()} == expected


def test_no_file_speaks_of_what_was_not_chosen(projects):
    for project in projects.values():
        unwanted = ["celery"] if not project.answers["has_jobs"] else []
        unwanted += ["valkey"] if project.answers["cache_server"] == "redis" else []
        for word in unwanted:
            # The contract knows the other server, to tell the two apart.
            mentions = [
                str(file)
                for file in project.files()
                if word in file.read_text(encoding="utf-8").lower()
                and "parity" not in str(file.relative_to(project.path))
            ]
            assert not mentions, f"{word}: {mentions}"


def test_python_passes_ruff(projects):
    folder = projects["default"].path.parent
    lint("ruff", "check", "--no-cache", "--quiet", folder)
    lint("ruff", "format", "--no-cache", "--check", "--quiet", folder)


def test_dockerfiles_pass_hadolint(projects):
    lint("hadolint", *distinct(everything(projects, "Dockerfile")))


def test_workflows_pass_actionlint_and_zizmor(projects):
    workflows = distinct(everything(projects, ".github/workflows/*"))
    assert workflows
    lint("actionlint", *workflows)
    automation = workflows + distinct(everything(projects, ".github/dependabot.yml"))
    lint("zizmor", "--offline", "--persona=pedantic", "--no-progress", "--quiet", *automation)


def test_yaml_passes_yamllint(projects):
    lint(
        "yamllint",
        "--strict",
        "--config-file",
        ROOT / "tests" / "yamllint.yaml",
        *distinct(everything(projects, *YAML)),
    )


@pytest.mark.parametrize(
    ("schema", "pattern"),
    [
        ("github-workflows", ".github/workflows/*"),
        ("dependabot", ".github/dependabot.yml"),
        ("compose-spec", "compose*.yaml"),
        ("renovate", "renovate.json"),
    ],
)
def test_yaml_fits_its_schema(projects, schema, pattern):
    # The schema has no !reset; Compose itself reads that overlay whenever a deployment is tested.
    files = [file for file in distinct(everything(projects, pattern)) if file.name != "compose.swarm.yaml"]
    assert files
    lint("check-jsonschema", "--builtin-schema", f"vendor.{schema}", *files)


OVERLAYS = [
    ["compose.yaml"],
    ["compose.yaml", "compose.override.yaml"],
    ["compose.yaml", "compose.test.yaml"],
    ["compose.yaml", "compose.override.yaml", ".devcontainer/compose.yaml"],
]


@pytest.mark.parametrize("files", OVERLAYS, ids=lambda files: files[-1])
def test_compose_reads_the_stack(projects, files):
    if (
        not shutil.which("docker")
        or subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode
    ):
        pytest.skip("docker compose is not installed")
    for project in projects.values():
        command = [
            "docker",
            "compose",
            "--profile",
            "*",
            *(word for file in files for word in ("--file", file)),
            "config",
            "--quiet",
        ]
        result = subprocess.run(command, cwd=project.path, capture_output=True, text=True, check=False)
        assert (result.returncode, result.stderr) == (0, ""), project.path


@pytest.fixture(scope="session")
def free_text(tmp_path_factory) -> tuple[Path, dict[str, list[str]]]:
    """The part of the template that holds free text, and which of it each rendered file carries."""
    folder = tmp_path_factory.mktemp("free_text")
    template = copy_template(folder)
    carries = {}
    for source in sorted((template / "template").rglob("*")):
        if source.is_file() and source.suffix != ".jinja":
            source.unlink()
        elif source.is_file():
            names = meta.find_undeclared_variables(
                questions.ENVIRONMENT.parse(source.read_text(encoding="utf-8"))
            )
            used = {
                question
                for question in ("project_name", "description")
                for name in names
                if name.startswith(question)
            }
            if not used:
                source.unlink()
            else:
                path = str(source.relative_to(template / "template")).removesuffix(".jinja")
                carries[re.sub(r"{{ ?package_name ?}}", "orders", path)] = sorted(used)
    return template, carries


ACCEPTED = st.text(
    st.characters(
        exclude_categories=["Cc", "Cs", "Zl", "Zp"],
        exclude_characters="\u061c\u200e\u200f\ufeff\ufffe\uffff"
        + "".join(map(chr, [*range(0x202A, 0x202F), *range(0x2066, 0x206A)])),
    )
    | st.sampled_from("'\"\\{}%#$`&*:-!|>@[]<\u200d💻é "),
    min_size=1,
).filter(lambda text: text == text.strip())


@settings(max_examples=25, deadline=None)
@given(ACCEPTED.filter(lambda text: len(text) <= 60), ACCEPTED.filter(lambda text: len(text) <= 200))
@example(EXTREME["project_name"], EXTREME["description"])
@example("\\", '"""')
@example("{% raw %}", "{{ project_slug }}")
@example("- a: b", "# c")
def test_any_accepted_text_stands_in_the_files_as_it_is(free_text, tmp_path_factory, name, description):
    template, carries = free_text
    given_answers = {
        "project_name": name,
        "description": description,
        "project_slug": "orders",
        "package_name": "orders",
    }
    project = render(template, tmp_path_factory.mktemp("project"), given_answers)
    for path, used in carries.items():
        file = project.path / path
        if file.exists():
            said = list(strings(parse(file)))
            for question in used:
                assert any(project.answers[question] in text for text in said), (path, question)
    lint(
        "ruff",
        "format",
        "--isolated",
        "--line-length",
        "320",
        "--no-cache",
        "--check",
        "--quiet",
        project.path,
    )
    shutil.rmtree(project.path)


@pytest.mark.parametrize(
    ("name", "setting"), [("default", "DOCKER_HOST=ssh://deploy@192.0.2.1"), ("extreme", "KUBE_CONTEXT=one")]
)
def test_an_environment_that_is_not_set_up_is_left_out(projects, tmp_path, name, setting):
    """A fresh repository's pipeline is green, and says what to fill in."""
    path = shutil.copytree(projects[name].path, tmp_path / "service")
    output = tmp_path / "output"

    def asked() -> str:
        command = ["make", "--no-print-directory", "configured", "ENV=staging", f"GITHUB_OUTPUT={output}"]
        return subprocess.run(command, cwd=path, check=True, capture_output=True, text=True).stdout

    assert asked().startswith(
        "::notice::The environment staging is not set up, and nothing was deployed there: fill in deploy/staging.env"
    )
    assert not output.exists()
    (path / "deploy" / "staging.env").write_text(f"{setting}\n")
    assert asked() == ""
    assert output.read_text() == "configured=true\n"

    (workflow,) = parse(path / ".github" / "workflows" / "ci-cd.yml")
    before, *after = workflow["jobs"]["staging"]["steps"][1:]
    assert (before["id"], before["run"]) == ("setup", "make configured ENV=staging")
    assert after
    assert {step.get("if") for step in after} == {"steps.setup.outputs.configured"}

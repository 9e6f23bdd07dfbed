"""A team's first year with its packages, by the words of docs/development.md: one service, in a folder of a larger repository."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import actions
import pytest
from conftest import render
from elsewhere import PASSWORD, Elsewhere, serve, wheel
from service import DEFAULT, STACK, Service, eventually, first_commit

pytestmark = pytest.mark.service

ANSWERS = DEFAULT | {
    "project_slug": "packages-under-test",
    "python_version": "3.13",
    "postgres_version": "17",
}
FOLDER = Path("services") / "orders"
# Leaves most of what `make test` runs to `make check`.
FEW = "--env=ARGS=-k username_is_unique"
PINS = ("requirements.txt", "requirements-dev.txt")
# The official image has Python's headers; where another is in its place, they are Debian's.
APT = """# Don't ask.
hello # says it

build: git
build: gcc # compiles
build: libc6-dev
build: python3-dev
"""


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory) -> Iterator[Elsewhere]:
    """An index and repositories that ask who is there, at the address that builds have for this machine."""
    show = ["docker", "network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}"]
    address = subprocess.run(show, check=True, capture_output=True, text=True).stdout.strip()
    found = serve(tmp_path_factory.mktemp("elsewhere"), address)
    yield found
    found.server.shutdown()


@pytest.fixture(scope="module")
def grown(snapshot, tmp_path_factory) -> Iterator[Service]:
    """A service that the steps below change one after the other; nothing runs at first."""
    root = tmp_path_factory.mktemp("monorepo")
    project = render(snapshot, root / FOLDER, ANSWERS)
    (root / "README.md").write_text("All of ours.\n")
    first_commit(root)
    service = Service(
        project.path, project.answers, f"{STACK}-packages", environment={"WEB_CONCURRENCY": "2"}
    )
    service.git("branch", "--move", "trunk")
    service.remove()
    yield service
    service.remove()
    service.run("docker", "image", "rm", "--force", service.shipped, service.tested)


def change(service: Service, path: str, *changes: tuple[str, str]) -> None:
    """Replace what a file of the service says, each once."""
    text = (service.path / path).read_text()
    for before, after in changes:
        assert text.count(before) == 1, f"{path} has {before!r} {text.count(before)} times"
        text = text.replace(before, after)
    (service.path / path).write_text(text)


def pin(service: Service, name: str) -> str:
    """The lines that pin a package in requirements.txt."""
    return re.search(
        rf"^{name}(?:==| @ ).*\n(?:    .*\n)*", (service.path / PINS[0]).read_text(), re.MULTILINE
    )[0]


def refused(service: Service, *arguments: str) -> str:
    """The last lines of a command that fails, which have the cause."""
    done = service.make(*arguments, check=False, timeout=600)
    assert done.returncode, done.stdout
    return "\n".join((done.stdout + done.stderr).splitlines()[-30:])


def commit(service: Service, message: str) -> None:
    service.git("add", "--all", ":/")
    service.git("commit", "--quiet", f"--message={message}")


def green(service: Service) -> None:
    """What CI runs passes, and what runs is asked from outside."""
    assert "make check passed: build lint test" in service.make("check", timeout=600).stdout
    service.make("up", timeout=600)
    eventually(service.ready)
    assert "kept" in service.make("parity").stdout


def documented(service: Service, word: str) -> str:
    """The TOML of docs/development.md that has a word."""
    text = (service.path / "docs" / "development.md").read_text()
    (found,) = [
        code for code in re.findall(r"^```toml\n(.*?)^```$", text, re.DOTALL | re.MULTILINE) if word in code
    ]
    return found


def test_packages_come_from_an_index_from_git_from_a_folder_and_from_their_source(grown, elsewhere, tmp_path):
    elsewhere.publish("acme-billing", "2.1")
    # What the index has of a public package's name, nobody takes.
    elsewhere.publish("idna", re.match(r"idna==(\S+)", pin(grown, "idna"))[1])
    revision = elsewhere.push("acme-forms", "1.4.0")
    wheel(grown.path / "wheels", "acme-printer", "1.0")
    sources = documented(grown, "acme-billing")
    for address, there in (
        ("https://packages.acme.example", elsewhere.url),
        ("https://git.acme.example", f"{elsewhere.url}/git"),
    ):
        assert address in sources
        sources = sources.replace(address, there).replace("/forms.git", "/acme-forms.git")
    project = grown.path / "pyproject.toml"
    project.write_text(
        f'{project.read_text()}\n[tool.uv]\nno-binary-package = ["psutil"]\nfind-links = ["wheels"]\n\n{sources}'
    )
    names = ["acme-billing>=2", "acme-printer", "iniconfig", "psutil"]
    lines = "".join(f'    "{name}",\n' for name in names)
    change(grown, "pyproject.toml", ('    "flask>=3.1",\n', f'    "flask>=3.1",\n{lines}'))
    before = {name: (grown.path / name).read_text() for name in PINS}

    # Whoever does not say who they are is told by the index, and by git.
    assert "401 Unauthorized" in (told := refused(grown, "lock"))
    assert "NETRC names a file that says so" in told
    change(
        grown, "pyproject.toml", ('    "acme-billing>=2",\n', '    "acme-billing>=2",\n    "acme-forms",\n')
    )
    assert "Git executable not found" in refused(grown, "lock")
    (grown.path / "apt.txt").write_text(APT)
    assert "could not read Username" in (told := refused(grown, "lock"))
    assert "NETRC names a file that says so" in told
    assert {name: (grown.path / name).read_text() for name in PINS} == before

    netrc = tmp_path / "netrc of ours"
    netrc.write_text(elsewhere.netrc)
    (grown.path / "project.mk").write_text(f"NETRC = {netrc}\n")
    said = grown.make("lock", timeout=600)
    assert pin(grown, "acme-forms") == f"acme-forms @ git+{elsewhere.url}/git/acme-forms.git@{revision}\n"
    for name in ("acme-billing==2.1", "acme-printer==1.0"):
        assert re.fullmatch(rf"{name} \\\n    --hash=sha256:\w{{64}}\n", pin(grown, name.partition("=")[0]))
    # The pins that were there stay, those of another file too.
    assert pin(grown, "iniconfig") in before["requirements-dev.txt"]
    assert pin(grown, "idna") in before["requirements.txt"]

    # A lock that lacks a hash or a commit is none.
    lock = (grown.path / PINS[0]).read_text()
    change(grown, PINS[0], (pin(grown, "acme-billing"), "acme-billing==2.1\n"), (f"@{revision}", "@main"))
    assert "requirements.txt does not match pyproject.toml: run make lock, and commit" in refused(
        grown, "build"
    )
    (grown.path / PINS[0]).write_text(lock)

    commit(grown, "Add packages")
    said = grown.make("build", timeout=600).stderr + said.stderr
    green(grown)
    script = "import acme_billing, acme_forms, acme_printer, psutil; print(acme_billing.VERSION, acme_forms.VERSION)"
    assert grown.compose("exec", "--no-TTY", "web", "python", "-c", script).split() == ["2.1", "1.4.0"]
    programs = ["docker", "run", "--rm", "--no-healthcheck", "--entrypoint=sh", grown.shipped, "-c"]
    shown = grown.run(*programs, "command -v hello git gcc", check=False).stdout.split()
    assert shown == ["/usr/bin/hello"]
    assert PASSWORD not in said + grown.run("docker", "history", "--no-trunc", grown.tested).stdout
    saved = subprocess.Popen(["docker", "save", grown.tested], stdout=subprocess.PIPE)
    found = subprocess.run(
        ["grep", "--count", "--text", PASSWORD], stdin=saved.stdout, capture_output=True, text=True
    )
    assert (found.stdout, saved.wait()) == ("0\n", 0)


def test_a_monorepo_runs_the_pipeline_of_a_folder(grown, elsewhere, registry, tmp_path):
    """On its default branch, whatever that is called, with the credentials of the repository's secret."""
    shown = grown.make("workflows").stdout
    workflow = Path(".github") / "workflows" / "services-orders-ci-cd.yml"
    assert shown == f"Wrote {workflow}\nWrote {workflow.with_name('services-orders-template.yml')}\n"
    root = grown.path.parents[1]
    # act names its containers after the workflow: on this machine another copy of it may run.
    text = (
        (root / workflow).read_text().replace("name: CI/CD of services/orders/\n", f"name: {grown.project}\n")
    )
    (root / workflow).write_text(text)
    # New here, so that the pipeline has to ask for it.
    elsewhere.publish("acme-linter", "0.1")
    change(
        grown,
        "pyproject.toml",
        ('    "mypy>=2.0",\n', '    "mypy>=2.0",\n    "acme-linter",\n'),
        ("[tool.uv.sources]\n", '[tool.uv.sources]\nacme-linter = { index = "acme" }\n'),
    )
    grown.make("lock")
    assert "acme-linter==0.1" in (grown.path / PINS[1]).read_text()
    commit(grown, "Run the pipeline")

    artifacts = tmp_path / "artifacts"
    artifacts.mkdir()
    options = ["--job=test", FEW, f"--env=PROJECT={grown.project}", "--secret=PACKAGES_NETRC"]
    name = f"{registry.address}/acme/monorepo"
    options += [f"--env=IMAGE_NAME={name}", f"--env=IMAGE={name}"]
    told = {"ref": "refs/heads/trunk", "repository": {"default_branch": "trunk"}}
    words = actions.command(root, artifacts, "push", *options, workflow=workflow, **told)
    environment = grown.env() | {"PACKAGES_NETRC": elsewhere.netrc}
    done = subprocess.run(words, cwd=root, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    assert "Test the image that was built" in actions.ran(done.stdout)["Build, lint and test"]
    assert PASSWORD not in done.stdout + done.stderr

    # What changes elsewhere in the repository is not in the image.
    (root / "README.md").write_text("Others' work.\n")
    here = Service(grown.path, grown.answers, grown.project, environment={"IMAGE_NAME": name, "IMAGE": name})
    here.make("build", timeout=600)
    assert re.search(r"@sha256:\w{64}$", here.make("publish").stdout.strip())
    (grown.path / "src" / "note.txt").touch()
    assert "The working tree has changes that no commit has" in refused(here, "publish")
    grown.git("checkout", "--quiet", ":/")
    grown.git("clean", "--quiet", "--force", ":/")


def test_what_dependabot_proposes_is_green_or_says_what_else_to_edit(grown):
    """Its edits, as its source makes them: pins with their hashes, a bound, an image's tag, an action's commit."""

    def release_before(name: str) -> str:
        """The lines that pin the release before the pinned one: as good as a new one."""
        text = (grown.path / "pyproject.toml").read_text()
        kept = {path: (grown.path / path).read_text() for path in PINS}
        version = re.match(r"[^=]+==(\S+)", pin(grown, name))[1]
        change(
            grown, "pyproject.toml", ('    "iniconfig",\n', f'    "iniconfig",\n    "{name}<{version}",\n')
        )
        grown.make("lock")
        found = pin(grown, name)
        for path, content in ({"pyproject.toml": text} | kept).items():
            (grown.path / path).write_text(content)
        return found

    # a. uv. A package that another pins exactly moves alone, until the lock is compiled.
    other, pinned = release_before("idna"), release_before("pydantic-core")
    for path in PINS:
        text = (grown.path / path).read_text()
        (grown.path / path).write_text(text.replace(pin(grown, "idna"), other) if path == PINS[1] else text)
    change(grown, PINS[0], (pin(grown, "idna"), other))
    change(grown, "pyproject.toml", ('    "flask>=3.1",\n', '    "flask>=3.1.1",\n'))
    grown.make("build", timeout=600)
    change(grown, PINS[0], (pin(grown, "pydantic-core"), pinned))
    assert "requirements.txt does not match pyproject.toml: run make lock, and commit" in refused(
        grown, "build"
    )
    grown.make("lock")
    assert pin(grown, "idna") == other
    assert pin(grown, "pydantic-core") != pinned

    # b. Docker: Python, which the project's bound has to follow.
    change(grown, "Dockerfile", ("FROM python:3.13-slim", "FROM python:3.14-slim"))
    told = refused(grown, "test", "ARGS=ops/checks/test_versions.py")
    assert re.search(
        r"^pyproject.toml:\d+ names python 3.13, but Dockerfile:\d+ has python 3.14-slim: write",
        told,
        re.MULTILINE,
    )
    change(grown, "pyproject.toml", ('requires-python = ">=3.13"', 'requires-python = ">=3.14"'))
    grown.make("lock")

    # c. Compose: the database's major version, whose data has to be moved; and the cache server's tag.
    change(
        grown,
        "compose.yaml",
        ("image: postgres:17\n", "image: postgres:18\n"),
        ("image: redis:8\n", "image: redis:8-trixie\n"),
    )
    assert (
        "PostgreSQL 18 begins nothing beside the tmpfs that it has in compose.yaml: take that out"
        in refused(grown, "test")
    )
    compose = (grown.path / "compose.yaml").read_text()
    (grown.path / "compose.yaml").write_text(
        re.sub(r"    # The image declares a volume.*\n    tmpfs: .*\n", "", compose)
    )
    grown.create("keeper")
    assert "and compose.yaml names 18: run make upgrade-postgres" in refused(grown, "up")
    grown.make("upgrade-postgres", timeout=600)

    # d. An action.
    workflow = grown.path / actions.WORKFLOW
    workflow.write_text(
        re.sub(r"(actions/checkout@)\w+ # v[\d.]+", rf"\g<1>{'0' * 40} # v99.0.0", workflow.read_text())
    )
    green(grown)
    assert [user["username"] for user in grown.call("/users").json["items"]] == ["keeper"]
    assert grown.compose("exec", "--no-TTY", "web", "python", "--version").startswith("Python 3.14")

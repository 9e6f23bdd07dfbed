"""``starter``: where a service stands, and its way to the template's next release."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest
import releases
import yaml
from conftest import ROOT, git
from releases import NEXT, THIS
from tool import DONE, LEFT, NOTHING_DONE, commit, snapshot, starter


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    clone = tmp_path_factory.mktemp("lineage") / "template"
    releases.lineage(clone)
    return clone


@pytest.fixture
def service(renderings, tmp_path):
    """A committed service of a release, with the edits of a team."""

    def service(version: str = THIS, edits=(), inside: str = "", **given) -> Path:
        root = tmp_path / "service"
        folder = root / inside
        shutil.copytree(renderings(version, **given).path, folder)
        git(root, "init", "--quiet", "--initial-branch=main")
        commit(root)
        for path, change, *_ in edits:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            change(folder / path)
        commit(root)
        return folder

    return service


def update(folder: Path, *arguments: str, status: int = DONE) -> dict:
    return starter(folder, "update", "--no-run", *arguments, status=status)


# ------------------------------------------------------------------------------------------------------- update


def test_an_untouched_service_is_then_what_a_new_one_is(service, renderings):
    folder = service()
    (folder / "notes.txt").write_text("Git does not know it, and it is in nobody's way.\n")
    told = update(folder)
    (folder / "notes.txt").unlink()
    assert told["conflicts"] == told["deleted"] == told["commands"] == told["reports"] == []
    found, fresh = snapshot(folder), snapshot(renderings(NEXT).path)
    differ = {path for path in found.keys() | fresh.keys() if found.get(path) != fresh.get(path)}
    assert differ == set()
    assert yaml.safe_load(found[".copier-answers.yml"])["search"] is False
    assert git(folder, "diff", "--name-only") == ""
    assert [release for release, _ in told["changelog"]] == [NEXT]
    commit(folder)
    assert update(folder)["changed"] == []


def test_no_ordinary_edit_meets_a_release(service):
    """All at once: what is joined, carried along or left alone is there, and nothing is in conflict."""
    folder = service(edits=releases.ORDINARY)
    # What is left is to compile the lock, which has packages of theirs in it.
    told = update(folder, status=LEFT)
    assert told["conflicts"] == told["deleted"] == []
    assert told["carried"] == dict([releases.RENAMED])
    assert {*told["joined"]} == {"pyproject.toml", ".github/workflows/ci-cd.yml", "Dockerfile", "Makefile"}
    assert told["commands"] == ["make lock"]
    there = {line for line in releases.lines_of(folder)}
    assert [line for _, _, line in releases.ORDINARY if not any(line in each for each in there)] == []
    assert '"theirs-last>=1.0",' in (folder / "pyproject.toml").read_text()
    assert (folder / ".github/workflows/ci-cd.yml").read_text().count("upload-artifact@") == 2
    assert (folder / ".github/workflows/ci-cd.yml").read_text().count(
        f"upload-artifact@{releases.NEWER}"
    ) == 2
    assert git(folder, "ls-files", "--unmerged") == ""


def test_what_cannot_be_decided_is_listed_and_goes_back(service):
    def both(path: Path) -> None:
        releases.edit(path, ("[tool.mypy]\n", "[tool.mypy]\nwarn_no_return = false\n"))

    edits = [
        ("pyproject.toml", both, ""),
        (releases.DELETED, releases.at_the_end("Ours."), ""),
        ("ops/fuzz", lambda path: path.unlink(), ""),
        ("docs/theirs.md", releases.at_the_end("# Ours"), ""),
    ]
    folder = service(edits=edits)
    before = snapshot(folder)
    told = update(folder, status=LEFT)
    assert told["conflicts"] == ["docs/theirs.md", "pyproject.toml"]
    assert told["deleted"] == [releases.DELETED]
    assert told["stays_deleted"] == ["ops/fuzz"]
    unmerged = git(folder, "diff", "--name-only", "--diff-filter=U").split()
    assert unmerged == ["docs/parity.md", "docs/theirs.md", "pyproject.toml"]
    assert "<<<<<<< before updating\nwarn_no_return = false\n" in (folder / "pyproject.toml").read_text()
    assert "Ours.\n" in (folder / releases.DELETED).read_text()
    # Neither is it committed by accident, nor begun again.
    assert subprocess.run(["git", "commit", "-qm", "x"], cwd=folder, capture_output=True).returncode == 128
    assert "git add" in json.dumps(told) or update(folder, status=NOTHING_DONE)["error"]
    assert len(starter(folder, "update", "--back")["back"]) > 10
    assert snapshot(folder) == before
    assert git(folder, "status", "--porcelain") == ""
    assert "warn_no_return = false" in git(folder, "show", "refs/starter/undone:pyproject.toml")
    assert "no update to go back from" in starter(folder, "update", "--back", status=NOTHING_DONE)["error"]


def test_a_service_of_the_first_release_takes_this_one(service, template):
    folder = service("v0.1.0")
    before = snapshot(folder)
    refused = update(folder, "--to", THIS, status=NOTHING_DONE)["error"]
    assert "hooks/v0.3.0.py" in refused
    assert "--trust" in refused
    assert snapshot(folder) == before
    told = update(folder, "--to", THIS, "--trust")
    assert told["conflicts"] == told["deleted"] == []
    answers = yaml.safe_load((folder / ".copier-answers.yml").read_text())
    # Nothing is deployed that was not deployed before, and nobody proposes anything.
    assert (answers["deployment"], answers["template_updates"]) == ("none", "none")
    assert answers["_src_path"] == str(template)
    commit(folder)
    assert update(folder)["conflicts"] == []


def test_a_changed_answer_deletes_no_edit(service, renderings):
    folder = service(edits=[("src/orders/worker.py", releases.at_the_end("OURS = 1"), "")])
    before = snapshot(folder)
    refused = update(folder, "--to", THIS, "-d", "jobs=false", status=NOTHING_DONE)["error"]
    assert refused.startswith("With these answers there is no src/orders/worker.py")
    assert snapshot(folder) == before
    told = update(folder, "--to", THIS, "-d", "jobs=false", "--yes-delete")
    assert told["dropped"] == ["src/orders/worker.py"]
    # What was given once follows, where nobody has edited it; and the release has a lock for that.
    found, fresh = snapshot(folder), snapshot(renderings(THIS, jobs=False).path)
    differ = {path for path in found.keys() | fresh.keys() if found.get(path) != fresh.get(path)}
    assert differ == {f"migrations/versions/{name}.py" for name in ("0000_create_jobs", "0001_create_users")}


def test_what_git_does_not_know_is_not_overwritten(service):
    folder = service(edits=[(".gitignore", releases.at_the_end("/docs/theirs.md"), "")])
    (folder / "docs/theirs.md").write_text("Ours, ignored.\n")
    before = snapshot(folder)
    assert update(folder, status=NOTHING_DONE)["error"].startswith("docs/theirs.md would be overwritten")
    assert snapshot(folder) == before


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (lambda folder: (folder / "Makefile").write_text("x"), "uncommitted changes in Makefile"),
        (lambda folder: (folder / ".copier-answers.yml").unlink(), "There is no .copier-answers.yml"),
        (lambda folder: (folder / ".copier-answers.yml").write_text("a: 1\n<<<<<<< a\n"), "this is no YAML"),
        (lambda folder: (folder / ".copier-answers.yml").write_text("a: 1\n"), "does not say _src_path"),
        (lambda folder: shutil.rmtree(folder / ".git"), "is not in a git repository"),
        (lambda folder: point(folder, "/nowhere/template"), "The template /nowhere/template cannot be had"),
        (lambda folder: point(folder, "../nowhere"), "a relative path, ../nowhere"),
        (lambda folder: (folder / ".git" / "MERGE_HEAD").write_text("x"), "A merge is under way"),
        (lambda folder: point(folder, str(folder)), "has no release v999.0.0"),
    ],
)
def test_one_sentence_says_why_nothing_was_done(service, break_it, says):
    folder = service()
    break_it(folder)
    before = snapshot(folder)
    error = update(folder, status=NOTHING_DONE)["error"]
    assert says in error
    assert "\n" not in error
    assert snapshot(folder) == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--to", "v2000"], "has no release v2000"),
        (["--to", "v0.2.0"], "v0.2.0 is older than v999.0.0"),
        (["-d", "jobs"], "-d jobs: write it as -d name=value"),
        (["-d", "deployment=heroku"], "Copier refuses: "),
    ],
)
def test_one_sentence_says_what_cannot_be(service, arguments, says):
    folder = service()
    assert says in update(folder, *arguments, status=NOTHING_DONE)["error"]


def point(folder: Path, source: str) -> None:
    releases.replaced(r"_src_path: .*", f"_src_path: {source}")(folder / ".copier-answers.yml")
    if (folder / ".git").exists():
        commit(folder)


# ------------------------------------------------------------------------------- repositories as people have them

HOSTILE = {
    "core.autocrlf": "true",
    "core.fileMode": "false",
    "core.quotePath": "true",
    "core.hooksPath": "/nowhere",
    "core.excludesFile": "{ignore}",
    "commit.gpgSign": "true",
    "diff.noprefix": "true",
    "diff.external": "/bin/false",
    "apply.whitespace": "error-all",
    "merge.conflictStyle": "zdiff3",
    "init.defaultBranch": "trunk",
    "status.showUntrackedFiles": "no",
    "color.ui": "always",
    "user.useConfigOnly": "true",
}


def test_it_works_wherever_and_however_git_is_set_up(service, template, tmp_path, monkeypatch):
    """A shallow clone's linked worktree, in a folder of a monorepo, with a submodule and a moved template; with all that git can be told."""
    folder = service(inside="services/orders", edits=releases.ORDINARY[:8])
    root = folder.parent.parent
    allowed = ("-c", "protocol.file.allow=always")
    git(root, *allowed, "submodule", "--quiet", "add", str(template), "services/orders/vendor")
    commit(root)
    moved = tmp_path / "moved"
    template_copy = shutil.copytree(template, moved)
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{root}", str(shallow))
    git(shallow, "worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
    (tmp_path / "ignore").write_text("*\n")
    config = tmp_path / "gitconfig"
    for name, value in HOSTILE.items():
        subprocess.run(
            ["git", "config", "--file", config, name, value.format(ignore=tmp_path / "ignore")], check=True
        )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    linked = tmp_path / "linked" / "services" / "orders"
    told = update(linked, "--template", str(template_copy), status=LEFT)
    monkeypatch.delenv("GIT_DIR", raising=False)
    assert told["conflicts"] == []
    assert yaml.safe_load((linked / ".copier-answers.yml").read_text())["_src_path"] == str(moved)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    assert git(linked, "diff", "--cached", "--summary", "--diff-filter=M") == ""
    assert git(linked, "ls-files", "--stage", "ops/quietly").startswith("100755")
    assert '"zstandard>=0.25",' in (linked / "pyproject.toml").read_text()
    starter(linked, "update", "--back")
    assert git(linked, "status", "--porcelain") == ""


def test_a_relative_address_works_from_the_service(service, template):
    folder = service()
    relative = os.path.relpath(template, folder)
    point(folder, relative)
    update(folder)
    assert yaml.safe_load((folder / ".copier-answers.yml").read_text())["_src_path"] == relative


# ------------------------------------------------------------------------------------------------------ status


def test_status_tells_each_file_and_asks_for_reasons(service):
    edits = [
        ("docs/schema.md", releases.at_the_end("Ours."), ""),
        ("ops/fuzz", lambda path: path.unlink(), ""),
        ("pyproject.toml", releases.at_the_end("# ours"), ""),
        ("ours.txt", releases.at_the_end("Ours."), ""),
    ]
    folder = service(NEXT, edits)
    told = starter(folder, "status", status=LEFT)
    assert (told["release"], told["behind"]) == (NEXT, 0)
    states = {path: state for path, state in told["files"].items() if state != "pristine"}
    assert states == {"docs/schema.md": "differs", "ops/fuzz": "missing", "pyproject.toml": "customised"}
    assert not {"README.md", "ours.txt", "src/orders/users/models.py"} & told["files"].keys()
    (folder / "starter.toml").write_text('[opt-outs]\n"docs/*" = "Ours."\n"ops/fuzz" = "We do not fuzz."\n')
    told = starter(folder, "status")
    assert told["files"]["docs/schema.md"] == "customised"
    assert told["files"]["ops/fuzz"] == "deleted"
    assert told["reasons"] == {"docs/schema.md": "Ours.", "ops/fuzz": "We do not fuzz."}
    (folder / "starter.toml").write_text('[opt-outs]\n"docs/*" = ""\n')
    assert "docs/* has no reason" in starter(folder, "status", status=NOTHING_DONE)["error"]


def test_status_tells_how_far_behind(service):
    told = starter(service("v0.2.0"), "status", status=LEFT)
    assert told["behind"] == 2
    assert told["changes"][0] == [NEXT, "What nobody has written."]
    assert {*told["files"].values()} == {"pristine"}


def test_the_tool_begins_without_copier():
    """What takes half a second is loaded when it is needed."""
    code = "import sys, starter.cli; sys.exit(bool({'copier', 'rich', 'questionary'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


@pytest.mark.parametrize(
    ("source", "address"),
    [
        ("https://github.com/acme/template", "git+https://github.com/acme/template"),
        ("gh:acme/template", "git+https://github.com/acme/template"),
        ("gl:acme/template.git", "git+https://gitlab.com/acme/template.git"),
        ("git@github.com:acme/template.git", "git+ssh://git@github.com/acme/template.git"),
        ("git+https://git.acme.org/template", "git+https://git.acme.org/template"),
        ("{template}", "git+file://{template}"),
    ],
)
def test_make_update_asks_the_tool_of_the_services_own_template(
    renderings, template, tmp_path, source, address
):
    folder = Path(shutil.copytree(renderings(THIS).path, tmp_path / "service"))
    point(folder, source.format(template=template))
    uvx = tmp_path / "bin" / "uvx"
    uvx.parent.mkdir()
    uvx.write_text('#!/bin/sh\necho "$@"\n')
    uvx.chmod(0o755)
    environment = os.environ | {"PATH": f"{uvx.parent}:{os.environ['PATH']}"}
    command = ["make", "--silent", "update", "ARGS=--to v1"]
    said = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    assert said.stdout == f"--quiet --from {address.format(template=template)} starter update --to v1\n"


def test_a_person_is_asked_what_is_new_and_may_leave(service):
    folder = service()
    before = snapshot(folder)

    def ask(answer: str) -> pexpect.spawn:
        words = ["-m", "starter", "update", "--no-run"]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        child = pexpect.spawn(
            sys.executable, words, cwd=folder, env=environment, timeout=60, encoding="utf-8"
        )
        child.expect("What nobody has written")
        child.expect("Is there a search")
        child.send(answer)
        child.expect(pexpect.EOF)
        child.close()
        return child

    left = ask("\x03")
    assert "Interrupted: nothing has changed." in left.before
    assert left.exitstatus == NOTHING_DONE
    assert snapshot(folder) == before
    assert ask("y").exitstatus == DONE
    assert yaml.safe_load((folder / ".copier-answers.yml").read_text())["search"] is True

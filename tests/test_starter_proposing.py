"""The pull request that the scheduled workflow opens and refreshes; GitHub itself is a script that notes what it is asked."""

import json
import subprocess

import pytest
import releases
from conftest import git
from test_starter import service, template  # noqa: F401
from tool import LEFT, NOTHING_DONE, commit, starter

GH = """\
#!/usr/bin/env python3
import json, pathlib, sys
notes = pathlib.Path(sys.argv[0]).with_name("notes.json")
known = json.loads(notes.read_text()) if notes.exists() else {"asked": [], "open": []}
words, body = sys.argv[1:], sys.stdin.read()
known["asked"].append([words, body])
if words[:2] == ["pr", "list"]:
    print(json.dumps(known["open"]))
elif words[:2] == ["pr", "create"]:
    known["open"] = [{"number": 7, "url": "https://github.com/acme/orders/pull/7", "isDraft": "--draft" in words}]
    print("https://github.com/acme/orders/pull/7")
elif words[:2] == ["pr", "ready"]:
    known["open"][0]["isDraft"] = "--undo" in words
notes.write_text(json.dumps(known))
"""
REFUSES = """\
#!/bin/sh
echo "refusing to allow a GitHub App to create or update workflow .github/workflows/ci-cd.yml without workflows permission" >&2
exit 1
"""


@pytest.fixture
def github(tmp_path, monkeypatch):
    """A remote repository, and what stands for GitHub's command."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "gh").write_text(GH)
    (folder / "gh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{subprocess.os.environ['PATH']}")
    git(tmp_path, "init", "--quiet", "--bare", "remote.git")
    return tmp_path


def asked(folder) -> list[list]:
    return json.loads((folder / "bin" / "notes.json").read_text())["asked"]


def test_a_release_is_proposed_and_the_proposal_refreshed(service, github):  # noqa: F811
    both = ("pyproject.toml", releases.after("[tool.mypy]", "warn_no_return = false"), "")
    folder = service(edits=[both, *releases.ORDINARY[:2]])
    git(folder, "remote", "add", "origin", str(github / "remote.git"))
    main = git(folder, "rev-parse", "HEAD").strip()
    told = starter(folder, "update", "--no-run", "--propose", status=LEFT)
    assert told["pull_request"] == "https://github.com/acme/orders/pull/7"
    command, body = asked(github)[-1]
    assert command == ["pr", "create", "--head=template-update", "--title=Take v1000.0.0 of the template", "--body-file=-", "--draft"]  # fmt: skip
    for line in (
        "- [ ] `pyproject.toml`: decide between the markers",
        "What nobody has written.",
        "- `pyproject.toml`: joined",
    ):
        assert line in body
    remote = git(github / "remote.git", "show", "--format=%an %P", "template-update:pyproject.toml")
    assert "<<<<<<< before updating" in remote
    # A week later, and the conflict is gone from the default branch.
    git(folder, "checkout", "--quiet", "main")
    assert git(folder, "rev-parse", "HEAD").strip() == main
    releases.edit(folder / "pyproject.toml", ("warn_no_return = false\n", ""))
    commit(folder)
    starter(folder, "update", "--no-run", "--propose", status=LEFT)
    assert [words[:2] for words, _ in asked(github)[-3:]] == [
        ["auth", "setup-git"],
        ["pr", "list"],
        ["pr", "edit"],
    ]
    assert "<<<<<<<" not in git(github / "remote.git", "show", "template-update:pyproject.toml")


def test_what_the_default_token_may_not_do_is_told_with_what_to_create(service, github):  # noqa: F811
    folder = service()
    git(folder, "remote", "add", "origin", str(github / "remote.git"))
    hook = github / "remote.git" / "hooks" / "pre-receive"
    hook.write_text(REFUSES)
    hook.chmod(0o755)
    error = starter(folder, "update", "--no-run", "--propose", status=NOTHING_DONE)["error"]
    assert error.startswith(
        "GitHub's own token may not change workflows, and this release changes .github/workflows/"
    )
    assert error.endswith("secret TEMPLATE_TOKEN.")
    assert error.count(". ") == 1

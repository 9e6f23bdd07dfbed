"""A pull request with the template's next release, opened or refreshed: what the scheduled workflow does."""

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader

from .errors import Refused, listed
from .git import Git, GitError
from .service import Service

if TYPE_CHECKING:
    from .command_update import Done

BRANCH = "template-update"
# GitHub's words where a token may not change workflows.
_NO_WORKFLOWS = "workflow"
# As GitHub names what its own workflows do.
_WHO = {
    f"GIT_{role}_{part}": value
    for role in ("AUTHOR", "COMMITTER")
    for part, value in (
        ("NAME", "github-actions[bot]"),
        ("EMAIL", "41898282+github-actions[bot]@users.noreply.github.com"),
    )
}


def propose(service: Service, done: "Done") -> str:
    """Commit an update to a branch of its own, push it, and open its pull request or refresh it; return its address.

    It is a draft while something is left to do: conflicts stand in it between their markers.

    Args:
        service: which was updated.
        done: what was done.

    Raises:
        Refused: if it cannot be pushed or opened; the update stands on the branch then.
    """
    if not shutil.which("gh"):
        raise Refused(
            "The update is made, and GitHub's command gh is missing: install it, or commit and push by hand."
        )
    top, outcome = Git(service.top), done.outcome
    title = f"Take {outcome.after} of the template"
    # With the markers of its conflicts.
    top("add", "--all", "--", service.root)
    top("checkout", "--quiet", "-B", BRANCH)
    top("commit", "--quiet", "--no-verify", f"--message={title}", **_WHO)
    gh = _Gh(service)
    gh("auth", "setup-git")
    _push(top, outcome.changed)
    body = render(done)
    draft = not done.is_whole
    found = json.loads(gh("pr", "list", f"--head={BRANCH}", "--state=open", "--json=number,url,isDraft"))
    if not found:
        command = ["pr", "create", f"--head={BRANCH}", f"--title={title}", "--body-file=-"]
        return gh(*command, *(["--draft"] if draft else []), given=body).splitlines()[-1]
    number = str(found[0]["number"])
    gh("pr", "edit", number, f"--title={title}", "--body-file=-", given=body)
    if found[0]["isDraft"] != draft:
        gh("pr", "ready", number, *(["--undo"] if draft else []))
    return str(found[0]["url"])


def render(done: "Done") -> str:
    """Return the text of a pull request."""
    environment = Environment(
        loader=PackageLoader("starter", "."),
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701
    )
    return environment.get_template("pull_request.md.jinja").render(
        outcome=done.outcome, changes=done.changes, checks=done.checks, is_whole=done.is_whole
    )


def _push(top: Git, changed: list[str]) -> None:
    try:
        top("push", "--quiet", "--force", "origin", f"HEAD:refs/heads/{BRANCH}")
    except GitError as error:
        workflows = [path for path in changed if path.startswith(".github/workflows/")]
        if workflows and _NO_WORKFLOWS in str(error):
            raise Refused(
                f"GitHub's own token may not change workflows, and this release changes {listed(workflows)}. Create a fine-grained "
                "personal access token for this repository with write access to Contents, Pull requests and Workflows, and save it "
                "as the repository's secret TEMPLATE_TOKEN."
            ) from None
        raise Refused(f"The branch {BRANCH} cannot be pushed: {' '.join(str(error).split())}") from None


class _Gh:
    """GitHub's command line, in a service's folder."""

    def __init__(self, service: Service):
        self.folder = service.root

    def __call__(self, *arguments: str, given: str = "") -> str:
        result = subprocess.run(
            ["gh", *arguments], cwd=self.folder, env=os.environ, input=given, capture_output=True, text=True
        )
        if result.returncode:
            said = " ".join(result.stderr.split()) or f"gh {arguments[0]} failed"
            raise Refused(
                f"The branch {BRANCH} has the update, and its pull request cannot be opened: {said}"
            )
        return result.stdout

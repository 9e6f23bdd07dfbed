"""``starter adopt``: what a person is shown and asked on the way."""

import json
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import click
import yaml
from rich.markup import escape

from .adopting import Wanted, adopt
from .adoption import Adoption
from .adoption_report import REPORT
from .adoption_steps import steps
from .errors import Refused, listed
from .git import Git, GitError
from .service import Service
from .template import opened
from .view import View

HOME = "https://github.com/copier-flask-parity/copier-flask-parity"


def run(
    folder: Path,
    source: str | None,
    as_json: bool,
    release: str | None,
    branch: str,
    application: str | None,
    data: tuple[str, ...],
    defaults: bool,
    trust: bool,
) -> int:
    """Adopt a repository, and return the exit status.

    Raises:
        Refused: if nothing was done.
    """
    repository = _repository(folder, branch)
    view = View()
    ask = not (as_json or defaults) and sys.stdin.isatty() and sys.stderr.isatty()
    address = str(Path(source).resolve()) if source and Path(source).is_dir() else source or own_address()
    with view.progress(), opened(address) as template:
        target = template.target(release)
        answers = _answers(template.configuration(target), data)
        if ask:
            view.pause()
        wanted = Wanted(target, branch, application, answers, trust, ask)
        adoption = adopt(repository, template, wanted, view.step if not ask else lambda text: None)
    if as_json:
        click.echo(json.dumps(adoption.as_dict(), indent=2))
    else:
        _show(view, adoption)
    # There is a report to be read: something is always left.
    return 1


def own_address() -> str:
    """Return the address of the template that this tool is a part of: where it was installed from, or what it is a clone of."""
    try:
        origin = json.loads(distribution("copier-flask-parity").read_text("direct_url.json") or "{}")
    except PackageNotFoundError:
        origin = {}
    if "vcs_info" in origin:
        return str(origin["url"])
    # It runs from a clone, or was installed from one.
    installed = urlsplit(origin.get("url", ""))
    clones = [Path(__file__).resolve().parent.parent, Path(unquote(installed.path))]
    for clone in clones:
        if Path(clone, "copier.yml").is_file() and Path(clone, ".git").exists():
            try:
                return Git(clone)("remote", "get-url", "origin")
            except GitError:
                return str(clone)
    return HOME


def _repository(folder: Path, branch: str) -> Service:
    """Return the repository that is to be adopted, in which nothing is under way.

    Raises:
        Refused: if it is a service already, or not as it should be.
    """
    found = sorted(path.name for path in folder.glob(".copier-answers*.yml"))
    if found:
        raise Refused(
            f"{listed(found)} is here: this is a service already, for which there is starter update."
        )
    # It has no answers yet: of the folder itself something has to be committed.
    repository = Service(folder.resolve(), ".", {})
    repository.require_clean()
    if subprocess.run(
        ["git", "check-ref-format", "--branch", branch], capture_output=True, cwd=folder
    ).returncode:
        raise Refused(f"--branch {branch}: git has no such names for branches; write another.")
    try:
        repository.git("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}")
    except GitError:
        return repository
    raise Refused(
        f"There is a branch {branch} already: git branch -D {branch}, or name another with --branch."
    )


def _answers(questions: dict[str, Any], data: tuple[str, ...]) -> dict[str, Any]:
    """Return the answers that are given.

    Raises:
        Refused: if one is not written as ``name=value``.
    """
    found = {}
    for each in data:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise Refused(f"-d {each}: write it as -d name=value.")
        kind = questions.get(name, {}).get("type", "yaml")
        found[name] = value if kind == "str" else yaml.safe_load(value)
    return found


def _show(view: View, adoption: Adoption) -> None:
    plan = adoption.plan
    view.out.print(
        f"[bold green]Adopted[/] on the branch {adoption.branch}: {adoption.found.application} is served by {adoption.release}; "
        f"{len(plan.moved)} files moved, {len(plan.aside)} kept aside, {len(adoption.kept)} yours as they were."
    )
    view.out.print(f"[bold]Left to you[/], with more of each in {REPORT}:")
    for step in steps(adoption):
        view.out.print(f"  [yellow]•[/] {escape(step.title)}")
    view.out.print(
        f"git switch - leads back, and git branch -D {adoption.branch} takes it away.", style="dim"
    )

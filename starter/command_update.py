"""``starter update``: what a person is shown and asked on the way."""

import json
import sys
from dataclasses import dataclass, replace
from typing import Any

import click
import yaml
from packaging.version import Version

from .checks import Check, check
from .checks import run as run_command
from .errors import Refused, listed
from .service import Service
from .template import Template, opened, source_of, version
from .undo import back, remember_written
from .updating import update
from .view import View
from .work import Outcome, Wanted


@dataclass
class Done:
    """What an update did.

    Attributes:
        outcome: what became of the files.
        changes: what the changelog says, by release.
        checks: what the service's commands said.
        is_whole: whether nothing is left to do.
    """

    outcome: Outcome
    changes: list[tuple[str, str]]
    checks: list[Check]
    is_whole: bool

    def as_dict(self) -> dict[str, Any]:
        """Return it as what JSON can say."""
        return {
            **self.outcome.as_dict(),
            "changelog": self.changes,
            "checks": [vars(each) for each in self.checks],
        }


def run(
    service: Service,
    source: str | None,
    as_json: bool,
    release: str | None,
    data: tuple[str, ...],
    yes_delete: bool,
    defaults: bool,
    runs: bool,
    trust: bool,
    propose: bool,
) -> int:
    """Update a service, say what came of it, and return the exit status.

    Raises:
        Refused: if nothing was done.
    """
    view = View()
    ask = not (as_json or defaults or propose) and sys.stdin.isatty() and sys.stderr.isatty()
    wanted = Wanted(release or "", _answers(service, data), trust, yes_delete, ask, source)
    done = perform(service, wanted, view, runs, shows=not as_json)
    if done is None:
        text = f"{service.release} is the newest release."
        click.echo(json.dumps({"release": service.release, "changed": []}) if as_json else text)
        return 0
    link = None
    if propose:
        from .proposing import propose as open_pull_request

        link = open_pull_request(service, done)
    status = 0 if done.is_whole else 1
    if as_json:
        click.echo(json.dumps(done.as_dict() | ({"pull_request": link} if link else {}), indent=2))
        return status
    view.outcome(done.outcome)
    view.checks(done.checks)
    if link:
        click.echo(link)
        return 0
    view.left(done.outcome, done.checks)
    if status and ask and not view.confirm("Keep it, with what is left to you? No puts everything back."):
        back(service)
        click.echo("Everything is as it was before.")
        return 2
    return status


def perform(service: Service, wanted: Wanted, view: View, runs: bool, shows: bool) -> Done | None:
    """Update a service, and return what was done; None if there is nothing to do.

    Args:
        service: whose changes are committed.
        wanted: what is wanted; no release is the newest.
        view: shows what is done, and asks.
        runs: whether the service's commands run afterwards.
        shows: whether the changelog is shown before.

    Raises:
        Refused: if nothing was done.
    """
    with view.progress(), opened(source_of(service, wanted.source)) as template:
        target = _target(service, template, wanted.release, bool(wanted.answers))
        if target is None:
            return None
        changes = template.changes(service.release, target)
        view.pause()
        if shows:
            view.changes(changes)
        trust = _trusted(view, template, service, target, wanted.trust, wanted.ask)
        if not wanted.ask:
            view.status.start()
        outcome = update(service, template, replace(wanted, release=target, trust=trust), view.step)
        view.status.start()
        checks = _after(service, outcome, view, template.settings(target).get("checks") or []) if runs else []
    is_whole = all(each.passed for each in checks) and not outcome.left and (runs or not outcome.commands)
    return Done(outcome, changes, checks, is_whole)


def _answers(service: Service, data: tuple[str, ...]) -> dict[str, Any]:
    """Return the answers that are to change.

    Raises:
        Refused: if one is not written as ``name=value``, or is not changed.
    """
    found = {}
    for each in data:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise Refused(f"-d {each}: write it as -d name=value.")
        found[name] = yaml.safe_load(value) if value else value
        # What looks like a number or a date may be the text that a question asks for.
        if isinstance(service.answers.get(name), str):
            found[name] = value
    return {name: value for name, value in found.items() if service.answers.get(name) != value}


def _target(service: Service, template: Template, release: str, has_answers: bool) -> str | None:
    """Return the release to take, None if there is nothing to take.

    Raises:
        Refused: if the release is none, or an older one.
    """
    template.require(service.release)
    target = template.target(release)
    now, then = version(service.release), Version(target)
    if now and then < now:
        if release:
            raise Refused(
                f"{target} is older than {service.release}, which the service has: go back with git."
            )
        target, then = service.release, now
    return None if then == now and not has_answers else target


def _trusted(view: View, template: Template, service: Service, target: str, trust: bool, ask: bool) -> bool:
    """Return whether the template may run what it wants to run on the way, which a person is shown first.

    Raises:
        Refused: if it may not.
    """
    scripts = template.runs(service.release, target)
    if not scripts or trust:
        return trust
    if ask:
        for command, text in scripts:
            view.script(command, text)
        if view.confirm(f"Let {target} run {'them' if len(scripts) > 1 else 'it'}?", default=False):
            return True
    raise Refused(
        f"On the way to {target} the template runs {listed(command for command, _ in scripts)}: read it in {template.source}, "
        "and say --trust. Nothing has changed."
    )


def _after(service: Service, outcome: Outcome, view: View, checks: list[str]) -> list[Check]:
    """Have the service's commands write what they write, and check it; what is in conflict can neither be built nor checked."""
    if outcome.conflicts:
        return [
            Check(command, False, "waits for your decisions", "") for command in [*outcome.commands, *checks]
        ]
    results = []
    for command in outcome.commands:
        view.step(command)
        passed, output = run_command(service.root, command)
        if not passed:
            return [*results, Check(command, False, "failed", "\n".join(output.splitlines()[-30:]))]
        results.append(Check(command, True, "passed", ""))
    remember_written(service)
    for command in checks:
        view.step(command)
        results.append(check(service.root, command, outcome.changed))
        if not results[-1].passed:
            break
    return results

"""An adoption, as it is told to a person and to a program."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from .adopted_files import Written
from .adoption_report import REPORT
from .adoption_steps import steps
from .detecting import Found
from .moving import Plan


@dataclass
class Adoption:
    """An adoption, and what came of it.

    Attributes:
        template: the template's address.
        release: its release.
        branch: the branch that it stands on.
        prefix: where the service stands in its repository.
        found: what the repository had.
        answers: the service's, as its answers file has them.
        plan: where each file went.
        kept: the team's files in place of the template's.
        arrived: the template's files.
        given: the answers that were given.
        teams: the team's files, by their paths before.
        ignored: the template's files that git ignores here.
        until: the last day of what the contract accepts.
        generated: the commit of the template's files alone.
        files: what was written for the team.
    """

    template: str
    release: str
    branch: str
    prefix: str
    found: Found
    answers: dict[str, Any]
    plan: Plan
    kept: list[str]
    arrived: list[str]
    given: list[str]
    teams: list[str]
    ignored: list[str]
    until: date
    files: Written
    generated: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it as what JSON can say."""
        return {
            "branch": self.branch,
            "release": self.release,
            "template": self.template,
            "application": str(self.found.application),
            "answers": self.answers,
            "found": {
                name: {"value": value, "in": where} for name, (value, where) in self.found.answers.items()
            },
            "moved": self.plan.moved,
            "aside": self.plan.aside,
            "kept": self.kept,
            "arrived": self.arrived,
            "report": REPORT,
            "left": [step.title for step in steps(self)],
        }

"""What a person sees: progress, tables, and what is left to do."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markdown import Markdown
from rich.markup import escape
from rich.syntax import Syntax
from rich.table import Table

from .checks import Check
from .standing import Standing
from .work import Outcome

COLORS = {
    "pristine": "green",
    "customised": "cyan",
    "deleted": "cyan",
    "differs": "yellow",
    "missing": "yellow",
}


class View:
    """Prints to a terminal: results to standard output, progress and questions to standard error."""

    def __init__(self) -> None:
        self.out = Console(highlight=False, soft_wrap=True)
        self.err = Console(stderr=True, highlight=False)

    @contextmanager
    def progress(self) -> Iterator["View"]:
        """Show the current step on a terminal, and nothing elsewhere."""
        with self.err.status("…") as status:
            self.status = status
            yield self

    def step(self, text: str) -> None:
        """Say what is done now."""
        self.status.update(f"{escape(text)} …")

    def pause(self) -> None:
        """Leave the terminal to somebody else, who asks or prints."""
        self.status.stop()

    def changes(self, changes: Sequence[tuple[str, str]]) -> None:
        """Show what the changelog says of releases."""
        for release, text in changes:
            self.out.rule(f"[bold]{escape(release)}", align="left")
            self.out.print(Markdown(text) if text else "[dim]The changelog does not mention it.")

    def standing(self, standing: Standing, all_files: bool) -> None:
        """Show where a service stands."""
        count = len(standing.changes)
        behind = (
            f", {count} release{'s' * (count > 1)} behind {standing.newest}"
            if count
            else ", the newest release"
        )
        self.out.print(f"[bold]{escape(standing.release)}[/]{behind} of {escape(standing.template)}")
        self.changes(standing.changes)
        table = Table("file", "state", "reason", box=None, pad_edge=False, header_style="dim")
        for path, state in standing.files.items():
            if all_files or state != "pristine":
                table.add_row(
                    escape(path), f"[{COLORS[state]}]{state}", escape(standing.reasons.get(path, ""))
                )
        if table.row_count:
            self.out.print(table)
        counts = Counter(standing.files.values())
        self.out.print(
            ", ".join(f"{number} {state}" for state, number in counts.items())
            + f"; {standing.own} of your own"
        )
        for pattern in standing.idle:
            self.out.print(f"[yellow]starter.toml: {escape(pattern)} is no opt-out any more: take it out.")
        if {"differs", "missing"} & {*counts}:
            self.out.print(
                "[yellow]What differs will meet the template's changes. Take it back, or give it a reason in "
                'starter.toml: [opt-outs], then "path" = "why".'
            )

    def script(self, command: str, text: str) -> None:
        """Show what the template wants to run."""
        self.out.print(f"[bold]The template runs in your service:[/] {escape(command)}")
        if text:
            self.out.print(Syntax(text, "python", line_numbers=True, word_wrap=True))

    def outcome(self, outcome: Outcome) -> None:
        """Show what came of an update."""
        self.out.print(
            f"[bold green]{escape(outcome.before)} → {escape(outcome.after)}[/], {len(outcome.changed)} files changed"
        )
        for path, lines in outcome.joined.items():
            self.out.print(f"  joined in {escape(path)}: {escape(', '.join(lines))}")
        for path, target in outcome.carried.items():
            self.out.print(f"  {escape(path)} is {escape(target)} now, and has your edits")
        for path in outcome.dropped:
            self.out.print(f"  {escape(path)}, with your edits, is gone with the answer")
        for path in outcome.stays_deleted:
            self.out.print(f"  {escape(path)} stays deleted, and has changed in the template")

    def checks(self, checks: Sequence[Check]) -> None:
        """Show what the service's commands said."""
        for check in checks:
            if not check.passed and not check.output:
                continue
            color = {"passed": "green", "new rule": "yellow"}.get(check.verdict, "red")
            self.out.print(f"  [{color}]{check.verdict}[/] {escape(check.command)}")
            if check.output:
                self.out.print(escape(check.output), style="dim")

    def left(self, outcome: Outcome, checks: Sequence[Check]) -> None:
        """Show what is left to a person, and the ways on and back."""
        tasks = [f"{path}: decide between the markers, and git add it" for path in outcome.conflicts]
        tasks += [
            f"{path}: the release has it no more, and you have edited it: git rm or git add it"
            for path in outcome.deleted
        ]
        tasks += [f"{path}: read what it says, and delete it" for path in outcome.reports]
        tasks += [f"{check.command}: {self._why(check)}" for check in checks if check.output]
        if waiting := [check.command for check in checks if not check.passed and not check.output]:
            tasks.append(f"then: {', '.join(waiting)}")
        if tasks:
            self.out.print("[bold]Left to you[/]")
            for task in tasks:
                self.out.print(f"  [yellow]•[/] {escape(task)}")
        self.out.print("Then git commit; or starter update --back puts everything back.", style="dim")

    @staticmethod
    def _why(check: Check) -> str:
        if check.verdict == "new rule":
            return "the release brings a rule that your code does not keep: change the code, or accept the rule's exception"
        return "it fails; see above"

    def confirm(self, question: str, default: bool = True) -> bool:
        """Ask a person; without one, the answer is no."""
        import questionary

        if not sys.stdin.isatty():
            return False
        return bool(questionary.confirm(question, default=default).ask())

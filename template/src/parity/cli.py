# The template's: copier update merges it.
"""The commands: ``flask parity --help`` lists them."""

import gc
import json
from datetime import datetime
from typing import IO, NoReturn

import click
from flask import current_app
from flask.cli import AppGroup

from .acceptance import record_acceptance
from .comparison import check
from .contract import contract
from .report import Report
from .snapshot import diff_snapshots, read_snapshot, take_snapshot

COLORS = {"warning": "yellow", "error": "red", "unknown": "red", "declared": "cyan", "accepted": "cyan"}
EXIT_STATUS = {"kept": 0, "drift": 1, "unknown": 2}

group = AppGroup("parity", help="Hold this environment against what the repository states.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for a program.")


@group.command("check")
@json_option
def check_command(as_json: bool) -> None:
    """Compare this environment with the contract. Exit 1 on drift, 2 if it cannot be looked at."""
    show(check(current_app.extensions["parity"]), as_json)


@group.command("snapshot")
def snapshot_command() -> None:
    """Print this environment's fingerprint as JSON; it holds no secret."""
    click.echo(json.dumps(take_snapshot(current_app.extensions["parity"]), indent=2))


@group.command("diff")
@click.argument("first", type=click.File())
@click.argument("second", type=click.File())
@json_option
def diff_command(first: IO[str], second: IO[str], as_json: bool) -> None:
    """Compare two snapshots (files, or - for standard input). Exit 1 on drift, 2 if one cannot be read."""
    show(diff_snapshots(read_snapshot(first), read_snapshot(second)), as_json)


@group.command("accept")
@click.argument("key")
@click.option("--because", required=True, help="Why the difference is meant.")
@click.option("--by", required=True, envvar="AUTHOR", help="Who answers for it.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="Its last day; by default 90 days from now.")
def accept_command(key: str, because: str, by: str, until: datetime | None) -> None:
    """Record in parity.toml that a difference is meant, until a day."""
    fields = type(current_app.extensions["parity"]).model_fields
    others = {f"database.{name}" for name in ("collation_version", "connections")}
    known = {*contract(), *(f"config.{name.upper()}" for name in fields), *others}
    entry = record_acceptance(key, because, by, until.date() if until else None, known)
    click.echo(f"parity.toml: {key} is accepted until {entry.until}. Commit it.")


def show(report: Report, as_json: bool) -> NoReturn:
    """Print a report, and end the command with its exit status."""
    if as_json:
        click.echo(json.dumps(report.as_dict(), indent=2))
    else:
        rows = report.brief()
        widths = [max(len(getattr(row, name)) for row in rows) for name in ("level", "key", "expected")]
        for row in rows:
            line = f"{row.level:{widths[0]}}  {row.key:{widths[1]}}  {row.expected:{widths[2]}}  {row.found}"
            click.secho(line.rstrip(), fg=COLORS.get(row.level))
            if row.remedy:
                click.echo(f"{'':{widths[0]}}  {row.remedy}")
        click.echo(f"\nParity: {report.verdict}.")
    # Before it ends, Python would look for garbage in all that was loaded, which takes longer than the check.
    gc.freeze()
    raise SystemExit(EXIT_STATUS[report.verdict])

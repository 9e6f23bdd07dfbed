"""The command line."""

import json
import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from .errors import Refused
from .git import GitError

LEFT, NOTHING_DONE = 1, 2


def command(function: Callable[..., int]) -> Callable[..., None]:
    """Give a command what all have: ``--json``, and an exit status with one sentence where nothing was done."""

    @click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
    @click.option(
        "--answers-file", default=".copier-answers.yml", show_default=True, help="Where the answers stand."
    )
    @click.option("--template", "source", help="Where the template is now, if it has moved.")
    @click.option("--trust", is_flag=True, help="Let the template run code of its own; Copier's --trust.")
    @wraps(function)
    def wrapped(as_json: bool, **options: Any) -> None:
        try:
            status = function(as_json=as_json, **options)
        except (Refused, GitError, KeyboardInterrupt) as error:
            said = str(error) or "Interrupted."
            if as_json:
                click.echo(json.dumps({"error": said}))
            else:
                click.secho(said, err=True, fg="red")
            status = NOTHING_DONE
        sys.exit(status)

    return wrapped


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="copier-flask-parity")
def main() -> None:
    """Bring a service to its template's releases.

    Exit status: 0, all is done; 1, something is left to do; 2, nothing was done, and one sentence says why.
    """
    # A git hook, or an alias, sets where git works; Copier's git would follow.
    for name in [
        name for name in os.environ if name.startswith("GIT_") and name.endswith(("_DIR", "_FILE", "_TREE"))
    ]:
        del os.environ[name]


@main.command()
@command
@click.option(
    "--all", "all_files", is_flag=True, help="List every file of the template's, pristine ones too."
)
def status(as_json: bool, answers_file: str, source: str | None, trust: bool, all_files: bool) -> int:
    """Say how far the service is behind, and what it has made of each of the template's files.

    A file that is to be another has its reason in starter.toml: [opt-outs], then "path" = "why".
    """
    from .service import Service

    service = Service.find(Path.cwd(), answers_file)
    from .standing import stand
    from .template import opened, source_of
    from .view import View

    view = View()
    with view.progress(), opened(source_of(service, source)) as template:
        view.step("Generating the release anew, to compare")
        standing = stand(service, template, trust)
    if as_json:
        click.echo(json.dumps(standing.as_dict(), indent=2))
    else:
        view.standing(standing, all_files)
    return 0 if standing.is_clean else LEFT


@main.command()
@command
@click.option("--to", "release", help="The release to take.  [default: the newest]")
@click.option("-d", "--data", multiple=True, metavar="NAME=VALUE", help="Change an answer.")
@click.option(
    "--yes-delete", is_flag=True, help="Let edited files go that changed answers have no place for."
)
@click.option("--defaults", is_flag=True, help="Ask nothing: what is new changes nothing.")
@click.option(
    "--run/--no-run",
    "runs",
    default=True,
    help="Run the service's commands afterwards: lock, checks.  [default: run]",
)
@click.option(
    "--propose", is_flag=True, help="Open or refresh a pull request with it, as the scheduled workflow does."
)
@click.option(
    "--back", is_flag=True, help="Put everything back that the last update changed, if it is not committed."
)
def update(as_json: bool, answers_file: str, source: str | None, back: bool, **options: Any) -> int:
    """Take the template's next release, or other answers.

    Your files stay, and the template's are merged. Nothing changes before all is known; what is left to you is listed.
    """
    from .service import Service

    service = Service.find(Path.cwd(), answers_file)
    if back:
        from .undo import back as go_back

        paths = go_back(service)
        click.echo(
            json.dumps({"back": paths})
            if as_json
            else f"{len(paths)} files are as they were before the update."
        )
        return 0
    service.require_clean()
    from .command_update import run

    return run(service, source, as_json, **options)


@main.command()
@command
@click.argument("address", metavar="[TEMPLATE-URL]", required=False)
@click.option("--release", help="The release to take.  [default: the newest]")
@click.option(
    "--app", "application", metavar="MODULE:NAME", help="The application.  [default: what is found]"
)
@click.option("-d", "--data", multiple=True, metavar="NAME=VALUE", help="Give an answer.")
@click.option("--defaults", is_flag=True, help="Ask nothing: what is found is the answer.")
@click.option("--branch", default="adopt-template", show_default=True, help="The branch to make.")
def adopt(
    as_json: bool, answers_file: str, source: str | None, trust: bool, address: str | None, **options: Any
) -> int:
    """Bring an existing Flask repository under the template, on a branch.

    What it has is moved or kept aside, and never lost; ADOPTION.md says what was decided, and what is left.
    """
    from .command_adopt import run

    return run(Path.cwd(), address or source, as_json, trust=trust, **options)

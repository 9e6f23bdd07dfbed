"""Updates: what the questions and Jinja cost over plain files, what the tool adds to Copier, and how long it looks."""

import shutil
import sys
from pathlib import Path

from .workbench import ROOT, Row, Workbench, commit, median, run, say, seconds

GOAL = 1.15
TOOL_SECONDS, STATUS_SECONDS = 2, 2
# As a user has it: what is imported again is compiled once.
USERS = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": ""}


def measure(workbench: Workbench) -> list[Row]:
    """Take a release that changes every tenth file, with Copier from this template and from plain files, and with the tool."""
    plain = workbench.folder / "plain-releases"
    shutil.copytree(
        workbench.service, plain / "template", ignore=shutil.ignore_patterns(".git", ".copier-answers.yml")
    )
    questions = "".join(f"answer_{number}:\n  type: str\n  default: text\n" for number in range(10))
    (plain / "copier.yml").write_text(f"_subdirectory: template\n{questions}")
    answers = "{{ _copier_answers | to_nice_yaml -}}\n"
    (plain / "template" / "{{_copier_conf.answers_file}}.jinja").write_text(answers)
    commit(plain)
    ours = workbench.folder / "releases"
    shutil.copytree(workbench.template, ours)
    shutil.copy(ROOT / "starter.yml", ours)

    times: dict[str, list[float]] = {"copier": [], "plain": [], "starter": [], "status": []}
    for template in (ours, plain):
        two_releases(template)
        copy_release(template, workbench.folder / f"{template.name}-service")
    for number in range(3 if workbench.quick else 9):
        for name, template in (("copier", ours), ("plain", plain), ("starter", ours)):
            say(f"update {number + 1}: {name}")
            service = workbench.folder / f"updated-{name}"
            shutil.copytree(workbench.folder / f"{template.name}-service", service)
            module = (
                ("starter", "update", "--no-run", "--defaults")
                if name == "starter"
                else ("copier", "update", "--defaults")
            )
            if name == "starter":
                times["status"].append(seconds(lambda: look(service)))  # noqa: B023
            command = (sys.executable, "-m", *module)
            environment = USERS
            times[name].append(seconds(lambda: run(*command, cwd=service, env=environment)))  # noqa: B023
            shutil.rmtree(service)
    this, baseline, tool, status = (median(times[name]) for name in ("copier", "plain", "starter", "status"))
    return [
        Row("copier update / plain files", this, "s", baseline, f"ratio ≤ {GOAL}", this / baseline <= GOAL),
        Row(
            "starter update / copier update",
            tool,
            "s",
            this,
            f"≤ {TOOL_SECONDS} s more",
            tool - this <= TOOL_SECONDS,
        ),
        Row("starter status", status, "s", goal=f"≤ {STATUS_SECONDS} s", met=status <= STATUS_SECONDS),
    ]


def two_releases(template: Path) -> None:
    """Tag what stands there, and make a release that adds a line to every tenth file."""
    run("git", "tag", "v999.0.0", cwd=template)
    texts = [
        path
        for path in sorted((template / "template").rglob("*"))
        if path.is_file() and path.suffix != ".txt"
    ]
    for path in texts[::10]:
        with path.open("a") as file:
            file.write("\n")
    run(
        "git",
        "-c",
        "user.name=bench",
        "-c",
        "user.email=bench@example.com",
        "commit",
        "--quiet",
        "--all",
        "-m",
        "x",
        cwd=template,
    )
    run("git", "tag", "v1000.0.0", cwd=template)


def copy_release(template: Path, service: Path) -> None:
    """Generate a service of the first of two releases, and commit it."""
    run(
        sys.executable,
        "-m",
        "copier",
        "copy",
        "--quiet",
        "--defaults",
        "--vcs-ref",
        "v999.0.0",
        str(template),
        str(service),
    )
    commit(service)


def look(service: Path) -> None:
    """Ask where a service stands, which is behind: that is exit status 1."""
    code = "import sys; from starter.cli import main; sys.argv = ['starter', 'status', '--json']\ntry: main()\nexcept SystemExit: pass"
    run(sys.executable, "-c", code, cwd=service, env=USERS)

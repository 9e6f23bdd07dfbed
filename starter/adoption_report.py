"""ADOPTION.md: what an adoption found, decided and leaves, file by file."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .adoption_steps import steps
from .kept_aside import carry

if TYPE_CHECKING:
    from .adoption import Adoption

REPORT = "ADOPTION.md"


def text(adoption: "Adoption") -> str:
    """Return the report."""
    parts = [
        f"# Adopted: {adoption.template}, {adoption.release}",
        "",
        "What the template brought is one commit, what moved another, and this branch has both. `git switch -` leads back, and "
        f"`git branch -D {adoption.branch}` takes it away.",
        "",
        *_left(adoption),
        *_answers(adoption),
        *_moved(adoption),
        *_aside(adoption),
        *_kept(adoption),
        *_written(adoption),
        *_packages(adoption),
        "## What the template brought",
        "",
        *_list(f"`{path}`" for path in adoption.arrived),
    ]
    return "\n".join(parts).rstrip("\n") + "\n"


def _list(lines: Iterable[str]) -> list[str]:
    return [*(f"- {line}" for line in lines), ""]


def _left(adoption: "Adoption") -> list[str]:
    lines = ["## Left to you, in this order", ""]
    for step in steps(adoption):
        lines.append(f"- [ ] {step.title}")
        lines += [f"  - {detail}" for detail in step.details]
    return [*lines, ""]


def _answers(adoption: "Adoption") -> list[str]:
    found = adoption.found
    lines = ["## What was found, and answered", "", "| question | answer | found in |", "| --- | --- | --- |"]
    lines.append(f"| the application | `{found.application}` | {found.application.where} |")
    for name, value in adoption.answers.items():
        known, where = found.answers.get(name, (None, ""))
        if name == "example":
            said = "your code is there, and needs no example"
        elif name in adoption.given:
            said = "given with -d"
        elif known == value:
            said = where
        else:
            said = (
                "answered"
                if known is not None
                else "not found, or worked out from others: the template's default"
            )
        lines.append(f"| {name} | {str(value).replace('|', '/')} | {said} |")
    return [*lines, "", *(_list(found.notes) if found.notes else [])]


def _moved(adoption: "Adoption") -> list[str]:
    if not adoption.plan.moved:
        return []
    told = (
        "Python looks for modules in `src/`; migrations stand in `migrations/versions/`. Nothing in these files is changed, and "
        "`git log --follow` knows where they were."
    )
    lines = [f"`{path}` is `{target}`" for path, target in sorted(adoption.plan.moved.items())]
    return ["## Moved", "", told, "", *_list(lines)]


def _aside(adoption: "Adoption") -> list[str]:
    if not adoption.plan.aside:
        return []
    lines = [
        f"`{path}` is `{target}`"
        + ("; the template has its own" if path in adoption.arrived else "; nothing reads it any more")
        + f". To carry over: {carry(path)}."
        for path, target in sorted(adoption.plan.aside.items())
    ]
    return ["## Replaced, and kept aside in full", "", *_list(lines)]


def _kept(adoption: "Adoption") -> list[str]:
    if not adoption.kept:
        return []
    told = "The template gives these once, and they are yours from then on. What it would have given:"
    lines = [
        f"`{path}` stays yours: `git show {adoption.generated[:10]}:{adoption.prefix}{path}`"
        for path in adoption.kept
    ]
    return ["## Yours, as it was", "", told, "", *_list(lines)]


def _written(adoption: "Adoption") -> list[str]:
    says = {
        "pyproject.toml": "your packages, and your code left out of the linters",
        "parity.toml": "what the contract accepts of your servers, until a day",
        "apt.txt": "the Debian packages that your image had",
        "starter.toml": "your license, which is to stay",
        "compose.project.yaml": "your workers",
        "compose.project.override.yaml": "what your application needs in development",
        "compose.project.test.yaml": "what your application needs in the tests",
        "src/instance/.gitkeep": "the place of Flask's instance folder",
    }
    package = adoption.answers.get("package_name", "")
    says[f"src/{package}/project.py"] = f"hands what is not known to `{adoption.found.application}`"
    says[f"src/{package}/settings.py"] = "the variables that your code reads"
    says[adoption.files.jobs] = "the table of the template's jobs, behind your last migration"
    lines = [f"`{path}`: {says.get(path, 'for your code')}" for path in sorted(adoption.files.texts)]
    return ["## Written for you, to be edited", "", *_list(lines)]


def _packages(adoption: "Adoption") -> list[str]:
    project, dependencies = adoption.files.project, adoption.found.dependencies
    lines = [f"`{line}`" for line in project.added]
    lines += [f"`{mine}`: the template's `{its}` stands" for mine, its in project.left.items()]
    lines += [
        f"`{line}`: {became if became.startswith('left') else f'now `{became}`, as the lock has the pin'}"
        for line, became in dependencies.changed.items()
    ]
    lines += [f"no place was found for {line}" for line in project.missing]
    told = f"From {', '.join(f'`{path}`' for path in dependencies.files) or 'no file: none was found'}."
    return ["## Packages", "", told, "", *_list(lines)] if lines else ["## Packages", "", told, ""]

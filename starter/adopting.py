"""An existing repository brought under a template: a fresh generation, merged beside what is there, on a branch of its own."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import copier
import yaml
from copier.errors import CopierAnswersInterrupt

from . import adopted_files, moving
from .adoption import Adoption
from .detecting import Found, detect
from .errors import Refused
from .git import GitError
from .landing import land
from .rendering import Tree, as_nobody, files, render
from .scratch import Scratch
from .service import ANSWERS, Service
from .template import Template
from .writing import WARNS

Step = Callable[[str], None]


@dataclass
class Wanted:
    """What somebody wants of an adoption.

    Attributes:
        release: the template's release.
        branch: the branch that it is to stand on.
        application: what is served, as ``module:name``; empty to look for it.
        answers: answers that are given.
        trust: whether the template may use what Copier does not trust.
        ask: whether a person is there to answer.
    """

    release: str
    branch: str
    application: str | None = None
    answers: Mapping[str, Any] = field(default_factory=dict)
    trust: bool = False
    ask: bool = False


def adopt(repository: Service, template: Template, wanted: Wanted, step: Step) -> Adoption:
    """Bring a repository under a template: its files change at the end, all at once, or not at all.

    Args:
        repository: whose changes are committed; it has no answers yet.
        template: where the releases stand.
        wanted: what is wanted.
        step: is told what is done next.

    Raises:
        Refused: if nothing was done.
    """
    author = re.sub(r" \d+ [-+]\d+$", "", _identity(repository))
    with TemporaryDirectory(prefix="starter-") as folder:
        step("Reading what is committed")
        scratch = Scratch(repository, Path(folder, "repository"))
        tree = files(scratch.folder)
        questions = template.configuration(wanted.release)
        found = detect(tree, repository.git, repository.root.name, wanted.application, questions)
        step(f"Generating {wanted.release}")
        fresh, answers = _generate(template, wanted, found, questions, Path(folder, "fresh"))
        plan = moving.move(tree, found, fresh)
        managed = render(template, wanted.release, answers, Path(folder, "managed"), "update", wanted.trust)
        step("Putting both together")
        settings = template.settings(wanted.release)
        given = {*fresh} - {*managed} - {*(settings.get("written") or {})} - {ANSWERS}
        moving.keep_aside(plan, tree, found, fresh, given, settings.get("shared") or [])
        after: Tree = {
            plan.moved.get(path, plan.aside.get(path, path)): content for path, content in tree.items()
        }
        today = datetime.now(UTC).date()
        written = adopted_files.write(tree, after, fresh, found, plan, answers, author, today)
        adoption = Adoption(
            template.source,
            wanted.release,
            wanted.branch,
            repository.prefix,
            found,
            answers,
            plan,
            kept=sorted(path for path in fresh if path in after and after[path] != fresh[path]),
            arrived=sorted(path for path in fresh if path not in after),
            given=[*wanted.answers],
            teams=sorted(tree),
            ignored=_ignored(repository, fresh),
            until=today + timedelta(days=WARNS),
            files=written,
        )
        step(f"Bringing it into the working tree, on the branch {wanted.branch}")
        land(repository, scratch, adoption, Path(folder, "fresh"))
    return adoption


def _ignored(repository: Service, fresh: Tree) -> list[str]:
    """Return the template's files that the repository's .gitignore hides."""
    asked = "".join(f"{path}\0" for path in fresh).encode()
    # Not what somebody ignores everywhere.
    alone = ("-c", f"core.excludesFile={os.devnull}")
    printed = repository.git.raw(
        *alone, "check-ignore", "--no-index", "--stdin", "-z", given=asked, fails_from=2
    )
    return sorted(filter(None, printed.decode(errors="surrogateescape").split("\0")))


def _identity(repository: Service) -> str:
    """Return who commits.

    Raises:
        Refused: if git does not know.
    """
    try:
        return repository.git("var", "GIT_AUTHOR_IDENT")
    except GitError:
        raise Refused(
            "git does not know who you are, and nothing can be committed: git config user.name and user.email."
        ) from None


def _generate(
    template: Template, wanted: Wanted, found: Found, questions: Mapping[str, Any], folder: Path
) -> tuple[Tree, dict[str, Any]]:
    """Return the files of a fresh service, and its answers.

    Raises:
        Refused: if Copier does, or the service's package has the name of one of the team's modules.
    """
    defaults = {name: value for name, (value, _) in found.answers.items()}
    data = {**({"example": False} if "example" in questions else {}), **wanted.answers}
    unknown = sorted(name for name in data if name not in questions)
    if unknown:
        raise Refused(f"-d {unknown[0]}: {wanted.release} asks no such question.")
    taken = _names(found)
    slug = re.sub(
        r"[^a-z0-9]+",
        "-",
        str(data.get("project_slug") or data.get("project_name") or defaults["project_name"]).lower(),
    )
    package = slug.strip("-").replace("-", "_")
    if package in taken and "package_name" in questions:
        defaults["package_name"] = f"{package}_service"
        found.answers["package_name"] = (
            defaults["package_name"],
            f"{package} is a module of yours, which stays",
        )
    with as_nobody(template):
        try:
            copier.run_copy(
                template.source,
                folder,
                data=data,
                user_defaults=defaults,
                vcs_ref=wanted.release,
                defaults=not wanted.ask,
                quiet=True,
                skip_tasks=True,
                unsafe=wanted.trust,
            )
        except (KeyboardInterrupt, CopierAnswersInterrupt):
            raise Refused("Interrupted: nothing has changed.") from None
    told = yaml.safe_load(Path(folder, ANSWERS).read_text())
    answers = {name: value for name, value in told.items() if not name.startswith("_")}
    if answers.get("package_name") in taken:
        raise Refused(
            f"{answers['package_name']} is a module of yours, and would be the service's package: say another with "
            f"-d package_name={answers['package_name']}_service."
        )
    return files(folder), answers


def _names(found: Found) -> set[str]:
    """Return the names that Python finds in the repository, wherever it looks."""
    roots = {"", "src", found.application.root}
    return {
        path[len(root) + 1 :].split("/")[0].removesuffix(".py")
        if root
        else path.split("/")[0].removesuffix(".py")
        for path in found.modules.parsed
        for root in roots
        if not root or path.startswith(f"{root}/")
    }

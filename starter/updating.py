"""An update, from what a service has committed to what it would be with another release or other answers."""

import re
from concurrent.futures import ProcessPoolExecutor
from fnmatch import fnmatchcase
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import copier

from . import joins
from .carrying import carry_edits
from .errors import Refused, listed
from .git import GitError
from .rendering import as_nobody, content, render, said_on_stderr
from .scratch import Scratch, apply
from .service import Service
from .template import Template
from .undo import remember
from .work import Outcome, Step, Wanted, Work


def update(service: Service, template: Template, wanted: Wanted, step: Step) -> Outcome:
    """Update a service: its files change at the end, all at once, or not at all.

    Args:
        service: whose changes are committed.
        template: where the releases stand.
        wanted: what is wanted.
        step: is told what is done next.

    Raises:
        Refused: if nothing was done.
    """
    service.require_clean()
    with TemporaryDirectory(prefix="starter-") as folder:
        step("Copying what is committed")
        work = Work(service, template, wanted, Scratch(service, Path(folder, "service")), Path(folder))
        step(f"Merging {wanted.release}")
        merge(work)
        step("Looking for edits that a merge leaves out")
        carry_edits(work)
        join_lists(work)
        bring_written(work)
        refuse_what_is_in_the_way(work)
        result = work.scratch.result(work.unmerged)
        step("Bringing the result into the working tree")
        try:
            tree = apply(service, result)
        except GitError as error:
            raise Refused(f"git refuses, and nothing has changed: {' '.join(str(error).split())}") from None
        names = ("diff", "--name-only", "-z", "--no-renames", "--diff-filter=d")
        work.outcome.changed = service.git.names(*names, "--relative", "HEAD", tree)
        remember(service, tree, result.unmerged)
    return work.outcome


def merge(work: Work) -> None:
    """Have Copier merge, and learn what it began with and what it aimed at."""
    answers, recorded = work.path(work.service.answers_file), work.service.recorded_source
    _point_to(answers, recorded, work.template.source)
    work.scratch.commit()
    # What it begins with is generated meanwhile, by another process: an update takes a second less (make bench-update).
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        rendering = (work.template, work.service.release, work.service.data, Path(work.folder, "old"))
        old = pool.submit(render, *rendering, trust=work.wanted.trust)
        try:
            with as_nobody(work.template), said_on_stderr():
                copier.run_update(
                    work.scratch.folder,
                    data=dict(work.wanted.answers),
                    answers_file=work.service.answers_file,
                    vcs_ref=work.wanted.release,
                    defaults=not work.wanted.ask,
                    skip_answered=True,
                    overwrite=True,
                    quiet=True,
                    unsafe=work.wanted.trust,
                )
        except KeyboardInterrupt:
            raise Refused("Interrupted: nothing has changed.") from None
        work.old = old.result()
    work.old.pop(work.service.answers_file, None)
    _point_to(answers, work.template.source, work.template.source if work.wanted.source else recorded)
    work.new = work.render(work.wanted.release, work.answers(), "new")
    work.unmerged = work.scratch.unmerged()
    work.outcome.reports = sorted(
        path
        for path in work.here()
        if path.endswith(".md") and path not in work.head and path not in work.new
    )


def _point_to(answers: Path, old: str, new: str) -> None:
    """Change the address of the template in the answers."""
    if old != new:
        text = re.sub(
            r"(?m)^_src_path: .*(\n .*)*$", lambda _: f"_src_path: {new}", answers.read_text(), count=1
        )
        answers.write_text(text)


def join_lists(work: Work) -> None:
    """Join the lists in conflict to which both sides added, and have one pin of an action in a workflow: the newest."""
    for path, stages in [*work.unmerged.items()]:
        if len(stages) < 3:
            continue
        merged = joins.merge(*(work.scratch.blob(stages[number][1]) for number in (2, 1, 3)))
        if merged and merged.joined:
            work.path(path).write_bytes(merged.text())
            work.outcome.joined[path] = merged.joined
            if not merged.conflicts:
                del work.unmerged[path]
    for path in work.new:
        file = work.path(path)
        if fnmatchcase(path, ".github/workflows/*") and path not in work.unmerged and file.is_file():
            text, moved = joins.one_pin_each(file.read_text(), work.new[path].decode())
            if moved:
                file.write_text(text)
                work.outcome.joined.setdefault(path, []).extend(moved)
    work.outcome.conflicts = sorted({*work.unmerged} - {*work.outcome.deleted})


def bring_written(work: Work) -> None:
    """Bring what a command writes, where the release has the same of the same; else name the command.

    Where a service's lock is the one of its release, and what it is made from is that of the next, so is the lock.
    """
    here = work.here()
    for path, facts in (work.template.settings(work.wanted.release).get("written") or {}).items():
        sources = [each for each in here if any(fnmatchcase(each, pattern) for pattern in facts["from"])]
        if path not in work.head or path not in work.new:
            continue
        was, same = work.old.get(path), all(here[each] == work.head.get(each) for each in sources)
        if was == work.new[path] and same:
            continue
        if work.head[path] == was and all(here[each] == work.new.get(each) for each in sources):
            work.path(path).write_bytes(work.new[path])
        elif facts["by"] not in work.outcome.commands:
            work.outcome.commands.append(facts["by"])


def refuse_what_is_in_the_way(work: Work) -> None:
    """Refuse to write where the service has a file that git does not know.

    Raises:
        Refused: if there are such.
    """
    known = {*work.service.git.names("ls-files", "-z")}
    arrives = [path for path in work.here() if path not in work.head]
    there = [
        path
        for path in arrives
        if path not in known and content_or_none(work.service.root / path) is not None
    ]
    if there:
        raise Refused(
            f"{listed(there)} would be overwritten, which git does not know: nothing has changed. Commit or move it."
        )


def content_or_none(path: Path) -> bytes | None:
    """Return what stands at a path, whatever it is; None if there is nothing."""
    if path.is_dir() and not path.is_symlink():
        return b""
    return content(path) if path.is_symlink() or path.exists() else None

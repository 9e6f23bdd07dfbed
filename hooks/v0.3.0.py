"""Brings a service across v0.3.0, after the merge, which leaves out what is given once or written by a command.

It gives and renews those files, carries the edits of files that moved over, and writes into UPDATE-v0.3.0.md what is
left to a person. It works from HEAD and from renderings of both releases, touches no file that somebody has changed
since the merge, and writes last: running it twice changes nothing, and where it stops it has changed nothing.
"""

import ast
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tools import Tree, difference, git, merge, read, render

ANSWERS, PACKAGE = sys.argv[1:]
REPORT = Path("UPDATE-v0.3.0.md")
INTRODUCTION = """\
# What v0.3.0 leaves to you

Your edits met files that it moved, took apart, or made yours. Delete this file when you are done; then:
`make lock settings`, `make format`, `make lint test`.
"""
MOVED = {
    **{f"bin/{name}": f"ops/{name}" for name in ("image", "kubernetes", "swarm", "upgrade-postgres")},
    "deploy/README.md": "docs/deployment.md",
    "deploy/kubernetes/README.md": "docs/kubernetes.md",
    f"src/{PACKAGE}/release.py": "src/parity/release.py",
    f"src/{PACKAGE}/static/parity.css": "src/parity/static/parity.css",
    f"src/{PACKAGE}/templates/parity.html": "src/parity/templates/parity.html",
    "tests/conftest.py": "conftest.py",
    "tests/repository.py": "ops/checks/repository.py",
    "tests/test_parity_image.py": "ops/checks/test_image.py",
}
# Where the parts stand of what was taken apart.
PARTS = {
    f"src/{PACKAGE}/parity.py": "its parts stand in `src/parity/`",
    "tests/": "its parts stand in `ops/checks/`, or in the template's own tests",
    "": "with these answers there is no such file",
}
# Where edits of the template's files go now.
PLACES = {
    "Dockerfile": "Debian packages go into `apt.txt`",
    "Makefile": "targets go into `project.mk`",
    "compose.yaml": "services go into `compose.project.yaml`",
    f"src/{PACKAGE}/__init__.py": f"title, blueprints and extensions go into `src/{PACKAGE}/project.py`",
    f"src/{PACKAGE}/config.py": f"settings go into `src/{PACKAGE}/settings.py`",
}
WRITTEN = {".env.example": "settings", "requirements.txt": "lock", "requirements-dev.txt": "lock"}
RENAMED = {f"{PACKAGE}.extensions.forget": "invalidate", f"{PACKAGE}.errors.problem": "problem_response"}
DISSOLVED = (f"{PACKAGE}.parity.", f"{PACKAGE}.release.")
EXAMPLE = f"src/{PACKAGE}/users/"
MIGRATIONS = "migrations/versions/"
SHORT = 20


def imports(path: str, nodes: list[ast.AST]) -> Iterator[tuple[str, ast.alias]]:
    """Yield what a module imports from others, with its dotted name."""
    parents = path.split("/")[1:-1]
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            base = parents[: len(parents) + 1 - node.level] if node.level else []
            source = ".".join([*base, node.module] if node.module else base)
            yield from ((f"{source}.{alias.name}", alias) for alias in node.names)


def revisions(name: str, files: list[Path]) -> Iterator[str]:
    """Yield what migrations say of themselves: their ``revision``, or those before it, ``down_revision``."""
    for file in files:
        for node in ast.parse(file.read_bytes()).body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                value = ast.literal_eval(node.value)
                yield from [value] if isinstance(value, str) else value or []


@dataclass
class Crossing:
    """A service between two releases: their files, those of its HEAD, and what comes of them (None: no file)."""

    old: Tree
    new: Tree
    head: Tree
    changes: dict[str, bytes | None] = field(default_factory=dict)
    conflicts: dict[str, str] = field(default_factory=dict)
    report: list[str] = field(default_factory=list)

    def put(self, path: str, content: bytes | None) -> bool:
        """Plan to write or remove a file; false if somebody has changed it since the merge."""
        here = read(path)
        if here != content and here in (self.head.get(path), self.new.get(path)):
            self.changes[path] = content
        return here == content or path in self.changes

    def bring_files(self) -> None:
        """Give, renew, remove, carry over, leave or report each file of the two releases."""
        # A domain is one: what was not edited of it stays with what was.
        example = [path for path in self.old | self.head if path.startswith(EXAMPLE)]
        edited = any(self.old.get(path) != self.head.get(path) for path in example)
        for path in sorted(self.old | self.new):
            before, after, ours = (tree.get(path) for tree in (self.old, self.new, self.head))
            if ours == before:
                if not (edited and path.startswith(EXAMPLE)) and not self.put(path, after):
                    self.leave(path)
            elif ours is not None:
                self.bring_edited(path, self.old.get(path, b""), after, ours)

    def bring_edited(self, path: str, before: bytes, after: bytes | None, ours: bytes) -> None:
        """Carry an edit over or report it, if the merge left the file out or Copier deleted it."""
        if path in PLACES:
            self.report.append(f"- `{path}` has edits: {PLACES[path]}.")
        if (target := MOVED.get(path)) in self.new.keys() - self.head.keys():
            merged, conflict = merge(ours, before, self.new[target])
            self.put(path, None)
            self.put(target, merged)
            if conflict and target in self.changes:
                self.conflicts[target] = path
            state = "in conflict" if conflict else "in it"
            self.report.append(f"- `{path}` is `{target}` now, your edit {state}.")
        elif after is None:
            where = next(PARTS[part] for part in PARTS if path.startswith(part))
            left = "; it stays until you have taken yours out of it" if read(path) == ours else ""
            self.report += [f"- `{path}`: {where}{left}. Your edit was:", *difference(before, ours)]
        elif read(path) == ours and after not in (before, ours):
            self.leave(path)

    def leave(self, path: str) -> None:
        """Report a file that stays as the team has it."""
        before, after, command = self.old.get(path, b""), self.new[path], WRITTEN.get(path)
        lines = difference(before, (read(path) or b"") if command else after)
        changed = f", until `make {command}` writes it; your edit is" if command else "; v0.3.0 changes"
        shown = [f"{changed}:", *lines] if before and len(lines) < SHORT else ["."]
        self.report += [f"- `{path}` stays as you have it{shown[0]}", *shown[1:]]

    def drop_example(self) -> None:
        """Take the example out of the given project.py, if the team has deleted it."""
        path = f"src/{PACKAGE}/project.py"
        if not any(name.startswith(EXAMPLE) for name in self.head):
            project = self.new[path].replace(b"from .users.routes import bp as users\n\n", b"")
            self.new[path] = project.replace(b"    app.register_blueprint(users)\n", b"")

    def keep_history(self) -> None:
        """Leave the migrations as they are, which were applied, and put the one of the jobs behind them."""
        jobs = self.new.pop(f"{MIGRATIONS}0000_create_jobs.py", None)
        self.new |= {
            path: content
            for path, content in self.old.items()
            if path in self.new and path.startswith(MIGRATIONS)
        }
        # Without the example, its migration goes.
        files = [
            file
            for file in Path(MIGRATIONS).glob("*.py")
            if file.as_posix() in self.new or file.as_posix() not in self.old
        ]
        made = {*revisions("revision", files)}
        heads = made - {*revisions("down_revision", files)}
        if not jobs or "create_jobs" in made:
            return
        if len(heads) > 1:
            self.report.append(
                '- Jobs stand in a table: run `make merge`, and then `make migration MESSAGE="Create jobs"`.'
            )
        else:
            jobs = jobs.replace(b'revision = "0000"', b'revision = "create_jobs"')
            for head in heads:
                jobs = jobs.replace(b"down_revision = None", f'down_revision = "{head}"'.encode())
            self.changes[f"{MIGRATIONS}create_jobs.py"] = jobs

    def rename(self) -> None:
        """Rename in the team's modules what the release renamed, and report what else they miss."""
        for file in sorted([*Path("src", PACKAGE).rglob("*.py"), *Path("tests").rglob("*.py")]):
            path = file.as_posix()
            content = self.changes.get(path, read(path))
            # What was taken apart is reported already, and what is in conflict is no Python.
            if content is not None and (path in self.new or path not in self.old):
                with suppress(SyntaxError):
                    self.rename_in(path, content)

    def rename_in(self, path: str, content: bytes) -> None:
        """Rename in one module."""
        nodes, lines = [*ast.walk(ast.parse(content))], content.splitlines(keepends=True)
        found: dict[tuple[int, int], tuple[str, str]] = {}
        for name, alias in imports(path, nodes):
            new = RENAMED.get(name)
            if new and new.encode() not in content:
                found[alias.lineno, alias.col_offset] = alias.name, new
                for use in nodes:
                    if isinstance(use, ast.Name) and use.id == alias.name:
                        found[use.lineno, use.col_offset] = alias.name, new
            elif new or f"{name}.".startswith(DISSOLVED):
                self.report.append(f"- `{path}`, line {alias.lineno}: `{name}` is gone.")
        for (line, start), (old, new) in sorted(found.items(), reverse=True):
            text = lines[line - 1]
            lines[line - 1] = text[:start] + new.encode() + text[start + len(old) :]
        if found:
            self.changes[path] = b"".join(lines)

    def write(self) -> None:
        """Write the files and the report, and tell git of the conflicts as Copier does of its own."""
        for path, content in self.changes.items():
            if content is None:
                Path(path).unlink(missing_ok=True)
                with suppress(OSError):
                    Path(path).parent.rmdir()
            else:
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                Path(path).write_bytes(content)
        prefix = git("rev-parse", "--show-prefix").decode().strip()
        for path, source in self.conflicts.items():
            mode = 100755 if os.access(path, os.X_OK) else 100644
            for stage, side in enumerate((self.old[source], self.head[source], self.new[path]), 1):
                name = git("hash-object", "-w", "--stdin", given=side).decode().strip()
                git("update-index", "--index-info", given=f"{mode} {name} {stage}\t{prefix}{path}\n".encode())
        if self.report and not REPORT.exists():
            REPORT.write_text("\n".join([INTRODUCTION, *self.report, ""]))
            print(f"Read {REPORT}: it says what is left to you. Then: make lock settings, make lint test")


def main() -> None:
    """Bring the service across."""
    old = render(os.environ["VERSION_FROM"], git("show", f"HEAD:./{ANSWERS}"))
    new = render(os.environ["VERSION_TO"], Path(ANSWERS).read_bytes())
    names = git("ls-tree", "-r", "-z", "--name-only", "HEAD").decode().split("\0")
    known = [name for name in names if name in old | new or name.startswith(EXAMPLE)]
    crossing = Crossing(old, new, {name: git("show", f"HEAD:./{name}") for name in known})
    crossing.drop_example()
    crossing.keep_history()
    crossing.bring_files()
    crossing.rename()
    crossing.write()


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        sys.exit(f"The service was merged, and then not brought across v0.3.0: {error}")

"""The template's releases in a repository of their own: those of its history, the working tree, and one that nobody has written."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from conftest import ROOT, copy_template, git

THIS, NEXT = "v999.0.0", "v1000.0.0"
CHANGELOG = """\
# Changelog

## 1000.0.0 - 2027-01-01

What nobody has written.

## 999.0.0 - 2026-12-01

This.
"""
RENAMED = ("docs/postgres.md", "docs/database.md")
DELETED = "docs/parity.md"
COMMENTS = {
    ".py": "# {}",
    ".toml": "# {}",
    ".yaml": "# {}",
    ".yml": "# {}",
    ".md": "{}",
    ".mk": "# {}",
    "": "# {}",
}
PIN = re.compile(r"(uses: [\w./-]+@)[0-9a-f]{40}( # v\d+\.)(\d+)")


def lineage(clone: Path) -> None:
    """Make a repository of the history, of the working tree as a release, and of one after it."""
    history(clone)
    invent(clone)
    release(clone, NEXT)


def history(clone: Path) -> None:
    """Clone the history, tag its releases, and make one of the working tree."""
    git(ROOT, "clone", "--quiet", "--no-tags", str(ROOT), str(clone))
    found = [line.split() for line in git(clone, "log", "--grep=^Release v", "--format=%H %s").splitlines()]
    assert found, "no release in the history: clone the whole of it"
    for commit, _, version in found:
        git(clone, "tag", version, commit)
    for name in ("hooks", "includes", "template"):
        shutil.rmtree(clone / name)
    copy_template(clone)
    shutil.copy(ROOT / "starter.yml", clone)
    (clone / "CHANGELOG.md").write_text(CHANGELOG)
    release(clone, THIS)


def release(clone: Path, version: str) -> None:
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--allow-empty", "--message", version)
    git(clone, "tag", version)


def invent(clone: Path) -> None:
    """Write a release that changes whatever a release may change."""
    template = clone / "template"
    for path in template.rglob("*"):
        if path.is_file() and "requirements" not in path.name:
            text = path.read_text()
            # Every pin moves, of actions, of images, of packages.
            text = PIN.sub(lambda match: f"{match[1]}{'f' * 40}{match[2]}{int(match[3]) + 2}", text)
            text = text.replace("astral-sh/uv:0.13", "astral-sh/uv:0.15").replace("flask>=3.1", "flask>=3.2")
            text = text.replace('"pytest>=9.0"', '"pytest>=9.1"').replace(
                "structlog>=26.1", "structlog>=26.2"
            )
            path.write_text(text)
    # Every list is longer.
    edit(
        template / "pyproject.toml.jinja",
        ('    "structlog>=26.2",\n', '    "structlog>=26.2",\n    "theirs-last>=1.0",\n'),
    )
    edit(
        template / "pyproject.toml.jinja",
        ('    "pytest>=9.1",\n', '    "pytest>=9.1",\n    "pytest-theirs>=1.0",\n'),
    )
    edit(template / "pyproject.toml.jinja", ("[tool.mypy]\n", "[tool.mypy]\nwarn_no_return = true\n"))
    edit(template / "Makefile.jinja", (".PHONY: help doctor", ".PHONY: help theirs doctor"))
    edit(template / "Makefile.jinja", ("doctor:  ##", "theirs:  ## Theirs\n\t@true\n\ndoctor:  ##"))
    edit(template / "compose.yaml.jinja", ("services:\n", "services:\n  theirs:\n    image: theirs:1\n"))
    # A question, and a file that comes with it.
    edit(
        clone / "copier.yml",
        (
            "\nexample:\n",
            "\nsearch:\n  type: bool\n  help: Is there a search?\n  default: false\n\nexample:\n",
        ),
    )
    # A file is renamed and changed, another deleted, another new where a team may have one.
    git(clone, "mv", *(f"template/{path}" for path in RENAMED))
    with (template / RENAMED[1]).open("a") as file:
        file.write("\nThis is theirs.\n")
    git(clone, "rm", "--quiet", f"template/{DELETED}")
    (template / "docs" / "theirs.md").write_text("# Theirs\n")
    # What is not a team's to change begins and ends with another line.
    for path in template.rglob("*"):
        name = path.name.removesuffix(".jinja")
        suffix = Path(name).suffix
        if path.is_file() and path.parent.name == "ops" and not suffix:
            path.write_text(path.read_text() + "# theirs\n")
        elif path.is_file() and path.parent.name in ("docs", "parity") and suffix in (".md", ".py"):
            path.write_text(path.read_text() + COMMENTS[suffix].format("theirs") + "\n")


def edit(path: Path, *changes: tuple[str, str]) -> None:
    text = path.read_text()
    for old, new in changes:
        assert text.count(old) >= 1, f"{path} has no {old!r}"
        text = text.replace(old, new, 1)
    path.write_text(text)


def after(line: str, new: str) -> Callable[[Path], None]:
    """Put a line behind another."""
    return lambda path: edit(path, (f"{line}\n", f"{line}\n{new}\n"))


def at_the_end(new: str) -> Callable[[Path], None]:
    """Put a line at the end."""
    return lambda path: path.write_text((path.read_text() if path.exists() else "") + new + "\n")


def replaced(pattern: str, new: str) -> Callable[[Path], None]:
    """Change what fits a pattern, the first time."""

    def change(path: Path) -> None:
        text, count = re.subn(pattern, new, path.read_text(), count=1)
        assert count, f"{path} has no {pattern}"
        path.write_text(text)

    return change


NEWER = "e" * 40
# What teams do in the ordinary course: a file, the change, and a line that is there afterwards.
ORDINARY: list[tuple[str, Callable[[Path], None], str]] = [
    # Packages: at the end, beside one whose bound moves, in the middle; of development, in the order and at the end.
    ("pyproject.toml", after('    "structlog>=26.1",', '    "zstandard>=0.25",'), '"zstandard>=0.25",'),
    ("pyproject.toml", after('    "flask>=3.1",', '    "flask-babel>=4.0",'), '"flask-babel>=4.0",'),
    ("pyproject.toml", after('    "packaging>=25.0",', '    "pillow>=12.0",'), '"pillow>=12.0",'),
    ("pyproject.toml", after('    "pytest>=9.0",', '    "pytest-cov>=7.0",'), '"pytest-cov>=7.0",'),
    ("pyproject.toml", after('    "watchfiles>=1.1",', '    "zuban>=0.1",'), '"zuban>=0.1",'),
    ("pyproject.toml", replaced(r"sqlalchemy>=2\.1", "sqlalchemy>=2.1.4"), '"sqlalchemy>=2.1.4",'),
    (
        "pyproject.toml",
        after('extend = "ops/ruff.toml"', 'lint.extend-select = ["N"]'),
        'lint.extend-select = ["N"]',
    ),
    ("pyproject.toml", at_the_end('[tool.ours]\nname = "ours"'), 'name = "ours"'),
    # Dependabot's: an action's pin, an image's tag.
    (
        ".github/workflows/ci-cd.yml",
        replaced(r"(upload-artifact)@\w+ # v(\d+)\.\d+\.\d+", rf"\1@{NEWER} # v\2.999.0"),
        f"upload-artifact@{NEWER}",
    ),
    ("Dockerfile", replaced(r"astral-sh/uv:0\.13", "astral-sh/uv:0.14"), "astral-sh/uv:0.15"),
    # Targets, in the file for them and in the template's; services; the application; settings.
    ("Makefile", replaced(r"(\.PHONY: .*)", r"\1 ours-here"), "ours-here"),
    ("project.mk", at_the_end("ours:\n\t@echo ours-target"), "ours-target"),
    ("compose.project.yaml", at_the_end("# ours-service"), "# ours-service"),
    ("apt.txt", at_the_end("libmagic1"), "libmagic1"),
    ("parity.toml", at_the_end("# ours-accepted"), "# ours-accepted"),
    ("src/orders/project.py", at_the_end("OURS_PROJECT = 1"), "OURS_PROJECT = 1"),
    ("src/orders/settings.py", at_the_end("    ours_setting: int = 1"), "ours_setting: int = 1"),
    ("src/orders/billing/__init__.py", at_the_end("OURS_DOMAIN = 1"), "OURS_DOMAIN = 1"),
    ("src/orders/users/models.py", at_the_end("OURS_MODEL = 1"), "OURS_MODEL = 1"),
    ("tests/test_users.py", at_the_end("OURS_TEST = 1"), "OURS_TEST = 1"),
    ("migrations/versions/0002_ours.py", at_the_end('"""Ours."""'), '"""Ours."""'),
    # What stands in every repository.
    ("README.md", lambda path: path.write_text("# Ours, rewritten\n"), "# Ours, rewritten"),
    (".gitignore", at_the_end("ours-ignored"), "ours-ignored"),
    (".editorconfig", at_the_end("# ours-editor"), "# ours-editor"),
    (".pre-commit-config.yaml", at_the_end("# ours-hook"), "# ours-hook"),
    (".github/dependabot.yml", at_the_end("# ours-entry"), "# ours-entry"),
    (".github/workflows/ours.yml", at_the_end("name: ours-workflow"), "name: ours-workflow"),
    ("deploy/staging.env", at_the_end("OURS_STAGING=1"), "OURS_STAGING=1"),
    # The template's own, where the release leaves the place alone, or moves the file.
    ("gunicorn.conf.py", replaced(r"timeout = 30", "timeout = 31"), "timeout = 31"),
    ("migrations/env.py", at_the_end("# ours-migrations"), "# ours-migrations"),
    (RENAMED[0], after("make up\n```", "\nOurs, moved along."), "Ours, moved along."),
]


def lines_of(folder: Path) -> Iterator[str]:
    """Yield every line of a service's files."""
    for path in folder.rglob("*"):
        if path.is_file() and ".git" not in path.relative_to(folder).parts:
            yield from path.read_text(errors="replace").splitlines()

"""What fails says why: each row breaks a service in one way, and the command's last lines name the cause."""

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from service import STACK, Service

pytestmark = pytest.mark.service

# As many lines as a person, or a page of a CI log, shows at once.
LAST = 30

MIGRATION = '''"""Break."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move the schema forward."""
    op.execute("ALTER TABLE nothing_here ADD COLUMN number integer")


def downgrade() -> None:
    """Move the schema back."""
'''


@dataclass(frozen=True)
class Break:
    """A way to break a service, the command that meets it, and what its last lines have to say."""

    name: str
    command: str
    says: tuple[str, ...]
    edit: Callable[["Tree"], object]


@dataclass(frozen=True)
class Tree:
    """The files of a service."""

    service: Service

    def add(self, name: str, text: str) -> None:
        """Write below what a file says."""
        path = self.service.path / name.replace("PACKAGE", f"src/{self.service.package}")
        path.write_text((path.read_text() if path.exists() else "") + text)

    def replace(self, name: str, before: str, after: str) -> None:
        """Change what a file says."""
        path = self.service.path / name
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after, 1))

    def require(self, requirement: str) -> None:
        """Add a package."""
        self.replace("pyproject.toml", "dependencies = [\n", f'dependencies = [\n    "{requirement}",\n')


def broken_function(tree: Tree) -> None:
    tree.add("PACKAGE/users/routes.py", "\n\ndef broken(:\n")


def failing_migration(tree: Tree) -> None:
    tree.add("migrations/versions/0002_break.py", MIGRATION)


def needless_import(tree: Tree) -> None:
    tree.add("PACKAGE/users/routes.py", "\nimport nothing_there\n")


def undeclared(tree: Tree) -> None:
    tree.add("PACKAGE/settings.py", "    stripe_key: str\n")


SYNTAX = ("users/routes.py", "line LAST_LINE", "def broken(:", "SyntaxError")
BREAKS = [
    Break(
        "a package that does not exist",
        "lock",
        ("nothing-of-this-name was not found",),
        lambda tree: tree.require("nothing-of-this-name>=1"),
    ),
    Break(
        "packages that exclude each other",
        "lock",
        ("flask<2 and flask>=3.1",),
        lambda tree: tree.require("flask<2"),
    ),
    Break(
        "pyproject.toml that does not parse",
        "build",
        ("pyproject.toml", "line 1, column 9"),
        lambda tree: tree.replace("pyproject.toml", "[project]", "[project"),
    ),
    Break(
        "a lock that is not up to date",
        "check",
        (
            "requirements.txt does not match pyproject.toml: run make lock, and commit the result",
            "stopped at: build",
        ),
        lambda tree: tree.require("boltons"),
    ),
    Break(
        "a package that needs a compiler",
        "build",
        ("python-ldap", "gcc", "apt.txt, behind build:"),
        lambda tree: (tree.require("python-ldap==3.4.8"), tree.service.make("lock")),
    ),
    Break(
        "a Debian package that does not exist",
        "build",
        ("Unable to locate package nothing-of-this-name",),
        lambda tree: tree.add("apt.txt", "nothing-of-this-name\n"),
    ),
    Break(
        "a Dockerfile that does not parse",
        "build",
        ("Dockerfile:", "unknown instruction: FORM"),
        lambda tree: tree.replace("Dockerfile", "FROM base AS apt", "FORM base AS apt"),
    ),
    Break(
        "a Dockerfile with a warning",
        "lint",
        ("FromAsCasing", "line 11"),
        lambda tree: tree.replace("Dockerfile", "FROM base AS apt", "FROM base as apt"),
    ),
    Break(
        "a Compose file that does not parse",
        "up",
        ("compose.project.yaml", "line 2"),
        lambda tree: tree.add("compose.project.yaml", "  x: [\n"),
    ),
    Break("a syntax error", "build", SYNTAX, broken_function),
    Break("a syntax error, on the way up", "up", SYNTAX, broken_function),
    Break("a syntax error, on the way to a migration", "migration MESSAGE=x", SYNTAX, broken_function),
    Break(
        "a syntax error in a test",
        "test",
        ("tests/test_users.py", "def broken(:", "SyntaxError"),
        lambda tree: tree.add("tests/test_users.py", "\n\ndef broken(:\n"),
    ),
    Break(
        "a module that is not there",
        "up",
        ("users/routes.py", "No module named 'nothing_there'"),
        needless_import,
    ),
    Break(
        "a module that is not there, in the tests",
        "test",
        ("No module named 'nothing_there'",),
        needless_import,
    ),
    Break("a variable that is missing", "up", ("STRIPE_KEY: is missing", "make settings"), undeclared),
    Break("a variable that is missing, in the tests", "check", ("STRIPE_KEY", "settings.py:17"), undeclared),
    Break(
        "a variable that is malformed",
        "up",
        ("WEB_THREADS: Input should be a valid integer",),
        lambda tree: tree.add(".env", "WEB_THREADS=many\n"),
    ),
    Break(
        "a migration that fails", "up", ("0002_break.py", "nothing_here", "ALTER TABLE"), failing_migration
    ),
    Break(
        "a migration that fails, in the tests", "test", ("0002_break.py", "nothing_here"), failing_migration
    ),
    Break(
        "a migration that fails before the next is written",
        "migration MESSAGE=x",
        ("0002_break.py", "nothing_here"),
        failing_migration,
    ),
    Break(
        "a test that fails",
        "check",
        ("tests/test_users.py::test_of_nothing", "assert 1 == 2", "stopped at: test"),
        lambda tree: tree.add(
            "tests/test_users.py",
            '\n\ndef test_of_nothing() -> None:\n    """Nothing."""\n    assert 1 == 2\n',
        ),
    ),
    Break(
        "code that is not formatted",
        "lint",
        ("users/routes.py", "would be reformatted"),
        lambda tree: tree.add("PACKAGE/users/routes.py", "x=1\n"),
    ),
    Break(
        "a type that does not fit",
        "lint",
        ("users/routes.py:LAST_LINE", "Incompatible types in assignment"),
        lambda tree: tree.add("PACKAGE/users/routes.py", '\n\nNUMBER: int = "a"\n'),
    ),
    Break(
        "an image that is not there",
        "up",
        ("own Error", "localhost:9", "connection refused"),
        lambda tree: tree.replace(
            "compose.project.yaml",
            "services: {}",
            "services: {own: {image: 'localhost:9/nothing-of-this-name:1'}}",
        ),
    ),
    Break(
        "a service of the team's that is not healthy",
        "up",
        ("own is unhealthy: the answer is no",),
        lambda tree: tree.replace(
            "compose.project.yaml",
            "services: {}",
            "services:\n  own:\n    image: redis:8\n    healthcheck:\n"
            '      {test: [CMD-SHELL, "echo the answer is no; exit 1"], interval: 1s, retries: 1}\n',
        ),
    ),
    Break(
        "a service of the team's that ends",
        "up",
        ("own ended with 3", "what it says"),
        lambda tree: tree.replace(
            "compose.project.yaml",
            "services: {}",
            "services:\n  own:\n    image: redis:8\n    entrypoint: [sh, -c, 'echo what it says; exit 3']\n",
        ),
    ),
    Break(
        "a server that is started with an option it does not know",
        "test",
        ("postgres was started again", 'unrecognized configuration parameter "nothing"'),
        lambda tree: tree.replace("compose.yaml", "- --timezone=UTC", "- --nothing=UTC"),
    ),
]


@pytest.fixture(scope="module")
def broken(default, tmp_path_factory) -> Iterator[Service]:
    """A copy of the default service, to be broken."""
    path = tmp_path_factory.mktemp("causes") / "service"
    shutil.copytree(default.path, path)
    stack = Service(path, default.answers, f"{STACK}-causes")
    stack.remove()
    try:
        yield stack
    finally:
        stack.remove()


@pytest.mark.parametrize("row", BREAKS, ids=lambda row: row.name.replace(" ", "-"))
def test_the_last_lines_name_the_cause(broken, row):
    broken.git("clean", "--quiet", "--force", "-d", "-x")
    broken.git("reset", "--quiet", "--hard")
    row.edit(Tree(broken))
    routes = (broken.path / "src" / broken.package / "users/routes.py").read_text()
    done = broken.run("sh", "-c", f"make {row.command} 2>&1", check=False, timeout=600)
    print(done.stdout)
    assert done.returncode
    # Without the colours of a terminal.
    last = "\n".join(re.sub(r"\x1b\[\d*m", "", done.stdout).splitlines()[-LAST:])
    for words in row.says:
        assert words.replace("LAST_LINE", str(routes.count("\n"))) in last


def test_what_goes_well_is_quiet(default):
    for target in ("build", "lock"):
        done = default.make(target)
        assert (done.stdout, done.stderr) == ("", "")
    shown = default.make("up")
    assert len(shown.stdout.splitlines()) == 3 and shown.stderr == ""

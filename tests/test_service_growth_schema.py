"""A team's first year with its schema, by the words of docs/development.md and docs/schema.md: one service, step by step."""

import re
import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT
from service import DEFAULT, Service, booted, eventually

pytestmark = pytest.mark.service

GROWN = Path(__file__).parent / "grown"
UNCHANGED = "The models have not changed: no migration written."
MILLION = 1_000_000


@pytest.fixture(scope="module")
def grown(snapshot, tmp_path_factory) -> Iterator[Service]:
    """A service with the default answers, which the steps below change one after the other."""
    answers = DEFAULT | {"project_slug": "growth-under-test"}
    yield from booted(
        snapshot, tmp_path_factory.mktemp("growth") / "grown", answers, "growth", WEB_CONCURRENCY="2"
    )


def write(service: Service, path: str, text: str) -> None:
    """Write a file of the service."""
    (service.path / path).parent.mkdir(parents=True, exist_ok=True)
    (service.path / path).write_text(textwrap.dedent(text).lstrip("\n"))


def change(service: Service, path: str, *changes: tuple[str, str]) -> None:
    """Replace what a file of the service says."""
    text = (service.path / path).read_text()
    for before, after in changes:
        assert before in text, f"{path} has no {before!r}"
        text = text.replace(before, after)
    (service.path / path).write_text(text)


def versions(service: Service) -> set[str]:
    """The names of the migrations."""
    return {path.name for path in (service.path / "migrations" / "versions").glob("*.py")}


def migrate(service: Service, message: str) -> list[str]:
    """Write migrations, and return what they say."""
    before = versions(service)
    service.make("migration", f"MESSAGE={message}", timeout=600)
    written = [service.path / "migrations" / "versions" / name for name in sorted(versions(service) - before)]
    return [path.read_text() for path in sorted(written, key=lambda path: path.stat().st_mtime_ns)]


def green(service: Service, message: str) -> None:
    """Apply what was written, ask the running service, and see that nothing is left to write or to mend."""
    service.make("up", timeout=600)
    eventually(service.ready)
    assert UNCHANGED in service.make("migration", f"MESSAGE={message}", timeout=600).stdout
    service.make("format")
    service.make("check", timeout=600)
    assert service.make("parity").stdout.endswith("Parity: kept.\n")
    service.git("add", "--all")
    service.git("commit", "--quiet", f"--message={message}")


def migration(
    service: Service, name: str, upgrade: str, downgrade: str = "pass", head: str = "", more: str = ""
) -> None:
    """Write a migration by hand, on top of the last one."""
    found = {path: path.read_text() for path in (service.path / "migrations" / "versions").glob("*.py")}
    if not head:
        said = "".join(re.findall(r"(?m)^down_revision = (.*)$", text)[0] for text in found.values())
        revisions = [re.findall(r'(?m)^revision = "(.*)"$', text)[0] for text in found.values()]
        (head,) = [revision for revision in revisions if f'"{revision}"' not in said]
    imports = "import sqlalchemy as sa\n" if "sa." in upgrade else ""
    indented = [textwrap.indent(textwrap.dedent(part).strip("\n"), "    ") for part in (upgrade, downgrade)]
    write(
        service,
        f"migrations/versions/{name}.py",
        f'"""{name.capitalize()}."""\n\n{imports}from alembic import op\n\nrevision = "{name}"\n'
        f'down_revision = "{head}"\nbranch_labels = None\ndepends_on = None\n{more}\n\n'
        f'def upgrade() -> None:\n    """Move the schema forward."""\n{indented[0]}\n\n\n'
        f'def downgrade() -> None:\n    """Move the schema back."""\n{indented[1]}\n',
    )


def test_a_domain_with_an_enum_and_a_relation(grown):
    """Its model and its task are named as long as nobody imports them; then the migration makes the type, too."""
    shutil.copytree(GROWN / "invoices", grown.path / "src/orders/invoices")
    refused = grown.run("make", "migration", "MESSAGE=add invoices", check=False)
    assert refused.returncode
    said = "src/orders/invoices/models.py:20 declares 'class Invoice(Base', and nothing imports it: import it"
    assert said in refused.stdout + refused.stderr
    tested = grown.run("make", "test", "ARGS=-k imported", check=False)
    assert said in tested.stdout
    assert "src/orders/invoices/tasks.py:6 declares '@shared_task', and nothing imports it" in tested.stdout
    change(
        grown,
        "src/orders/project.py",
        ("from .users", "from .invoices.routes import bp as invoices\nfrom .users"),
        ("(users)\n", "(users)\n    app.register_blueprint(invoices)\n"),
    )
    (written,) = migrate(grown, "add invoices")
    assert 'name="invoice_state").create(op.get_bind())' in written
    assert 'name="invoice_state").drop(op.get_bind())' in written
    grown.make("up")
    grown.create("ada")
    created = grown.call("/invoices", "POST", {"user_id": 1, "number": "A1"})
    assert (created.status, created.json["state"]) == (201, "draft")
    green(grown, "add invoices")


def test_what_is_added_to_a_table_that_is_there(grown):
    """Members of an enum, another enum, keys, indexes: in migrations that lock nothing, applied as they were written."""
    change(
        grown,
        "src/orders/invoices/models.py",
        ('    paid = "paid"\n', '    sent = "sent"\n    paid = "paid"\n    void = "it\'s void"\n'),
        ("import BigInteger,", "import ARRAY, BigInteger,"),
        ("    # More columns.\n", (GROWN / "columns.txt").read_text()),
    )
    beforehand, added, afterwards = migrate(grown, "grow")
    assert "ALTER TYPE invoice_state ADD VALUE IF NOT EXISTS 'sent' BEFORE 'paid'" in beforehand
    assert "postgresql_not_valid=True" in added
    assert "create_index" not in added
    assert "create_unique_constraint" not in added
    assert afterwards.count("postgresql_concurrently=True") == 4
    assert "UNIQUE USING INDEX uq_invoices_reference" in afterwards
    assert "VALIDATE CONSTRAINT fk_invoices_paid_by_users" in afterwards
    grown.make("up")
    members = "SELECT string_agg(enumlabel, ' ' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = 'invoice_state'::regtype"
    assert grown.psql(members) == "draft sent paid void"
    created = grown.call("/invoices", "POST", {"user_id": 1, "number": "A2", "state": "sent"})
    assert (created.status, created.json["state"]) == (201, "sent")
    # One that goes stays in the database: the version before may write it.
    change(grown, "src/orders/invoices/models.py", ('    void = "it\'s void"\n', ""))
    green(grown, "grow")
    assert grown.psql(members) == "draft sent paid void"


def test_everything_that_sqlalchemy_and_postgresql_have(grown):
    """Types, schemas, indexes, keys and tables of all kinds, and what only SQL makes."""
    migration(
        grown,
        "extensions",
        """
        op.execute("CREATE EXTENSION citext; CREATE EXTENSION IF NOT EXISTS hstore")
        op.execute('create extension "btree_gist"')
        op.execute("CREATE EXTENSION ltree")
        op.execute("CREATE EXTENSION pg_trgm")
        """,
        "pass",
    )
    said = grown.run("make", "test", "ARGS=-k undone", check=False).stdout
    assert "flask db downgrade base leaves the extension citext: drop it in the downgrade()" in said
    change(
        grown,
        "migrations/versions/extensions.py",
        ("    pass\n", '    op.execute("DROP EXTENSION citext, hstore, btree_gist, ltree, pg_trgm")\n'),
    )
    grown.make("up")
    shutil.copy(GROWN / "kinds.py", grown.path / "src/orders/invoices/kinds.py")
    change(
        grown,
        "src/orders/invoices/routes.py",
        ("from .models import", "from . import kinds as kinds\nfrom .models import"),
    )
    (written,) = migrate(grown, "everything")
    assert "import orders.invoices.kinds" in written
    grown.make("up")
    migration(
        grown,
        "sql",
        """
        op.execute("CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')")
        op.execute("CREATE VIEW drafts AS SELECT * FROM invoices WHERE state = 'draft'")
        op.execute("CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM invoices")
        op.execute("CREATE DOMAIN zip AS text")
        op.execute("CREATE FUNCTION noop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$")
        op.execute("CREATE TRIGGER noop BEFORE UPDATE ON tags FOR EACH ROW EXECUTE FUNCTION noop()")
        op.execute("CREATE TABLE shapes (id int); ALTER EXTENSION citext ADD TABLE shapes")
        """,
        """
        op.execute("ALTER EXTENSION citext DROP TABLE shapes; DROP TABLE shapes")
        op.execute("DROP TRIGGER noop ON tags; DROP FUNCTION noop(); DROP DOMAIN zip")
        op.execute("DROP MATERIALIZED VIEW counted; DROP VIEW drafts; DROP TABLE events_2026")
        """,
    )
    green(grown, "everything")
    row = [
        row for row in grown.make("parity", "ARGS=--json").stdout.splitlines() if "btree_gist, citext" in row
    ]
    assert len(row) == 2, "the migrations say which extensions there are, and they are there"
    grown.psql("CREATE EXTENSION unaccent")
    assert "x-extensions in compose.project.yaml" in grown.make("parity").stdout
    grown.psql("DROP EXTENSION unaccent; DROP EXTENSION pg_trgm CASCADE")
    drifted = grown.run("make", "parity", check=False)
    assert drifted.returncode
    assert "database.extensions" in drifted.stdout
    grown.psql(
        "CREATE EXTENSION pg_trgm; CREATE INDEX ix_everything_names ON everything USING gin (name gin_trgm_ops)"
    )


def test_two_branches(grown):
    """Two migrations with one message in one minute are two files; two heads are joined by one command."""
    base, written = versions(grown), {}
    still = "# Still more.\n"
    for column in ("first", "second"):
        change(grown, "src/orders/invoices/models.py", (still, f"{still}    {column}: Mapped[int | None]\n"))
        (text,) = migrate(grown, "wip")
        (name,) = versions(grown) - base
        written[name] = text
        # The other branch knows nothing of it.
        grown.git("checkout", "--quiet", ".")
        grown.git("clean", "--quiet", "--force", "migrations")
    first, second = sorted(written)
    for name, text in written.items():
        write(grown, f"migrations/versions/{name}", text)
    columns = f"{still}    first: Mapped[int | None]\n    second: Mapped[int | None]\n"
    change(grown, "src/orders/invoices/models.py", (still, columns))
    told = f"migrations/versions has two heads, {first} and {second}: run make merge"
    for command in (["up"], ["migration", "MESSAGE=more"], ["test", "ARGS=-k migrations"]):
        done = grown.run("make", *command, check=False, timeout=600)
        logs = grown.compose("logs", "migrate", check=False)
        assert done.returncode
        assert told in done.stdout + done.stderr + logs, command
    grown.compose("restart", "web")
    ready = eventually(lambda: grown.answers_with(503, "/readyz") and grown.call("/readyz"))
    assert told in ready.json["checks"]["database"]
    grown.make("merge")
    assert "one head: nothing to join" in grown.make("merge").stdout
    green(grown, "two branches")


def test_a_revision_without_a_file(grown):
    """A branch that was left: one sentence, and a command that starts anew."""
    change(
        grown,
        "src/orders/invoices/models.py",
        ("# Still more.\n", "# Still more.\n    third: Mapped[int | None]\n"),
    )
    migrate(grown, "another branch")
    grown.make("up")
    grown.git("checkout", "--quiet", ".")
    grown.git("clean", "--quiet", "--force", "migrations")
    done = grown.run("make", "migration", "MESSAGE=more", check=False)
    assert done.returncode
    assert "which has no file in migrations/versions: switch to the branch" in done.stdout + done.stderr
    grown.make("reset", timeout=600)
    eventually(grown.ready)
    assert grown.call("/users").json["items"] == []


def documented(word: str, *changes: tuple[str, str]) -> str:
    """What an upgrade() in docs/schema.md does that has a word in it."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "template/docs/schema.md").read_text(), re.DOTALL)
    (body,) = [block.partition('"""Move the schema forward."""\n')[2] for block in blocks if word in block]
    for before, after in changes:
        assert before in body, f"docs/schema.md has no {before!r} beside {word}"
        body = body.replace(before, after)
    return body


def test_a_million_rows(grown):
    """Rows are changed one by one and in batches, and an index is made, while a query has 10 seconds."""
    grown.create("ada")
    assert grown.call("/invoices", "POST", {"user_id": 1, "number": "No 1"}).status == 201
    one_by_one = documented("slug", ("users", "invoices"), ("display_name", "number"), ("slug", "note"))
    migration(grown, "one_by_one", one_by_one)
    grown.make("up", timeout=600)
    assert grown.psql("SELECT note FROM invoices") == "no-1"
    # They are there: how long they took to come is not the question.
    grown.psql(
        "SET statement_timeout = 0; INSERT INTO invoices (user_id, number, total, reference) "
        f"SELECT 1, n::text, n, n::text FROM generate_series(1, {MILLION}) n"
    )
    column = "total: Mapped[Decimal] = mapped_column(Numeric(12, 2)"
    change(grown, "src/orders/invoices/models.py", (column, f"{column}, index=True"))
    (written,) = migrate(grown, "index totals")
    assert "postgresql_concurrently=True" in written
    in_batches = documented(
        "range(", ("users", "invoices"), ("name = display_name", "note = number"), ("name IS", "note IS")
    )
    migration(grown, "in_batches", in_batches)
    grown.make("up", timeout=600)
    assert "Index Scan" in grown.psql("ANALYZE invoices; EXPLAIN SELECT * FROM invoices WHERE total = 4711")
    assert grown.psql("SELECT count(*) FROM invoices WHERE note IS NULL") == "0"
    assert grown.psql("SHOW statement_timeout") == "10s"
    green(grown, "a million rows")

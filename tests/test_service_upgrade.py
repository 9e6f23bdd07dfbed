"""A generated service's data on its way to a new major version of PostgreSQL."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from service import Service, booted, eventually

service_tier = pytest.mark.service
ANSWERS = {"project_slug": "upgrade-under-test", "package_name": "orders", "postgres_version": "17"}
USERS = ["anna", "bert", "cyril"]
# What a dump may lose: names that need quotes, passwords, rights, settings, sequences of all kinds; and enough rows to
# be interrupted among them.
OBJECTS = """
CREATE ROLE reader LOGIN PASSWORD 'hush';
GRANT SELECT ON users TO reader;
ALTER DATABASE orders SET work_mem = '5MB';
CREATE SCHEMA "Odd Schema";
CREATE TABLE "Odd Schema"."Odd | table" (id integer GENERATED ALWAYS AS IDENTITY, word text);
INSERT INTO "Odd Schema"."Odd | table" (word) VALUES ('zebra'), ('Äpfel'), ('Zebra'), ('apple'), ('CREATE ROLE orders;');
CREATE SEQUENCE numbers INCREMENT 7;
SELECT nextval('numbers'), nextval('numbers');
CREATE SEQUENCE unused;
CREATE TABLE many AS SELECT n, md5(n::text) FROM generate_series(1, 300000) n;
CREATE MATERIALIZED VIEW total AS SELECT count(*) FROM many;
"""
FACTS = """
SELECT string_agg(u::text, ' ' ORDER BY id) FROM users u;
SELECT string_agg(word, ' ' ORDER BY word) FROM "Odd Schema"."Odd | table";
SELECT count(*), sum(n), (SELECT * FROM total) FROM many;
SELECT schemaname, sequencename, last_value, increment_by FROM pg_sequences ORDER BY 1, 2;
SELECT pg_encoding_to_char(encoding), datlocprovider, datlocale, datcollate, datctype FROM pg_database WHERE datname = 'orders';
SELECT current_setting('work_mem'), version_num FROM alembic_version;
SELECT rolname, rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL ORDER BY 1;
SELECT has_table_privilege('reader', 'users', 'SELECT'), has_table_privilege('reader', 'many', 'SELECT');
"""
REFUSED = (
    "The database's volume was made by PostgreSQL 17, and compose.yaml names 18: run make upgrade-postgres"
)
AS_IT_WAS = "The upgrade did not complete, and the data of PostgreSQL 17 is as it was."


def fill(stack: Service) -> None:
    for user in USERS:
        assert stack.create(user).status == 201
    eventually(lambda: stack.psql("SELECT count(*) FROM users WHERE welcomed_at IS NULL") == "0")
    stack.psql(OBJECTS)


def facts(stack: Service) -> list[str]:
    return [stack.psql(statement) for statement in FACTS.strip().splitlines()]


def parity(stack: Service) -> str:
    """The version of PostgreSQL that the service is to have, and has: the check finds nothing amiss."""
    checked = json.loads(stack.compose("exec", "--no-TTY", "web", "flask", "parity", "check", "--json"))
    assert checked["verdict"] == "kept"
    (version,) = [row["expected"] for row in checked["rows"] if row["key"] == "database.version"]
    return version


def name_major(stack: Service, major: int) -> None:
    compose = stack.path / "compose.yaml"
    text, changes = re.subn(r"image: postgres:\d+", f"image: postgres:{major}", compose.read_text())
    assert changes == 1
    compose.write_text(text)


def left_over(stack: Service) -> str:
    """The containers of an upgrade."""
    return stack.run("docker", "ps", "--all", "--quiet", f"--filter=name={stack.project}-upgrade").stdout


def guard(stack: Service) -> subprocess.CompletedProcess:
    return stack.run(*stack.compose_command("run", "--rm", "--no-deps", "postgres-guard"), check=False)


def said(done: subprocess.CompletedProcess) -> list[str]:
    """What a person has to read, without what Compose shows of its containers and make of its failure."""
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines()]
    return [line for line in lines if line and not re.match(r"(Container|Network|make:|#\d+ )", line)]


def made_by_the_services_role(path: Path) -> None:
    """Leave out what makes the service's role: the image makes the one that POSTGRES_USER names, a superuser."""
    compose = path / "compose.yaml"
    text, found = re.subn(r"( +)cat >\S+/role\.sql <<'SQL'\n(?:.*\n)*?\1SQL\n", "", compose.read_text())
    assert found == 1
    compose.write_text(
        text.replace("POSTGRES_DB: orders\n", "POSTGRES_DB: orders\n      POSTGRES_USER: orders\n")
    )


@pytest.fixture(scope="module")
def filled(snapshot, tmp_path_factory) -> Iterator[tuple[Service, list[str]]]:
    """A service on PostgreSQL 17, made by its own role as before v0.3.0, what is in its database, and then 18 in compose.yaml."""
    folder = tmp_path_factory.mktemp("upgrade") / "service"
    for stack in booted(snapshot, folder, ANSWERS, "upgrade", made_by_the_services_role, WEB_CONCURRENCY="1"):
        stack = replace(stack, superuser="orders")
        fill(stack)
        before = facts(stack)
        assert parity(stack) == "17"
        assert stack.psql("SELECT rolsuper FROM pg_roles WHERE rolname = 'orders'") == "t"
        (stack.path / "compose.yaml").write_text(stack.run("git", "show", "HEAD:compose.yaml").stdout)
        name_major(stack, 18)
        try:
            yield stack, before
        finally:
            # An image that a container has cannot be removed.
            stack.remove()
            stack.run("docker", "image", "rm", "--force", stack.tested, stack.shipped)


@pytest.fixture(scope="module")
def upgraded(filled) -> tuple[Service, list[str], subprocess.CompletedProcess]:
    """The service on PostgreSQL 18, what was in its database before, and what the upgrade said."""
    stack, before = filled
    shown = stack.make("upgrade-postgres")
    stack = replace(stack, superuser="postgres")
    stack.make("up")
    return stack, before, shown


@service_tier
def test_the_volume_of_an_older_major_is_refused_in_one_sentence(filled):
    stack, _ = filled
    refused = stack.make("up", check=False)
    assert refused.returncode != 0
    assert said(refused)[-1] == REFUSED
    assert (refused.stdout + refused.stderr).count(REFUSED) == 1
    postgres = stack.inspect("postgres")
    assert (postgres["State"]["Status"], postgres["RestartCount"]) == ("created", 0)
    # Nor does anybody who passes the guard by begin an empty database beside the old one.
    direct = stack.run(*stack.compose_command("run", "--rm", "--no-deps", "postgres"), check=False)
    assert (direct.returncode, said(direct)[-1]) == (1, REFUSED)


@service_tier
def test_an_upgrade_that_is_killed_leaves_the_old_data_and_no_server(filled):
    stack, _ = filled
    with subprocess.Popen(
        ["ops/upgrade-postgres"],
        cwd=stack.path,
        env=stack.env(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as upgrade:
        assert any(line.startswith("Moving the database orders") for line in upgrade.stdout)
        upgrade.kill()
    eventually(lambda: not left_over(stack), 10)
    assert said(guard(stack)) == [REFUSED]


@service_tier
def test_an_upgrade_that_loses_something_says_what_and_changes_nothing(filled):
    stack, _ = filled
    script = stack.path / "ops" / "upgrade-postgres"
    text = script.read_text()
    script.write_text(text.replace("pg_dump --clean", "pg_dump --exclude-table-data=public.users --clean"))
    assert script.read_text() != text
    try:
        failed = stack.make("upgrade-postgres", check=False)
    finally:
        script.write_text(text)
    assert failed.returncode != 0
    assert said(failed)[-1] == AS_IT_WAS
    assert {"< table|orders|public.users|3", "> table|orders|public.users|0"} <= set(said(failed))
    assert left_over(stack) == ""
    # Not even its name says that there is something.
    folders = stack.compose(
        "run", "--rm", "--no-deps", "--no-TTY", "--entrypoint=ls", "postgres", "/var/lib/postgresql"
    )
    assert {"17"} <= set(folders.split()) <= {"17", "data"}


@service_tier
def test_everything_is_there_after_the_upgrade(upgraded):
    stack, before, shown = upgraded
    assert stack.psql("SHOW server_version").startswith("18.")
    assert facts(stack) == before
    assert parity(stack) == "18"
    rights = (
        "SELECT rolsuper, rolcreatedb, rolcreaterole, rolbypassrls FROM pg_roles WHERE rolname = 'orders'"
    )
    assert stack.psql(rights) == "f|t|f|f"
    assert stack.ready()
    assert left_over(stack) == ""
    assert re.search(r"^The same in both: tables 6, rows 300010, sequences 4$", shown.stdout, re.MULTILINE)

    assert stack.create("dora").json["id"] == len(USERS) + 1
    assert stack.psql("SELECT nextval('numbers'), nextval('unused')") == "15|1"
    assert stack.psql("SELECT count(*) > 0 FROM pg_stats WHERE tablename = 'many'") == "t"
    assert stack.psql("SHOW fsync") == "on"
    # Who may connect from where is as before.
    query = "SELECT database, user_name, auth_method FROM pg_hba_file_rules WHERE address = 'all'"
    assert stack.psql(query) == "{all}|{all}|scram-sha-256"


@service_tier
def test_the_upgrade_says_how_to_remove_the_old_data_and_that_nothing_is_left_to_do(upgraded):
    stack, _, shown = upgraded
    folders = ("exec", "--no-TTY", "postgres", "ls", "/var/lib/postgresql")
    assert {"17", "18"} <= set(stack.compose(*folders).split())
    command = shlex.split(shown.stdout.strip().splitlines()[-1])
    stack.run(*command)
    assert "17" not in stack.compose(*folders).split()
    again = stack.make("upgrade-postgres")
    assert said(again) == [
        "Nothing to upgrade: the volume has the data of PostgreSQL 18, which compose.yaml names."
    ]
    assert stack.ready()


@service_tier
def test_there_is_no_way_back_to_an_older_major(upgraded):
    stack, _, _ = upgraded
    started = stack.inspect("postgres")["State"]["StartedAt"]
    name_major(stack, 17)
    try:
        refused = stack.run("ops/upgrade-postgres", check=False)
        sentence = "The volume has the data of PostgreSQL 18, and PostgreSQL cannot go back to 17: name 18 in compose.yaml."
        assert (refused.returncode, said(refused)) == (2, [sentence])
        refused = guard(stack)
        sentence = "The database's volume was made by PostgreSQL 18, and compose.yaml names 17, which cannot read it: name 18 again"
        assert (refused.returncode, said(refused)) == (1, [sentence])
    finally:
        name_major(stack, 18)
    assert stack.inspect("postgres")["State"]["StartedAt"] == started
    assert stack.ready()


@service_tier
def test_the_documented_way_moves_a_managed_database(upgraded):
    stack, _, _ = upgraded
    (commands,) = re.findall(
        r"^  ```console\n((?:  .*\n)*?  pg_dump (?:.*\n)*?)  ```$",
        (stack.path / "docs" / "postgres.md").read_text(),
        re.MULTILINE,
    )
    server = f"{stack.project}-managed"
    run = ["docker", "run", "--rm", f"--network={stack.project}_default"]
    old = f"postgresql://orders:hush@{server}/orders"
    new = "postgresql://orders:development@postgres/moved"
    stack.psql("CREATE DATABASE moved OWNER orders")
    stack.run(
        *run,
        "--detach",
        f"--name={server}",
        "--env=POSTGRES_USER=orders",
        "--env=POSTGRES_PASSWORD=hush",
        "postgres:17",
    )
    try:
        psql = [*run, "postgres:17", "psql", "--no-align", "--tuples-only"]
        # Over TCP: while it prepares itself, the server listens on its socket only.
        eventually(lambda: not stack.run(*psql, "--command=SELECT 1", old, check=False).returncode)
        stack.run(*psql, "--command=CREATE TABLE things AS SELECT generate_series(1, 1000) n", old)
        environment = [f"--env=OLD_DATABASE_URL={old}", f"--env=DATABASE_URL={new}", "--workdir=/tmp"]
        stack.run(*run, *environment, "postgres:17", "sh", "-ec", commands)
        assert stack.run(*psql, "--command=SELECT count(*) FROM things", new).stdout == "1000\n"
    finally:
        stack.run("docker", "rm", "--force", "--volumes", server)

"""The commands of a generated service, its images and its first commit."""

import json
import re

import pytest

pytestmark = pytest.mark.service

TARGETS = [
    "help",
    "doctor",
    "up",
    "down",
    "test",
    "fuzz",
    "lint",
    "check",
    "format",
    "logs",
    "shell",
    "psql",
    "migration",
    "merge",
    "reset",
    "parity",
    "snapshot",
    "diff",
    "accept",
    "token",
    "settings",
    "lock",
    "build",
    "save",
    "load",
    "login",
    "publish",
    "update",
    "upgrade-postgres",
    "deploy",
    "rollback",
    "status",
    "console",
    "secrets",
]
UNWANTED_PROGRAMS = ["uv", "uvx", "gcc", "cc", "pytest", "ruff", "mypy", "watchfiles"]
UNWANTED_MODULES = ["pip", "setuptools", "pytest", "ruff", "mypy", "mypyc", "watchfiles", "tests"]
LOOK_AROUND = """
import json, os, pathlib, shutil, sys, importlib.util
programs, modules = (names.split(",") for names in sys.argv[1:])
venv = pathlib.Path("/opt/venv")
print(json.dumps({
    "uid": os.getuid(),
    "programs": [name for name in programs if shutil.which(name)],
    "modules": [name for name in modules for folder in [*venv.glob("lib/*/site-packages"), pathlib.Path("/app")] if (folder / name).exists()],
    "pip": shutil.which("pip", path=venv / "bin"),
    "importable": [name for name in modules if name != "pip" and importlib.util.find_spec(name)],
    "app": sorted(os.listdir("/app")),
    "bytecode": bool(list(pathlib.Path("/app/src").rglob("*.pyc")) and list(venv.rglob("flask/__pycache__/*.pyc"))),
}))
"""


def image(service, name: str) -> dict:
    return json.loads(service.run("docker", "image", "inspect", name).stdout)[0]


def test_make_up_ends_healthy_and_names_the_addresses(service):
    shown = service.make("up").stdout
    assert f"http://localhost:{service.port}/docs" in shown
    assert f"http://localhost:{service.port}/readyz" in shown
    jobs = ["worker"] if service.answers["jobs"] else []
    for name in ["web", "postgres", service.cache, *jobs]:
        assert service.inspect(name)["State"]["Health"]["Status"] == "healthy"
    assert service.inspect("migrate")["State"]["ExitCode"] == 0
    assert service.ready()


def stack_of_the_tests(service) -> dict[str, str]:
    """Its containers by their service."""
    shown = '{{.Label "com.docker.compose.service"}} {{.ID}}'
    project = f"--filter=label=com.docker.compose.project={service.project}-test"
    listed = service.run("docker", "ps", "--all", "--no-trunc", project, f"--format={shown}").stdout
    return dict(line.split() for line in listed.splitlines())


def test_make_test_and_make_lint_pass_and_leave_the_working_tree_and_the_data(service):
    service.create("bystander")
    before = service.psql("SELECT count(*), max(id) FROM users")
    tests = service.make("test").stdout
    assert re.search(r"=+ \d+ passed in [\d.]+s( \(.*\))? =+", tests)
    service.make("lint")
    # What makes the next `make lint` quick.
    assert service.git("status", "--porcelain", "--ignored") == "!! .mypy_cache/\n"
    assert service.psql("SELECT count(*), max(id) FROM users") == before


@pytest.mark.parametrize("service", ["default"], indirect=True)
def test_the_stack_of_the_tests_stays_until_something_that_it_depends_on_changes(workspace):
    def run(*arguments: str) -> dict[str, str]:
        workspace.make("test", *(arguments or ["ARGS=-k users"]))
        return stack_of_the_tests(workspace)

    def edit(name: str, before: str, after: str) -> None:
        file = workspace.path / name
        assert before in file.read_text()
        file.write_text(file.read_text().replace(before, after))

    # With what a whole run does: jobs, and databases of its own.
    first = run("ARGS=")
    backing = {"postgres", workspace.cache}
    assert first.keys() >= backing | {"migrate"} and "web" not in first
    assert run("ARGS=") == first

    # What a test left, or a run that was killed, the next one does not see.
    left = workspace.path / "tests" / "test_left.py"
    package = workspace.package
    left.write_text(
        f"from sqlalchemy import text\n\nfrom {package}.extensions import cache, db\n\n\ndef test_left(app):\n"
        '    """Each run begins alike."""\n    with app.app_context():\n        assert cache.get("left") is None\n'
        "        assert not db.session.scalar(text(\"SELECT to_regclass('left_behind')\"))\n"
        '        db.session.execute(text("CREATE TABLE left_behind ()"))\n        db.session.commit()\n'
        '        cache.set("left", "behind")\n'
    )
    assert run("ARGS=-k left") == run("ARGS=-k left") == first

    # The code that a worker runs: that is another container, on the same servers.
    edit(f"src/{package}/users/routes.py", "List users, a page at a time.", "List users by the page.")
    changed = run()
    assert {name: changed[name] for name in backing} == {name: first[name] for name in backing}
    assert all(changed[name] != first[name] for name in changed.keys() - backing)

    # The schema: the database is a new one.
    edit("migrations/versions/0001_create_users.py", '"""Create users."""', '"""Create the users."""')
    assert run()["postgres"] != changed["postgres"]
    # A server that was restarted has forgotten what was in its memory.
    workspace.run("docker", "restart", "--time=1", stack_of_the_tests(workspace)["postgres"])
    run()


@pytest.mark.parametrize("service", ["default"], indirect=True)
def test_make_down_and_ci_leave_no_stack_of_the_tests(service):
    service.make("test", "ARGS=ops/checks/test_versions.py")
    assert stack_of_the_tests(service)
    service.run("env", "CI=true", "make", "--no-print-directory", "test", "ARGS=ops/checks/test_versions.py")
    assert not stack_of_the_tests(service)
    service.make("test", "ARGS=ops/checks/test_versions.py")
    service.make("down")
    try:
        assert not stack_of_the_tests(service)
    finally:
        service.make("up")


def test_make_lists_the_commands(service):
    lines = service.make().stdout.splitlines()
    assert [re.match(r"make ([\w-]+) +\S", line)[1] for line in lines] == TARGETS


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["migration"], 'Say what the migration does: make migration MESSAGE="add orders"'),
        (["token"], "Say whose token it is: make token NAME=alice"),
        (["up"], "Docker does not answer: install it or start it, then try again."),
    ],
)
def test_a_command_that_lacks_something_says_so(default, tmp_path, command, sentence):
    docker = {} if command != ["up"] else {"DOCKER_HOST": f"unix://{tmp_path}/nothing"}
    refused = default.run(
        "env", *(f"{k}={v}" for k, v in docker.items()), "make", "--no-print-directory", *command, check=False
    )
    assert refused.returncode == 2
    assert [line for line in refused.stderr.splitlines() if not line.startswith("make: ***")] == [sentence]


def test_a_token_that_was_made_lets_its_owner_in(default):
    shown = default.make("token", "NAME=alice").stdout
    token, entry = re.search(
        r"Token, for the caller: +(\S+)\n.*API_TOKENS: +(alice:[0-9a-f]{64})", shown
    ).groups()
    script = f"""
from {default.package} import create_app
client = create_app().test_client()
print([client.get("/users", headers={{"Authorization": "Bearer " + token}}).status_code for token in ({token!r}, "other")])
"""
    shown = default.compose(
        "exec", "--no-TTY", f"--env=API_TOKENS={entry}", "web", "python", "-", input=script
    )
    assert "[200, 401]" in shown.splitlines()


def test_make_down_keeps_the_data(different):
    user = different.create("keeper").json
    different.make("down")
    assert not different.answers_with(200, "/livez")
    different.make("up")
    assert different.call(f"/users/{user['id']}").json == user


def test_the_first_commit_is_clean(service):
    tracked = set(service.git("ls-files").splitlines())
    assert {"requirements.txt", "requirements-dev.txt", ".env.example", ".copier-answers.yml"} <= tracked
    assert not [
        path
        for path in tracked
        if re.search(r"(^|/)(\.env|\.venv|__pycache__|\.\w+_cache|\.coverage)(/|$)|\.pyc$", path)
    ]
    private = [
        ".env",
        ".venv/bin/python",
        "src/__pycache__/x.pyc",
        ".pytest_cache/x",
        ".ruff_cache/x",
        ".mypy_cache/x",
        ".coverage",
    ]
    assert service.run("git", "check-ignore", "--no-index", *private).stdout.split() == private
    assert service.git("status", "--porcelain") == ""


def test_what_is_tested_is_what_ships(service):
    service.make("build")
    shipped, tested = (
        image(service, service.shipped),
        image(service, service.tested),
    )
    layers = shipped["RootFS"]["Layers"]
    assert tested["RootFS"]["Layers"][: len(layers)] == layers
    assert len(tested["RootFS"]["Layers"]) > len(layers)
    for setting in ("User", "Cmd", "WorkingDir", "Healthcheck", "ExposedPorts"):
        assert tested["Config"][setting] == shipped["Config"][setting]


def test_the_shipped_image_holds_only_what_runs(service):
    service.make("build")
    arguments = [",".join(UNWANTED_PROGRAMS), ",".join(UNWANTED_MODULES)]
    run = [
        "docker",
        "run",
        "--rm",
        "--interactive",
        "--read-only",
        "--no-healthcheck",
        service.shipped,
        "python",
        "-",
    ]
    found = json.loads(service.run(*run, *arguments, input=LOOK_AROUND).stdout)
    assert found["uid"] > 0
    assert (found["programs"], found["modules"], found["importable"], found["pip"]) == ([], [], [], None)
    assert {"src", "migrations"} <= set(found["app"])
    assert not {"tests", "pyproject.toml", ".env.example", ".git"} & set(found["app"])
    assert found["bytecode"]

    config = image(service, service.shipped)["Config"]
    assert re.fullmatch(r"app|[1-9]\d*(:\d+)?", config["User"])
    assert "urlopen" in " ".join(config["Healthcheck"]["Test"])
    assert "curl" not in " ".join(config["Healthcheck"]["Test"])
    labels = {
        name.removeprefix("org.opencontainers.image."): value for name, value in config["Labels"].items()
    }
    assert labels["title"] == service.answers["project_slug"]
    assert labels["source"] == service.answers["repository_url"]
    assert labels["licenses"] == service.answers["license_expression"]
    assert labels["revision"] == service.git("rev-parse", "HEAD").strip()


def test_nothing_private_enters_an_image(copy):
    for name in (".env", "secret.pem", "src/.env", "notes/diary.md"):
        (copy.path / name).parent.mkdir(exist_ok=True)
        (copy.path / name).write_text("PASSWORD=hush\n")
    built = copy.run("docker", "build", "--quiet", "--target=development", ".").stdout.strip()
    found = copy.run(
        "docker",
        "run",
        "--rm",
        "--no-healthcheck",
        "--entrypoint=grep",
        built,
        "-rl",
        "PASSWORD=hush",
        "/app",
        check=False,
    )
    copy.run("docker", "image", "rm", built)
    assert (found.returncode, found.stdout) == (1, "")


@pytest.mark.parametrize("environment", ["service", "production"])
def test_containers_have_no_rights_to_lose(request, environment):
    stacks = [
        request.getfixturevalue(name)
        for name in (["default", "different"] if environment == "service" else [environment])
    ]
    for stack in stacks:
        jobs = ["worker"] if stack.answers["jobs"] else []
        for name in ["web", "migrate", *jobs]:
            host = stack.inspect(name)["HostConfig"]
            assert host["ReadonlyRootfs"]
            assert host["CapDrop"] == ["ALL"]
            assert not host["CapAdd"]
            assert "no-new-privileges:true" in host["SecurityOpt"]
            assert not host["Privileged"]
        for name in ["web", *jobs]:
            status = stack.compose("exec", "--no-TTY", name, "cat", "/proc/1/status")
            fields = dict(line.split(":\t", 1) for line in status.splitlines())
            assert {name: int(fields[name], 16) for name in ("CapEff", "CapPrm", "CapBnd")} == {
                "CapEff": 0,
                "CapPrm": 0,
                "CapBnd": 0,
            }
            assert "0" not in fields["Uid"].split()


def test_ports_are_open_to_this_machine_only(service):
    listed = [json.loads(line) for line in service.compose("ps", "--format=json").splitlines()]
    ports = [
        (port["URL"], port["PublishedPort"])
        for entry in listed
        for port in entry["Publishers"]
        if port["PublishedPort"]
    ]
    assert ports == [("127.0.0.1", service.port)]


def test_the_database_is_set_as_the_stack_states(service):
    shown = service.psql(
        "SELECT current_setting('server_version_num')::int / 10000, current_setting('TimeZone'), current_setting('log_timezone'),"
        " pg_encoding_to_char(encoding), datlocprovider, datlocale FROM pg_database WHERE datname = current_database()"
    )
    assert shown == f"{service.answers['postgres_version']}|UTC|UTC|UTF8|b|C.UTF-8"


def test_the_lock_is_right_from_the_first_commit(workspace):
    workspace.make("lock")
    assert workspace.git("status", "--porcelain") == ""


def test_a_team_that_needs_no_system_packages_may_delete_their_list(copy):
    """What stands in it: test_service_growth_packages.py."""
    (copy.path / "apt.txt").unlink()
    copy.run("docker", "build", "--quiet", ".", timeout=600)


def test_the_image_says_what_its_migrations_do(service):
    command = ["docker", "run", "--rm", "--network=none", service.shipped]
    listed = service.run(*command, "python", "-m", "parity.release").stdout
    assert listed == "0000 expand\n" * service.answers["has_jobs"] + "0001 expand\n"


@pytest.mark.parametrize("service", ["default"], indirect=True)
def test_a_changed_model_becomes_a_migration(workspace):
    models = workspace.path / "src" / workspace.package / "users" / "models.py"
    text = models.read_text()
    column = "    nickname: Mapped[str | None] = mapped_column(String(40))\n"
    models.write_text(re.sub(r"(    display_name: .*\n)", rf"\1{column}", text))
    assert models.read_text() != text

    workspace.make("migration", 'MESSAGE=add the user\'s "nickname"')
    (written,) = workspace.git("ls-files", "--others", "--exclude-standard").splitlines()
    assert re.fullmatch(r"migrations/versions/\d{12}_\w*nickname\w*\.py", written)
    migration = (workspace.path / written).read_text()
    assert re.search(
        r'add_column\(.*sa\.Column\("nickname", sa\.String\(length=40\), nullable=True\)\)', migration
    )
    assert re.search(r'drop_column\(.*"nickname"\)', migration)
    workspace.make("lint")

    try:
        workspace.make("up")
        assert (
            workspace.psql("SELECT count(*) FROM information_schema.columns WHERE column_name = 'nickname'")
            == "1"
        )
        assert workspace.ready()
        again = workspace.make("migration", "MESSAGE=nothing")
        assert "The models have not changed: no migration written." in again.stdout
        assert workspace.git("ls-files", "--others", "--exclude-standard").splitlines() == [written]
    finally:
        workspace.compose("exec", "--no-TTY", "web", "flask", "db", "downgrade", "0001")

"""What a generated service does while its parts fail; on the shipped image, as in production."""

import json
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import count

import pytest
from service import KILL_CHILDREN, eventually

pytestmark = pytest.mark.service

NUMBERS = count(1)
# Runs beside the service, on its network: a published port accepts connections before the server does. Asks until
# its input ends, four clients with a connection for each request and some that keep theirs, and prints how many
# requests ended in which way, when those began that had a connection and got no answer, and when none was to be had.
LOAD = """
import collections, http.client, json, socket, sys, threading, time

# Looked up once: the name goes when the service stops.
address = socket.gethostbyname("web")
counts, lost, refused, stop = collections.Counter(), [], [], threading.Event()
path, token, kept = sys.argv[1:]

def ask(connection_header):
    connection = None
    while not stop.is_set():
        began = time.time()
        if not connection:
            connection = http.client.HTTPConnection(address, 8000, timeout=1)
            try:
                connection.connect()
                connection.sock.settimeout(20)
            except OSError:
                refused.append(began)
                connection = None
                stop.wait(0.05)
                continue
        try:
            connection.request("GET", path, headers={"Authorization": "Bearer " + token, "Connection": connection_header})
            response = connection.getresponse()
            response.read()
            counts[str(response.status)] += 1
            closes = response.will_close
        except (OSError, http.client.HTTPException):
            lost.append(began)
            closes = True
        if closes:
            connection.close()
            connection = None

threads = [threading.Thread(target=ask, args=[header]) for header in ["close"] * 4 + ["keep-alive"] * int(kept)]
for thread in threads:
    thread.start()
print("started", flush=True)
sys.stdin.read()
stop.set()
for thread in threads:
    thread.join()
print(json.dumps(counts | {"lost": lost, "refused": refused}))
"""

# Runs in the image: starts the server and stops it with its first answer, while it still starts processes, again
# and again, and prints how many seconds each stop took.
STOP_EARLY = """
import http.client, json, signal, subprocess, sys, time

def answers():
    connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=2)
    try:
        connection.request("GET", "/livez")
        return connection.getresponse().status == 200
    except OSError:
        time.sleep(0.002)
    finally:
        connection.close()

took = []
for _ in range(5):
    server = subprocess.Popen(["gunicorn"], stdout=subprocess.DEVNULL)
    while not answers():
        pass
    told = time.monotonic()
    server.send_signal(signal.Signals[sys.argv[1]])
    server.wait()
    took.append(time.monotonic() - told)
print(json.dumps(took))
"""

# Runs in the image: stops a server with a worker of some class, while a client says nothing, one is in the middle of its
# request and one connects late. Prints what the late one sees, how many seconds the silent one holds up the stop, and how
# many the one in the middle a stop by SIGQUIT.
STOP_LATE = """
import json, signal, socket, subprocess, sys, time

def start():
    server = subprocess.Popen(
        ["gunicorn", "--worker-class", sys.argv[1], "--graceful-timeout", "8"], stdout=subprocess.DEVNULL
    )
    while True:
        try:
            return server, connect()
        except OSError:
            time.sleep(0.01)

def connect(said=b""):
    client = socket.create_connection(("127.0.0.1", 8000), timeout=20)
    client.sendall(said)
    return client

request = b"GET /livez HTTP/1.1\\r\\nHost: x\\r\\n"
server, silent = start()
# So long that the server has given it no thread any more.
time.sleep(6)
begun = connect(request)
time.sleep(0.5)
server.send_signal(signal.SIGTERM)
told = time.monotonic()
time.sleep(0.5)
try:
    late = connect(request + b"\\r\\n")
    begun.sendall(b"\\r\\n")
    assert b" 200 " in begun.recv(65536)
    seen = "an answer" if late.recv(65536) else "an end"
except ConnectionRefusedError:
    begun.sendall(b"\\r\\n")
    assert b" 200 " in begun.recv(65536)
    seen = "a refusal"
except ConnectionResetError:
    seen = "a reset"
server.wait()
held_up = time.monotonic() - told

server, _ = start()
begun = connect(request)
time.sleep(0.5)
server.send_signal(signal.SIGQUIT)
told = time.monotonic()
server.wait()
print(json.dumps({"late": seen, "term": held_up, "quit": time.monotonic() - told}))
"""


@pytest.fixture
def stack(production):
    """The stack, whole again afterwards."""
    yield production
    parts = production.compose(
        "ps", "--all", "--quiet", "web", "worker", "postgres", production.cache
    ).split()
    production.run("docker", "unpause", *parts, check=False)
    production.run("docker", "start", *parts)
    eventually(production.ready)


@pytest.fixture
def user(stack) -> int:
    """A user whom the worker has welcomed, and his name is free again."""
    created = stack.create(f"user-{next(NUMBERS)}").json["id"]
    eventually(lambda: stack.call(f"/users/{created}").json["welcomed_at"])
    return created


@contextmanager
def load(stack, path: str, kept: int = 0):
    """Ask for a path without a pause, with so many kept connections too; afterwards the dictionary holds what LOAD printed."""
    network = f"{stack.project}_default"
    command = [
        "docker",
        "run",
        "--rm",
        "--interactive",
        "--no-healthcheck",
        f"--network={network}",
        stack.shipped,
    ]
    counts: dict = {}
    with subprocess.Popen(
        [*command, "python", "-c", LOAD, path, stack.token, str(kept)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as asker:
        assert asker.stdout.readline() == "started\n"
        time.sleep(0.5)
        try:
            yield counts
            time.sleep(0.5)
        finally:
            asker.stdin.close()
            counts |= json.loads(asker.stdout.read())


def alone(stack, script: str, argument: str, processes: int = 1) -> object:
    """Run a script in the image without its stack, where a server starts with so many processes; what it prints."""
    variables = {
        "DATABASE_URL": "postgresql://a:b@nowhere/c",
        "REDIS_URL": "redis://nowhere",
        "API_TOKENS": f"a:{'0' * 64}",
        "WEB_CONCURRENCY": str(processes),
        "PARITY": "warn",
    }
    options = [f"--env={name}={value}" for name, value in variables.items()]
    command = ["docker", "run", "--rm", "--interactive", "--no-healthcheck", *options]
    done = stack.run(*command, stack.shipped, "python", "-", argument, input=script)
    return json.loads(done.stdout)


def unwelcomed(stack) -> int:
    """A user whose welcome waits for the worker, which is stopped in its tracks."""
    stack.compose("pause", "worker")
    return stack.create(f"user-{next(NUMBERS)}").json["id"]


def welcomed(stack, user_id: int) -> bool:
    return stack.psql(f"SELECT welcomed_at IS NOT NULL FROM users WHERE id = {user_id}") == "t"


@pytest.mark.parametrize(("fail", "recover"), [("stop", "start"), ("pause", "unpause")])
def test_without_the_cache_the_api_answers(stack, user, fail, recover):
    stack.call("/users/summary")
    stack.compose(fail, stack.cache)
    # Each request alone, and more at once than one process has threads: nobody queues behind somebody who waits.
    for _ in range(2):
        answers = [
            stack.call(f"/users/{user}"),
            stack.create(f"user-{next(NUMBERS)}"),
            stack.call("/users/summary"),
            stack.call("/readyz"),
            stack.call("/livez"),
        ]
        assert [answer.status for answer in answers] == [200, 201, 200, 200, 200]
        assert answers[3].json == {"status": "degraded", "checks": {"database": "ok", "cache": "unreachable"}}
        assert max(answer.seconds for answer in answers) < 3
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: stack.call(f"/users/{user}"), range(24)))
    assert {answer.status for answer in answers} == {200}
    assert max(answer.seconds for answer in answers) < 3

    stack.compose(recover, stack.cache)
    eventually(stack.ready, 15)
    # The worker finds its broker again too.
    late = stack.create(f"user-{next(NUMBERS)}").json["id"]
    eventually(lambda: welcomed(stack, late), 45)


def test_all_threads_at_once_may_find_the_cache_gone(stack, user):
    # No process knows yet.
    stack.compose("restart", "web")
    eventually(stack.ready)
    stack.compose("pause", stack.cache)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: stack.call(f"/users/{user}"), range(48)))
    assert {answer.status for answer in answers} == {200}


def test_without_the_database_the_api_says_so_at_once(stack, user):
    restarts, started = stack.inspect("web")["RestartCount"], stack.inspect("web")["State"]["StartedAt"]
    stack.compose("stop", "postgres")
    for path in (f"/users/{user}", "/users", "/users/summary?fresh"):
        answer = stack.call(path)
        if answer.status == 200:
            assert path.startswith("/users/summary")
            continue
        assert answer.status == 503
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.json["detail"] == "The database cannot be reached."
        assert answer.seconds < 3
    created = stack.create("lost")
    assert (created.status, created.seconds < 3) == (503, True)
    # Its name leads nowhere, and each thread asks for it.
    with ThreadPoolExecutor(24) as pool:
        answers = [*pool.map(lambda _: stack.call(f"/users/{user}"), range(48))]
    assert {answer.status for answer in answers} == {503}
    assert max(answer.seconds for answer in answers) < 3
    ready = stack.call("/readyz")
    assert (ready.status, ready.json["status"], ready.seconds < 3) == (503, "unavailable", True)
    assert stack.call("/livez").status == 200

    stack.compose("start", "postgres")
    eventually(stack.ready, 30)
    assert stack.call(f"/users/{user}").status == 200
    after = stack.inspect("web")
    assert (after["RestartCount"], after["State"]["StartedAt"]) == (restarts, started)


def test_a_database_out_of_reach_hangs_nothing(stack, user):
    """The network swallows every packet, which is not the same as a server that refuses."""
    network, container = f"{stack.project}_default", stack.inspect("postgres")["Id"]
    stack.run("docker", "network", "disconnect", network, container)
    try:
        for _ in range(6):
            answer = stack.call(f"/users/{user}")
            assert (answer.status, answer.seconds < 3) == (503, True)
        assert stack.call("/livez").seconds < 3
    finally:
        stack.run("docker", "network", "connect", "--alias=postgres", network, container)
    eventually(stack.ready, 30)


def test_a_database_that_stands_still_holds_up_nobody(stack, user):
    """Its kernel goes on acknowledging what it is sent, and its own clocks stand still with it."""
    stack.compose("pause", "postgres")
    for _ in range(2):
        with ThreadPoolExecutor(25) as pool:
            alive = pool.submit(stack.call, "/livez")
            answers = [*pool.map(lambda _: stack.call(f"/users/{user}"), range(24))]
        assert {answer.status for answer in answers} == {503}
        assert max(answer.seconds for answer in answers) < 3
        assert (alive.result().status, alive.result().seconds < 1) == (200, True)
    for answer in (stack.call("/readyz"), stack.create("nobody")):
        assert (answer.status, answer.seconds < 3) == (503, True)
    stack.compose("unpause", "postgres")
    eventually(stack.ready, 5)
    assert stack.call(f"/users/{user}").status == 200


def test_a_database_that_takes_no_changes_is_told_apart(stack, user):
    setting = "ALTER SYSTEM {} default_transaction_read_only {}"
    stack.psql(setting.format("SET", "= on"))
    stack.psql("SELECT pg_reload_conf()")
    try:
        eventually(lambda: stack.create("nobody").status != 201)
        refused = stack.create("nobody")
        assert (refused.status, refused.json["detail"]) == (
            503,
            "The database takes no changes at the moment.",
        )
        assert stack.call(f"/users/{user}").status == 200
        ready = stack.call("/readyz")
        assert (ready.status, ready.json["checks"]["database"]) == (200, "takes no changes")
    finally:
        stack.psql(setting.format("RESET", ""))
        stack.psql("SELECT pg_reload_conf()")
    eventually(stack.ready)


@pytest.mark.parametrize(
    ("fault", "recovery"),
    [("maxmemory 1", "maxmemory 128mb"), ("min-replicas-to-write 1", "min-replicas-to-write 0")],
)
def test_a_cache_that_takes_no_changes_is_told(stack, user, fault, recovery):
    configure = ("exec", "--no-TTY", stack.cache, f"{stack.cache}-cli", "config", "set")
    stack.compose(*configure, *fault.split())
    try:
        assert stack.call(f"/users/{user}").status == 200
        ready = stack.call("/readyz")
        assert (ready.status, ready.json["checks"]["cache"]) == (200, "takes no changes")
    finally:
        stack.compose(*configure, *recovery.split())
    eventually(stack.ready)


def test_a_server_that_is_told_to_stop_finishes_what_it_has_begun(stack, user):
    before = stack.inspect("web")
    restarts = before["RestartCount"]
    with (
        ThreadPoolExecutor(2) as pool,
        load(stack, f"/users/{user}") as counts,
        stack.locked(user) as release,
    ):
        change = pool.submit(stack.call, f"/users/{user}", "PATCH", {"display_name": "In flight"})
        eventually(stack.someone_waits)
        # At once: the change waits no longer than a query may take.
        stopping = pool.submit(stack.run, "docker", "stop", before["Id"])
        time.sleep(1)
        assert not stopping.done()
        released = time.time()
        release()
        assert change.result().status == 200
        stopping.result()
    # The last lines are written before the process ends.
    assert change.result().headers["X-Request-ID"] in stack.compose("logs", "--tail=500", "web")
    after = stack.inspect("web")
    assert (after["State"]["ExitCode"], after["State"]["OOMKilled"], after["RestartCount"]) == (
        0,
        False,
        restarts,
    )
    assert counts.pop("200") > 10
    # While the server finishes, nobody waits whom it will not serve.
    assert min(counts.pop("refused")) < released
    # The kernel may have made one more connection in the instant in which the listener was closed.
    assert len(counts.pop("lost")) <= 1
    assert counts == {}


def test_behind_a_proxy_a_server_that_is_told_to_stop_goes_on_for_a_while(stack, user):
    """A proxy sends requests until it has heard of the stop."""
    behind = replace(stack, environment=stack.environment | {"TRUSTED_PROXIES": "10.0.0.0/8"})
    behind.compose("up", "--detach", "--wait", "web")
    try:
        with load(behind, f"/users/{user}", kept=2) as counts:
            told = time.time()
            behind.compose("stop", "web")
    finally:
        stack.compose("up", "--detach", "--wait", "web")
    assert counts.pop("200") > 100
    assert min(counts.pop("refused") + counts.pop("lost")) > told + 2
    assert counts == {}


def test_a_client_that_says_nothing_does_not_hold_up_the_stop(stack):
    """Proxies open connections that they may need."""
    with socket.create_connection(("127.0.0.1", stack.port)):
        # So long that the server has given it no thread any more.
        time.sleep(6)
        started = time.monotonic()
        stack.compose("stop", "web")
        assert time.monotonic() - started < 10


@pytest.mark.parametrize("signal", ["SIGINT", "SIGTERM"])
def test_a_server_that_has_just_started_stops_at_once(stack, signal):
    assert max(alone(stack, STOP_EARLY, signal, processes=4)) < 5


def test_the_worker_stops_as_gunicorns_own_does_not(stack):
    """What src/parity/server.py changes, and a gunicorn that no longer needs it is told here."""
    with ThreadPoolExecutor(2) as pool:
        workers = ("parity.server.Worker", "gthread")
        ours, theirs = pool.map(lambda worker: alone(stack, STOP_LATE, worker), workers)
    assert (ours["late"], ours["term"] < 4, ours["quit"] < 2) == ("a refusal", True, True), ours
    needed = {
        "set_accept_enabled (#3397, #3612)": theirs["late"] == "a reset",
        "set_accept_enabled's pending_conns (#3635)": theirs["term"] > 6,
        "handle_quit (python/cpython#121649)": theirs["quit"] > 4,
    }
    gone = [name for name, still in needed.items() if not still]
    assert not gone, (
        f"gunicorn does this by itself now: take {', '.join(gone)} out of src/parity/server.py ({theirs})"
    )


def test_a_killed_server_process_is_replaced(stack, user):
    started = stack.inspect("web")["State"]["StartedAt"]
    files = "import os; print(len(os.listdir(os.environ['PROMETHEUS_MULTIPROC_DIR'])))"
    written = stack.python("web", files)
    with load(stack, f"/users/{user}") as counts:
        killed = stack.python("web", KILL_CHILDREN, "1", "one").split()
        assert len(killed) == 1
        time.sleep(3)
    # What the process was doing is lost with it; nothing else is.
    assert counts.pop("200") > 100
    assert len(counts.pop("lost")) <= 4
    assert counts == {"refused": []}
    listed = stack.python("web", "import os; print(*[p for p in os.listdir('/proc') if p.isdigit()])").split()
    assert killed[0] not in listed
    assert stack.ready()
    assert stack.inspect("web")["State"]["StartedAt"] == started
    assert stack.python("web", files) == written


BROKER_FAULTS = {
    "full": ("config set maxmemory 1", "config set maxmemory 0"),
    "read-only": ("replicaof 127.0.0.1 1", "replicaof no one"),
    "frozen": ("pause", "unpause"),
    "killed": ("kill", "start"),
    "restarted": ("restart", "start"),
}


def test_no_fault_of_the_broker_loses_a_job_or_the_worker(stack):
    started = stack.inspect("worker")["State"]["StartedAt"]
    redis = ("exec", "--no-TTY", stack.cache, f"{stack.cache}-cli")
    users = []
    with ThreadPoolExecutor(8) as pool:

        def ask(times: int) -> None:
            answers = [*pool.map(lambda _: stack.create(f"user-{next(NUMBERS)}"), range(times))]
            assert {answer.status for answer in answers} == {201}
            users.extend(answer.json["id"] for answer in answers)

        for fault in BROKER_FAULTS.values():
            ask(20)
            fail, recover = (
                (*redis, *step.split()) if " " in step else (step, stack.cache) for step in fault
            )
            stack.compose(*fail)
            # Longer than it takes the worker to find out.
            until = time.monotonic() + 3
            ask(60)
            time.sleep(max(0, until - time.monotonic()))
            stack.compose(*recover)
            ask(20)
    done = f"SELECT count(*) FROM users WHERE id >= {min(users)} AND welcomed_at IS NOT NULL"
    eventually(lambda: stack.psql(done) == "500", 60)
    eventually(lambda: stack.psql("SELECT count(*) FROM jobs") == "0", 5)
    assert stack.inspect("worker")["State"]["StartedAt"] == started


def test_the_worker_survives_the_loss_of_its_broker_in_the_middle_of_a_job(stack):
    started = stack.inspect("worker")["State"]["StartedAt"]
    user = unwelcomed(stack)
    with stack.locked(user) as release:
        stack.compose("unpause", "worker")
        eventually(stack.someone_waits)
        stack.compose("restart", "--timeout=1", stack.cache)
        time.sleep(3)
        release()
    eventually(lambda: welcomed(stack, user), 30)
    later = stack.create(f"user-{next(NUMBERS)}").json["id"]
    eventually(lambda: welcomed(stack, later), 30)
    assert stack.inspect("worker")["State"]["StartedAt"] == started


def test_a_job_whose_process_is_killed_is_finished_all_the_same(stack):
    user = unwelcomed(stack)
    with stack.locked(user) as release:
        stack.compose("unpause", "worker")
        eventually(stack.someone_waits)
        assert stack.python("worker", KILL_CHILDREN, "1").split()
        time.sleep(1)
        assert not welcomed(stack, user)
        release()
    # As if as much time were gone as it might have taken.
    stack.psql("UPDATE jobs SET started_at = started_at - interval '65 s'")
    eventually(lambda: welcomed(stack, user), 30)


def test_a_job_that_meets_a_database_that_stands_still_runs_later(stack):
    user = unwelcomed(stack)
    with stack.locked(user) as release:
        stack.compose("unpause", "worker")
        eventually(stack.someone_waits)
        stack.compose("pause", "postgres")
        # Longer than a query of a job may take.
        time.sleep(17)
        stack.compose("unpause", "postgres")
        release()
    # As if as much time were gone as it might have taken.
    stack.psql("UPDATE jobs SET started_at = started_at - interval '65 s'")
    eventually(lambda: welcomed(stack, user), 30)
    eventually(lambda: stack.psql("SELECT count(*) FROM jobs") == "0", 5)


def test_a_worker_that_is_told_to_stop_finishes_its_job(stack):
    user = unwelcomed(stack)
    with ThreadPoolExecutor(1) as pool, stack.locked(user) as release:
        stack.compose("unpause", "worker")
        eventually(stack.someone_waits)
        stopping = pool.submit(stack.compose, "stop", "worker")
        time.sleep(2)
        assert not stopping.done()
        release()
        started = time.monotonic()
        stopping.result()
        assert time.monotonic() - started < 10
    assert stack.inspect("worker")["State"]["ExitCode"] == 0
    assert welcomed(stack, user)

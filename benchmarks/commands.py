"""The commands: how long a developer waits for `make up`, for an edit and for `make test`."""

import socket
import time

from .workbench import PACKAGE, Row, Unmeasurable, Workbench, get, median, say, seconds, wait_for

UP_SECONDS = 8
EDIT_SECONDS = 2
TEST_SECONDS = 15


def measure(workbench: Workbench) -> list[Row]:
    """Run the service's own make targets, warm: images are built and volumes exist."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    say("commands: make up, for the first time")
    workbench.make("up", port)
    edits = []
    for number in range(2 if workbench.quick else 5):
        say(f"commands: edit {number + 1}")
        edits.append(edit(workbench, port, number))
    ups = []
    for number in range(1 if workbench.quick else 3):
        say(f"commands: make up {number + 1}")
        workbench.make("down", port)
        ups.append(seconds(lambda: workbench.make("up", port)))
    workbench.make("down", port)
    say("commands: make test, for the first time")
    workbench.make("test", port)
    tests = []
    for number in range(1 if workbench.quick else 3):
        say(f"commands: make test {number + 1}")
        tests.append(seconds(lambda: workbench.make("test", port)))
    return [
        bounded("make up, warm, to healthy", median(ups), UP_SECONDS),
        bounded("edit in src/ to served", median(edits), EDIT_SECONDS),
        bounded("make test, warm", median(tests), TEST_SECONDS),
    ]


def bounded(name: str, value: float, limit: float) -> Row:
    """Return a row for a time with an upper bound (seconds)."""
    return Row(name, value, "s", None, f"≤ {limit} s", value <= limit)


def edit(workbench: Workbench, port: int, number: int) -> float:
    """Add a route in src/ and return after how many seconds it is served; then take it away again.

    Raises:
        Unmeasurable: if it is not served within ten seconds.
    """
    source = workbench.service / "src" / PACKAGE / "wsgi.py"
    original = source.read_text()
    path = f"/edit-{number}"
    wait_for("127.0.0.1", port, "/livez")
    source.write_text(f'{original}\napp.add_url_rule("{path}", "edit", lambda: "served")\n')
    started = time.perf_counter()
    try:
        while get("127.0.0.1", port, path)[0] != 200:
            if time.perf_counter() - started > 10:
                raise Unmeasurable("An edit was not served within 10 seconds.")
            time.sleep(0.01)
        return time.perf_counter() - started
    finally:
        source.write_text(original)
        # The next edit begins when this one is forgotten.
        while get("127.0.0.1", port, path)[0] == 200:
            time.sleep(0.01)
        wait_for("127.0.0.1", port, "/livez")

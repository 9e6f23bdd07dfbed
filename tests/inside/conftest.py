"""The template's promises, tested inside a generated service: whatever its package is called, here it is `service`."""

import importlib.util
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = os.environ["FLASK_APP"]
# A service without jobs has none to keep.
collect_ignore = [] if importlib.util.find_spec(f"{PACKAGE}.jobs") else ["test_outbox.py"]

importlib.import_module(PACKAGE)
for name, module in list(sys.modules.items()):
    if name == PACKAGE or name.startswith(f"{PACKAGE}."):
        sys.modules[f"service{name.removeprefix(PACKAGE)}"] = module


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of gunicorn, as production runs it, with one process and the routes of ways.py beside the service's own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = os.environ | {
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path_factory.mktemp("metrics")),
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]),
    }
    # As where nobody has allowed more, which the server itself may.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (400, most))
    command = ["gunicorn", f"--bind=127.0.0.1:{port}", "--workers=1", "ways:create_app()"]
    with subprocess.Popen(command, env=environment) as server:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 4096), most))
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.1)
        yield port
        server.send_signal(signal.SIGTERM)

"""The load with which deployments are proven misses no failure."""

import http.server
import ssl
import subprocess
import threading
import time

import pytest
from load import load


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as the service does, as long as it is told to."""

    protocol_version = "HTTP/1.1"
    status = 200

    def do_GET(self):
        """Answer."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "9")
        self.end_headers()
        self.wfile.write(b'{"id": 1}')

    do_POST = do_PATCH = do_GET

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def server(tmp_path):
    """A server with a certificate of its own, at tmp_path/cert."""
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=orders.test"
    command += " -addext subjectAltName=DNS:orders.test -keyout key -out cert"
    subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    found = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.status = 200
    found.socket = context.wrap_socket(found.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()


def steady(server, folder):
    return load(
        "https://orders.test/users", "token", [server.server_address], cafile=folder / "cert", timeout=2
    )


def test_every_kind_of_request_is_sent(server, tmp_path):
    kinds = {f"{method} {kind}" for method in ("GET", "POST", "PATCH") for kind in ("fresh", "kept")}
    with steady(server, tmp_path) as report:
        deadline = time.monotonic() + 10
        while set(report.by_kind()) != kinds and time.monotonic() < deadline:
            time.sleep(0.5)
    assert set(report.by_kind()) == kinds
    assert report.sent > 30
    assert report.failed == 0


def test_an_outage_is_told(server, tmp_path):
    with steady(server, tmp_path) as report:
        time.sleep(0.5)
        began = time.time()
        server.status = 503
        time.sleep(1.5)
        server.status = 200
        time.sleep(0.5)
    assert report.failed > 30
    assert {request.outcome for request in report.failures} == {"503"}
    assert 1 < report.longest_gap < 3
    assert not report.between(0, began - 0.1).failed


def test_a_server_that_is_gone_is_told(server, tmp_path):
    with steady(server, tmp_path) as report:
        server.shutdown()
        server.server_close()
        time.sleep(1)
    assert report.failed
    assert not any(request.outcome.isdigit() for request in report.failures)

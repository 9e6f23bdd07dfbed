"""What the tests of deployments stand on: servers that a stack is deployed to, and a load that misses no failure."""

import time

import pytest
from load import load
from service import eventually

pytestmark = pytest.mark.service

# Caddy plays the application too. Its answer fits a read and a write.
STACK = """
services:
  caddy:
    image: caddy:2
    configs: [{source: caddyfile, target: /etc/caddy/Caddyfile}]
    ports: [{target: 443, published: 443, mode: host}]
    volumes: [caddy:/data]
    deploy:
      mode: global
      endpoint_mode: dnsrr
  web:
    image: caddy:2
    command: [caddy, respond, --listen, ":8000", --header, "Version: VERSION", '{"id": 1}']
    healthcheck: {test: [CMD, "true"], interval: 5s, start_period: 5s, start_interval: 500ms}
    stop_grace_period: 10s
    deploy:
      endpoint_mode: dnsrr
      replicas: 2
      update_config: {order: start-first, monitor: 1s}
configs:
  caddyfile: {file: /root/Caddyfile}
volumes:
  caddy:
"""
CADDYFILE = """
servers.test {
    tls internal
    reverse_proxy {
        dynamic a web 8000 {
            refresh 500ms
        }
        lb_try_duration 5s
    }
}
"""


def deploy(server, version: str) -> float:
    """Deploy the stack; return how long it took (seconds)."""
    began = time.monotonic()
    stack = STACK.replace("VERSION", version)
    server.docker("stack", "deploy", "--detach=false", "--compose-file", "-", "probe", input=stack)
    return time.monotonic() - began


@pytest.fixture(scope="module")
def deployed(server1, registry):
    """The first server with the stack, and nothing else."""
    registry.mirror("caddy:2")
    server1.exec("tee", "/root/Caddyfile", input=CADDYFILE)
    server1.empty()
    deploy(server1, "one")
    yield server1
    server1.empty()


def steady(*servers, **options):
    addresses = [("127.0.0.1", server.https_port) for server in servers]
    return load("https://servers.test/users", "token", addresses, **options)


def test_a_stack_is_rolled_under_load(deployed, tmp_path):
    authority = tmp_path / "root.crt"
    authority.write_text(deployed.authority("probe_caddy"))
    with steady(deployed, cafile=authority) as report:
        seconds = deploy(deployed, "two")
    print(f"{seconds:.1f} s: {report}")
    assert report.failed == 0
    assert report.sent > 20 * seconds
    assert set(report.by_kind()) >= {"GET fresh", "GET kept", "POST fresh", "POST kept", "PATCH kept"}


def test_the_load_tells_an_outage(deployed):
    with steady(deployed, timeout=2) as report:
        time.sleep(1)
        began = time.time()
        deployed.docker("service", "scale", "--detach=false", "probe_web=0")
        time.sleep(2)
        deployed.docker("service", "scale", "--detach=false", "probe_web=2")
        time.sleep(1)
    print(report)
    assert report.failed
    assert report.longest_gap > 1
    assert not report.between(0, began).failed


def test_a_server_is_drained_and_lost(deployed, server2):
    def tasks(server):
        return server.tasks("probe_web", "--filter=health=healthy")

    deployed.docker("service", "update", "--detach=false", "--force", "--quiet", "probe_web")
    eventually(lambda: len(tasks(deployed)) == len(tasks(server2)) == 1)
    caddy = deployed.tasks("probe_caddy")[0]
    found = deployed.docker("exec", caddy, "getent", "ahostsv4", "web")
    assert len({line.split()[0] for line in found.splitlines()}) == 2, found
    with steady(deployed) as report:
        deployed.docker("node", "update", "--availability=drain", "server2")
        eventually(lambda: len(tasks(deployed)) == 2 and not tasks(server2))
        time.sleep(1)
    print(f"drained: {report}")
    assert report.failed == 0

    deployed.docker("node", "update", "--availability=active", "server2")
    deployed.docker("service", "update", "--detach=false", "--force", "--quiet", "probe_web")
    eventually(lambda: len(tasks(deployed)) == len(tasks(server2)) == 1)
    with steady(deployed, timeout=3) as report:
        server2.kill()
        eventually(lambda: len(tasks(deployed)) == 2, 60)
        time.sleep(1)
    print(f"lost: {report}")
    server2.start()
    ready = ("node", "inspect", "--format", "{{.Status.State}}", "server2")
    eventually(lambda: deployed.docker(*ready) == "ready", 60)

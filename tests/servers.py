"""Servers to deploy to, and a registry to deploy from, for the tests of deployments.

A server is a container with SSH and a Docker Engine of its own (server/Dockerfile). The registry has the same name,
127.0.0.1 and a port, on this machine and on each server, so an image has one name everywhere. It serves Docker Hub's
images to the servers too: a test needs no internet once this machine has them.
"""

import contextlib
import functools
import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import ROOT
from service import STACK, eventually, free_port

IMAGE = f"{STACK}-server"
NETWORK = f"{STACK}-servers"
LABEL = f"copier-flask-parity.checkout={STACK}"
REGISTRY = "registry:3"


def docker(*arguments: str, check: bool = True, timeout: float = 300, **options) -> str:
    """Run docker on this machine's engine, and return its output."""
    done = subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, timeout=timeout, check=False, **options
    )
    if check and done.returncode:
        pytest.fail(
            f"docker {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        )
    return done.stdout.strip()


def have(image: str) -> None:
    """Pull an image, unless it is there."""
    if not docker("image", "ls", "--quiet", image):
        docker("pull", "--quiet", image, timeout=600)


@dataclass(frozen=True)
class Registry:
    """A registry without encryption, on the same address for this machine and for every server."""

    port: int

    @property
    def address(self) -> str:
        """What an image's name begins with."""
        return f"127.0.0.1:{self.port}"

    def push(self, image: str, name: str) -> str:
        """Push an image of this machine as ``name``; return its name with the digest."""
        target = f"{self.address}/{name}"
        docker("tag", image, target)
        docker("push", "--quiet", target)
        digests = docker("image", "inspect", "--format", '{{join .RepoDigests "\\n"}}', target).splitlines()
        docker("image", "rm", target)
        repository = target.rpartition(":")[0] if ":" in name else target
        return next(digest for digest in digests if digest.startswith(f"{repository}@"))

    def tags(self, name: str) -> list[str]:
        """An image's tags; none when it was never pushed."""
        try:
            with urllib.request.urlopen(f"http://{self.address}/v2/{name}/tags/list") as answer:
                return sorted(json.load(answer)["tags"])
        except urllib.error.HTTPError:
            return []

    def mirror(self, *images: str) -> None:
        """Serve images of Docker Hub to the servers, under their own names."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._mirror, images))

    @functools.cache  # noqa: B019
    def _mirror(self, image: str) -> None:
        have(image)
        self.push(image, image if "/" in image else f"library/{image}")


@dataclass(frozen=True)
class Server:
    """A server: SSH and a Docker Engine, in a container."""

    name: str
    address: str
    ssh_port: int
    http_port: int
    https_port: int
    key: Path

    @property
    def host(self) -> str:
        """The server's engine, as DOCKER_HOST."""
        return f"ssh://deploy@127.0.0.1:{self.ssh_port}"

    @property
    def known_hosts(self) -> str:
        """The server's host key, as a line of known_hosts."""
        key = self.exec("cut", "-d", " ", "-f", "1,2", "/etc/ssh/ssh_host_ed25519_key.pub")
        return f"[127.0.0.1]:{self.ssh_port} {key}\n"

    def exec(self, *command: str, **options) -> str:
        """Run a command as root on the server, and return its output."""
        interactive = ["--interactive"] if "input" in options else []
        return docker("exec", *interactive, self.name, *command, **options)

    def docker(self, *arguments: str, **options) -> str:
        """Run docker on the server's engine, and return its output."""
        return self.exec("docker", *arguments, **options)

    def tasks(self, service: str, *filters: str) -> list[str]:
        """Return the containers of a Swarm service that run on this server."""
        labels = (f"--filter=label=com.docker.swarm.service.name={service}", *filters)
        return self.docker("ps", "--quiet", *labels).split()

    def authority(self, service: str) -> str:
        """Return the certificate of the internal certificate authority of a Swarm service of Caddy."""
        path = "/data/caddy/pki/authorities/local/root.crt"
        return self.docker("exec", self.tasks(service)[0], "cat", path) + "\n"

    def kill(self) -> None:
        """Pull the plug."""
        docker("kill", self.name)

    def start(self) -> None:
        """Start the server again, and wait for its engine."""
        docker("start", self.name)
        self.wait()

    def pause(self) -> None:
        """Stop everything on the server in the middle of what it does."""
        docker("pause", self.name)

    def unpause(self) -> None:
        """Let the server go on."""
        docker("unpause", self.name)

    def disconnect(self) -> None:
        """Pull the network cable."""
        docker("network", "disconnect", NETWORK, self.name)

    def connect(self) -> None:
        """Plug the network cable in."""
        docker("network", "connect", "--ip", self.address, NETWORK, self.name)

    def answers(self) -> bool:
        """Whether the engine answers."""
        probe = ["docker", "exec", self.name, "docker", "info"]
        return subprocess.run(probe, capture_output=True, timeout=30, check=False).returncode == 0

    def wait(self) -> None:
        """Wait for the engine."""
        eventually(self.answers, 60)

    def found(self) -> None:
        """Make the server a Swarm of its own, which keeps its data here and answers here, as cloud-init does."""
        self.docker("swarm", "init", "--advertise-addr", self.address)
        self.docker("node", "update", "--label-add=data=true", "--label-add=edge=true", self.exec("hostname"))

    def empty(self) -> None:
        """Take away stacks, jobs, secrets, configs, networks and volumes; the images stay, and the Swarm."""
        manages = self.docker("info", "--format", "{{.Swarm.ControlAvailable}}") == "true"
        for kind in ("service", "secret", "config") if manages else ():
            if names := self.docker(kind, "ls", "--quiet").split():
                self.docker(kind, "rm", *names)
        # Nobody waits for what they would end in good order.
        tasks = "docker ps --quiet --filter=label=com.docker.swarm.task"
        self.exec("sh", "-c", f"{tasks} | xargs --no-run-if-empty docker kill", check=False)
        eventually(lambda: not self.docker("ps", "--quiet", "--filter=label=com.docker.swarm.task"), 120)
        self.docker("container", "prune", "--force")
        self.docker("network", "prune", "--force")
        self.docker("volume", "prune", "--all", "--force")


def remove_servers() -> None:
    """Take away the servers, the registry and their network, those of a killed run too."""
    if containers := docker("ps", "--all", "--quiet", f"--filter=label={LABEL}").split():
        docker("rm", "--force", "--volumes", *containers)
    if networks := docker("network", "ls", "--quiet", f"--filter=label={LABEL}").split():
        docker("network", "rm", *networks)


@contextlib.contextmanager
def network() -> Iterator[list[str]]:
    """Make the network of the servers, and give the addresses that are free for them; all is gone afterwards."""
    remove_servers()
    try:
        # A container keeps its address only in a network whose subnet was asked for: ask for the one Docker would take.
        docker("network", "create", "--label", LABEL, NETWORK)
        subnet = docker("network", "inspect", "--format", "{{(index .IPAM.Config 0).Subnet}}", NETWORK)
        docker("network", "rm", NETWORK)
        docker("network", "create", "--label", LABEL, "--subnet", subnet, NETWORK)
        prefix = subnet.rsplit(".", 1)[0]
        yield [f"{prefix}.{number}" for number in range(11, 100)]
    finally:
        remove_servers()


def start_registry() -> Registry:
    """Start the registry."""
    have(REGISTRY)
    registry = Registry(free_port())
    names = ("--name", f"{STACK}-registry", "--network", NETWORK, "--network-alias", "registry")
    port = f"--publish=127.0.0.1:{registry.port}:5000"
    docker("run", "--detach", "--label", LABEL, *names, port, REGISTRY)
    return registry


def make_key(folder: Path) -> Path:
    """Make the key that logs in as deploy; the public one is beside it."""
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    return key


def build_server() -> None:
    """Build the image of a server."""
    docker("build", "--quiet", "--tag", IMAGE, str(ROOT / "tests" / "server"), timeout=600)


def boot(name: str, address: str, registry: Registry, key: Path, image: str = IMAGE) -> Server:
    """Start a server that is no Swarm node yet, and wait for its engine."""
    ports = free_port(), free_port(), free_port()
    server = Server(f"{STACK}-{name}", address, *ports, key)
    docker(
        *("run", "--detach", "--privileged", "--name", server.name, "--hostname", name, "--label", LABEL),
        *("--network", NETWORK, "--ip", address),
        *("--env", f"AUTHORIZED_KEY={key.with_suffix('.pub').read_text().strip()}"),
        *("--env", f"REGISTRY_PORT={registry.port}"),
        *(f"--publish=127.0.0.1:{port}:{inner}" for port, inner in zip(ports, (22, 80, 443), strict=True)),
        image,
    )
    server.wait()
    return server


@pytest.fixture(scope="session")
def servers_network(alone) -> Iterator[list[str]]:
    """The addresses that are free for servers."""
    with network() as addresses:
        yield addresses


@pytest.fixture(scope="session")
def registry(servers_network) -> Registry:
    """The registry that images are pushed to and deployed from."""
    return start_registry()


@pytest.fixture(scope="session")
def deploy_key(tmp_path_factory) -> Path:
    """The private key that logs in as deploy."""
    return make_key(tmp_path_factory.mktemp("ssh"))


@pytest.fixture(scope="session")
def start_server(servers_network, registry, deploy_key) -> Callable[[str], Server]:
    """A function that starts a server that is no Swarm node yet."""
    build_server()
    return lambda name: boot(name, servers_network.pop(0), registry, deploy_key)


@pytest.fixture(scope="session")
def server1(start_server) -> Server:
    """A server that is a Swarm of its own."""
    server = start_server("server1")
    server.found()
    return server


@pytest.fixture(scope="session")
def server2(start_server, server1) -> Server:
    """A server that is a worker of the first one's Swarm, and answers too."""
    server = start_server("server2")
    token = server1.docker("swarm", "join-token", "--quiet", "worker")
    server.docker(
        "swarm", "join", "--token", token, "--advertise-addr", server.address, f"{server1.address}:2377"
    )
    server1.docker("node", "update", "--label-add=edge=true", "server2")
    return server


@pytest.fixture(scope="session")
def server3(start_server) -> Server:
    """A server that is a Swarm of its own, too."""
    server = start_server("server3")
    server.found()
    return server

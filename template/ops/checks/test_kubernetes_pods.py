# The template's: copier update merges it.
"""The pods in Kubernetes are what compose.yaml and the Dockerfile say: rights, folders, time, port and health checks."""

import re
import shlex
from collections.abc import Iterator

import yaml
from repository import Item, Said, documents, entries, instructions, reports, stack

BASE = "deploy/kubernetes/base"
POD = f"{BASE}/pod.yaml"
# The services of compose.yaml that run our image, and the manifest of each.
WORKLOADS = {name: f"{BASE}/{name}.yaml" for name, keys in stack().items() if "build" in keys}


def dig(node: yaml.Node, *keys: str | int) -> Item | None:
    """Return what stands under keys and positions, one in the other, or None."""
    item = None
    for key in keys:
        if isinstance(key, int):
            node = node.value[key]
        elif (item := entries(node).get(key)) is None:
            return None
        else:
            node = item.value
    return item


def pod(name: str, *keys: str | int) -> Item | None:
    """Return what a manifest says of its pods under keys."""
    return dig(documents(name)[0], "spec", "template", "spec", *keys)


def container(name: str, *keys: str | int) -> Item | None:
    """Return what a manifest says of the container of its pods under keys."""
    return pod(name, "containers", 0, *keys)


def seconds(duration: str) -> float:
    """Return a duration of compose.yaml or the Dockerfile in seconds."""
    number, unit = re.fullmatch(r"([\d.]+)(ms|s|m)", duration).groups()
    return float(number) * {"ms": 0.001, "s": 1, "m": 60}[unit]


def compared(what: str, here: Item | None, manifest: str, there: Said, found: object = None) -> Iterator[str]:
    """Yield a problem where a manifest says something else than its origin."""
    said = "nothing" if here is None else str(found if found is not None else here.value.value)
    if said != there.value:
        where = here.at if here else manifest
        yield f"{where} has {said} as {what}, {there.at} {there.value}: write {there.value} here too"


@reports
def test_pods_have_the_rights_of_the_stack() -> Iterator[str]:
    """The user of the Dockerfile, a root that is read-only, no capabilities, no way to gain any."""
    web, (user, *_) = stack()["web"], instructions("USER")
    uid, gid = user.value.split(":")
    for what, key, value in [("the user", "runAsUser", uid), ("the group", "runAsGroup", gid)]:
        yield from compared(what, pod(POD, "securityContext", key), POD, Said(value, user.at))
    root = container(POD, "securityContext", "readOnlyRootFilesystem")
    said = Said(web["read_only"].value.value, web["read_only"].at)
    yield from compared("the read-only root", root, POD, said)
    gain = container(POD, "securityContext", "allowPrivilegeEscalation")
    yield from compared("a gain of rights", gain, POD, Said("false", web["security_opt"].at))
    dropped = container(POD, "securityContext", "capabilities", "drop")
    found = shlex.join(dropped.words) if dropped else ""
    said = Said(shlex.join(web["cap_drop"].words), web["cap_drop"].at)
    yield from compared("the dropped capabilities", dropped, POD, said, found)


@reports
def test_what_can_be_written_to_is_that_of_the_stack() -> Iterator[str]:
    """The folders that compose.yaml holds in memory are in memory, and nothing else can be written to."""
    tmpfs = stack()["web"]["volumes"]
    folders = [entries(node) for node in tmpfs.value.value]
    in_memory = [keys["target"].value.value for keys in folders if keys["type"].value.value == "tmpfs"]
    volumes = {entries(node)["name"].value.value: entries(node) for node in pod(POD, "volumes").value.value}
    mounts = [entries(node) for node in container(POD, "volumeMounts").value.value]
    writable = [mount for mount in mounts if "readOnly" not in mount]
    found = shlex.join(mount["mountPath"].value.value for mount in writable)
    said = Said(shlex.join(in_memory), tmpfs.at)
    yield from compared("what can be written to", container(POD, "volumeMounts"), POD, said, found)
    for mount in writable:
        if "medium: Memory" not in volumes[mount["name"].value.value].get("emptyDir", tmpfs).shown:
            told = (
                f"{mount['name'].at} keeps {mount['mountPath'].value.value} on a disk, {tmpfs.at} in memory"
            )
            yield told + ": write emptyDir: {medium: Memory}"


@reports
def test_pods_have_the_time_of_the_stack_to_stop() -> Iterator[str]:
    """A pod has compose.yaml's stop_grace_period, after what preStop takes."""
    for name, manifest in WORKLOADS.items():
        if grace := stack()[name].get("stop_grace_period"):
            sleep = container(manifest, "lifecycle", "preStop", "sleep", "seconds")
            before = int(sleep.value.value) if sleep else 0
            here = pod(manifest, "terminationGracePeriodSeconds")
            expected = Said(f"{seconds(grace.value.value) + before:.0f}", grace.at)
            yield from compared("the time to stop, with preStop's", here, manifest, expected)


@reports
def test_the_port_is_that_of_the_image() -> Iterator[str]:
    """The server's port, by the Dockerfile."""
    here = container(WORKLOADS["web"], "ports", 0, "containerPort")
    yield from compared("the port", here, WORKLOADS["web"], instructions("EXPOSE")[-1])


@reports
def test_the_server_is_probed_as_the_image_says() -> Iterator[str]:
    """It lives by the Dockerfile's health check, and has its time to start."""
    web, (check, *_) = WORKLOADS["web"], instructions("HEALTHCHECK")
    option = dict(re.findall(r"--([a-z-]+)=(\S+)", check.value))
    path = Said(re.search(r"https?://[^/]+(/\w+)", check.value)[1], check.at)
    for probe in ("livenessProbe", "startupProbe"):
        yield from compared(f"{probe}'s path", container(web, probe, "httpGet", "path"), web, path)
    for key, value in {
        "periodSeconds": f"{seconds(option['interval']):.0f}",
        "timeoutSeconds": f"{seconds(option['timeout']):.0f}",
        "failureThreshold": option["retries"],
    }.items():
        here = container(web, "livenessProbe", key)
        yield from compared(f"livenessProbe's {key}", here, web, Said(value, check.at))
    start, period = (container(web, "startupProbe", key) for key in ("failureThreshold", "periodSeconds"))
    longest = int(start.value.value) * int(period.value.value) if start and period else None
    said = Said(f"{seconds(option['start-period']):.0f}", check.at)
    yield from compared("the seconds that a start may take", start, web, said, longest)


@reports
def test_other_pods_are_ready_by_the_health_checks_of_the_stack() -> Iterator[str]:
    """A health check of compose.yaml is the readiness probe of its pods."""
    for name, manifest in WORKLOADS.items():
        health = stack()[name].get("healthcheck")
        if health and (test := entries(health.value).get("test")):
            here = container(manifest, "readinessProbe", "exec", "command")
            words = ["sh", "-c", *test.words[1:]] if test.words[0] == "CMD-SHELL" else test.words[1:]
            said, found = Said(shlex.join(words), test.at), shlex.join(here.words) if here else ""
            yield from compared("the health check", here, manifest, said, found)

"""The parity contract in Kubernetes' words: the manifests say what compose.yaml and the Dockerfile say."""

import re
import shlex
from collections.abc import Iterator

import pytest
import yaml
from repository import (
    STACK,
    Item,
    Said,
    command,
    documents,
    entries,
    find,
    instructions,
    named,
    report,
    settings,
    stack,
    text,
)

BASE = "deploy/kubernetes/base"
POD, KUSTOMIZATION = f"{BASE}/pod.yaml", f"{BASE}/kustomization.yaml"
OVERLAYS = [name for name in named("deploy/kubernetes/*/kustomization.yaml") if name != KUSTOMIZATION]
# The services of compose.yaml that run our image, and the manifest of each.
WORKLOADS = {name: f"{BASE}/{name}.yaml" for name, keys in stack().items() if "build" in keys}
# What no overlay may change.
FIXED = (
    r"\b(securityContext|runAs\w+|readOnlyRootFilesystem|capabilities|command|args|image|images|containerPort|"
    r"terminationGracePeriodSeconds|preStop|mountPath|\w+Probe)\b"
)


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


def test_every_service_has_its_manifest() -> None:
    """What runs our image in compose.yaml runs in Kubernetes too, and nothing else does."""
    listed = {item.value: item for item in dig(documents(KUSTOMIZATION)[0], "resources").value.value}
    report(
        f"{STACK} has the service {name}, {KUSTOMIZATION} no {name}.yaml: write it, and name it there"
        for name in WORKLOADS
        if f"{name}.yaml" not in listed
    )
    report(
        f"{file}:{number} runs the image {found[1]!r}, {POD} runs the service's: databases are managed ones, by URL"
        for file in named("deploy/kubernetes/**/*.yaml")
        for number, words in enumerate(text(file).splitlines(), 1)
        if (found := re.match(r"\s*(?:- )?image: *(\S+)", words)) and found[1] != "service"
    )


def test_the_image_is_that_of_the_stack() -> None:
    """Both run one image, under one name."""
    here = dig(documents(KUSTOMIZATION)[0], "images", 0, "newName")
    there = next(find(STACK, r"^ +image: \$\{IMAGE:-(.*)\}$"))
    report(compared("the image", here, KUSTOMIZATION, there))


def test_commands_are_those_of_the_stack() -> None:
    """Web runs the image's own command, the worker that of compose.yaml, and the Job the migration and then a check."""
    problems = []
    for name, manifest in WORKLOADS.items():
        said, where = command(stack()[name])
        here = container(manifest, "command")
        words = here.words if here else command({})[0]
        if name == "migrate":
            words = shlex.split(words[2].partition(" && ")[0]) if words[:2] == ["sh", "-c"] else words
        if words != said:
            problems += compared(
                "the command", here, manifest, Said(shlex.join(said), where), shlex.join(words)
            )
        if args := container(manifest, "args"):
            problems.append(f"{args.at} has args, {where} none: take them out")
    report(problems)


def test_pods_have_the_rights_of_the_stack() -> None:
    """The user of the Dockerfile, a root that is read-only, no capabilities, no way to gain any."""
    web, (user, *_) = stack()["web"], instructions("USER")
    uid, gid = user.value.split(":")
    problems = [
        *compared("the user", pod(POD, "securityContext", "runAsUser"), POD, Said(uid, user.at)),
        *compared("the group", pod(POD, "securityContext", "runAsGroup"), POD, Said(gid, user.at)),
        *compared(
            "the read-only root",
            container(POD, "securityContext", "readOnlyRootFilesystem"),
            POD,
            Said(web["read_only"].value.value, web["read_only"].at),
        ),
        *compared(
            "a gain of rights",
            container(POD, "securityContext", "allowPrivilegeEscalation"),
            POD,
            Said("false", web["security_opt"].at),
        ),
    ]
    dropped = container(POD, "securityContext", "capabilities", "drop")
    found = shlex.join(dropped.words) if dropped else ""
    said = Said(shlex.join(web["cap_drop"].words), web["cap_drop"].at)
    problems += compared("the dropped capabilities", dropped, POD, said, found)
    report(problems)


def test_what_can_be_written_to_is_that_of_the_stack() -> None:
    """The folders that compose.yaml holds in memory are in memory, and nothing else can be written to."""
    tmpfs = stack()["web"]["volumes"]
    folders = [entries(node) for node in tmpfs.value.value]
    in_memory = [keys["target"].value.value for keys in folders if keys["type"].value.value == "tmpfs"]
    volumes = {entries(node)["name"].value.value: entries(node) for node in pod(POD, "volumes").value.value}
    mounts = [entries(node) for node in container(POD, "volumeMounts").value.value]
    writable = [mount for mount in mounts if "readOnly" not in mount]
    report(
        compared(
            "what can be written to",
            container(POD, "volumeMounts"),
            POD,
            Said(shlex.join(in_memory), tmpfs.at),
            shlex.join(mount["mountPath"].value.value for mount in writable),
        )
    )
    report(
        f"{mount['name'].at} keeps {mount['mountPath'].value.value} on a disk, {tmpfs.at} in memory: "
        "write emptyDir: {medium: Memory}"
        for mount in writable
        if "medium: Memory" not in volumes[mount["name"].value.value].get("emptyDir", tmpfs).shown
    )


def test_pods_have_the_time_of_the_stack_to_stop() -> None:
    """A pod has compose.yaml's stop_grace_period, after what preStop takes."""
    problems = []
    for name, manifest in WORKLOADS.items():
        if grace := stack()[name].get("stop_grace_period"):
            sleep = container(manifest, "lifecycle", "preStop", "sleep", "seconds")
            before = int(sleep.value.value) if sleep else 0
            here = pod(manifest, "terminationGracePeriodSeconds")
            expected = Said(f"{seconds(grace.value.value) + before:.0f}", grace.at)
            problems += compared("the time to stop, with preStop's", here, manifest, expected)
    report(problems)


def test_the_port_is_that_of_the_image() -> None:
    """The server's port, by the Dockerfile."""
    here = container(WORKLOADS["web"], "ports", 0, "containerPort")
    report(compared("the port", here, WORKLOADS["web"], instructions("EXPOSE")[-1]))


def test_probes_are_the_health_checks_of_the_stack() -> None:
    """The server lives by the Dockerfile's health check, and is ready by /readyz; a worker by compose.yaml's."""
    web, (check, *_) = WORKLOADS["web"], instructions("HEALTHCHECK")
    option = {key: value for key, value in re.findall(r"--([a-z-]+)=(\S+)", check.value)}
    times = {
        "periodSeconds": f"{seconds(option['interval']):.0f}",
        "timeoutSeconds": f"{seconds(option['timeout']):.0f}",
        "failureThreshold": option["retries"],
    }
    path = re.search(r"https?://[^/]+(/\w+)", check.value)[1]
    problems = [
        problem
        for probe in ("livenessProbe", "startupProbe")
        for problem in compared(
            f"{probe}'s path", container(web, probe, "httpGet", "path"), web, Said(path, check.at)
        )
    ]
    for key, value in times.items():
        here = container(web, "livenessProbe", key)
        problems += compared(f"livenessProbe's {key}", here, web, Said(value, check.at))
    start, period = (container(web, "startupProbe", key) for key in ("failureThreshold", "periodSeconds"))
    longest = int(start.value.value) * int(period.value.value) if start and period else None
    said = Said(f"{seconds(option['start-period']):.0f}", check.at)
    problems += compared("the seconds that a start may take", start, web, said, longest)
    for name, manifest in WORKLOADS.items():
        health = stack()[name].get("healthcheck")
        if health and (test := entries(health.value).get("test")):
            here = container(manifest, "readinessProbe", "exec", "command")
            words = ["sh", "-c", *test.words[1:]] if test.words[0] == "CMD-SHELL" else test.words[1:]
            said = Said(shlex.join(words), test.at)
            problems += compared(
                "the health check", here, manifest, said, shlex.join(here.words) if here else ""
            )
    report(problems)


def test_variables_are_settings_and_no_secrets() -> None:
    """A variable in a manifest is one of the settings; those without a default are secrets, and stand in none."""
    config = next(iter(settings().values())).partition(":")[0]
    needed = {said.value.upper() for said in required()}
    problems = []
    for name in named("deploy/kubernetes/**/*.yaml"):
        for said in find(name, r"^ +- (?:name: )?([A-Z][A-Z0-9_]+)(?:=|$)"):
            if said.value not in settings():
                problems.append(
                    f"{said.at} sets {said.value}, {config} has no setting of that name: take it out"
                )
            elif said.value in needed:
                problems.append(
                    f"{said.at} sets {said.value}, which is a secret: make secrets ENV=…, and take it out"
                )
        problems += [
            f"{said.at} is a Secret in the repository: make secrets ENV=…, and take it out"
            for said in find(name, r"^kind: (Secret)$")
        ]
    report(problems)


def required() -> Iterator[Said]:
    """Yield the settings that have no default."""
    config = next(iter(settings().values())).partition(":")[0]
    body = re.search(r"class Settings\(.*?\n(?=    @|\Z)", text(config), re.DOTALL)[0]
    for name, place in settings().items():
        if not re.search(rf"^    {name.lower()}: .* = [^=]*$", re.sub(r"\w+\(.*\)", "", body), re.MULTILINE):
            yield Said(name, place)


def test_what_is_required_is_said() -> None:
    """`bin/kubernetes` reads in .env.example which variables an environment has to have."""
    comments = dict(
        (name, about)
        for about, name in re.findall(r"((?:^# .*\n)+)#?([A-Z_]+)=", text(".env.example"), re.MULTILINE)
    )
    needed = {said.value: said.at for said in required()}
    said = {name for name, about in comments.items() if "required" in about.lower()}
    report(
        f"{settings()[name]} has {name} {'without' if name in needed else 'with'} a default, and the comment above it in "
        f".env.example says {'not that it is required' if name in needed else 'that it is required'}: make them agree"
        for name in sorted(needed.keys() ^ said)
    )


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_overlays_explain_what_they_change(overlay: str) -> None:
    """A difference between environments is declared: a comment says why. Some things may not differ."""
    lines = text(overlay).splitlines()
    patches = dig(documents(overlay)[0], "patches")
    report(
        f"{overlay}:{patch.start_mark.line + 1} changes {BASE} without a reason: say why in a comment directly above it"
        for patch in (patches.value.value if patches else [])
        if not lines[patch.start_mark.line - 1].lstrip().startswith("#")
    )
    report(
        f"{said.at} changes {said.value}: this is the same in every environment, so take it out"
        for name in named(f"{overlay.rpartition('/')[0]}/*.yaml")
        for said in find(name, rf"^(?! *#).*?{FIXED}")
    )

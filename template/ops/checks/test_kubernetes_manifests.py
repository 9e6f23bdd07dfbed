# The template's: copier update merges it.
"""The manifests for Kubernetes run what compose.yaml runs, with its settings; an overlay says why it differs."""

import re
import shlex
from collections.abc import Iterator

from repository import STACK, Said, command, documents, find, named, reports, stack, text
from test_kubernetes_pods import BASE, POD, WORKLOADS, compared, container, dig

KUSTOMIZATION = f"{BASE}/kustomization.yaml"
OVERLAYS = [name for name in named("deploy/kubernetes/*/kustomization.yaml") if name != KUSTOMIZATION]
# What no overlay may change.
FIXED = (
    r"\b(securityContext|runAs\w+|readOnlyRootFilesystem|capabilities|command|args|image|images|containerPort|"
    r"terminationGracePeriodSeconds|preStop|mountPath|\w+Probe)\b"
)


def manifests(folder: str = "deploy/kubernetes/**") -> Iterator[str]:
    """Yield the template's manifests and what may change them: all but those of what a team runs beside them."""
    for name in named(f"{folder}/*.yaml"):
        kinds, names = (
            {said.value for said in find(name, rf"^(?:  )?{key}: *(\S+)$")} for key in ("kind", "name")
        )
        if name.startswith(BASE) or kinds <= {"Kustomization"} or names & WORKLOADS.keys():
            yield name


@reports
def test_every_service_has_its_manifest() -> Iterator[str]:
    """What runs our image in compose.yaml runs in Kubernetes too, and nothing else does for the template."""
    listed = {item.value for item in dig(documents(KUSTOMIZATION)[0], "resources").value.value}
    for name in WORKLOADS:
        if f"{name}.yaml" not in listed:
            yield f"{STACK} has the service {name}, {KUSTOMIZATION} no {name}.yaml: write it, and name it there"
    for file in manifests():
        for said in find(file, r"^ *(?:- )?image: *(?!service$)(\S+)"):
            told = f"{said.at} runs the image {said.value!r}, {POD} runs the service's"
            yield f"{told}: databases are managed ones, by URL"


@reports
def test_the_image_is_that_of_the_stack() -> Iterator[str]:
    """Both run one image, under one name."""
    here = dig(documents(KUSTOMIZATION)[0], "images", 0, "newName")
    there = next(find(STACK, r"^ +image: \$\{IMAGE:-(.*):\$\{CHECKOUT"))
    yield from compared("the image", here, KUSTOMIZATION, there)


@reports
def test_commands_are_those_of_the_stack() -> Iterator[str]:
    """Web runs the image's own command, the worker that of compose.yaml, and the Job the migration and then a check."""
    for name, manifest in WORKLOADS.items():
        said, where = command(stack()[name])
        here = container(manifest, "command")
        words = here.words if here else command({})[0]
        if name == "migrate":
            words = shlex.split(words[2].partition(" && ")[0]) if words[:2] == ["sh", "-c"] else words
        if words != said:
            expected = Said(shlex.join(said), where)
            yield from compared("the command", here, manifest, expected, shlex.join(words))
        if args := container(manifest, "args"):
            yield f"{args.at} has args, {where} none: take them out"


@reports
def test_variables_are_settings_and_no_secrets() -> Iterator[str]:
    """A variable in a manifest is one of the settings; those that are required are secrets, and stand in none."""
    about = r"((?:^# .*\n)+)#?([A-Z][A-Z0-9_]*)="
    known = {name: said for said, name in re.findall(about, text(".env.example"), re.MULTILINE)}
    for name in manifests():
        for said in find(name, r"^ +- (?:name: )?([A-Z][A-Z0-9_]+)(?:=|$)"):
            if said.value not in known:
                yield f"{said.at} sets {said.value}, which is no setting: take it out, or add it to the class ProjectSettings"
            elif known[said.value].endswith("Required.\n"):
                yield f"{said.at} sets {said.value}, which is a secret: make secrets ENV=…, and take it out"
        for said in find(name, r"^kind: (Secret)$"):
            yield f"{said.at} is a Secret in the repository: make secrets ENV=…, and take it out"


@reports
def test_overlays_explain_what_they_change() -> Iterator[str]:
    """A difference between environments is declared: a comment says why. Some things may not differ."""
    for overlay in OVERLAYS:
        lines, patches = text(overlay).splitlines(), dig(documents(overlay)[0], "patches")
        for patch in patches.value.value if patches else []:
            if not lines[patch.start_mark.line - 1].lstrip().startswith("#"):
                told = f"{overlay}:{patch.start_mark.line + 1} changes {BASE} without a reason"
                yield f"{told}: say why in a comment directly above it"
        for name in manifests(overlay.rpartition("/")[0]):
            for said in find(name, rf"^(?! *#).*?{FIXED}"):
                yield f"{said.at} changes {said.value}: this is the same in every environment, so take it out"

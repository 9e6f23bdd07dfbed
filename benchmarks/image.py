"""The image: the bytes it adds to its base, the bytes an edit changes, and how long it takes to build."""

import gzip
import json
import re
import shutil
import subprocess
import tarfile
import time
from pathlib import Path

from .workbench import PACKAGE, SLUG, Row, Workbench, inspect, median, say, seconds

ADDED_MB = 105
CHANGED_MB = 1
REBUILD_SECONDS = 3


def measure(workbench: Workbench) -> list[Row]:
    """Build the shipped image cold, warm and after edits, and compare the layers."""
    base = re.search(r"^FROM (\S+) AS base$", (workbench.service / "Dockerfile").read_text(), re.MULTILINE)[1]
    say("image: cold build")
    cold = seconds(lambda: workbench.build(f"{SLUG}-cold", "--no-cache"))
    # From the cache, like the edited ones: a layer built twice has two digests, by the times of its files.
    workbench.build(SLUG)

    source = workbench.service / "src" / PACKAGE / "wsgi.py"
    original = source.read_text()
    rebuilds = []
    for number in range(2 if workbench.quick else 5):
        say(f"image: rebuild {number + 1}")
        # Never seen before, not even by the cache of an earlier run.
        source.write_text(f"{original}\nEDIT = {time.time_ns()}\n")
        rebuilds.append(seconds(lambda: workbench.build(f"{SLUG}-edited")))
    source.write_text(original)

    say("image: layers")
    shipped, edited = layers(SLUG), layers(f"{SLUG}-edited")
    added = megabytes(workbench, SLUG, shipped - layers(base))
    changed = megabytes(workbench, f"{SLUG}-edited", edited - shipped)
    rebuild = median(rebuilds)
    return [
        Row("image: added to the base", added, "MB", None, f"≤ {ADDED_MB} MB", added <= ADDED_MB, 1),
        Row(
            "image: changed by an edit in src/",
            changed,
            "MB",
            None,
            f"< {CHANGED_MB} MB",
            changed < CHANGED_MB,
        ),
        Row("image: build, no layer cached, downloads cached", cold, "s", digits=1),
        Row(
            "image: rebuild after an edit in src/",
            rebuild,
            "s",
            None,
            f"≤ {REBUILD_SECONDS} s",
            rebuild <= REBUILD_SECONDS,
        ),
    ]


def layers(image: str) -> set[str]:
    """Return the layers of an image, by the digests of their uncompressed content."""
    return set(inspect("image", image)["RootFS"]["Layers"])


def megabytes(workbench: Workbench, image: str, chosen: set[str]) -> float:
    """Return the size of the files in some layers of an image, uncompressed, in MB (10⁶ bytes)."""
    saved = workbench.folder / "saved"
    saved.mkdir()
    with (
        subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as docker,
        tarfile.open(fileobj=docker.stdout, mode="r|") as archive,
    ):
        archive.extractall(saved, filter="data")
    manifest = json.loads((saved / "manifest.json").read_text())[0]
    digests = json.loads((saved / manifest["Config"]).read_text())["rootfs"]["diff_ids"]
    size = sum(
        content(saved / name)
        for digest, name in zip(digests, manifest["Layers"], strict=True)
        if digest in chosen
    )
    shutil.rmtree(saved)
    return size / 1e6


def content(layer: Path) -> int:
    """Return the size of the files in a layer, in bytes."""
    with layer.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    with gzip.open(layer) if compressed else layer.open("rb") as file, tarfile.open(fileobj=file) as archive:
        return sum(member.size for member in archive)

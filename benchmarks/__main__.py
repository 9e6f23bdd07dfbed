"""`make bench`: measure everything, or the sections that are named, and print one table."""

import argparse
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable

from . import commands, delivery, faults, generation, image, machinery, serving, updates
from .workbench import Row, Unmeasurable, Workbench, table

SECTIONS: dict[str, Callable[[Workbench], list[Row]]] = {
    "lines": machinery.measure,
    "generation": generation.measure,
    "image": image.measure,
    "commands": commands.measure,
    "throughput": serving.throughput,
    "servers": serving.servers,
    "start": serving.start,
    "growth": serving.growth,
    "delivery": delivery.measure,
    "faults": faults.measure,
    "updates": updates.measure,
}
# Each takes long, and has a document of its own.
ASKED_FOR = {"delivery", "faults", "updates"}
NEED_WRK = {"throughput", "servers", "start", "growth"}


def main() -> int:
    """Return 0 if all was measured, whatever came out; 2 if something is missing."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "sections",
        nargs="*",
        metavar="SECTION",
        help=f"some of: {', '.join(SECTIONS)} (default: all but {' and '.join(sorted(ASKED_FOR))})",
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, to see that it works")
    arguments = parser.parse_args()
    chosen = arguments.sections or [name for name in SECTIONS if name not in ASKED_FOR]
    if unknown := [name for name in chosen if name not in SECTIONS]:
        parser.error(f"no section {', '.join(unknown)}: choose from {', '.join(SECTIONS)}")
    if missing := what_is_missing(set(chosen)):
        print(missing, file=sys.stderr)
        return 2

    # Cleans up after being stopped, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    workbench, rows, status = Workbench(arguments.quick), [], 0
    try:
        for name in chosen:
            rows += SECTIONS[name](workbench)
    except Unmeasurable as error:
        print(error, file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        status = 130
    finally:
        workbench.clean()
        if rows:
            print(table(rows))
    return status


def what_is_missing(sections: set[str]) -> str | None:
    """Return one sentence on what the sections need and this machine lacks."""
    if sections - {"lines", "generation", "updates"} and (
        not shutil.which("docker")
        or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode
    ):
        return "Docker does not answer: install it or start it, then try again."
    if sections & NEED_WRK and not shutil.which("wrk"):
        return "The load generator wrk is needed: on Debian, apt-get install wrk."
    return None


if __name__ == "__main__":
    sys.exit(main())

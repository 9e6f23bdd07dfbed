# The template's: copier update merges it.
"""A vulnerability that the scan is to accept has a name, a reason and a last day (.grype.yaml)."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from repository import documents, entries, named, reports

UNTIL = re.compile(r"until (\d{4}-\d\d-\d\d): +\S")


@reports
def test_what_the_scan_accepts_ends() -> Iterator[str]:
    """Each has its name and its reason, and its day is not over."""
    for name in named(".grype.y*ml"):
        accepted = entries(documents(name)[0]).get("ignore")
        for node in accepted.value.value if accepted else []:
            said = {key: item.value.value for key, item in entries(node).items()}
            finding, until = said.get("vulnerability"), UNTIL.match(said.get("reason", ""))
            what = f"{name}:{node.start_mark.line + 1} accepts {finding or 'findings'}"
            if not finding:
                yield f"{what} without a name: name each with vulnerability: CVE-…, so that no other is accepted with it"
            elif not until:
                yield f'{what} without a day and a reason: write reason: "until 2026-12-31: why"'
            elif until[1] < datetime.now(UTC).date().isoformat():
                yield f"{what} until {until[1]}, which is over: update what has it, or say until when and why again"

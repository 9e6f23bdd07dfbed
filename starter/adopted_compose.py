"""The team's own Compose files of an adopted service: its workers, and a folder that it may write to."""

import json
from collections.abc import Iterable
from typing import Any


def compose(text: str, workers: dict[str, list[str]], base: str) -> str:
    """Return compose.project.yaml with the workers that the application had.

    Args:
        text: the file that the template gives.
        workers: their commands, by the services' names.
        base: the template's service that they are like.
    """
    if not workers:
        return text
    lines = ["services:"]
    for name, words in workers.items():
        lines += [
            f"  {name}:",
            f"    extends: {{file: compose.yaml, service: {base}}}",
            f"    command: {json.dumps(words)}",
            "    # The template's would look for what this is not.",
            '    healthcheck: {test: [CMD, "true"]}',
        ]
    return text.replace("services: {}", "\n".join(lines), 1)


def overlay(workers: Iterable[str], environment: str, needs_instance: bool, has_jobs: bool) -> str:
    """Return what differs in development (``override``) or in the tests (``test``), nothing if nothing does."""
    lines: list[str] = []
    names = ["web" if environment == "override" else "test", "migrate", *(["worker"] if has_jobs else [])]
    for name in names if needs_instance else []:
        lines += [f"  {name}:", "    tmpfs: *instance"]
    for name in workers if environment == "override" else []:
        lines += [f"  {name}:", "    extends: {file: compose.override.yaml, service: migrate}"]
        lines += ["    tmpfs: *instance"] if needs_instance else []
    if not lines:
        return ""
    head = "# Yours: what differs for the application that was here before.\n"
    if needs_instance:
        head += (
            "# It writes files into Flask's instance folder. The container has no other place for that but /tmp, and this one\n"
            "# is empty at each start: take it out when nothing is written there any more.\n"
            'x-instance: &instance ["/app/src/instance:uid=10001,mode=1777"]\n\n'
        )
    return head + "services:\n" + "\n".join(lines) + "\n"


def workers(services: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    """Return the Compose services that run Celery, each with its command, by a name that is none of the template's."""
    found = {}
    for name, service in services.items():
        command = service.get("command") or []
        words = command if isinstance(command, list) else command.split()
        words = [str(word) for word in words]
        if "celery" in words and not {"&&", ";", "|"} & {*words}:
            # The folder that the image works in is read-only.
            where = ["--schedule", "/tmp/beat"] if "beat" in words else []  # noqa: S108
            found[f"adopted-{name}"] = words[words.index("celery") :] + where
    return found

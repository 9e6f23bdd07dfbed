"""The rules of the way to production, as far as files can break them."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime

import repository
from repository import Item, documents, entries, report

ACCEPTED = ".grype.yaml"
WRITE = re.compile(r"\bwrite(-all)?\b")
SECRET = re.compile(r"\$\{\{[^}]*\bsecrets\b[^}]*\}\}|secrets: *inherit")


def last_day(reason: str) -> date | None:
    """Return the day in `until 2026-12-31: the reason`."""
    found = re.fullmatch(r"until (\d{4}-\d\d-\d\d): +\S.*", reason, re.DOTALL)
    try:
        return date.fromisoformat(found[1]) if found else None
    except ValueError:
        return None


def refusals(today: date) -> Iterator[str]:
    """Yield what is wrong with each accepted finding."""
    for name in repository.named(ACCEPTED, ".grype.yml"):
        accepted = entries(documents(name)[0]).get("ignore")
        for node in accepted.value.value if accepted else []:
            keys = entries(node)
            at = f"{name}:{node.start_mark.line + 1}"
            finding = (
                keys["vulnerability"].value.value if "vulnerability" in keys else "findings without a name"
            )
            until = last_day(keys["reason"].value.value) if "reason" in keys else None
            if "vulnerability" not in keys:
                yield f"{at} accepts {finding}: name each with vulnerability: CVE-…, so that no other is accepted with it"
            elif until is None:
                yield f'{at} accepts {finding} without a day and a reason: write reason: "until 2026-12-31: why"'
            elif until < today:
                yield f"{at} accepts {finding} until {until}, which is over: update what has it, or say until when and why again"


def test_what_the_scan_accepts_ends() -> None:
    """An accepted vulnerability has a name, a reason and a last day, and that day is not over."""
    report(refusals(datetime.now(UTC).date()))


def jobs(name: str) -> dict[str, dict[str, Item]]:
    """Return the jobs of a workflow, with their keys."""
    return {
        job: entries(item.value) for job, item in entries(entries(documents(name)[0])["jobs"].value).items()
    }


def needs(found: dict[str, dict[str, Item]], job: str) -> list[str]:
    """Return the jobs that one waits for."""
    return found[job]["needs"].words if "needs" in found[job] else []


def reached_by_a_pull_request(name: str) -> Iterator[tuple[str, dict[str, Item]]]:
    """Yield the jobs that run for a pull request: neither they nor one that they need is for a push alone."""
    if not re.search(r"^ +pull_request(_target)?\b", repository.text(name), re.MULTILINE):
        return
    found = jobs(name)

    def reached(job: str) -> bool:
        condition = found[job]["if"].value.value if "if" in found[job] else ""
        return "github.event_name == 'push'" not in condition and all(map(reached, needs(found, job)))

    yield from ((job, keys) for job, keys in found.items() if reached(job))


def test_a_pull_request_reaches_no_secret() -> None:
    """What anybody may propose runs with a token that reads, without secrets, and not in the repository's name."""
    problems = []
    for name in repository.named(".github/workflows/*.y*ml"):
        content = repository.text(name)
        problems += [
            f"{name}:{repository.line(found)} runs for pull_request_target, which gives the repository's secrets to "
            "anybody's code: use pull_request"
            for found in re.finditer(r"^ +pull_request_target\b", content, re.MULTILINE)
        ]
        for job, keys in reached_by_a_pull_request(name):
            for key, item in keys.items():
                what = "a permission to write" if key == "permissions" and WRITE.search(item.shown) else None
                what = "a secret" if SECRET.search(item.shown) else what
                if what:
                    problems.append(
                        f"{item.at} gives the job {job} {what}, and a pull request reaches it: take it out, or let the "
                        "job run for a push alone (if: github.event_name == 'push')"
                    )
    report(problems)


def test_the_image_is_built_once() -> None:
    """No job but the one that tests builds: what is deployed is what was tested."""
    report(
        f"{item.at} has the job {job} run `{item.value.value.strip()}`, which builds another image than the one that "
        "was tested: take it out"
        for job, item in repository.workflow_commands()
        if job != "test" and re.match(r"make (?:build|up|test|lint|check)\b", item.value.value)
    )


def test_what_the_scan_finds_reaches_no_server() -> None:
    """A job that deploys the image of its own run waits for the job that scans it."""
    problems = []
    for name in repository.named(".github/workflows/*.y*ml"):
        found = jobs(name)

        def waits(job: str, found: dict[str, dict[str, Item]] = found) -> bool:
            return "scan" in needs(found, job) or any(map(waits, needs(found, job)))

        problems += [
            f"{item.at} has the job {job} deploy an image that the job scan may still refuse: let it need scan"
            for job, item in repository.workflow_commands()
            if item.key.start_mark.name == name
            and re.match(r"make deploy\b.*\bIMAGE=", item.value.value)
            and not waits(job)
        ]
    report(problems)


def deployed_nowhere() -> Iterator[str]:
    """Yield the services of compose.yaml that a deployment leaves out, or does not know how to replace."""
    for script in repository.named("bin/swarm"):
        lists = re.findall(r"^(?:services|backing)=\((.*)\)$", repository.text(script), re.MULTILINE)
        # migrate runs once in each deployment; the guard ends when it has looked at the volume.
        known = {"migrate", "postgres-guard", *" ".join(lists).split()}
        listed = entries(documents("deploy/compose.swarm.yaml")[0])["services"]
        differences = entries(listed.value)
        for name, item in entries(entries(documents(repository.STACK)[0])["services"].value).items():
            different = differences.get(name, listed)
            if name not in known:
                yield (
                    f"{item.at} has the service {name}, which is not deployed: name it in {script}, in services if it runs "
                    "the application's image, or else in backing"
                )
            elif name != "postgres-guard" and "deploy" not in entries(different.value):
                yield f"{different.at} does not say how Swarm replaces {name}, {item.at} has it: give it deploy"


def test_the_whole_stack_is_deployed() -> None:
    """A service that is added to compose.yaml runs in every environment."""
    report(deployed_nowhere())

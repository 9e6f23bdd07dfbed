# The template's: copier update merges it.
"""The way to production: what is proposed reaches no secret, and what is deployed is what was tested and scanned."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from repository import STACK, Item, Said, below, documents, entries, find, named, reports

# The template's, in which a step is a command that works on a laptop too. The team's own do what they like.
PIPELINE = [".github/workflows/ci-cd.yml", ".github/workflows/production.yml"]
# What may stand around the steps of `make check`.
AROUND = ("make login", "make save ")
# PACKAGES_NETRC reads packages and nothing else, and whoever proposes a change from a fork has it not.
SECRET = re.compile(r"\$\{\{(?! *secrets\.PACKAGES_NETRC *\}\})[^}]*\bsecrets\b[^}]*\}\}|^secrets: inherit")
# What a proposal may write is what is said of it: its labels and comments, the results of its checks and scans.
WRITE = re.compile(r"write-all|(?<![\w-])(?!(?:pull-requests|issues|checks|security-events)\b)[\w-]+: *write")
UNTIL = re.compile(r"until (\d{4}-\d\d-\d\d): +\S")
PUSHED = re.compile(
    r"(?!.*\|\|).*github\.(?:event_name (?:== '(?!pull_request)\w+'|!= 'pull_request')|ref(?:_name)? == (?!'refs/pull))"
)


def awaited(jobs: dict[str, dict[str, Item]], job: str) -> set[str]:
    """Return the jobs that one waits for, and those that these wait for."""
    needs = jobs[job]["needs"].words if "needs" in jobs[job] else []
    return {*needs, *(before for need in needs for before in awaited(jobs, need))}


@reports
def test_a_pull_request_reaches_no_secret() -> Iterator[str]:
    """What anybody may propose runs with a token that reads, without secrets, and not in the repository's name."""
    for name in named(".github/workflows/*.y*ml"):
        whole, jobs = entries(documents(name)[0]), below(documents(name)[0], "jobs")
        on = whole["on"]
        if "pull_request_target" in on.shown:
            yield f"{on.at} runs for pull_request_target, which gives secrets to anybody's code: use pull_request"
        closed = {job for job, keys in jobs.items() if "if" in keys and PUSHED.match(keys["if"].shown)}
        reached = {job: keys for job, keys in jobs.items() if not closed & {job, *awaited(jobs, job)}}
        reached["any"] = {key: whole[key] for key in ("env", "permissions") if key in whole}
        for job, keys in reached.items() if "pull_request" in on.shown else []:
            for key, item in keys.items():
                what = "a secret" if SECRET.search(f"{key}: {item.shown}") else ""
                if key == "permissions" and WRITE.search(item.shown):
                    what = "a permission to write"
                if what:
                    remedy = "take it out, or let it run for a push alone (if: github.event_name == 'push')"
                    yield f"{item.at} gives the job {job} {what}, and a pull request reaches it: {remedy}"


def commands() -> Iterator[tuple[dict[str, dict[str, Item]], str, Said]]:
    """Yield the commands of the pipeline's steps, each with its job, and all jobs of the workflow."""
    for jobs in (below(documents(name)[0], "jobs") for name in named(*PIPELINE)):
        for job, keys in jobs.items():
            for step in keys["steps"].value.value if "steps" in keys else []:
                if run := entries(step).get("run"):
                    yield jobs, job, Said(run.value.value.strip(), run.at)


@reports
def test_the_pipeline_runs_make_check() -> Iterator[str]:
    """The job "test" runs the steps of `make check` in their order, and no job anything but make."""
    checks = next(find("Makefile", r"^CHECKS := (.*)$"), None)
    assert checks, "Makefile: CHECKS is missing, the steps of `make check`: CHECKS := build lint test"
    expected = ", ".join(f"make {target}" for target in [*checks.value.split(), "extra-checks"])
    tested = [said for _, job, said in commands() if job == "test" and not said.value.startswith(AROUND)]
    if (runs := ", ".join(said.value for said in tested)) != expected:
        told = f"{tested[0].at if tested else PIPELINE[0]} runs {runs}, {checks.at} (`make check`) {expected}"
        yield f"{told}: write the same steps in the same order in both"
    for _, _, said in commands():
        if not re.fullmatch(r"make [a-z-]+(?: [A-Z_]+=\S+)*", said.value):
            yield f"{said.at} runs {said.value!r}, {checks.at} has the targets: make it one `make TARGET`, as on a laptop"
    for said in (said for name in named(*PIPELINE) for said in find(name, r"^ {4}(services|container):")):
        yield f"{said.at} has {said.value!r}, {STACK} the services: take it out, `make` starts them"


@reports
def test_what_is_deployed_was_tested_and_scanned() -> Iterator[str]:
    """No job but the one that tests builds, and what deploys the image of its own run waits for the scan."""
    for jobs, job, said in commands():
        if job != "test" and re.match(r"make (?:build|up|test|lint|check|extra-checks)\b", said.value):
            yield f"{said.at} has the job {job} run `{said.value}`, which builds another image than the tested one: take it out"
        if re.match(r"make deploy\b.*\bIMAGE=", said.value) and "scan" not in awaited(jobs, job):
            yield f"{said.at} has the job {job} deploy an image that the job scan may still refuse: let it need scan"


@reports
def test_what_the_scan_accepts_ends() -> Iterator[str]:
    """Each vulnerability that .grype.yaml accepts has a name and a reason, and its day is not over."""
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

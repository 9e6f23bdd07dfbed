"""Runs the workflow of a generated service by act, with stand-ins for the actions, whose code act would fetch from GitHub.

Each takes the inputs of the real one, and does here what the next job needs: a folder holds the artifacts.
"""

import json
import os
import re
import subprocess
from pathlib import Path

import yaml

RUNNER = os.environ.get("ACT_RUNNER_IMAGE", "ghcr.io/catthehacker/ubuntu:act-latest")
WORKFLOW = Path(".github") / "workflows" / "ci-cd.yml"
# Where each runner's container has the folder.
ARTIFACTS = "/artifacts"
INPUTS = {
    "actions/upload-artifact": "name path if-no-files-found retention-days compression-level overwrite include-hidden-files",
    "actions/download-artifact": "name artifact-ids path pattern merge-multiple github-token repository run-id",
    "anchore/sbom-action": "path file image registry-username registry-password format github-token artifact-name output-file"
    " syft-version dependency-snapshot upload-artifact upload-artifact-retention upload-release-assets config",
    "anchore/scan-action": "image path sbom fail-build output-format output-file severity-cutoff only-fixed add-cpes-if-none"
    " by-cve grype-version vex config cache-db",
    "actions/attest": "subject-path subject-digest subject-name subject-checksums subject-version sbom-path predicate-type"
    " predicate predicate-path push-to-registry create-storage-record show-summary github-token",
}
SCRIPTS = {
    "actions/upload-artifact": f'mkdir -p "{ARTIFACTS}/$NAME"; cp "$FROM" "{ARTIFACTS}/$NAME/"',
    "actions/download-artifact": f'cp "{ARTIFACTS}/$NAME/"* "$FROM/"',
    "anchore/sbom-action": 'docker image inspect "${IMAGE#docker:}" >"$OUTPUT_FILE"',
    # A test that wants a finding puts it there.
    "anchore/scan-action": f'test -s "$SBOM"; test ! -e {ARTIFACTS}/finding',
    "actions/attest": 'test -z "$SBOM_PATH" || test -s "$SBOM_PATH"; '
    'docker buildx imagetools inspect "$SUBJECT_NAME@$SUBJECT_DIGEST" >/dev/null; '
    f'echo "$SUBJECT_NAME@$SUBJECT_DIGEST ${{SBOM_PATH:+sbom}}" >>{ARTIFACTS}/attested',
}


def write(folder: Path, uses: list[str]) -> list[str]:
    """Write an action for each of those that a workflow uses (owner/name@ref), and return act's options for them."""
    options = []
    for reference in uses:
        name = reference.partition("@")[0]
        action = folder / name.replace("/", "-")
        action.mkdir(exist_ok=True)
        inputs = INPUTS[name].split()
        # PATH is taken.
        variables = {("FROM" if item == "path" else item.upper().replace("-", "_")): item for item in inputs}
        step = {
            "name": "stand-in",
            "shell": "bash",
            "run": f"set -eu; {SCRIPTS[name]}",
            "env": {variable: f"${{{{ inputs.{item} }}}}" for variable, item in variables.items()},
        }
        definition = {
            "name": name,
            "inputs": {item: {"required": False} for item in inputs},
            "runs": {"using": "composite", "steps": [step]},
        }
        # JSON is YAML.
        (action / "action.yml").write_text(json.dumps(definition))
        options.append(f"--local-repository={reference}={action}")
    return options


def jobs(path: Path, workflow: Path = WORKFLOW) -> dict[str, dict]:
    """Return the jobs of a repository's workflow."""
    return yaml.safe_load((path / workflow).read_text())["jobs"]


def command(
    path: Path, artifacts: Path, event: str, *options: str, workflow: Path = WORKFLOW, **payload: object
) -> list[str]:
    """Return the words that run a repository's workflows, in its folder, for an event; a folder takes the artifacts."""
    # As GitHub tells it of every event.
    payload = {"repository": {"default_branch": "main"}} | payload
    (artifacts / "event.json").write_text(json.dumps(payload))
    steps = [step for job in jobs(path, workflow).values() for step in job["steps"]]
    uses = {step["uses"] for step in steps if "uses" in step and "checkout" not in step["uses"]}
    words = ["act", event, "--rm", f"--platform=ubuntu-latest={RUNNER}"]
    words += ["--eventpath", str(artifacts / "event.json"), "--secret=GITHUB_TOKEN=of-this-run"]
    words += [f"--container-options=--volume={artifacts}:{ARTIFACTS}", *options]
    words += write(artifacts.parent, sorted(uses))
    # An image that is here already needs no network, and one that has no registry has only itself.
    local = subprocess.run(["docker", "image", "inspect", RUNNER], capture_output=True, check=False)
    return [*words, *(["--pull=false"] if local.returncode == 0 else [])]


def ran(log: str) -> dict[str, list[str]]:
    """Return the steps that succeeded in an act's log, by the name of their job."""
    found: dict[str, list[str]] = {}
    for job, step in re.findall(r"^\[[^\]]*?/([^\]/]+?) *\].*✅ +Success - Main (.+?) \[", log, re.MULTILINE):
        if step != "stand-in":
            found.setdefault(job, []).append(step)
    return found


def failed(log: str) -> list[str]:
    """Return the steps that failed in an act's log."""
    return [step for step in re.findall(r"❌ +Failure - Main (.+?) \[", log) if step != "stand-in"]

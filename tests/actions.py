"""Stands in for the actions of the generated workflow, whose code act would fetch from GitHub.

Each takes the inputs of the real one, and does here what the next job needs: a folder holds the artifacts.
"""

import json
from pathlib import Path

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

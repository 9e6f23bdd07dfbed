"""The Kubernetes target: what is rendered fits the API's schemas, and ops/kubernetes refuses what it cannot do."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from conftest import Project

# Those that are maintained, and the newest that kubernetes-validate knows.
VERSIONS = ["1.33", "1.34", "1.35", "1.36"]
ENVIRONMENTS = ["staging", "production"]

needs_kubectl = pytest.mark.skipif(
    not shutil.which("kubectl"), reason="KUBERNETES IS NOT TESTED: kubectl is missing, install it"
)


@pytest.fixture(scope="session")
def clusters(projects) -> dict[str, Project]:
    """The rendered services for Kubernetes."""
    found = {name: project for name, project in projects.items() if project.answers["has_kubernetes"]}
    assert {project.answers["has_jobs"] for project in found.values()} == {True, False}
    return found


@pytest.fixture(scope="session")
def rendered(clusters) -> list[tuple[Project, list[dict]]]:
    """The resources of every environment, as a deployment applies them, and the service they are of."""
    found = []
    for project in clusters.values():
        for environment in ENVIRONMENTS:
            command = ["kubectl", "kustomize", f"deploy/kubernetes/{environment}"]
            shown = subprocess.run(command, cwd=project.path, capture_output=True, text=True, check=False)
            assert (shown.returncode, shown.stderr) == (0, ""), project.path
            found.append((project, list(yaml.safe_load_all(shown.stdout))))
    return found


@needs_kubectl
@pytest.mark.parametrize("version", VERSIONS)
def test_manifests_fit_the_schemas(rendered, version):
    # One of each shape: names and images are of no matter to a schema.
    services = {project.answers["has_jobs"]: resources for project, resources in rendered}
    for resources in services.values():
        for resource in resources:
            kubernetes_validate.validate(resource, version, strict=True)


@needs_kubectl
def test_every_environment_has_its_resources(rendered):
    kinds = ["ConfigMap", "Deployment", "HorizontalPodAutoscaler", "Ingress", "Job", "NetworkPolicy"]
    kinds += ["PodDisruptionBudget", "Service", "ServiceAccount"]
    for _, resources in rendered:
        assert sorted({resource["kind"] for resource in resources}) == kinds


@needs_kubectl
def test_pods_keep_the_restricted_standard(rendered):
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""
    for project, resources in rendered:
        pods = [r["spec"]["template"]["spec"] for r in resources if "template" in r.get("spec", {})]
        assert len(pods) == (3 if project.answers["has_jobs"] else 2)
        for pod in pods:
            assert pod["automountServiceAccountToken"] is False
            assert pod["securityContext"]["runAsNonRoot"] is True
            assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
            assert {key for volume in pod["volumes"] for key in volume} == {"name", "emptyDir", "secret"}
            assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC"}
            (container,) = pod["containers"]
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert container["image"] == project.answers["image_name"]


@pytest.fixture
def run(clusters, tmp_path) -> Callable[..., subprocess.CompletedProcess]:
    """Call ops/kubernetes in a copy of a service whose staging lies in a cluster that does not answer."""
    project = next(project for project in clusters.values() if project.answers["has_jobs"])
    folder = shutil.copytree(project.path, tmp_path / "service")
    (folder / "deploy" / "staging.env").write_text(
        "KUBE_CONTEXT=gone\nNAMESPACE=x\nDOMAIN=staging.example.com\n"
    )
    (tmp_path / "kubeconfig").write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "gone", "cluster": {"server": "https://127.0.0.1:1"}}],
                "contexts": [{"name": "gone", "context": {"cluster": "gone", "user": "gone"}}],
                "users": [{"name": "gone", "user": {"token": "x"}}],
            }
        )
    )

    def call(*words: str, path: str = os.environ["PATH"], **files: str) -> subprocess.CompletedProcess:
        for name, content in files.items():
            (folder / "deploy" / f"{name}.env").write_text(content)
        environment = os.environ | {"KUBECONFIG": str(tmp_path / "kubeconfig"), "PATH": path}
        return subprocess.run(
            [shutil.which("bash"), folder / "ops" / "kubernetes", *words],
            env=environment,
            input="",
            capture_output=True,
            text=True,
            check=False,
        )

    call.folder = folder
    return call


def refused(done: subprocess.CompletedProcess, sentence: str) -> None:
    assert (done.returncode, done.stdout) == (2, ""), done.stdout + done.stderr
    (told,) = done.stderr.splitlines()
    assert re.fullmatch(sentence, told), told


def test_no_command(run):
    refused(run(), r"Say what to do: .*/ops/kubernetes deploy\|rollback\|.* ENV")


@pytest.mark.parametrize("command", ["deploy", "rollback", "logs", "console", "secrets", "parity"])
def test_no_environment(run, command):
    refused(run(command, ""), r"Say which environment: ENV=staging \(there are: production staging\)\.")


def test_an_unknown_environment(run):
    refused(
        run("deploy", "stagign"),
        r"There is no environment stagign: name one of these, or write deploy/stagign\.env: production staging\.",
    )
    refused(run("deploy", "../x"), r"An environment's name has small letters, digits and hyphens, .*")


def test_an_environment_without_an_overlay(run):
    refused(run("deploy", "qa", qa="DOMAIN=x\n"), r"deploy/qa\.env has no deploy/kubernetes/qa beside it: .*")


def test_a_half_configured_environment(run):
    refused(
        run("deploy", "staging", staging="KUBE_CONTEXT=gone\nNAMESPACE=\n"),
        r"deploy/staging\.env does not say NAMESPACE DOMAIN: see docs/kubernetes\.md\.",
    )
    # As generated.
    refused(
        run("deploy", "production"), r"deploy/production\.env does not say KUBE_CONTEXT NAMESPACE DOMAIN: .*"
    )


def test_a_variable_in_the_wrong_place(run):
    refused(
        run("deploy", "staging", staging="LOG_LEVEL=DEBUG\n"),
        r"deploy/staging\.env sets LOG_LEVEL, which is not known here: .* deploy/kubernetes/staging\.",
    )


def test_a_domain_that_is_an_address(run):
    said = "KUBE_CONTEXT=gone\nNAMESPACE=x\nDOMAIN=https://example.com\n"
    refused(
        run("deploy", "staging", staging=said),
        r"deploy/staging\.env: DOMAIN=https://\S+ is no domain name: .*",
    )


def test_no_kubectl(run, tmp_path):
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sed", "tail", "grep", "head", "basename", "dirname", "rm"):
        (tools / name).symlink_to(shutil.which(name))
    refused(run("deploy", "staging", path=str(tools)), r"kubectl is not installed: see https://\S+\.")


@needs_kubectl
def test_an_unknown_context(run):
    said = "KUBE_CONTEXT=other\nNAMESPACE=x\nDOMAIN=example.com\n"
    refused(
        run("deploy", "staging", staging=said), r"Your kubeconfig has no context other: add it, or correct .*"
    )


@needs_kubectl
@pytest.mark.parametrize("command", ["deploy", "rollback", "logs", "console", "secrets", "parity", "status"])
def test_a_cluster_that_does_not_answer(run, command):
    before = {path: path.read_bytes() for path in Path(run.folder).rglob("*") if path.is_file()}
    refused(run(command, "staging"), r"The cluster gone does not answer: .*127\.0\.0\.1:1.*")
    assert {path: path.read_bytes() for path in Path(run.folder).rglob("*") if path.is_file()} == before

"""Adopted repositories, brought up by the steps that their reports name: the team's own routes are served."""

import time
from pathlib import Path

import pytest
import yaml
from adoption import lineage, repository
from releases import THIS
from service import STACK, Service, eventually
from tool import LEFT, starter

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def template(tmp_path_factory, alone) -> Path:
    return lineage(tmp_path_factory.mktemp("lineage") / "template")


@pytest.fixture
def served(template, tmp_path):
    """Adopts a shape and does what its report says until it is served; the stack goes afterwards."""
    services = []

    def served(shape: str) -> Service:
        began = time.monotonic()
        folder = repository(shape, tmp_path / shape)
        told = starter(folder, "adopt", str(template), "--release", THIS, status=LEFT)
        answers = told["answers"]
        image = f"ghcr.io/{answers['repository_owner']}/{answers['project_slug']}"
        service = Service(folder, answers | {"image_name": image}, f"{STACK}-adopted-{shape}")
        services.append(service)
        service.remove()
        for step in told["left"]:
            if command := next(
                (each for each in ("lock", "settings", "up") if step.startswith(f"Run `make {each}`")), ""
            ):
                service.make(command, timeout=900)
        seconds = time.monotonic() - began
        print(f"{shape}: {seconds:.0f} s from the start to a served route")
        return service

    yield served
    for service in services:
        service.remove()
        service.run("docker", "image", "rm", "--force", service.shipped, service.tested, check=False)


def test_a_module_is_served_with_its_templates(served):
    """What it has on SQLite stays there; its front page and its static files are its own."""
    service = served("flat")
    assert "Notes of the house" in service.call("/").text
    assert "rebeccapurple" in service.call("/static/style.css").text
    assert service.call("/nowhere").status == 404
    assert service.call("/openapi.json").status == 200
    assert service.call("/livez").json == {"status": "ok"}
    # What the report says of the checks is what they say.
    report = (service.path / "ADOPTION.md").read_text()
    said = service.make("test", check=False).stdout
    for line in (8, 18, 34):
        assert f"src/app.py:{line} " in said
        assert f"`src/app.py`, line {line}: " in report


def test_a_package_is_served_on_the_database_of_its_migrations(served):
    service = served("package")
    assert service.call("/orders/", "POST", {"number": "17"}).status == 201
    assert service.call("/orders/").json == [{"id": 1, "number": "17", "paid": False}]
    assert "Order 17" in service.call("/orders/1.html").text
    assert service.call("/status").json["currency"] == "EUR"
    assert service.psql("SELECT version_num FROM alembic_version") == "9a8b7c6d5e4f"
    assert service.ready()
    service.make("lint", "test", timeout=600)


def test_the_jobs_of_both_are_done_apart(served):
    service = served("poetry")
    assert service.call("/letters").json == {"letters": []}
    assert service.call("/letters/ada", "POST", {}).json == {"to": "ada"}
    services = yaml.safe_load((service.path / "compose.project.yaml").read_text())["services"]
    (worker,) = services
    eventually(lambda: "mailer.tasks.send" in service.compose("logs", worker))
    assert "unregistered" not in service.compose("logs", "worker")
    service.make("lint", "test", timeout=600)


def test_a_folder_of_a_monorepo_is_served(served):
    """By the name that it is loaded by; a route that both have is the template's, and the report says so."""
    service = served("monorepo")
    assert service.call("/countries").status == 200
    assert service.call("/metrics").text.startswith("# HELP ")
    assert "`/metrics` is a route of the template's" in (service.path / "ADOPTION.md").read_text()

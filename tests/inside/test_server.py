"""The server's settings."""

import runpy
from pathlib import Path

import pytest
from parity.allowance import usable_cpus


def test_workers_follow_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """WEB_CONCURRENCY and WEB_THREADS say how many."""
    monkeypatch.setenv("WEB_CONCURRENCY", "3")
    monkeypatch.setenv("WEB_THREADS", "5")
    server = runpy.run_path("gunicorn.conf.py")
    assert (server["workers"], server["threads"]) == (3, 5)


@pytest.mark.parametrize(("quota", "cpus"), [("50000 100000", 1), ("150000 100000", 2), ("max 100000", 4)])
def test_workers_follow_the_quota(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quota: str, cpus: int
) -> None:
    """By default there are as many workers as CPUs that the container may use."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 3})
    (tmp_path / "cpu.max").write_text(f"{quota}\n")
    assert usable_cpus(tmp_path / "cpu.max") == cpus

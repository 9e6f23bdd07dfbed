# The template's: copier update merges it.
"""gunicorn's hooks for metrics that each process keeps in files: a process has a number, and takes the files over of the one
before it. By its id, as prometheus_client has it, each that ends would leave files which are read for ever.
"""

import os
from itertools import count
from typing import Any

from prometheus_client import multiprocess, values


def identify() -> None:
    """Name this process's files by its number, once it has one: before a metric is made."""
    values.ValueClass = values.MultiProcessValue(  # type: ignore[no-untyped-call]
        lambda: os.environ.get("METRICS_PROCESS") or os.getpid()
    )


def pre_fork(server: Any, worker: Any) -> None:
    """Give a worker the lowest number that is free: its files of metrics are those of the one before."""
    taken = {other.number for other in server.WORKERS.values()}
    worker.number = next(number for number in count() if number not in taken)


def post_fork(server: Any, worker: Any) -> None:
    """Tell the worker its number, as the metrics' name for it."""
    os.environ["METRICS_PROCESS"] = str(worker.number)


def child_exit(server: Any, worker: Any) -> None:
    """Forget the live metrics of a worker that is gone."""
    multiprocess.mark_process_dead(worker.number)  # type: ignore[no-untyped-call]

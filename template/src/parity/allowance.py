# The template's: copier update merges it.
"""What this container may use: CPUs and open files."""

import math
import os
import resource
from contextlib import suppress
from pathlib import Path

# What a server process has open besides its clients: connections to PostgreSQL and Redis, modules, metrics, pipes.
OTHER_FILES = 150


def usable_cpus(quota: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Return how many CPUs this container may use, by affinity and by quota (cgroup v2)."""
    cpus = len(os.sched_getaffinity(0))
    with suppress(OSError, ValueError):  # no such file, or the quota is "max"
        allowed, period = quota.read_text().split()
        cpus = min(cpus, math.ceil(int(allowed) / int(period)))
    return max(1, cpus)


def open_files(connections: int) -> int:
    """Allow this process, and those it forks, as many open files as connections need; return how many connections may be.

    Where a container has the usual 1,024, a thousand clients who say nothing would leave none for anybody else.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + OTHER_FILES
    if hard != resource.RLIM_INFINITY:
        needed = min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    return needed - OTHER_FILES

"""The lines of a service with the default answers: how many of them no team has to read. tests/house.py lists what counts."""

from house import ALTOGETHER, SHARE, lines

from .workbench import Row, Workbench


def measure(workbench: Workbench) -> list[Row]:
    """Count machinery where it has a place of its own, and elsewhere."""
    counted = lines(workbench.service)
    share, altogether = counted["elsewhere"] / counted["there"], counted["altogether"]
    return [
        Row(
            "lines: machinery outside src/parity and ops, of all there",
            counted["elsewhere"], "", counted["there"], f"ratio ≤ {SHARE}", share <= SHARE, 0,
        ),
        Row(
            "lines: machinery altogether, the deployment's scripts aside",
            altogether, "", None, f"≤ {ALTOGETHER}", altogether <= ALTOGETHER, 0,
        ),
        Row("lines: the deployment's scripts", counted["scripts"], digits=0),
    ]  # fmt: skip

"""Generation: what Jinja, the questions and the decisions cost over copying plain files."""

import shutil

from .workbench import Row, Workbench, commit, copy, median, say, seconds

GOAL = 1.15


def measure(workbench: Workbench) -> list[Row]:
    """Compare with a template of the same output as plain files, with ten plain questions."""
    plain = workbench.folder / "plain"
    shutil.copytree(workbench.service, plain / "template")
    questions = "".join(f"answer_{number}:\n  type: str\n  default: text\n" for number in range(10))
    (plain / "copier.yml").write_text(f"_subdirectory: template\n{questions}")
    commit(plain)

    times: dict[str, list[float]] = {"this": [], "plain": []}
    for number in range(3 if workbench.quick else 11):
        for name, template in (("this", workbench.template), ("plain", plain)):
            say(f"generation {number + 1}: {name}")
            destination = workbench.folder / f"generated-{name}"
            times[name].append(seconds(lambda: copy(template, destination)))  # noqa: B023
            shutil.rmtree(destination)
    this, baseline = median(times["this"]), median(times["plain"])
    goal = f"ratio ≤ {GOAL}"
    return [Row("generation / plain files", this, "s", baseline, goal, this / baseline <= GOAL)]

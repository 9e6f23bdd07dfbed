"""Generation: what Jinja, the questions and the decisions cost over copying plain files."""

import shutil

from .lab import Lab, Row, commit, copy, median, say, seconds

GOAL = 1.15


def measure(lab: Lab) -> list[Row]:
    """Compare with a template of the same output as plain files, with ten plain questions."""
    plain = lab.folder / "plain"
    shutil.copytree(lab.service, plain / "template")
    questions = "".join(f"answer_{number}:\n  type: str\n  default: text\n" for number in range(10))
    (plain / "copier.yml").write_text(f"_subdirectory: template\n{questions}")
    commit(plain)

    times: dict[str, list[float]] = {"this": [], "plain": []}
    for number in range(3 if lab.quick else 11):
        for name, template in (("this", lab.template), ("plain", plain)):
            say(f"generation {number + 1}: {name}")
            destination = lab.folder / f"generated-{name}"
            times[name].append(seconds(lambda: copy(template, destination)))  # noqa: B023
            shutil.rmtree(destination)
    this, baseline = median(times["this"]), median(times["plain"])
    goal = f"ratio ≤ {GOAL}"
    return [Row("generation / plain files", this, "s", baseline, goal, this / baseline <= GOAL)]

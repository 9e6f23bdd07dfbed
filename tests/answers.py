"""The answers that the tests give."""

import questions
from allpairspy import AllPairs

DEFAULTS = {
    "project_name": "Orders",
    "project_slug": "orders",
    "package_name": "orders",
    "description": "A Flask service with the same parts in development and production.",
    "repository_owner": "acme",
    "python_version": "3.14",
    "postgres_version": "18",
    "cache_server": "redis",
    "jobs": True,
    "license": "proprietary",
    "deployment": "swarm",
    "production_approval": False,
    "example": True,
    "template_updates": "workflow",
}

# Every answer at its limit: the longest, with each character that some format gives a meaning.
EXTREME = {
    "project_name": """"It's" {{ 7 * 7 }} {% raw %} ${HOME} #1 `id` \\n\\ 👩\u200d💻 Ünïcode""".ljust(
        60, "!"
    ),
    "project_slug": "a" + "-1" * 19 + "z",
    "package_name": "p" + "_" * 61 + "9",
    "description": """'''"'" \\" {# $PATH $$ : - & * ! | > % @ , [ ] </script> {{""".ljust(200, "ß"),
    "repository_owner": "A" + "-b" * 19,
    "python_version": "3.13",
    "postgres_version": "17",
    "cache_server": "valkey",
    "jobs": False,
    "license": "Apache-2.0",
    "deployment": "kubernetes",
    "production_approval": True,
    "example": False,
    "template_updates": "renovate",
}

CHOICES = {
    "project_name": ["Orders", "Ann's Café 24", "注文"],
    "python_version": ["3.14", "3.13"],
    "postgres_version": ["18", "17"],
    "cache_server": ["redis", "valkey"],
    "jobs": [True, False],
    "license": ["proprietary", "MIT", "Apache-2.0"],
    "deployment": ["swarm", "kubernetes", "none"],
    "production_approval": [False, True],
    "example": [True, False],
    "template_updates": ["workflow", "renovate", "none"],
}


def matrix() -> dict[str, dict]:
    """Answers by the name of their folder: the defaults, the extreme, and rows in which every two choices meet."""
    rows = [dict(zip(CHOICES, row, strict=True)) for row in AllPairs(CHOICES.values())]
    pairs = {
        "-".join(["pair", *(str(value).lower() for value in list(row.values())[1:])]): row for row in rows
    }
    return {"default": DEFAULTS, "extreme": EXTREME} | pairs


def ask(**given) -> dict:
    """Every answer, worked out as Copier does, a hundred times as fast; a refused answer raises ValueError as Copier does."""
    answers = {}
    for name, question in questions.CONFIG.items():
        if name.startswith("_"):
            continue
        answers[name] = given[name] if name in given else questions.default(question, answers)
        if question["type"] == "bool":
            answers[name] = str(answers[name]) == "True"
        sentence = questions.template(question.get("validator", "")).render(answers).strip()
        if sentence:
            raise ValueError(f"Validation error for question '{name}': {sentence}")
    return answers

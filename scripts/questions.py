"""Write docs/questions.md from copier.yml: the configuration is the documentation.

python scripts/questions.py            write the page
python scripts/questions.py --check    exit 1 when the page does not say what copier.yml says
"""

import sys
from functools import cache
from pathlib import Path

import yaml
from jinja2 import FileSystemLoader, StrictUndefined, Template, meta, nodes
from jinja2.sandbox import SandboxedEnvironment

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "questions.md"
HEAD = """\
# The questions

<!-- Written by scripts/questions.py from copier.yml. -->

`copier copy` asks these {count} questions, and `--defaults` takes the default of each. The answers stand in
`.copier-answers.yml` in the service, where `copier update` finds them again. To answer without a terminal, name
the question: `--data project_name="Orders"`.
"""

# The section of what has an answer that nobody is asked for.
UNASKED = "[- Not asked] "

CONFIG = yaml.safe_load((ROOT / "copier.yml").read_text())
# As Copier sets it up.
ENVIRONMENT = SandboxedEnvironment(
    loader=FileSystemLoader(ROOT),
    extensions=["jinja2_ansible_filters.AnsibleCoreFiltersExtension"],
    **CONFIG["_envops"] | {"undefined": StrictUndefined},
)
NO_SETTINGS = {
    "_copier_conf": {
        "settings": {"defaults": {}},
        "dst_path": "nowhere",
        "answers_file": ".copier-answers.yml",
    }
}


def asked() -> dict[str, dict]:
    """The questions that a person sees."""
    return {name: q for name, q in recorded().items() if q.get("ask", True)}


def recorded() -> dict[str, dict]:
    """Whatever has an answer in a service's answers file."""
    return {name: q for name, q in CONFIG.items() if not name.startswith("_") and q.get("when", True)}


def sentences(validator: str) -> list[str]:
    """What a validator can answer: the text in the branches of the macro it calls, with the call's constants filled in."""
    call_site = ENVIRONMENT.parse(validator)
    found = []
    for source in call_site.find_all(nodes.FromImport):
        aliases = {
            alias: name
            for name, alias in (pair if isinstance(pair, tuple) else (pair, pair) for pair in source.names)
        }
        macros = ENVIRONMENT.parse(
            ENVIRONMENT.loader.get_source(ENVIRONMENT, source.template.value)[0]
        ).find_all(nodes.Macro)
        macros = {macro.name: macro for macro in macros}
        for call in call_site.find_all(nodes.Call):
            macro = macros[aliases[call.node.name]]
            constants = {
                parameter.name: str(argument.value)
                for parameter, argument in zip(macro.args, call.args, strict=True)
                if isinstance(argument, nodes.Const)
            }
            outputs = (
                "".join(text(part, constants) for part in output.nodes)
                for output in macro.find_all(nodes.Output)
            )
            found += filter(None, map(str.strip, outputs))
    return found


def text(part: nodes.Node, constants: dict[str, str]) -> str:
    """What a part of a sentence says, an ellipsis for what only the answer decides."""
    return part.data if isinstance(part, nodes.TemplateData) else constants.get(part.name, "…")


@cache
def template(source: str) -> Template:
    """A template of copier.yml, parsed once."""
    return ENVIRONMENT.from_string(source)


def default(question: dict, answers: dict) -> object:
    """A question's default, after the answers before it."""
    value = question["default"]
    return template(value).render(answers | NO_SETTINGS) if isinstance(value, str) else value


def sources(question: dict, answers: dict) -> list[str]:
    """The answers that a default is worked out from."""
    return sorted(
        meta.find_undeclared_variables(ENVIRONMENT.parse(str(question["default"]))) & answers.keys()
    )


def page() -> str:
    """The page, as copier.yml has it."""
    answers, section = {}, ""
    lines = [HEAD.format(count=len(asked()))]
    for name, question in recorded().items():
        heading, _, prompt = (UNASKED * (name not in asked()) + question["help"].strip()).partition("] ")
        if heading != section:
            section = heading
            lines.append(f"## {heading.partition(' ')[2]}\n")
        title, _, detail = prompt.partition("\n")
        lines.append(f"### `{name}`\n\n{title} {detail}\n")
        origins = " and ".join(f"`{source}`" for source in sources(question, answers))
        answers[name] = default(question, answers)
        choices = question.get("choices", {})
        shown = {True: "`yes` (or `no`)", False: "`no` (or `yes`)"}.get(answers[name], f"`{answers[name]}`")
        lines.append(f"Default: {shown}, worked out from {origins}\n" if origins else f"Default: {shown}\n")
        if choices:
            for label, value in choices.items():
                lines.append(f"- `{value}`: {label.removeprefix(f'{value}: ').replace(': ', ', ', 1)}")
            lines.append("")
        if rules := sentences(question.get("validator", "")):
            lines.append("Refused with one of:\n")
            lines += [f"- {rule}" for rule in rules]
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def main(arguments: list[str]) -> int:
    """Write the page, or with --check say whether it is stale."""
    if "--check" not in arguments:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(page())
    elif not PAGE.exists() or PAGE.read_text() != page():
        print("docs/questions.md is stale: run python scripts/questions.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What a release must not do to services that take it is noticed here, before it is one."""

import shutil
from pathlib import Path

import pytest
import releases
import yaml
from conftest import Project, git, render
from gates import problems, questions, values
from releases import THIS, edit

ROUTES = "src/{{package_name}}/routes.py"


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    clone = tmp_path_factory.mktemp("lineage") / "template"
    releases.lineage(clone)
    return clone


def test_this_release_does_nothing_of_it(template):
    newest = git(template, "describe", "--tags", "--abbrev=0", f"{THIS}^").strip()
    assert problems(template, newest, THIS) == []


def rename(folder: Path) -> None:
    git(folder, "mv", "template/ops/fuzz", "template/ops/fuzzing")


def claim(folder: Path) -> None:
    (folder / "template" / ROUTES).write_text("ROUTES = 1\n")


def change_mode(folder: Path) -> None:
    (folder / "template" / "docs" / "schema.md").chmod(0o755)


def remove_choice(folder: Path) -> None:
    edit(folder / "copier.yml", ('    "17: when production does not offer 18": "17"\n', ""))


def ask_without_default(folder: Path) -> None:
    edit(folder / "copier.yml", ("\nexample:\n", "\nregion:\n  type: str\n  help: Where?\n\nexample:\n"))


def forget_question(folder: Path) -> None:
    path = folder / "copier.yml"
    before, _, rest = path.read_text().partition("\nproduction_approval:\n")
    path.write_text(f"{before}\n# ----{rest.partition('# ----')[2]}")


def add_migration(folder: Path) -> None:
    (folder / "template" / "migrations" / "versions" / "0003_more.py").write_text("MORE = 1\n")


def change_migration(folder: Path) -> None:
    path = next((folder / "template" / "migrations" / "versions").glob("0001_*"))
    path.write_text(path.read_text() + "OTHER = 1\n")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (rename, "ops/fuzz is gone or has another name"),
        (claim, f"{ROUTES} is new, and teams have such a file"),
        (change_mode, "docs/schema.md has another mode and the same content"),
        (remove_choice, "The question postgres_version has lost 17"),
        (ask_without_default, "The question region has no default"),
        (forget_question, "The question production_approval is gone"),
        (add_migration, "migrations/versions/0003_more.py is new, and an update leaves migrations out"),
        (
            change_migration,
            "migrations/versions/0001_create_users.py has changed, and services have applied it",
        ),
    ],
)
def test_each_is_noticed(template, tmp_path, change, says):
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(template), str(clone))
    git(clone, "checkout", "--quiet", THIS)
    change(clone)
    releases.release(clone, "v999.1.0")
    found = problems(clone, THIS, "v999.1.0")
    assert [each.startswith(says) for each in found] == [True], found


def paths(project: Project) -> set[str]:
    return {path.relative_to(project.path).as_posix() for path in project.files()}


def unsafe(template: Path, folder: Path, before: str, after: str) -> list[str]:
    """Return the new questions that, where nobody answers them, bring files that a service of before did not have."""
    old = render(template, folder / "old", {}, vcs_ref=before)
    # An update finds the answers of before.
    answers = folder / "new" / ".copier-answers.yml"
    answers.parent.mkdir()
    shutil.copy(folder / "old" / answers.name, answers)
    new = render(template, answers.parent, {}, vcs_ref=after, overwrite=True)
    config = yaml.safe_load(git(template, "show", f"{after}:copier.yml"))
    known = yaml.safe_load(git(template, "show", f"{before}:copier.yml"))
    found = []
    for name in [each for each in questions(config) if each not in known]:
        others = {*values(config[name]), *([True, False] if config[name]["type"] == "bool" else [])}
        for value in others - {new.answers[name]}:
            given = {each: new.answers[each] for each in questions(config)} | {name: value}
            other = render(template, folder / f"{name}-{value}", given, vcs_ref=after)
            if paths(new) - paths(other) - paths(old):
                found.append(name)
    return found


@pytest.mark.parametrize("before", ["v0.1.0", "v0.2.0"])
def test_what_nobody_answers_adds_nothing(template, tmp_path, before):
    assert unsafe(template, tmp_path, before, THIS) == []


def test_an_answer_that_adds_something_is_noticed(template, tmp_path):
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(template), str(clone))
    git(clone, "checkout", "--quiet", THIS)
    question = "\nsearch:\n  type: bool\n  help: Is there a search?\n  default: true\n\nexample:\n"
    leaves_out = "_exclude:\n  - \"{{ '' if search | default(true) else '/search.md' }}\"\n"
    edit(clone / "copier.yml", ("\nexample:\n", question), ("_exclude:\n", leaves_out))
    (clone / "template" / "search.md").write_text("# Search\n")
    releases.release(clone, "v999.1.0")
    assert unsafe(clone, tmp_path, THIS, "v999.1.0") == ["search"]

"""What the questions accept, refuse and work out."""

import json
import keyword
import re
import subprocess
import sys
import tomllib
from ast import literal_eval
from itertools import chain

import pytest
import questions
import reserved_names
import yaml
from answers import DEFAULTS, EXTREME, ask, matrix
from conftest import ROOT, render
from hypothesis import example, given, settings
from hypothesis import strategies as st

FREE_TEXT = {"project_name": ("project name", 60), "description": ("description", 200)}
CONTROL = "The {} holds a line break or an invisible control character; remove it."
SLUG = (
    "The project slug may hold only lower-case letters, digits and single hyphens, "
    "begin with a letter and end with a letter or digit; write it that way."
)
PACKAGE = (
    "The package name may hold only lower-case letters from a to z, digits and underscores, "
    "and begin with a letter; write it that way."
)
OWNER = (
    "The repository owner may hold only letters, digits and single hyphens, "
    "and no hyphen at either end; write it as GitHub shows it."
)
CONTROLS = [
    "\n",
    "\r",
    "\t",
    "\0",
    "\x1b",
    "\x7f",
    "\x85",
    "\u2028",
    "\u2029",
    "\u061c",
    "\u200e",
    "\u202e",
    "\u2066",
    "\ud800",
    "\ufeff",
]

REFUSED = [
    *(
        (question, value, sentence.format(label))
        for question, (label, limit) in FREE_TEXT.items()
        for value, sentence in [
            ("", "The {} is empty; write at least one visible character."),
            (" \u3000", "The {} is empty; write at least one visible character."),
            (" a", "The {} begins or ends with a blank; remove it."),
            ("a\u00a0", "The {} begins or ends with a blank; remove it."),
            ("é" * (limit + 1), f"The {{}} is longer than {limit} characters; shorten it."),
            *((f"a{character}b", CONTROL) for character in CONTROLS),
            ("a\n", CONTROL),
        ]
    ),
    ("project_slug", "", "The project slug is empty; write a short name in lower-case letters."),
    *(
        ("project_slug", value, SLUG)
        for value in [
            "Orders",
            "1orders",
            "-orders",
            "orders-",
            "or--ders",
            "or_ders",
            "örders",
            "a b",
            "a\n",
        ]
    ),
    ("project_slug", "a" * 41, "The project slug is longer than 40 characters; shorten it."),
    (
        "project_slug",
        "flask",
        "The project slug is the name of a package that the service installs; choose another, such as flask-service.",
    ),
    (
        "project_slug",
        "null",
        "The project slug is a word that YAML does not read as text; choose another, such as null-service.",
    ),
    ("package_name", "", "The package name is empty; write a short name in lower-case letters."),
    *(
        ("package_name", value, PACKAGE)
        for value in ["Orders", "1orders", "_orders", "or-ders", "örders", "a b", "a.b", "ª", "a\n"]
    ),
    ("package_name", "a" * 64, "The package name is longer than 63 characters; shorten it."),
    *(
        ("package_name", value, f"The package name is {reason}; choose another, such as {value}_service.")
        for reason, values in {
            "a keyword of Python": ["class", "match", "type"],
            "a module of Python's standard library": ["email", "annotationlib", "test"],
            "a package that the service imports": [
                "flask",
                "sqlalchemy",
                "celery",
                "redis",
                "alembic",
                "dotenv",
                "pytest",
            ],
            "a folder or a tool of the service": ["tests", "migrations", "parity", "settings"],
            "a word that YAML does not read as text": ["true", "on"],
        }.items()
        for value in values
    ),
    *(
        (
            "package_name",
            value,
            f"The package name is a name that PostgreSQL keeps for itself; choose another, such as service_{value}.",
        )
        for value in ["postgres", "template0", "template1", "pg_orders"]
    ),
    (
        "repository_owner",
        "",
        "The repository owner is empty; write the name of a GitHub user or organisation.",
    ),
    *(
        ("repository_owner", value, OWNER)
        for value in ["-acme", "acme-", "ac--me", "ac me", "acme/orders", "acmé", "a_b", "a\n"]
    ),
    (
        "repository_owner",
        "a" * 40,
        "The repository owner is longer than 39 characters; write it as GitHub shows it.",
    ),
]


@pytest.mark.parametrize(("question", "value", "sentence"), REFUSED)
def test_a_refused_answer_gets_one_sentence(question, value, sentence):
    with pytest.raises(ValueError, match="Validation error") as refused:
        ask(**{question: value})
    assert str(refused.value) == f"Validation error for question '{question}': {sentence}"
    assert re.fullmatch(r"[A-Z][^.]*\.", sentence)


def without_advice(sentence: str) -> str:
    return re.sub(r"(?<=such as ).*(?=\.$)", "…", sentence)


ONE_OF_EACH = {without_advice(sentence): (question, value, sentence) for question, value, sentence in REFUSED}


def test_every_sentence_is_provoked_and_documented():
    page = (ROOT / "docs" / "questions.md").read_text()
    documented = re.findall(r"^- (The .*)", page, re.MULTILINE)
    assert set(map(without_advice, documented)) == ONE_OF_EACH.keys()


@pytest.mark.parametrize(
    ("question", "value"),
    [
        *(
            (question, value)
            for question in FREE_TEXT
            for value in [
                "a",
                "-",
                "null",
                "42",
                "{{ now() }}",
                "{% if %}",
                "{#",
                "\\",
                "'\"",
                "👩\u200d💻",
                "$HOME",
                "# `x`",
                "注文",
            ]
        ),
        *(("project_name", "é" * 60), ("description", "é" * 200)),
        *(("project_slug", value) for value in ["a", "a1", "a-b-c", "a" * 40]),
        *(("package_name", value) for value in ["a", "a1", "a__b_", "a" * 63, "nullable", "flask_orders"]),
        *(("repository_owner", value) for value in ["a", "7", "Ac-Me", "a" * 39]),
    ],
)
def test_an_accepted_answer_is_kept_as_it_is(question, value):
    assert ask(**{question: value})[question] == value


def test_twelve_questions_in_four_sections():
    asked = questions.asked()
    assert list(questions.recorded()) == list(DEFAULTS)
    # What only `--data` answers.
    assert questions.recorded().keys() - asked == {"example", "template_updates"}
    assert len(asked) <= 12
    sections = [re.match(r"\[(\d)/4 (\w+)\] ", question["help"]).groups() for question in asked.values()]
    assert sections == sorted(sections)
    assert dict(sections) == {"1": "Identity", "2": "Runtime", "3": "Contents", "4": "Delivery"}
    for question in asked.values():
        sentence, detail = question["help"].strip().split("\n")
        assert sentence.endswith("?")
        assert re.fullmatch(r"[^.]*(\.[^ .]+[^.]*)*\.", detail)
        assert "default" in question
        assert isinstance(question.get("choices", {}), dict)
        assert all(": " in label for label in question.get("choices", {}))


def test_defaults_ask_nothing_and_are_recorded(copie, template):
    result = copie.copy(template_dir=template)
    assert result.exception is None
    assert result.answers == DEFAULTS


def test_an_answers_file_holds_the_answers_and_nothing_computed(projects):
    for project in projects.values():
        recorded = yaml.safe_load((project.path / ".copier-answers.yml").read_text())
        asked = DEFAULTS.keys() - ([] if project.answers["has_deployment"] else ["production_approval"])
        assert recorded.keys() - {"_src_path", "_commit"} == asked
        assert {name: recorded[name] for name in asked} == {name: project.answers[name] for name in asked}


@pytest.mark.parametrize(
    ("name", "slug", "package"),
    [
        ("Orders", "orders", "orders"),
        ("Order Desk", "order-desk", "order_desk"),
        ("Ann's  Café & Søn", "anns-cafe-son", "anns_cafe_son"),
        (
            "Cafe\u0301 STRASSE Straße Œuvre Þ",
            "cafe-strasse-strasse-oeuvre-th",
            "cafe_strasse_strasse_oeuvre_th",
        ),
        ("İstanbul Łódź ĲSSEL", "istanbul-lodz-ssel", "istanbul_lodz_ssel"),
        ("注文", "service", "service"),
        ("Заказы 2", "service-2", "service_2"),
        ("👩\u200d💻", "service", "service"),
        ("3D Orders", "service-3d-orders", "service_3d_orders"),
        ("--x--", "x", "x"),
        ("a" * 39 + " b", "a" * 39, "a" * 39),
        ("Email", "email", "email_service"),
        ("Class", "class", "class_service"),
        ("Flask", "flask-service", "flask_service"),
        ("Dateutil", "dateutil", "dateutil_service"),
        ("Postgres", "postgres", "postgres_service"),
        ("PG Orders", "pg-orders", "service_pg_orders"),
        ("Tests", "tests", "tests_service"),
        ("Null", "null-service", "null_service"),
    ],
)
def test_slug_and_package_are_derived(name, slug, package):
    answers = ask(project_name=name)
    assert (answers["project_slug"], answers["package_name"]) == (slug, package)


def test_every_reserved_name_has_a_valid_default():
    names = reserved_names.read()
    everything = {name for group in names.values() for name in group}
    everything |= set(chain(*names["dependencies"].values()))
    for name in everything:
        assert ask(project_name=name)["package_name"] not in everything


def test_a_github_user_in_the_settings_is_the_default_owner(template, tmp_path, monkeypatch):
    settings_file = tmp_path / "settings.yml"
    monkeypatch.setenv("COPIER_SETTINGS_PATH", str(settings_file))
    for user, owner in {"octocat": "octocat", "not a user": "acme", "1": "1"}.items():
        settings_file.write_text(f"defaults: {{github_user: {user}}}\n")
        assert render(template, tmp_path / "project", {}, pretend=True).answers["repository_owner"] == owner


def test_computed_answers_of_the_defaults():
    answers = ask()
    expected = {
        "has_jobs": True,
        "has_license_file": False,
        "license_expression": "LicenseRef-Proprietary",
        "image_name": "ghcr.io/acme/orders",
        "repository_url": "https://github.com/acme/orders",
        "cache_service": "redis",
        "cache_label": "Redis",
        "cache_image": "redis:8",
        "project_name_python": '"Orders"',
        "description_python": f'"{DEFAULTS["description"]}"',
        "project_name_toml": '"Orders"',
        "description_toml": f'"{DEFAULTS["description"]}"',
    }
    assert {
        name: value for name, value in answers.items() if name not in DEFAULTS and name in expected
    } == expected


def test_computed_answers_of_the_extreme():
    answers = ask(**EXTREME)
    assert answers["has_jobs"] is False
    assert answers["has_license_file"] is True
    assert answers["license_expression"] == "Apache-2.0"
    assert answers["image_name"] == f"ghcr.io/{EXTREME['repository_owner'].lower()}/{EXTREME['project_slug']}"
    assert (
        answers["repository_url"]
        == f"https://github.com/{EXTREME['repository_owner']}/{EXTREME['project_slug']}"
    )
    assert (answers["cache_service"], answers["cache_label"], answers["cache_image"]) == (
        "valkey",
        "Valkey",
        "valkey/valkey:9",
    )


def test_copier_works_out_the_same(projects):
    for name, given_answers in matrix().items():
        expected = ask(**given_answers)
        assert {key: projects[name].answers[key] for key in expected} == expected


@pytest.mark.parametrize(("question", "value", "sentence"), ONE_OF_EACH.values())
def test_copier_refuses_the_same(template, tmp_path, question, value, sentence):
    with pytest.raises(ValueError, match="Validation error") as refused:
        render(template, tmp_path / "project", {question: value})
    assert str(refused.value) == f"Validation error for question '{question}': {sentence}"
    assert not (tmp_path / "project").exists()


@pytest.mark.parametrize(
    "answer",
    [{"license": "GPL"}, {"python_version": "2.7"}, {"postgres_version": "9"}, {"cache_server": "x"}],
)
def test_a_choice_that_does_not_exist_is_refused(template, tmp_path, answer):
    with pytest.raises(ValueError, match=f"Invalid choice for '{next(iter(answer))}'"):
        render(template, tmp_path, answer)


ANY_TEXT = st.text(st.characters(codec=None) | st.sampled_from("'\"\\{}%#$`\n\u200d💻é "), max_size=62)


def is_accepted(text: str, limit: int) -> bool:
    """What the two free questions promise, written down a second time."""
    controls = {
        *range(0x20),
        *range(0x7F, 0xA0),
        0x61C,
        0x200E,
        0x200F,
        *range(0x2028, 0x202F),
        *range(0x2066, 0x206A),
    }
    controls |= {*range(0xD800, 0xE000), 0xFEFF, 0xFFFE, 0xFFFF}
    return 0 < len(text) <= limit and text.strip() == text and not controls & set(map(ord, text))


@settings(max_examples=300, deadline=None)
@given(ANY_TEXT)
@example("\udcff")
@example("\\")
@example("'\"")
@example("{{ project_slug }}")
def test_any_text_is_kept_or_gets_one_sentence(name):
    if not is_accepted(name, 60):
        with pytest.raises(
            ValueError, match=r"question 'project_name': The project name [a-z0-9 ]+; [a-z ]+\.\Z"
        ):
            ask(project_name=name)
        return
    answers = ask(project_name=name)
    assert answers["project_name"] == name
    assert literal_eval(answers["project_name_python"]) == name
    assert json.loads(answers["project_name_toml"]) == name
    assert tomllib.loads(f"x = {answers['project_name_toml']}")["x"] == name
    assert re.fullmatch(r"[a-z](-?[a-z0-9])*", answers["project_slug"])
    assert answers["package_name"].isidentifier()
    assert not keyword.iskeyword(answers["package_name"])


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.text(
            st.characters(exclude_categories=["C", "Z"]) | st.sampled_from("'\"\\{"), min_size=1, max_size=9
        ),
        min_size=1,
        max_size=40,
    )
)
def test_a_python_literal_is_as_ruff_leaves_it(texts):
    literals = [ask(project_name=text)["project_name_python"] for text in texts]
    source = "".join(f"X = {literal}\n" for literal in literals)
    assert ruff_format(source) == source


def ruff_format(source: str) -> str:
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length", "320", "-"]
    return subprocess.run(command, input=source, capture_output=True, text=True, check=True).stdout


def test_the_questions_page_is_written_from_copier_yml():
    command = [sys.executable, ROOT / "scripts" / "questions.py", "--check"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_reserved_names_hold_those_of_this_python_and_of_the_locks(projects):
    names = reserved_names.read()
    assert reserved_names.python_keywords() <= set(names["keywords"])
    # What older Pythons brought along and 3.13 does not is free again.
    if sys.version_info >= (3, 13):
        assert reserved_names.python_modules() <= set(names["standard_library"]), (
            "run scripts/reserved_names.py"
        )
    default = projects["default"]
    locked = set().union(
        *(reserved_names.locked_names(file.read_text()) for file in default.files("requirements*.txt"))
    )
    assert locked == names["dependencies"].keys(), "run scripts/reserved_names.py --locks"

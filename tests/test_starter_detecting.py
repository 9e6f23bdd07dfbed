"""What ``starter adopt`` finds in repositories of other kinds; none of their code is run."""

from pathlib import Path

import pytest

from starter.applications import find
from starter.dependencies import collect, near
from starter.detecting import detect
from starter.errors import Refused
from starter.git import Git
from starter.modules import Modules
from starter.requirements import specifier
from starter.revisions import follow, heads
from starter.variables import read
from starter.writing import debian_packages

FLASK = "from flask import Flask\n"
FACTORY = FLASK + "def create_app():\n    app = Flask(__name__)\n    return app\n"


def tree(**files: str) -> dict[str, bytes]:
    """Files by their paths, in which ``__`` stands for a slash, and ``_py`` at the end for ``.py``."""
    return {path: text.encode() for path, text in files.items()}


def application(files: dict[str, str], given: str | None = None) -> str:
    contents = tree(**files)
    return str(find(contents, Modules(contents), given))


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"application.py": FLASK + "application = Flask(__name__)"}, "application:application"),
        ({"main.py": "import flask\napp = flask.Flask(__name__)"}, "main:app"),
        ({"src/shop/__init__.py": FACTORY}, "shop:create_app()"),
        ({"src/shop/__init__.py": "", "src/shop/web.py": FACTORY}, "shop.web:create_app()"),
        (
            {"shop/__init__.py": FACTORY, "wsgi.py": "from shop import create_app\napp = create_app()"},
            "wsgi:app",
        ),
        (
            {"shop/app.py": "from shop.db import db\n" + FACTORY, "shop/db.py": "db = 1"},
            "shop.app:create_app()",
        ),
        ({"backend/app.py": "import models\n" + FACTORY, "backend/models.py": ""}, "app:create_app()"),
        ({"app.py": "class Ours(Flask): pass\napp: Ours = Ours(__name__)"}, "app:app"),
        ({"api.py": "from apiflask import APIFlask\napi = APIFlask(__name__)"}, "api:api"),
        # What a server is told comes first: in a Procfile, a Dockerfile of several lines, a Compose file, a variable.
        (
            {"a.py": FACTORY, "b.py": FACTORY, "Procfile": "web: gunicorn -w 4 'b:create_app()'"},
            "b:create_app()",
        ),
        (
            {
                "a.py": FACTORY,
                "b.py": FACTORY,
                "Dockerfile": 'CMD ["gunicorn", "-b", "0.0.0.0:80", \\\n "b:create_app()"]',
            },
            "b:create_app()",
        ),
        (
            {"a.py": FACTORY, "b.py": FACTORY, "uwsgi.ini": "[uwsgi]\nmodule=b:create_app()\n"},
            "b:create_app()",
        ),
        ({"a.py": FACTORY, "b.py": FACTORY, ".flaskenv": "FLASK_APP=b.py\n"}, "b:create_app()"),
        (
            {"a.py": FACTORY, "b.py": FACTORY, "Dockerfile": "ENV FLASK_APP=b\nCMD flask run"},
            "b:create_app()",
        ),
        (
            {
                "a.py": FACTORY.replace("()", "(name)", 1),
                "Procfile": "web: gunicorn \"a:create_app('production')\"",
            },
            "a:create_app('production')",
        ),
        ({"a.py": FACTORY, "tests/app.py": FLASK + "app = Flask(__name__)"}, "a:create_app()"),
    ],
)
def test_the_application_is_found(files, found):
    assert application(files) == found


def test_an_application_that_somebody_names():
    files = {"a.py": FACTORY, "b/c.py": FACTORY.replace("create_app", "make")}
    assert application(files, "b.c:make") == application(files, "b.c") == "b.c:make()"
    assert application(files, "b/c.py:make") == "c:make()"
    for wrong in ("b.c:nothing", "d:make", "b.c:make("):
        with pytest.raises(Refused, match="--app"):
            application(files, wrong)
    with pytest.raises(Refused, match="No Flask application"):
        application({"a.py": FACTORY.replace("()", "(name)", 1)})


def test_what_goes_together_moves_together():
    contents = tree(
        **{
            "app.py": "import models\n" + FACTORY,
            "models.py": "from helpers.text import a",
            "helpers/text.py": "a = 1",
            "manage.py": "from app import create_app",
            "unrelated.py": "import json",
            "tests/test_app.py": "import app",
        }
    )
    assert Modules(contents).together("app.py", "") == ["app.py", "helpers", "manage.py", "models.py"]


@pytest.mark.parametrize(
    ("files", "ships", "develops"),
    [
        ({"Pipfile": '[packages]\nflask = "*"\nrequests = {version = "==2.1", extras = ["socks"]}\n[dev-packages]\npytest = "~=8.0"'},
         ["flask", "requests[socks]>=2.1"], ["pytest~=8.0"]),
        ({"setup.py": "from setuptools import setup\nsetup(install_requires=['flask>=2', 'rich==13'])"}, ["flask>=2", "rich>=13"], []),
        ({"setup.cfg": "[options]\ninstall_requires =\n    flask>=2\n    rich\n"}, ["flask>=2", "rich"], []),
        ({"pyproject.toml": '[project]\nname = "a"\ndependencies = ["flask>=3", "rich==13.7.0"]\n[dependency-groups]\n'
          'dev = ["pytest", {include-group = "lint"}]\nlint = ["black"]\n[project.optional-dependencies]\ntest = ["faker==3"]'},
         ["flask>=3", "rich>=13.7.0"], ["black", "faker>=3", "pytest"]),
        ({"requirements.txt": "-r requirements/base.txt\ngunicorn==21 ; python_version > '3.8'\n--index-url https://a.example\n./own",
          "requirements/base.txt": "flask==2.0.1 --hash=sha256:aa \\\n  --hash=sha256:bb\n-e git+https://github.com/a/b@c#egg=b\n"},
         ["b @ git+https://github.com/a/b@c", "flask>=2.0.1", 'gunicorn>=21; python_version > "3.8"'], []),
        ({"requirements.in": "flask", "requirements.txt": "flask==3.0\nwerkzeug==3.0", "requirements-dev.txt": "pytest"},
         ["flask"], ["pytest"]),
    ],
)  # fmt: skip
def test_dependencies_are_found(files, ships, develops):
    found = collect(tree(**files))
    assert sorted(found.ships.values()) == ships
    assert sorted(found.develops.values()) == develops


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ("^1.2.3", "<2,>=1.2.3"),
        ("^0.2.3", "<0.3,>=0.2.3"),
        ("^0.0.3", "<0.0.4,>=0.0.3"),
        ("^3", "<4,>=3"),
        ("~1.2", "<1.3,>=1.2"),
        ("~1", "<2,>=1"),
        ("*", ""),
        ("1.2.*", "==1.2.*"),
        (">=1.2, <2", "<2,>=1.2"),
        (">= 1.2", ">=1.2"),
        ("^2.0 || ^3.0", "<4,>=3.0"),
    ],
)
def test_poetrys_versions_are_translated(written, means):
    assert specifier(written) == means


def test_variables_are_found():
    code = (
        "import os\nfrom os import environ, getenv\nA = os.environ['A_KEY']\nB = os.environ.get('B_KEY')\n"
        "C = getenv('C_KEY', 'c')\nD = int(environ['D_KEY'])\nE = config('E_KEY')\nF = env.bool('F_KEY', default=False)\n"
        "G = os.environ.get('G_KEY') or 'g'\nos.environ['H_KEY'] = 'h'\nI = os.environ['FLASK_APP']\napp.config.get('J_KEY')\n"
    )
    found = {each.name: (each.required, each.number) for each in read(Modules(tree(**{"a.py": code})))}
    assert found == {
        "A_KEY": (True, False),
        "B_KEY": (False, False),
        "C_KEY": (False, False),
        "D_KEY": (True, True),
        "E_KEY": (True, False),
        "F_KEY": (False, False),
        "G_KEY": (False, False),
    }


def test_settings_of_pydantic_are_variables():
    code = (
        "class Ours(BaseSettings):\n    model_config = SettingsConfigDict(env_prefix='shop_')\n"
        "    key: str\n    pages: int\n    name: str = 'a'\n"
    )
    found = {each.name: (each.required, each.number) for each in read(Modules(tree(**{"a.py": code})))}
    assert found == {"SHOP_KEY": (True, False), "SHOP_PAGES": (True, True), "SHOP_NAME": (False, False)}


def test_dependencies_may_stand_where_the_application_does():
    found = near(tree(**{"api/requirements.txt": "flask==3", "package.json": "{}"}), "api")
    assert (found.ships, found.files) == ({"flask": "flask>=3"}, ["api/requirements.txt"])


def test_a_package_called_src_is_found_from_the_top():
    files = {"src/__init__.py": "", "src/app.py": "from src.db import db\n" + FACTORY, "src/db.py": "db = 1"}
    assert application(files | {"Procfile": "web: gunicorn 'src.app:create_app()'"}) == "src.app:create_app()"
    assert application(files) == "src.app:create_app()"
    contents = tree(**files)
    assert Modules(contents).together("src/app.py", "") == ["src"]


def test_requirements_of_powershell_are_read():
    assert [*collect({"requirements.txt": "flask==3.0\r\n".encode("utf-16")}).ships.values()] == [
        "flask>=3.0"
    ]


def test_migrations_follow_each_other():
    contents = tree(
        **{
            "migrations/versions/a.py": "revision = 'a'\ndown_revision = None",
            "migrations/versions/b.py": "revision: str = 'b'\ndown_revision: str = 'a'",
            "migrations/versions/c.py": "revision = 'c'\ndown_revision = 'a'",
        }
    )
    assert heads(contents) == ["b", "c"]
    path, text = follow(
        b'revision = "0000"\ndown_revision = None\n', "migrations/versions/0000_create_jobs.py", ["b", "c"]
    )
    assert path == "migrations/versions/create_jobs.py"
    assert text == b'revision = "create_jobs"\ndown_revision = ("b", "c")\n'


def test_packages_of_an_image():
    text = "RUN apt-get update && \\\n apt-get install -y --no-install-recommends libmagic1=1:5 \\\n  # why\n  tini && rm -rf /var"
    assert debian_packages(text) == ["libmagic1", "tini"]


def test_answers_come_nearest_to_what_is_found(tmp_path):
    Git(tmp_path)("init", "--quiet")
    questions = {
        "python_version": {"choices": {"new": "3.14", "old": "3.13"}},
        "postgres_version": {"choices": ["18", "17"]},
        "cache_server": {"choices": ["redis"]},
        "project_name": {"type": "str"},
    }
    contents = tree(
        **{
            "app.py": FACTORY,
            "pyproject.toml": '[project]\nname = "my_shop-api"\nrequires-python = ">=3.9"',
            "compose.yml": "services: {db: {image: 'postgis/postgis:19-3'}, cache: {image: valkey/valkey}}",
        }
    )
    found = detect(contents, Git(tmp_path), "folder", None, questions)
    assert {name: value for name, (value, _) in found.answers.items()} == {
        "project_name": "My Shop Api",
        "python_version": "3.13",
        "postgres_version": "18",
    }
    assert len(found.notes) == 3
    assert Path(tmp_path, ".git").exists()

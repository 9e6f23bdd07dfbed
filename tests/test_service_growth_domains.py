"""A service grows by the words of its documents: domains, relations, settings, extensions, parts of the team's own.

One service takes the steps one after another. Each ends with the running service asked from outside, and `make check` green.
"""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from service import DEFAULT, STACK, Service, booted

pytestmark = pytest.mark.service

ORIGIN = "https://app.example.com"
ITEM_SCHEMAS = '''"""What the items' API reads and writes."""

from pydantic import BaseModel, ConfigDict

from ..invoices.schemas import InvoiceOut
from ..resources import Page


class ItemCreate(BaseModel):
    """An item to create."""

    name: str


class ItemOut(BaseModel):
    """An item, with its invoice."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    invoice: InvoiceOut


class ItemPage(Page[ItemOut]):
    """A page of items in the order of their ids."""
'''
ITEM_MODELS = '''"""The items' table."""

from sqlalchemy import BigInteger, ForeignKey, Identity, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ..extensions import Base
from ..invoices.models import Invoice


'''
ITEM_ROUTES = '''"""The items' API."""

from typing import Any

from apiflask import APIBlueprint
from flask import url_for
from sqlalchemy import select

from ..extensions import db
from ..invoices.models import Invoice
from ..resources import PageQuery, commit_or_409, get_or_404, get_page
from ..security import auth
from .models import Item
from .schemas import ItemCreate, ItemOut, ItemPage

{bp}


@bp.before_request
@bp.auth_required(auth)
def require_token() -> None:
    """Ask every route below for a token."""


@bp.post("")
@bp.input(ItemCreate, arg_name="data")
@bp.output(ItemOut, status_code=201)
def create(invoice_id: int, data: ItemCreate) -> tuple[Item, int, dict[str, str]]:
    """Create an item."""
    item = Item(invoice=get_or_404(Invoice, invoice_id), name=data.name)
    db.session.add(item)
    commit_or_409("The invoice is gone.")
    return item, 201, {{"Location": url_for("items.get", invoice_id=invoice_id, item_id=item.id)}}


@bp.get("")
@bp.input(PageQuery, location="query", arg_name="page")
@bp.output(ItemPage)
def index(invoice_id: int, page: PageQuery) -> dict[str, Any]:
    """List the items of an invoice, a page at a time."""
    return get_page(select(Item).where(Item.invoice_id == invoice_id), Item.id, page)


{get}
'''
# Runs in the server's container: what a browser of another origin gets with each error.
ASK_FOR_ERRORS = """
import json
from {package} import create_app
from {package}.config import load_settings
ORIGIN = {{"Origin": "{origin}"}}
TOKEN = ORIGIN | {{"Authorization": "Bearer development"}}
app = create_app()
def fail(**_):
    raise RuntimeError
app.view_functions["invoices.get"] = fail
client = app.test_client()
limited = create_app(load_settings().model_copy(update={{"rate_limit": "1 per hour"}})).test_client()
address = {{"REMOTE_ADDR": "192.0.2.99"}}
limited.get("/invoices", environ_base=address)
answers = [
    client.get("/invoices", headers=ORIGIN),
    client.get("/nowhere", headers=ORIGIN),
    client.post("/invoices", json={{}}, headers=TOKEN),
    limited.get("/invoices", headers=ORIGIN, environ_base=address),
    client.get("/invoices/1", headers=TOKEN),
]
print(json.dumps([(a.status_code, a.headers.get("Access-Control-Allow-Origin")) for a in answers]))
preflight = ORIGIN | {{"Access-Control-Request-Method": "GET"}}
print(json.dumps([limited.options("/invoices", headers=preflight, environ_base=address).status_code for _ in range(5)]))
"""


def block(service: Service, language: str, *words: str) -> str:
    """The one block of code in the service's documents that has all the words."""
    text = (service.path / "docs" / "development.md").read_text()
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    (found,) = [code for name, code in blocks if name == language and all(word in code for word in words)]
    return found


def write(folder: Path, files: dict[str, str]) -> None:
    """Write files, with their folders."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def replace(file: Path, *changes: tuple[str, str]) -> None:
    """Change parts of a file that it has once."""
    text = file.read_text()
    for before, after in changes:
        assert text.count(before) == 1, (file, before)
        text = text.replace(before, after)
    file.write_text(text)


def invoices(service: Service) -> dict[str, str]:
    """The files of the documents' domain."""
    return {
        "invoices/__init__.py": '"""The invoices domain."""\n',
        "invoices/models.py": block(service, "python", "class Invoice(Base)"),
        "invoices/schemas.py": block(service, "python", "class InvoiceCreate"),
        "invoices/routes.py": block(service, "python", '"""The invoices\' API."""', "APIBlueprint"),
    }


def register(service: Service) -> None:
    """Put the documents' blueprints into project.py."""
    project = service.path / "src" / service.package / "project.py"
    imports, function = block(service, "python", "app.register_blueprint(invoices)").split("\n\n\n")
    text = re.sub(r"^from \.users.*\n\n?", "", project.read_text(), flags=re.MULTILINE)
    text = text.replace(
        "from apiflask import APIFlask\n\n", f"from apiflask import APIFlask\n\n{imports}\n\n"
    )
    project.write_text(text.partition("def init_app")[0] + function)


def checked(service: Service, *more: str) -> None:
    """`make check` is green."""
    shown = service.make("check", timeout=600).stdout
    assert shown.endswith(f"make check passed: {' '.join(['build', 'lint', 'test', *more])}\n"), shown[-2000:]


def assert_documented(service: Service, *paths: str) -> None:
    """Every route below the paths has its lock and its errors in the document, and asks for a token."""
    document = service.call("/openapi.json", token=None).json["paths"]
    for path in paths:
        assert document[path]
        for method, operation in document[path].items():
            assert operation["security"] == [{"BearerAuth": []}], (method, path)
            assert {"401", "429", "503"} <= set(operation["responses"]), (method, path)
            called = service.call(re.sub(r"{\w+}", "1", path), method.upper(), token="wrong")
            assert called.status == 401


@pytest.fixture(scope="module")
def grown(snapshot, tmp_path_factory) -> Iterator[Service]:
    """The default service with images and a stack of its own, for the steps below."""
    answers = DEFAULT | {"project_slug": "grown-under-test"}
    yield from booted(snapshot, tmp_path_factory.mktemp("grown") / "service", answers, "grown")


def test_domains_with_relations(grown):
    source = grown.path / "src" / grown.package
    models, routes = (
        block(grown, "python", "class Item(Base)"),
        block(grown, "python", 'url_prefix="/invoices/<'),
    )
    bp, _, get = routes.partition("\n\n\n")
    write(
        source,
        invoices(grown)
        | {
            "items/__init__.py": '"""The items domain."""\n',
            "items/models.py": ITEM_MODELS + models,
            "items/schemas.py": ITEM_SCHEMAS,
            "items/routes.py": ITEM_ROUTES.format(bp=bp, get=get.rstrip()),
        },
    )
    # An invoice is a user's, by the same words.
    replace(
        source / "invoices" / "models.py",
        ("BigInteger, Identity,", "BigInteger, ForeignKey, Identity,"),
        (
            "    due_on: ",
            '    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)\n    due_on: ',
        ),
    )
    replace(
        source / "invoices" / "schemas.py",
        ("    number: Annotated", "    user_id: int\n    number: Annotated"),
        ("    number: str\n", "    user_id: int\n    number: str\n"),
    )
    replace(
        source / "invoices" / "routes.py",
        (
            'commit_or_409(f"The number {data.number} is taken.")',
            "commit_or_409(\n"
            '        f"The number {data.number} is taken.",\n'
            '        fk_invoices_user_id_users=f"There is no user {data.user_id}.",\n    )',
        ),
    )
    register(grown)
    replace(
        source / "project.py",
        ("from .users", "from .items.routes import bp as items\nfrom .users"),
        (
            "    app.register_blueprint(invoices)\n",
            "    app.register_blueprint(invoices)\n    app.register_blueprint(items)\n",
        ),
    )
    tests = block(grown, "python", '"""The invoices\' API."""', "FlaskClient")
    user = 'client.post("/users", json={"username": "ada", "display_name": "Ada"}).json["id"]'
    write(
        grown.path,
        {
            "tests/test_invoices.py": tests.replace(
                '    response = client.post("/invoices", json=INVOICE)\n',
                f'    invoice = {{"user_id": {user}, **INVOICE}}\n    response = client.post("/invoices", json=invoice)\n',
            ).replace('response.json["id"], **INVOICE}', 'response.json["id"], **invoice}')
        },
    )
    grown.make("format")
    grown.make("migration", "MESSAGE=add invoices and items")
    grown.make("up")

    assert_documented(grown, "/users", "/invoices", "/invoices/{invoice_id}", "/invoices/{invoice_id}/items")
    assert_documented(grown, "/invoices/{invoice_id}/items/{item_id}")
    ada = grown.create("ada").json["id"]
    invoice = {"user_id": ada, "number": "A-1", "due_on": "2026-12-31", "total": "19.90"}
    first = grown.call("/invoices", "POST", invoice)
    assert (first.status, first.json) == (201, {"id": first.json["id"], **invoice})
    second = grown.call("/invoices", "POST", invoice | {"number": "A-2"})
    taken = grown.call("/invoices", "POST", invoice)
    assert (taken.status, taken.json["detail"]) == (409, "The number A-1 is taken.")
    nobody = grown.call("/invoices", "POST", invoice | {"number": "A-3", "user_id": 0})
    assert (nobody.status, nobody.json["detail"]) == (409, "There is no user 0.")

    location = first.headers["Location"]
    item = grown.call(f"{location}/items", "POST", {"name": "Tea"})
    assert (item.status, item.json["invoice"]) == (201, first.json)
    assert grown.call(item.headers["Location"]).json == item.json
    assert grown.call(f"{location}/items").json == {"items": [item.json], "next_after": None}
    others = item.headers["Location"].replace(location, second.headers["Location"])
    assert grown.call(others).status == 404
    refused = grown.call(location, "DELETE")
    assert (refused.status, refused.json["detail"]) == (409, "Something belongs to the invoice.")
    assert grown.call(f"/users/{ada}", "DELETE").status == 409
    assert grown.call(second.headers["Location"], "DELETE").status == 204
    checked(grown)


def test_settings_extensions_and_calls_of_other_origins(grown):
    source = grown.path / "src" / grown.package
    settings = source / "settings.py"
    fields = [
        block(grown, "python", word).partition("\n")[2] for word in ("stripe_key", "cors_origins: list[str]")
    ]
    text = settings.read_text().replace(
        "from pydantic_settings", "from pydantic import Field, SecretStr\nfrom pydantic_settings"
    )
    mail = '    mail_server: str = Field("localhost", description="The server that takes mail.")\n'
    settings.write_text("\n".join([text, *fields, mail]))
    replace(
        grown.path / "pyproject.toml",
        ('    "flask>=3.1",\n', '    "flask>=3.1",\n    "flask-cors>=6.0",\n    "flask-mailman>=1.1",\n'),
        # It has no types.
        ('"flask_migrate.*"', '"flask_mailman.*", "flask_migrate.*"'),
    )
    write(source, {"mail.py": f'"""Mail."""\n\n{block(grown, "python", "flask_mailman")}'})
    cors_import, _, cors = block(grown, "python", "cors = CORS(").partition("\n\n")
    replace(
        source / "project.py",
        ("from apiflask import APIFlask\n", f"from apiflask import APIFlask\n{cors_import}\n"),
        ("from .items", "from . import mail\nfrom .items"),
        ("\n\ndef init_app", f"\n{cors}\n\ndef init_app"),
        (
            "    app.register_blueprint(users)",
            "    mail.mail.init_app(app)\n    cors.init_app(app)\n    app.register_blueprint(users)",
        ),
    )
    grown.make("lock", timeout=600)
    refused = grown.make("lint", check=False, timeout=600)
    assert ".env.example is not what the settings say: run make settings, and commit it" in refused.stderr
    grown.make("settings")
    grown.make("format")
    (grown.path / ".env").write_text(f'CORS_ORIGINS=["{ORIGIN}"]\n')
    grown.make("up", timeout=600)

    script = f"""from {grown.package} import create_app
app = create_app()
print(app.config['STRIPE_KEY'].get_secret_value(), app.config['INVOICE_DAYS'], app.extensions['mailman'].server)"""
    assert grown.python("web", script).splitlines()[-1] == "sk_test_1 30 localhost"
    assert "STRIPE_KEY" in (grown.path / "deploy" / "compose.settings.yaml").read_text().upper()
    assert "\n#STRIPE_KEY=sk_test_1\n" in (grown.path / ".env.example").read_text()
    missing = grown.compose_command(
        "run", "--rm", "--no-deps", "--no-TTY", "--env=STRIPE_KEY=", "web", "flask", "routes"
    )
    assert "Configuration error: STRIPE_KEY: is missing" in grown.run(*missing, check=False).stderr
    malformed = [word.replace("STRIPE_KEY=", f"CORS_ORIGINS={ORIGIN}") for word in missing]
    assert "Configuration error: CORS_ORIGINS: must be JSON" in grown.run(*malformed, check=False).stderr
    grown.make("parity")

    asks = {
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "authorization, content-type",
    }
    preflight = grown.call("/users/1", "OPTIONS", token=None, headers={"Origin": ORIGIN} | asks)
    assert preflight.status == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "PATCH" in preflight.headers["Access-Control-Allow-Methods"]
    assert preflight.headers["Access-Control-Allow-Headers"] == "authorization, content-type"
    answer = grown.call("/invoices", headers={"Origin": ORIGIN})
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, ORIGIN)
    assert {"Location", "Retry-After", "X-Request-ID"} == {
        *answer.headers["Access-Control-Expose-Headers"].split(", ")
    }
    other = grown.call("/invoices", headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in other.headers
    shown = grown.python("web", ASK_FOR_ERRORS.format(package=grown.package, origin=ORIGIN)).splitlines()
    answers, preflights = (json.loads(line) for line in shown if line.startswith("["))
    assert answers == [[status, ORIGIN] for status in (401, 404, 422, 429, 500)]
    assert preflights == [200] * 5
    checked(grown)


def test_parts_of_the_teams_own(grown):
    """Those of docs/development.md, in the files that are the team's: make up runs them."""
    # What the example is about is not the image.
    services = block(grown, "yaml", "gotenberg:\n").replace("gotenberg/gotenberg:8", "redis:8")
    own = {
        "compose.project.yaml": services,
        "compose.project.override.yaml": block(grown, "yaml", "compose.override.yaml"),
        "compose.project.test.yaml": block(grown, "yaml", "service_started"),
        "project.mk": block(grown, "make", "CHECKS +="),
    }
    write(grown.path, own)
    rule = block(grown, "toml", "extend-select").partition("\n")[2]
    replace(
        grown.path / "pyproject.toml",
        ('extend = "ops/ruff.toml"\n', f'extend = "ops/ruff.toml"\n\n[tool.ruff.lint]\n{rule}'),
    )
    bad = grown.path / "src" / grown.package / "naming.py"
    bad.write_text('"""Breaks the rule."""\n\n\ndef tooLoud() -> None:\n    """Shout."""\n')
    grown.make("settings", timeout=600)
    refused = grown.make("lint", check=False)
    assert "N802" in refused.stdout + refused.stderr
    bad.unlink()

    grown.make("up")
    running = grown.compose("ps", "--services").split()
    assert {"gotenberg", "scheduler", "web", "worker"} <= {*running}
    assert "alembic_version" in grown.make("tables").stdout
    script = (
        f"from {grown.package} import create_app; print(create_app().config['STRIPE_KEY'].get_secret_value())"
    )
    assert grown.compose("exec", "--no-TTY", "scheduler", "python", "-c", script).split()[-1] == "sk_test_1"
    assert "scheduler" in (grown.path / "deploy" / "compose.settings.yaml").read_text()
    checked(grown, "complexity")


LATER = '''\
"""Later."""

revision = "later"
{follows}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Do nothing."""


def downgrade() -> None:
    """Do nothing."""
'''


def test_the_example_goes_in_three_steps(grown, tmp_path):
    """In a clone, where no empty folder stays: nothing that is left knows its name."""
    first = grown.git("rev-list", "--max-parents=0", "HEAD").strip()
    grown.run("git", "clone", "--quiet", str(grown.path), str(tmp_path / "clone"))
    gone = Service(tmp_path / "clone", grown.answers, f"{STACK}-gone")
    gone.git("reset", "--quiet", "--hard", first)
    (steps,) = re.findall(
        r"## Without the example\n(.*?)\n## ", (gone.path / "docs/development.md").read_text(), re.DOTALL
    )
    source = gone.path / "src" / gone.package
    # What the team has written meanwhile follows the example's.
    (follows,) = re.findall(r"`(down_revision = [^`]+)`", steps)
    (gone.path / "migrations/versions/later.py").write_text(LATER.format(follows=follows))
    named = [name for name in re.findall(r"[Dd]elete (.*?), and ", steps)]
    for name in re.findall(r"`([\w/.]+)`", " ".join(named)):
        path = gone.path / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    project = source / "project.py"
    kept = [line for line in project.read_text().splitlines(True) if "users" not in line]
    assert len(kept) == len(project.read_text().splitlines()) - 2
    project.write_text("".join(kept))
    gone.git("add", "--all")
    gone.git("commit", "--quiet", "--message=Without the example")
    clone = Service(tmp_path / "again", grown.answers, f"{STACK}-gone")
    gone.run("git", "clone", "--quiet", str(gone.path), str(clone.path))
    try:
        clone.make("format", timeout=600)
        checked(clone)
        clone.make("up")
        assert clone.ready()
        assert [*clone.call("/openapi.json").json["paths"]] == ["/livez", "/readyz"]
    finally:
        clone.remove()


@pytest.fixture(scope="module")
def bare(snapshot, tmp_path_factory) -> Iterator[Service]:
    """A service that was generated without the example."""
    answers = DEFAULT | {"project_slug": "bare-under-test", "example": False}
    yield from booted(snapshot, tmp_path_factory.mktemp("bare") / "service", answers, "bare")


def test_a_service_without_the_example(bare):
    """It serves, passes its checks, and takes its first domain by the words of its documents."""
    assert bare.ready()
    assert bare.call("/", token=None).json["links"]["documentation"] == "/docs"
    assert bare.call("/docs/", token=None).status == 200
    assert [*bare.call("/openapi.json", token=None).json["paths"]] == ["/livez", "/readyz"]
    assert bare.call("/metrics").status == 200
    checked(bare)

    write(bare.path / "src" / bare.package, invoices(bare))
    register(bare)
    write(
        bare.path,
        {"tests/test_invoices.py": block(bare, "python", '"""The invoices\' API."""', "FlaskClient")},
    )
    bare.make("migration", "MESSAGE=add invoices")
    bare.make("up")
    assert_documented(bare, "/invoices", "/invoices/{invoice_id}")
    created = bare.call("/invoices", "POST", {"number": "A-1", "due_on": "2026-12-31", "total": "0.10"})
    assert bare.call(created.headers["Location"]).json == created.json
    checked(bare)

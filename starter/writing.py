"""The team's own files of an adopted service that name what it had: project.py, settings.py, Compose files and the like."""

import json
import re
from collections.abc import Iterable
from datetime import date, timedelta

import yaml

from .detecting import Found
from .modules import constants
from .rendering import Tree
from .variables import Variable

# How long the contract only warns of what the servers are that were there before, in days.
WARNS = 90
# How long a line of the service's code may be.
WIDTH = 110
# What compose.yaml states of servers, and those of a team may have in another way (src/parity/contract.py).
_SERVERS = [
    "database.collation",
    "database.default_transaction_isolation",
    "database.encoding",
    "database.extensions",
    "database.idle_in_transaction_session_timeout",
    "database.locale_provider",
    "database.statement_timeout",
    "database.superuser",
    "database.timezone",
    "database.version",
    "cache.eviction",
    "cache.persistence",
    "cache.server",
    "cache.version",
]
_FALLBACK = '''\
# What the template serves at these, the application that was here before has always served.
BEFORE = {"root.root", "static"}


class Fallback:
    """Hands what this application has no route for to the one that was here before: its own code, unchanged."""

    def __init__(self, app: APIFlask, before: WSGIApplication) -> None:
        self.routes, self.app, self.before = app.url_map, app.wsgi_app, before

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve a request."""
        try:
            endpoint, _ = self.routes.bind_to_environ(environ).match()
        except NotFound:
            return self.before(environ, start_response)
        except HTTPException:
            endpoint = ""
        return (self.before if endpoint in BEFORE else self.app)(environ, start_response)

'''
_HIDE = '''
    def is_ours(name: str | None, kind: str, _: object) -> bool:
        """Leave out of `make migration` the tables that no model here names: they are the adopted application's."""
        return kind != "table" or name in db.metadata.tables

    app.extensions["migrate"].configure_args["include_name"] = is_ours
'''
_APART = """
    # The adopted application's worker has the same Redis: neither takes the other's jobs.
    celery = app.extensions["celery"]
    celery.conf.broker_transport_options |= {{"global_keyprefix": "{package}:"}}
"""


def project(text: str, found: Found, package: str, has_jobs: bool, hides: bool) -> str:
    """Return project.py with what hands requests to the application that was there before."""
    application = found.application
    imports = "from collections.abc import Iterable\nfrom wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment\n"
    text = text.replace("from apiflask import APIFlask\n", f"{imports}\nfrom apiflask import APIFlask\n", 1)
    others = "from werkzeug.exceptions import HTTPException, NotFound\n"
    others += "\nfrom .extensions import db\n" if hides else ""
    text = text.replace("from apiflask import APIFlask\n", f"from apiflask import APIFlask\n{others}", 1)
    code = (tree for _, tree in found.modules.of_the_application())
    has_front = any(said == "/" for tree in code for said, _ in constants(tree))
    fallback = _FALLBACK if has_front else _FALLBACK.replace('"root.root", ', "")
    text = text.replace("\n\ndef init_app(", f"\n{fallback}\ndef init_app(", 1)
    body = "    # Imported here: what needs no application, such as `make settings`, loads none.\n"
    body += f"    from {application.module} import {application.name} as adopted\n"
    body += _HIDE if hides else ""
    body += _APART.format(package=package) if has_jobs and found.celery else ""
    body += f"\n    app.wsgi_app = Fallback(app, adopted{application.call})  # type: ignore[method-assign]\n"
    return text.rstrip("\n") + "\n" + body


def settings(
    text: str, variables: Iterable[Variable], package: str, cache: str, values: dict[str, str]
) -> str:
    """Return settings.py with a field for each variable that the application reads.

    Args:
        text: the file that the template gives.
        variables: that are to be in it.
        package: the service's package, by whose name its database goes.
        cache: the name of its cache server.
        values: what variables have in development, as far as it is known.
    """
    fields = []
    for each in variables:
        said = json.dumps(f"Read in {each.where}.")
        if each.required:
            told = json.dumps(values.get(each.name) or each.example(package, cache))
            fields.append(_field(f"{each.name.lower()}: str", f"description={said}", f"examples=[{told}]"))
        else:
            fields.append(_field(f"{each.name.lower()}: str | None", "None", f"description={said}"))
    if not fields:
        return text
    text = text.replace(
        "from pydantic_settings import BaseSettings",
        "from pydantic import Field\nfrom pydantic_settings import BaseSettings",
        1,
    )
    return text.rstrip("\n") + "\n\n" + "".join(fields)


def _field(declared: str, *arguments: str) -> str:
    """Return a field as the formatter writes it."""
    inner = ", ".join(arguments)
    if len(line := f"    {declared} = Field({inner})") <= WIDTH:
        return f"{line}\n"
    if len(line := f"        {inner}") > WIDTH:
        line = "\n".join(f"        {each}," for each in arguments)
    return f"    {declared} = Field(\n{line}\n    )\n"


def usable(variables: Iterable[Variable], taken: set[str]) -> tuple[list[Variable], list[Variable]]:
    """Return which variables can be settings, and which cannot: those that are the template's own aside.

    Args:
        variables: that an application reads.
        taken: the names of the template's own settings.
    """
    own = [each for each in variables if each.name not in taken]
    odd = re.compile(r"MODEL_\w+|SCHEMA|JSON|COPY|DICT|VALIDATE|CONSTRUCT|VARIABLES")
    return [each for each in own if not odd.fullmatch(each.name)], [
        each for each in own if odd.fullmatch(each.name)
    ]


def own_settings(fresh: Tree) -> set[str]:
    """Return the names of the template's own settings."""
    told = yaml.safe_load(fresh.get("compose.settings.yaml", b"")) or {}
    return set(told.get("services", {}).get("application", {}).get("environment", {}))


def parity(text: str, author: str, today: date) -> str:
    """Return parity.toml with what is accepted until a day: the servers of every environment that was there before."""
    until = today + timedelta(days=WARNS)
    because = json.dumps("Adopted: the servers are those that were there before.")
    entries = [
        f"\n[[accepted]]\nkey = {json.dumps(key)}\nbecause = {because}\n"
        f"by = {json.dumps(author, ensure_ascii=False)}\nuntil = {until}\n"
        for key in _SERVERS
    ]
    return text.rstrip("\n") + "\n" + "".join(entries)


def apt(text: str, packages: Iterable[str], ships: dict[str, str]) -> str:
    """Return apt.txt with the Debian packages that the old image had, and what a driver from source needs."""
    lines = [*packages]
    if "psycopg2" in ships:
        lines += [
            each
            for each in ("libpq5", "build: gcc", "build: libc6-dev", "build: libpq-dev")
            if each not in lines
        ]
    return text.rstrip("\n") + "\n" + "\n".join(lines) + "\n" if lines else text


def debian_packages(dockerfile: str) -> list[str]:
    """Return what an image installs by apt-get."""
    text = re.sub(r"(?m)^[ \t]*#.*\n", "", dockerfile).replace("\\\n", " ")
    found: list[str] = []
    for words in re.findall(r"apt(?:-get)?\s+(?:-\S+\s+)*install\s+([^&|;\n]*)", text):
        names = [word.partition("=")[0] for word in words.split()]
        found += [name for name in names if re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", name)]
    return sorted({*found})

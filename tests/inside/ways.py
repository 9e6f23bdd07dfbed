"""Routes that use the database in each way that SQLAlchemy offers: an application for the test client, and for gunicorn."""

import importlib
import os
import time
from collections.abc import Iterator

from apiflask import APIBlueprint
from flask import request, stream_with_context
from sqlalchemy import column, func, select, table, text, update

PACKAGE = os.environ["FLASK_APP"]
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]

db = importlib.import_module(f"{PACKAGE}.extensions").db
bp = APIBlueprint("ways", __name__, enable_openapi=False)
ways = table("ways", column("id"), column("n"))


def route(path):
    return bp.route(path, methods=METHODS, endpoint=path.strip("/"))


def ids() -> list[int]:
    return [*db.session.scalars(select(ways.c.id).order_by(ways.c.id))]


def insert(row: int) -> None:
    db.session.execute(ways.insert().values(id=row, n=0))


@route("/rows")
def rows():
    return {"ids": ids()}


@route("/stream")
def stream():
    def lines() -> Iterator[str]:
        query = select(func.generate_series(1, 1000)).execution_options(yield_per=10)
        for number in db.session.scalars(query):
            yield f"{number}\n"

    return stream_with_context(lines())


@route("/savepoint")
def savepoint():
    insert(10)
    nested = db.session.begin_nested()
    insert(11)
    nested.rollback()
    with db.session.begin_nested():
        insert(12)
    db.session.commit()
    return {"ids": ids()}


@route("/rollback")
def rollback():
    insert(10)
    db.session.rollback()
    return {"ids": ids()}


@route("/forgotten")
def forgotten():
    insert(10)
    return {"ids": ids()}


@route("/failing")
def failing():
    db.session.execute(update(ways).values(n=99))
    raise RuntimeError


@route("/setting")
def setting():
    shown = text("SHOW work_mem")
    db.session.execute(text("SET LOCAL work_mem = '7MB'"))
    inside = db.session.scalar(shown)
    db.session.commit()
    return {"inside": inside, "afterwards": db.session.scalar(shown)}


@route("/isolation")
def isolation():
    connection = db.session.connection(execution_options={"isolation_level": "SERIALIZABLE"})
    return {"level": connection.scalar(text("SHOW transaction_isolation"))}


@route("/level")
def level():
    return {"level": db.session.scalar(text("SHOW transaction_isolation"))}


@route("/locked")
def locked():
    db.session.execute(select(ways).with_for_update())
    with db.engine.connect() as other:
        other.execute(select(ways).with_for_update(nowait=True))
    return {}


@route("/slow")
def slow():
    db.session.execute(text("SELECT pg_sleep(20)"))
    return {}


@route("/cut")
def cut():
    db.session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    return {}


@route("/cut-while-committing")
def cut_while_committing():
    # Deferred: it runs within COMMIT.
    db.session.execute(text("INSERT INTO cutting VALUES (1)"))
    db.session.commit()
    return {}


@route("/read-only")
def read_only():
    db.session.execute(text("SET TRANSACTION READ ONLY"))
    insert(10)
    db.session.commit()
    return {}


@route("/full")
def full():
    db.session.execute(text("DO $$ BEGIN RAISE disk_full; END $$"))
    return {}


@route("/deadlock")
def deadlock():
    db.session.execute(text("DO $$ BEGIN RAISE deadlock_detected; END $$"))
    return {}


def lose_connection():
    pid = db.session.scalar(text("SELECT pg_backend_pid()"))
    with db.engine.connect() as other:
        other.execute(text("SELECT pg_terminate_backend(:pid, 1000)"), {"pid": pid})


@route("/lost-after-reading")
def lost_after_reading():
    found = ids()
    lose_connection()
    return {"ids": found}


@route("/lost-before-commit")
def lost_before_commit():
    insert(10)
    lose_connection()
    db.session.commit()
    return {}


@route("/lock-two/<order>")
def lock_two(order):
    for key in order.split("-"):
        db.session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": int(key)})
        time.sleep(0.2)
    return {}


@route("/out-of-range")
def out_of_range():
    insert(2**40)
    return {}


@bp.get("/sleep")
def sleep():
    time.sleep(3)
    return {}


@bp.get("/endless")
def endless():
    def beats() -> Iterator[str]:
        while True:
            yield "beat\n"
            time.sleep(0.1)

    return beats()


@bp.post("/raw")
def raw():
    return {"length": len(request.get_data())}


@bp.post("/json")
def json():
    return {"type": type(request.get_json()).__name__}


@bp.get("/large")
def large():
    return b"x" * 8_000_000


@bp.get("/shares/<float:number>")
def share(number):
    return {"number": number}


@bp.get("/things/<int:number>")
def thing(number):
    return {"number": number}


def create_app():
    app = importlib.import_module(PACKAGE).create_app()
    app.register_blueprint(bp)
    return app

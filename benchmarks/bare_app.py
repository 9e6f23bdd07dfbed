"""The baseline: one user by id with Flask, Flask-SQLAlchemy and psycopg, and nothing else."""

import os

from flask import Flask, abort
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import BigInteger, DateTime, String
from sqlalchemy.orm import mapped_column

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"].replace(
    "postgresql:", "postgresql+psycopg:"
)
db = SQLAlchemy(app)


class User(db.Model):
    """The service's table."""

    __tablename__ = "users"
    id = mapped_column(BigInteger, primary_key=True)
    username = mapped_column(String)
    display_name = mapped_column(String)
    created_at = mapped_column(DateTime(timezone=True))
    updated_at = mapped_column(DateTime(timezone=True))
    welcomed_at = mapped_column(DateTime(timezone=True))


@app.get("/users/<int:user_id>")
def get(user_id):
    """Return a user."""
    user = db.session.get(User, user_id)
    if user is None:
        abort(404)
    return {column.name: getattr(user, column.name) for column in User.__table__.columns}


@app.get("/livez")
def livez():
    """Tell that the process lives."""
    return {"status": "ok"}

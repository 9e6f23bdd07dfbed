# The template's: copier update merges it.
"""The service's own commands, beside those of Flask and Flask-Migrate: ``flask --help`` lists them."""

import secrets

import click
from apiflask import APIFlask

from .security import digest


@click.command("token")
@click.argument("name")
def token(name: str) -> None:
    """Make an API token, and the entry of API_TOKENS that lets it in."""
    value = secrets.token_urlsafe(32)
    click.echo(f"Token, for the caller:         {value}")
    click.echo(f"Entry, to add to API_TOKENS:   {name}:{digest(value)}")


def init_app(app: APIFlask) -> None:
    """Bind the commands to an application."""
    app.cli.add_command(token)

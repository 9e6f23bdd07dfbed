"""The settings."""

from pathlib import Path

import pytest
from parity.environment import collect_database
from psycopg.conninfo import conninfo_to_dict
from service import create_app
from service.config import Settings, load_settings
from service.extensions import db
from sqlalchemy import text


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATABASE_URL", None),
        ("DATABASE_URL", "mysql://secret@db/orders"),
        ("DATABASE_URL", "postgresql://user:secret%@db/orders"),
        ("DATABASE_URL", "postgresql://user:secret@db"),
        ("DATABASE_URL", "postgresql://user:secret@db/orders?pgbouncer=true"),
        ("DATABASE_URL", "jdbc:postgresql://db/orders?password=secret"),
        ("REDIS_URL", "http://secret@cache"),
        ("REDIS_URL", "redis+sentinel://:secret@one:26379,two:26379/primary"),
        ("REDIS_URL", "sentinel://:secret@one:26379;sentinel://two:26379"),
        ("API_TOKENS", ""),
        ("API_TOKENS", "alice:secret"),
        ("RATE_LIMIT", "sometimes"),
        ("TRUSTED_PROXIES", "everyone"),
        ("LOG_FORMAT", "xml"),
        ("WEB_CONCURRENCY", "0"),
    ],
)
def test_a_bad_value_stops_the_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str, value: str | None
) -> None:
    """The message names the variable and keeps its value to itself."""
    if value is None:
        monkeypatch.delenv(variable)
    else:
        monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit) as stopped:
        load_settings()
    message = capsys.readouterr().err
    assert stopped.value.code == 1
    assert message.startswith(f"Configuration error: {variable}: ")
    assert len(message.splitlines()) == 1
    assert "secret" not in message


def test_several_tokens_are_valid_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new token works before the old one is withdrawn."""
    monkeypatch.setenv("API_TOKENS", f"old:{'0' * 64}, new:{'1' * 64}")
    assert load_settings().api_tokens == {"old": "0" * 64, "new": "1" * 64}


def test_a_secret_file_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A secret can be mounted as a file in place of a variable."""
    monkeypatch.delenv("DATABASE_URL")
    (tmp_path / "database_url").write_text("postgres://user:password@host/name\n")
    settings = Settings(_secrets_dir=tmp_path)
    assert settings.database_url == "postgresql://user:password@host/name"
    assert "password" not in repr(settings)


# What providers hand out, and what libpq documents, of a server that is there; the first host of two is not.
URLS = [
    "postgres://{user}:{password}@{host}:{port}/{dbname}",
    "postgresql+psycopg://{user}:{password}@{host}:{port}/{dbname}",
    "postgresql://{user}:{password}@{host}/{dbname}?sslmode=prefer&channel_binding=prefer&application_name=x%20y",
    "postgresql://{user}:{password}@127.0.0.1:1,{host}:{port}/{dbname}?target_session_attrs=read-write",
    "postgresql:///{dbname}?host={host}&port={port}&user={user}&password={password}",
    "postgresql://{user}@{host}/{dbname}?password={password}&options=-c%20work_mem%3D9MB&connect_timeout=10",
    "host={host} port={port} user={user} password='{password}' dbname={dbname}",
]


@pytest.mark.parametrize("form", URLS)
def test_every_form_of_a_database_url_leads_there(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """In the application with its workers and migrations, and in `flask parity`."""
    parts = {"port": "5432"} | conninfo_to_dict(load_settings().database_url)
    monkeypatch.setenv("DATABASE_URL", form.format(**parts))
    settings = load_settings()
    with create_app(settings).app_context():
        assert db.session.scalar(text("SELECT current_database()")) == parts["dbname"]
        if "work_mem" in form:
            assert db.session.scalar(text("SHOW work_mem")) == "9MB"
        db.session.remove()
        db.engine.dispose()
    assert collect_database(settings)["database.encoding"] == "UTF8"

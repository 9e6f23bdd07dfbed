"""The settings."""

from pathlib import Path

import pytest
from service.config import Settings, load_settings


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATABASE_URL", None),
        ("DATABASE_URL", "mysql://secret@db/orders"),
        ("REDIS_URL", "http://secret@cache"),
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
    assert settings.sqlalchemy_url == "postgresql+psycopg://user:password@host/name"
    assert "password" not in repr(settings)

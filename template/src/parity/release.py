# The template's: copier update merges it.
"""What each migration does to the schema: ``python -m parity.release`` tells it, without settings or a database."""

from alembic.script import Script

from .contract import migrations


def contracts(migration: Script) -> str:
    """Return why a migration may take away or change what an earlier release used; nothing, if it does not."""
    return str(getattr(migration.module, "contracts", "")).strip()


def history() -> list[Script]:
    """Return the migrations of this release, oldest first."""
    return [*migrations().walk_revisions()][::-1]


def main() -> None:
    """Print them, each as ``expand`` if the release before it still runs on the schema, or else as ``contract``."""
    for migration in history():
        print(migration.revision, "contract" if contracts(migration) else "expand")


if __name__ == "__main__":
    main()

"""What each migration does to the schema, for whoever rolls a release out or back.

``python -m`` of this module needs no settings and no database. It prints a line for each migration, oldest first:
its revision, and ``expand`` if the release before it still runs on the schema, or else ``contract``.
"""

from alembic.script import Script

from .parity import migrations


def contracts(migration: Script) -> str:
    """Return why a migration may take away or change what an earlier release used; nothing, if it does not."""
    return str(getattr(migration.module, "contracts", "")).strip()


def history() -> list[Script]:
    """Return the migrations of this release, oldest first."""
    return [*migrations().walk_revisions()][::-1]


def main() -> None:
    """Print them."""
    for migration in history():
        print(migration.revision, "contract" if contracts(migration) else "expand")


if __name__ == "__main__":
    main()

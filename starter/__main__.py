"""``python -m starter``, as ``starter`` from a clone of the template."""

from .cli import main

if __name__ == "__main__":
    main()

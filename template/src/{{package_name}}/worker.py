# The template's: copier update merges it.
"""What Celery loads: ``celery --app`` takes this module's ``celery``."""

from . import create_app

celery = create_app().extensions["celery"]

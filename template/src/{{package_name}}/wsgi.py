# The template's: copier update merges it.
"""The WSGI application that the server loads."""

import parity

from . import create_app

app = create_app()
parity.check_at_start(app)

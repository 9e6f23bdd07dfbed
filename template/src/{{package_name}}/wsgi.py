"""The WSGI application that the server loads."""

from . import create_app, parity

app = create_app()
parity.at_start(app)

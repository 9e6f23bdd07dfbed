"""What the server loads."""
from api.views import bp
from apiflask import APIFlask

from settings import load

application = APIFlask(__name__)
application.config.update(load())
application.register_blueprint(bp)

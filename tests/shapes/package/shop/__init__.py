"""The shop."""
import os

from flask import Flask

from .extensions import db, migrate


def create_app(config_name=None):
    app = Flask(__name__)
    app.config.from_object("shop.config.Config")
    app.config["ENVIRONMENT"] = config_name or os.getenv("SHOP_ENVIRONMENT", "development")
    db.init_app(app)
    migrate.init_app(app, db)

    from .orders.routes import bp

    app.register_blueprint(bp, url_prefix="/orders")

    @app.get("/status")
    def status():
        return {"status": "open", "currency": app.config["CURRENCY"]}

    return app

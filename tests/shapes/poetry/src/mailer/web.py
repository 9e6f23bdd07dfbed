from flask import Flask

from mailer.tasks import send


def make_app():
    app = Flask("mailer")

    @app.post("/letters/<name>")
    def write(name):
        send.delay(name)
        return {"to": name}, 202

    @app.get("/letters")
    def letters():
        return {"letters": []}

    return app

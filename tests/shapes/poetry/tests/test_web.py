from mailer.web import make_app


def test_letters():
    assert make_app().test_client().get("/letters").json == {"letters": []}

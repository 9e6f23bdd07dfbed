def test_status(app):
    assert app.test_client().get("/status").json["status"] == "open"

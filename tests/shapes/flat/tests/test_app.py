from app import app


def test_index():
    assert b"Notes of the house" in app.test_client().get("/").data

"""The users' API."""

import pytest
from flask.testing import FlaskClient


def create(client: FlaskClient, username: str = "ada") -> int:
    """Create a user and return the id."""
    response = client.post("/users", json={"username": username, "display_name": "Ada Lovelace"})
    assert response.status_code == 201, response.json
    return int(response.json["id"])


def test_create_then_get(client: FlaskClient) -> None:
    """A user can be read where the Location header points."""
    response = client.post("/users", json={"username": " Ada ", "display_name": "Ada Lovelace"})
    assert response.status_code == 201
    assert response.json["username"] == "ada"
    assert client.get(response.headers["Location"]).json == response.json


def test_change(client: FlaskClient) -> None:
    """A change keeps the fields it leaves out."""
    user_id = create(client)
    response = client.patch(f"/users/{user_id}", json={"display_name": "Countess"})
    assert response.status_code == 200
    assert (response.json["username"], response.json["display_name"]) == ("ada", "Countess")


def test_delete(client: FlaskClient) -> None:
    """A deleted user is gone."""
    user_id = create(client)
    assert client.delete(f"/users/{user_id}").status_code == 204
    assert client.get(f"/users/{user_id}").status_code == 404
    assert client.delete(f"/users/{user_id}").status_code == 404


def test_username_is_unique(client: FlaskClient) -> None:
    """The constraint refuses a second user of the same name, created or renamed, and the first stays."""
    create(client, "ada")
    other = create(client, "grace")
    for response in (
        client.post("/users", json={"username": "ADA", "display_name": "Another"}),
        client.patch(f"/users/{other}", json={"username": "ada"}),
    ):
        assert response.status_code == 409
        assert response.json["detail"] == "The username ada is taken."
    assert client.get(f"/users/{other}").json["username"] == "grace"


def test_pages(client: FlaskClient) -> None:
    """Following next_after visits every user once."""
    created = [create(client, f"user-{number}") for number in range(5)]
    seen, after = [], created[0] - 1
    while after is not None:
        page = client.get("/users", query_string={"after": after, "limit": 2}).json
        assert len(page["items"]) <= 2
        seen += [user["id"] for user in page["items"]]
        after = page["next_after"]
    assert seen == created


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "after=-1", f"after={2**63}"])
def test_page_limits(client: FlaskClient, query: str) -> None:
    """A page that is too large, or makes no sense, is refused by name."""
    response = client.get("/users", query_string=query)
    assert response.status_code == 422
    assert list(response.json["errors"]["query"]) == [query.split("=")[0]]


@pytest.mark.parametrize(
    "user",
    [
        {},
        {"username": "", "display_name": "x"},
        {"username": "a" * 33, "display_name": "x"},
        {"username": "two words", "display_name": "x"},
        {"username": "ada", "display_name": " "},
        {"username": "ada", "display_name": "\x00"},
        {"username": "ada", "display_name": "x", "admin": True},
    ],
)
def test_invalid_users_are_refused(client: FlaskClient, user: dict[str, object]) -> None:
    """What the schema does not allow never reaches the database."""
    response = client.post("/users", json=user)
    assert response.status_code == 422
    assert response.json["errors"]["json"]


def test_summary_is_cached_and_forgotten(client: FlaskClient) -> None:
    """The cached count follows every change that this service commits."""
    before = client.get("/users/summary").json["total"]
    user_id = create(client)
    assert client.get("/users/summary").json["total"] == before + 1
    client.delete(f"/users/{user_id}")
    assert client.get("/users/summary").json["total"] == before


def test_text_comes_back_as_it_was(client: FlaskClient) -> None:
    """Any script, and characters that mean something elsewhere, are kept."""
    name = "Ada \"'\\ <b>&{{ %s ; 🚀 Ω"
    response = client.post("/users", json={"username": "ada", "display_name": name})
    assert client.get(response.headers["Location"]).json["display_name"] == name

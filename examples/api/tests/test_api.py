"""EX-21, EX-01, ROUT-26, VIEW-02, EXT-12: a JSON API of users and products."""

import pytest

ADA = {"name": "Ada", "email": "ada@example.org"}


@pytest.fixture
def client(load):
    return load().create_app().test_client()


@pytest.fixture
def ada(client):
    return client.post("/api/v1/users", json=ADA).json["id"]


def test_a_created_user_has_a_location_that_answers(client):
    """EX-21: a created user has a location that answers."""
    response = client.post("/api/v1/users", json=ADA)
    assert response.status_code == 201
    assert response.json == {"id": 1, **ADA}
    assert response.location == "/api/v1/users/1"
    assert client.get(response.location).json == {"id": 1, **ADA}


def test_the_list_is_a_json_array(client, ada):
    client.post("/api/v1/users", json=ADA | {"name": "Bob"})
    assert [user["name"] for user in client.get("/api/v1/users").json] == ["Ada", "Bob"]


def test_put_replaces_and_patch_changes(client, ada):
    url = f"/api/v1/users/{ada}"
    new = {"name": "Ada L.", "email": "l@example.org"}
    assert client.put(url, json=new).json == {"id": ada, **new}
    assert client.patch(url, json={"name": "Ada"}).json == {"id": ada, **new, "name": "Ada"}
    assert client.put(url, json={"name": "Ada"}).status_code == 422


def test_delete_answers_204_without_a_body_and_then_404(client, ada):
    response = client.delete(f"/api/v1/users/{ada}")
    assert (response.status_code, response.data) == (204, b"")
    assert client.get(f"/api/v1/users/{ada}").status_code == 404


def test_an_unknown_user_is_a_json_404(client):
    for method in ("get", "put", "patch", "delete"):
        response = getattr(client, method)("/api/v1/users/9")
        assert response.status_code == 404
        assert response.json == {"error": "Not Found", "description": "There is no user 9."}


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"name": "is missing", "email": "is missing"}),
        (ADA | {"name": 7}, {"name": "must be text that is not empty"}),
        (ADA | {"name": " "}, {"name": "must be text that is not empty"}),
        (ADA | {"role": "admin"}, {"role": "is not a field"}),
        ([ADA], {"body": "must be an object"}),
        (None, {"body": "must be an object"}),
    ],
)
def test_what_is_no_user_gets_422_with_the_fields(client, body, fields):
    data = client.application.json.dumps(body)
    response = client.post("/api/v1/users", data=data, content_type="application/json")
    assert response.status_code == 422
    assert response.json["fields"] == fields
    assert client.get("/api/v1/users").json == []


def test_broken_json_is_a_json_400_and_a_form_a_json_415(client):
    broken = client.post("/api/v1/users", data="{", content_type="application/json")
    assert (broken.status_code, broken.json["error"]) == (400, "Bad Request")
    form = client.post("/api/v1/users", data=ADA)
    assert (form.status_code, form.json["error"]) == (415, "Unsupported Media Type")


def test_a_verb_without_a_method_is_a_json_405_with_allow(client):
    response = client.delete("/api/v1/users")
    assert response.status_code == 405
    assert response.json["error"] == "Method Not Allowed"
    assert set(response.allow) == {"GET", "HEAD", "OPTIONS", "POST"}


def test_head_and_options_come_with_get(client, ada):
    head = client.head(f"/api/v1/users/{ada}")
    assert (head.status_code, head.data) == (200, b"")
    options = client.options(f"/api/v1/users/{ada}")
    assert set(options.allow) == {"GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"}


def test_each_version_has_users_of_its_own(client, ada):
    """EXT-12: each version has users of its own."""
    assert client.get("/api/v2/users").json == []
    created = client.post("/api/v2/users", json=ADA)
    assert created.location == "/api/v2/users/1"


def test_products_are_searched_by_words_and_price(client):
    """EX-01: products are searched by words and price."""

    def names(query):
        return [product["name"] for product in client.get(f"/api/v1/products?{query}").json]

    assert len(names("")) == 3
    assert names("q=GLASS") == ["Glass carboy", "Glass stopper"]
    assert names("q=glass&max_price=10") == ["Glass stopper"]
    assert names("q=nothing") == []


def test_one_product_by_its_number(client):
    """EX-01: one product by its number."""
    assert client.get("/api/v1/products/2").json["name"] == "Wicker basket"
    assert client.get("/api/v1/products/9").status_code == 404
    assert client.get("/api/v1/products/two").status_code == 404


def test_a_price_that_is_no_number_is_a_400(client):
    response = client.get("/api/v1/products?max_price=abc")
    assert response.status_code == 400
    assert response.json["description"] == "max_price must be a number."

"""EX-04, RESP-19, FORM-09, DB-10, FLSH-01: registration with POST, redirect, GET."""

import sqlite3

import pytest

GOOD = {"username": "ada", "password": "correct horse", "repeated": "correct horse"}


@pytest.fixture
def database(tmp_path):
    return tmp_path / "accounts.sqlite3"


@pytest.fixture
def client(load, database):
    app = load().create_app({"DATABASE": str(database), "SECRET_KEY": "for the test"})
    return app.test_client()


def accounts(database):
    db = sqlite3.connect(database)
    try:
        return db.execute("SELECT username, password FROM account").fetchall()
    finally:
        db.close()


def test_success_redirects_with_303_and_the_page_shows_the_message_once(client, database):
    """RESP-19, FORM-09, FLSH-01: success redirects with 303 and the page shows the message once."""
    response = client.post("/register", data=GOOD)
    assert response.status_code == 303
    assert response.location == "/welcome"
    assert "Welcome aboard, ada!" in client.get("/welcome").text
    assert "Welcome aboard" not in client.get("/welcome").text
    assert [name for name, _ in accounts(database)] == ["ada"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"username": "  "}, "Fill in a username and a password."),
        ({"password": "", "repeated": ""}, "Fill in a username and a password."),
        ({"password": "short", "repeated": "short"}, "A password has at least 10 characters."),
        ({"repeated": "correct house"}, "The two passwords differ."),
    ],
)
def test_each_mistake_has_its_message_and_makes_no_account(client, database, change, message):
    """EX-04: each mistake has its message and makes no account."""
    response = client.post("/register", data=GOOD | change)
    assert response.status_code == 400
    assert f'<p class="error" role="status">{message}</p>' in response.text
    assert accounts(database) == []


def test_a_taken_name_has_its_message_whatever_its_case(client, database):
    """EX-04: a taken name has its message whatever its case."""
    client.post("/register", data=GOOD)
    response = client.post("/register", data=GOOD | {"username": "ADA"})
    assert response.status_code == 400
    assert "That username is taken." in response.text
    assert len(accounts(database)) == 1


def test_what_was_typed_stays_in_the_form_but_not_the_password(client):
    response = client.post("/register", data=GOOD | {"username": 'a"b', "repeated": "x"})
    assert 'name="username" value="a&#34;b"' in response.text
    assert "correct horse" not in response.text


def test_a_missing_field_is_a_bad_request(client):
    assert client.post("/register", data={"username": "ada"}).status_code == 400


def test_the_welcome_page_sends_strangers_to_the_form(client):
    response = client.get("/welcome", follow_redirects=True)
    assert response.request.path == "/register"


def test_the_password_is_kept_as_a_hash_that_checks(client, database):
    """DB-10: the password is kept as a hash that checks."""
    client.post("/register", data=GOOD)
    [(_, stored)] = accounts(database)
    assert stored.startswith("scrypt:")
    assert len(stored) == 162
    assert client.post("/check", data=GOOD).json == {"ok": True}
    assert client.post("/check", data=GOOD | {"password": "wrong"}).status_code == 401
    assert client.post("/check", data=GOOD | {"username": "bob"}).status_code == 401


def test_the_session_cookie_is_http_only_and_lax(client):
    cookie = client.post("/register", data=GOOD).headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_without_a_secret_key_registering_fails_with_an_explanation(load, database):
    app = load().create_app({"DATABASE": str(database), "TESTING": True})
    with pytest.raises(RuntimeError, match="secret key"):
        app.test_client().post("/register", data=GOOD)

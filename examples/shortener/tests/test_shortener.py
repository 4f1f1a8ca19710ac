"""EX-05, CTX-09, CLI-25: a URL shortener on SQLite."""

import re
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from werkzeug.serving import make_server


@pytest.fixture
def shortener(load):
    return load()


@pytest.fixture
def database(tmp_path):
    return tmp_path / "links.sqlite3"


@pytest.fixture
def app(shortener, database):
    return shortener.create_app({"DATABASE": str(database)})


@pytest.fixture
def client(app):
    return app.test_client()


def shorten(client, url):
    response = client.post("/", data={"url": url})
    assert response.status_code == 201
    return re.search(r'href="http://localhost(/[^"]+)"', response.text)[1]


def test_a_shortened_address_redirects_to_the_long_one(client):
    """EX-05: a shortened address redirects to the long one."""
    path = shorten(client, "https://example.org/a?b=c&d=e")
    response = client.get(path)
    assert response.status_code == 302
    assert response.location == "https://example.org/a?b=c&d=e"


def test_clicks_are_counted(client):
    path = shorten(client, "https://example.org/")
    client.get(path)
    client.get(path)
    found = client.get(f"{path}/clicks").json
    assert found == {"code": path[1:], "target": "https://example.org/", "clicks": 2}


def test_the_same_address_keeps_its_code(client):
    assert shorten(client, "https://example.org/") == shorten(client, "https://example.org/")


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "/relative", "http://", "http://[", "", "https://x/" + "a" * 2000],
)
def test_what_is_no_web_address_is_refused(client, url):
    response = client.post("/", data={"url": url})
    assert response.status_code == 400
    assert "Give a full http or https address." in response.text


def test_a_form_without_the_field_is_a_bad_request(client):
    assert client.post("/", data={}).status_code == 400


def test_an_unknown_code_is_404(client):
    assert client.get("/nothing").status_code == 404
    assert client.get("/nothing/clicks").status_code == 404


def test_links_are_kept_over_a_restart(shortener, client, database):
    """EX-05: links are kept over a restart."""
    path = shorten(client, "https://example.org/kept")
    restarted = shortener.create_app({"DATABASE": str(database)}).test_client()
    assert restarted.get(path).location == "https://example.org/kept"


def test_many_threads_shorten_the_same_address_to_one_code(app, database):
    """EX-05: many threads shorten the same address to one code."""

    def one(number):
        return shorten(app.test_client(), f"https://example.org/{number % 3}")

    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(one, range(48)))
    assert len(set(paths)) == 3
    with sqlite3.connect(database) as db:
        assert db.execute("SELECT count(*) FROM link").fetchone() == (3,)
    db.close()


@pytest.mark.server
def test_it_works_live_on_a_threaded_server(app):
    """EX-05: it works live on a threaded server."""
    import http.client

    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    def one(number):
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
        body = f"url=https%3A%2F%2Fexample.org%2F{number}"
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/", body, form)
        path = re.search(r'href="http://[^/"]+(/[^"]+)"', connection.getresponse().read().decode())
        connection.close()
        connection.request("GET", path[1])
        response = connection.getresponse()
        response.read()
        connection.close()
        return response.headers["Location"]

    try:
        with ThreadPoolExecutor(6) as pool:
            found = list(pool.map(one, range(18)))
    finally:
        server.shutdown()
        thread.join(20)
        server.server_close()
    assert found == [f"https://example.org/{number}" for number in range(18)]


def test_the_connection_is_closed_when_the_context_ends(shortener, app):
    """CTX-09: the connection is closed when the context ends."""
    with app.app_context():
        db = shortener.get_db()
        assert shortener.get_db() is db
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        db.execute("SELECT 1")


def test_the_init_db_command_creates_the_table(app, database):
    """CLI-25: the init db command creates the table."""
    with sqlite3.connect(database) as db:
        db.execute("DROP TABLE link")
    db.close()
    result = app.test_cli_runner().invoke(args=["init-db"])
    assert result.exit_code == 0
    assert result.output == f"Ready: {database}\n"
    assert app.test_client().get("/nothing").status_code == 404

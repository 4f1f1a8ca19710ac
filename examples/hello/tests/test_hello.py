"""APP-02, APP-03, APP-04: the first application of every tutorial."""

import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

HELLO = Path(__file__).parent.parent


@pytest.fixture
def client(load):
    return load().app.test_client()


def test_the_home_page_greets(client):
    """APP-02: the home page greets."""
    response = client.get("/")
    assert response.status_code == 200
    assert response.content_type == "text/html; charset=utf-8"
    assert response.text == "<h1>Hello, World!</h1>"


def test_each_route_answers_and_other_urls_are_404(client):
    """APP-03: each route answers and other urls are 404."""
    assert "four routes" in client.get("/about").text
    assert client.get("/status").json == {"status": "ok"}
    assert client.get("/nowhere").status_code == 404
    assert client.post("/about").status_code == 405


def test_the_name_in_the_url_is_escaped(client):
    assert client.get("/hello/Ada").text == "<p>Hello, Ada!</p>"
    assert client.get("/hello/<b>").text == "<p>Hello, &lt;b&gt;!</p>"


def test_importing_the_module_starts_no_server(load, monkeypatch):
    """APP-04: importing the module starts no server."""

    def run_simple(*arguments, **options):
        raise AssertionError("a server was started")

    monkeypatch.setattr("werkzeug.serving.run_simple", run_simple)
    assert load().__name__ == "example_hello"


@pytest.mark.server
@pytest.mark.skipif("EXAMPLES_AS_FLASK" in os.environ, reason="the file itself says carboy")
def test_the_run_command_serves_it_on_loopback():
    """APP-02: the run command serves it on loopback."""
    command = [sys.executable, "-m", "carboy", "run", "--port", "0"]
    server = subprocess.Popen(
        command, cwd=HELLO, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        lines = []
        for line in server.stdout:
            lines.append(line)
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                break
        assert found, "".join(lines)
        with urllib.request.urlopen(found[0] + "/", timeout=20) as response:
            assert response.read() == b"<h1>Hello, World!</h1>"
    finally:
        server.kill()
        server.communicate()

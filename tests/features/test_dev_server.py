from __future__ import annotations

import http.client
import json
import re
import shutil
import socket
import ssl
import subprocess
import threading
from urllib.parse import quote

import pytest
import werkzeug.serving

from carboy import Carboy

APP = """
import os
from carboy import Carboy
app = Carboy(__name__)
print("module level of", __name__)

@app.route("/")
def index():
    return "hello"

@app.route("/boom")
def boom():
    raise ValueError("the cause")

if __name__ == "__main__":
    app.run(port=0, **eval(os.environ.get("RUN_OPTIONS", "{}")))
"""


@pytest.fixture
def handed_over(monkeypatch):
    """What ``app.run`` hands to Werkzeug's server, instead of serving."""
    calls = []

    def run_simple(hostname, port, application, **options):
        calls.append({"hostname": hostname, "port": port, "application": application} | options)

    monkeypatch.setattr(werkzeug.serving, "run_simple", run_simple)
    return calls


def test_run_serves_on_loopback_port_5000(app, handed_over):
    """DEV-02, D-18: threaded, without debugger and reloader."""
    app.run()
    (call,) = handed_over
    assert (call["hostname"], call["port"]) == ("127.0.0.1", 5000)
    assert call["threaded"] is True
    assert not call["use_reloader"]
    assert not call["use_debugger"]


def test_run_takes_host_port_and_debug(app, handed_over):
    """DEV-02: debug turns on reloader and debugger."""
    app.run(host="localhost", port=8080, debug=True)
    (call,) = handed_over
    assert (call["hostname"], call["port"]) == ("localhost", 8080)
    assert app.debug is True
    assert call["use_reloader"]


def test_run_passes_options_on(app, handed_over):
    """DEV-02, D-18: ``use_reloader=False``, ``threaded=False`` and others of the server."""
    app.run(debug=True, use_reloader=False, threaded=False, extra_files=["x.txt"])
    (call,) = handed_over
    assert not call["use_reloader"]
    assert call["threaded"] is False
    assert call["extra_files"] == ["x.txt"]


def test_run_takes_the_port_as_text(app, handed_over):
    """DEV-02: from an environment variable."""
    app.run(port="8080")
    assert handed_over[0]["port"] == 8080


def test_run_takes_host_and_port_from_server_name(app, handed_over):
    """DEV-02: unless they are given."""
    app.config["SERVER_NAME"] = "localhost:8000"
    app.run()
    app.run(host="127.0.0.1", port=8001)
    found = [(call["hostname"], call["port"]) for call in handed_over]
    assert found == [("localhost", 8000), ("127.0.0.1", 8001)]


def test_run_reads_flask_debug(app, handed_over, monkeypatch):
    """DEV-02: the argument wins."""
    monkeypatch.setenv("FLASK_DEBUG", "1")
    app.run()
    assert app.debug is True
    app.run(debug=False)
    assert app.debug is False


def test_run_forgets_the_first_request_of_a_test(app, handed_over):
    """DEV-02: setup is allowed again once the server has ended."""
    app.add_url_rule("/", "view", lambda: "x")
    app.test_client().get("/")
    app.run()
    app.add_url_rule("/later", "later", lambda: "x")
    assert app.test_client().get("/later").text == "x"


@pytest.mark.server
def test_the_banner_and_the_warning(start_server):
    """DEV-01, DEV-09: what the tutorials show, one line each."""
    server = start_server(APP)
    server.wait_for("Press CTRL\\+C to quit")
    assert re.search(r"^ \* Serving \w+ app 'app'$", server.output, re.M)
    assert re.search(r"^ \* Debug mode: off$", server.output, re.M)
    assert "WARNING: This is a development server." in server.output
    assert f" * Running on http://127.0.0.1:{server.port}" in server.output
    status, _, body = server.get("/")
    assert (status, body) == (200, b"hello")
    server.wait_for(r'127\.0\.0\.1 - - \[.+\] "GET / HTTP/1\.1" 200 -')


@pytest.mark.server
def test_an_unguarded_run_is_ignored_under_the_command(start_server):
    """DEV-13: said in the output; the command serves."""
    source = "from carboy import Carboy\napp = Carboy(__name__)\napp.run(port=1)\n"
    source += "app.add_url_rule('/', view_func=lambda: 'from the command')\n"
    server = start_server(source, "run", "--port", "0")
    assert "Ignoring a call to 'app.run()'" in server.output
    assert server.get("/")[2] == b"from the command"


@pytest.mark.server
def test_debug_mode_shows_the_traceback_and_a_pin(start_server):
    """DEV-03: interactive, in debug only."""
    server = start_server(APP, "run", "--debug", "--port", "0")
    server.wait_for(r"Debugger PIN: \d{3}-\d{3}-\d{3}")
    status, _, body = server.get("/boom")
    assert status == 500
    assert b"ValueError: the cause" in body
    assert b"EVALEX = true" in body
    status, _, body = server.get("/console")
    assert (status, b"EVALEX = true" in body) == (200, True)


def evaluate(server, secret, code, cookie=""):
    query = f"?__debugger__=yes&cmd={quote(code)}&frm=0&s={secret}"
    return server.get("/console" + query, Cookie=cookie)


@pytest.mark.server
def test_the_console_is_locked_until_the_pin_is_given(start_server):
    """DEV-04, D-20: nothing is evaluated before, nor with a wrong one."""
    server = start_server(APP, "run", "--debug", "--port", "0")
    pin = server.wait_for(r"Debugger PIN: (\d{3}-\d{3}-\d{3})")[1]
    secret = re.search(rb'SECRET = "(\w+)"', server.get("/console")[2])[1].decode()
    assert b"19954" not in evaluate(server, secret, "19953+1")[2]

    def unlock(attempt):
        query = f"?__debugger__=yes&cmd=pinauth&pin={attempt}&s={secret}"
        _, headers, body = server.get("/console" + query)
        return json.loads(body), (headers["Set-Cookie"] or "").split(";")[0]

    wrong = pin.replace(pin[0], str((int(pin[0]) + 1) % 10))
    answer, cookie = unlock(wrong)
    assert answer == {"auth": False, "exhausted": False}
    assert b"19954" not in evaluate(server, secret, "19953+1", cookie)[2]
    answer, cookie = unlock(pin)
    assert answer["auth"] is True
    assert b"19954" in evaluate(server, secret, "19953+1", cookie)[2]
    assert b"19954" not in evaluate(server, "wrong", "19953+1", cookie)[2]


@pytest.mark.server
def test_the_debugger_answers_trusted_hosts_only(start_server):
    """DEV-05, D-20: another Host gets no console, though the site itself is served.

    HOSTILE-172.
    """
    server = start_server(APP, "run", "--debug", "--no-reload", "--port", "0")
    status, _, body = server.get("/console", Host="evil.test")
    assert status in (400, 404)
    assert b"EVALEX = true" not in body
    assert b"EVALEX = true" not in server.get("/boom", Host="evil.test")[2]
    assert server.get("/", Host="evil.test")[2] == b"hello"


@pytest.mark.server
@pytest.mark.beyond
@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.test"}, {"X_Forwarded_For": "10.0.0.1"}, {"Forwarded": "for=10.0.0.1"}],
    ids=["foreign host", "x-forwarded-for", "forwarded"],
)
def test_a_stranger_gets_neither_console_nor_traceback(start_server, headers):
    """DEV-05, D-20: another Host, or a request that came through a proxy.

    HOSTILE-172, HOSTILE-173, HOSTILE-174, CVE-2024-34069.
    """
    server = start_server(APP, "run", "--debug", "--no-reload", "--port", "0")
    status, _, body = server.get("/boom", **headers)
    assert status == 500
    assert b"EVALEX" not in body
    assert b"the cause" not in body
    assert b"SECRET" not in body
    assert b"EVALEX = true" not in server.get("/console", **headers)[2]


@pytest.mark.server
@pytest.mark.parametrize("env", [{}, {"FLASK_ENV": "development"}, {"FLASK_DEBUG": "0"}])
def test_without_debug_an_error_is_plain_and_logged(start_server, env):
    """DEV-06, DEV-07: no console, no traceback for the client; FLASK_ENV changes nothing."""
    server = start_server(APP, **env)
    status, _, body = server.get("/boom")
    assert status == 500
    assert b"<h1>Internal Server Error</h1>" in body
    assert b"the cause" not in body
    server.wait_for("ValueError: the cause")
    assert re.search(r"ERROR in \w+: Exception on /boom \[GET\]", server.output)
    assert server.get("/console")[0] == 404
    assert server.get("/boom?__debugger__=yes&cmd=resource&f=style.css")[0] == 500


@pytest.mark.server
def test_the_reloader_restarts_on_a_change(start_server, tmp_path):
    """DEV-08: and module level runs in two processes."""
    server = start_server(APP, RUN_OPTIONS="{'debug': True}")
    server.wait_for("Debugger is active|Debugger PIN")
    assert server.output.count("module level of __main__") == 2
    assert server.get("/")[2] == b"hello"
    (tmp_path / "app.py").write_text(APP.replace('"hello"', '"changed and longer"'))
    server.wait_for("Detected change in .*app.py")
    server.wait_for("Debugger is active|Debugger PIN")
    assert server.get("/")[2] == b"changed and longer"


MEETING = """
import threading
from carboy import Carboy
app = Carboy(__name__)
meet = threading.Barrier(2, timeout=20)
@app.route("/")
def view():
    meet.wait()
    return "met"
@app.route("/thread")
def thread():
    return threading.current_thread().name
"""


@pytest.mark.server
def test_requests_are_served_in_threads(start_server):
    """DEV-10, D-18: two views run at once."""
    server = start_server(MEETING, "run", "--port", "0")
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(server.get("/")[2])) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [b"met", b"met"]


@pytest.mark.server
def test_without_threads_requests_are_served_in_the_main_thread(start_server):
    """DEV-10, D-18: ``--without-threads``."""
    server = start_server(MEETING, "run", "--port", "0", "--without-threads")
    assert server.get("/thread")[2] == b"MainThread"


@pytest.mark.server
def test_a_port_in_use_is_said_and_ends_the_server(start_server):
    """DEV-11: with the port's number."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = start_server(APP, "run", "--port", str(port), wait=False)
        assert server.wait_until_ended() == 1
    assert "Address already in use" in server.output
    assert f"Port {port} is in use by another program" in server.output


@pytest.mark.server
def test_tls_with_a_certificate(start_server, tmp_path):
    """DEV-12, D-19: ``--cert`` and ``--key``; the request is secure."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command to make a certificate")
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-keyout",
            "key.pem",
            "-out",
            "cert.pem",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    source = "from carboy import Carboy, request\napp = Carboy(__name__)\n"
    source += "app.add_url_rule('/', view_func=lambda: request.scheme)\n"
    server = start_server(source, "run", "--port", "0", "--cert", "cert.pem", "--key", "key.pem")
    assert "Running on https://" in server.output
    context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    connection = http.client.HTTPSConnection("localhost", server.port, timeout=20, context=context)
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"https"
    connection.close()


@pytest.mark.beyond
def test_debug_on_a_public_address_has_no_console_and_says_so(
    app, handed_over, call, capsys, caplog
):
    """DEV-15, D-49: serves without the debugger's console, after a loud warning."""
    app.add_url_rule("/boom", "boom", lambda: 1 / 0)
    app.run(host="0.0.0.0", debug=True, use_reloader=False)
    (handed,) = handed_over
    captured = capsys.readouterr()
    said = captured.out + captured.err + caplog.text
    assert "0.0.0.0" in said
    assert re.search("console|debugger", said, re.I)
    assert "PIN" not in said
    assert not handed.get("use_evalex", True) or not handed.get("use_debugger")
    if not handed.get("use_debugger"):
        app.config["PROPAGATE_EXCEPTIONS"] = False
        reply = call(handed["application"], "/boom")
        assert b"EVALEX = true" not in reply.body
        assert b"EVALEX = true" not in call(handed["application"], "/console").body


def test_a_script_that_imports_the_application_may_run_it(app, handed_over):
    """DEV-02: ``run`` of another module's application object."""
    other = Carboy("other")
    other.run(port=1234)
    assert handed_over[0]["application"] is not app
    assert handed_over[0]["port"] == 1234


@pytest.mark.server
def test_the_debugger_page_escapes_the_message(start_server):
    """DEV-03, CVE-2016-10516: an exception's text is no markup."""
    source = APP.replace("the cause", "<script>alert(1)</script>")
    server = start_server(source, "run", "--debug", "--no-reload", "--port", "0")
    body = re.sub(rb"<!--.*?-->", b"", server.get("/boom")[2], flags=re.S)
    assert b"&lt;script&gt;alert(1)" in body
    assert b"<script>alert(1)" not in body


@pytest.mark.server
@pytest.mark.beyond
def test_the_pin_differs_from_process_to_process(start_server):
    """DEV-03, CVE-2019-14806: it cannot be computed from facts of the machine."""
    pins = set()
    for _ in range(2):
        server = start_server(APP, "run", "--debug", "--port", "0")
        pins.add(server.wait_for(r"Debugger PIN: (\d{3}-\d{3}-\d{3})")[1])
    assert len(pins) == 2

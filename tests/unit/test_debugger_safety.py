"""An attack for each promise of the development server's debugger (HOSTILE-172 to HOSTILE-182)."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import werkzeug.debug
import werkzeug.serving

from carboy import Carboy, g
from carboy.cli.debugger import SafeDebugger
from carboy.cli.masking import MASK, mask, secret_values
from carboy.cli.serving import NotSafeError, serve
from carboy.cli.surroundings import (
    is_local_request,
    is_loopback_bind,
    is_loopback_host_header,
    production_sign,
)

SIGNS_OF_A_DEBUGGER = (b"EVALEX", b"SECRET", b"Traceback", b"the cause", b"__debugger__", b".py")

FORWARDING = {
    "Forwarded": "for=10.0.0.1",
    "X-Forwarded-For": "127.0.0.1",
    "X-Forwarded-Host": "localhost",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Server": "proxy",
    "X-Real-IP": "127.0.0.1",
    "Via": "1.1 proxy",
    "CF-Connecting-IP": "127.0.0.1",
    "CF-Ray": "1",
    "True-Client-IP": "127.0.0.1",
    "X-Client-IP": "127.0.0.1",
    "X-Original-URL": "/",
    "X-Amzn-Trace-Id": "Root=1",
    "Fly-Client-IP": "127.0.0.1",
}


def raising(message: Callable[[], str], value: object = None) -> Callable[[], str]:
    """A view that raises; far from the tests' own lines, for the page shows what is near."""

    def view() -> str:
        local = value
        text = message()
        raise ValueError(text) if local is value else TypeError(local)

    return view


FOREIGN_HOSTS = [
    "evil.test",
    "localhost.evil.test",
    "evillocalhost",
    "127.0.0.1.evil.test",
    "127.0.0.1@evil.test",
    "localhost, evil.test",
    "localhost/evil.test",
    "localhost:port",
    "localhost:5000:80",
    "128.0.0.1",
    "0.0.0.0",
    "[::]",
    "[fe80::1]",
    "2130706433",
    "0x7f.1",
    "",
]


@pytest.fixture(autouse=True)
def _no_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests may themselves run on a platform, or in an environment called staging."""
    from carboy.cli import surroundings

    for name in (*surroundings._PLATFORMS, *surroundings._STAGES):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def broken(app: Carboy) -> Carboy:
    app.debug = True

    @app.route("/boom")
    def boom() -> str:
        g.thing = "kept"
        raise ValueError("the cause")

    @app.route("/")
    def index() -> str:
        return "answer"

    @app.route("/late")
    def late() -> Any:
        def blocks() -> Any:
            yield b"first"
            raise ValueError("the cause")

        return blocks()

    return app


@pytest.fixture
def debugger(broken: Carboy) -> SafeDebugger:
    return SafeDebugger(broken, config=broken.config)


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Werkzeug makes a wrong PIN wait."""
    monkeypatch.setattr(werkzeug.debug.time, "sleep", lambda seconds: None)


def secret_of(page: bytes) -> str:
    found = re.search(rb'SECRET = "(\w+)"', page)
    assert found is not None
    return found[1].decode()


def unlock(call: Any, debugger: Any, pin: str, secret: str) -> tuple[dict[str, bool], str]:
    reply = call(debugger, query=f"__debugger__=yes&cmd=pinauth&pin={pin}&s={secret}")
    cookie = (reply.get("Set-Cookie") or "").partition(";")[0]
    return json.loads(reply.body), cookie


# -- who is let in ------------------------------------------------------------------------------


def test_a_local_request_gets_the_traceback_and_the_locked_console(call, debugger):
    reply = call(debugger, "/boom")
    assert reply.code == 500
    assert b"ValueError: the cause" in reply.body
    assert b"EVALEX = true" in reply.body
    assert b"EVALEX_TRUSTED = false" in reply.body
    assert "ValueError: the cause" in reply.errors
    assert call(debugger, "/console").code == 200


@pytest.mark.parametrize("header", FORWARDING)
def test_a_request_through_a_proxy_gets_nothing_of_the_debugger(call, debugger, header):
    """HOSTILE-174."""
    headers = {header: FORWARDING[header]}
    assert_no_debugger(call, debugger, headers=headers)


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_a_request_for_a_foreign_host_gets_nothing_of_the_debugger(call, debugger, host):
    """HOSTILE-172, HOSTILE-173, CVE-2024-34069, CVE-2016-9014: DNS rebinding."""
    assert_no_debugger(call, debugger, HTTP_HOST=host)


@pytest.mark.parametrize("address", ["10.0.0.1", "0.0.0.0", "::", "fe80::1", "<local>", "", "x"])
def test_a_request_from_another_machine_gets_nothing_of_the_debugger(call, debugger, address):
    assert_no_debugger(call, debugger, REMOTE_ADDR=address)


def test_a_request_without_host_or_peer_gets_nothing_of_the_debugger(call, debugger):
    assert_no_debugger(call, debugger, remove=("HTTP_HOST",))
    assert_no_debugger(call, debugger, remove=("REMOTE_ADDR",))


def test_a_request_in_the_protocol_of_old_proxies_gets_nothing_of_the_debugger(call, debugger):
    assert_no_debugger(call, debugger, SERVER_PROTOCOL="HTTP/1.0")


def assert_no_debugger(call: Any, debugger: SafeDebugger, **request: Any) -> None:
    error = call(debugger, "/boom", **request)
    assert error.code in (400, 500)  # a malformed Host is the application's to refuse
    for sign in SIGNS_OF_A_DEBUGGER:
        assert sign not in error.body
    # With everything that only the local developer could know.
    pin = f"__debugger__=yes&cmd=pinauth&pin={debugger.pin}&s={debugger.secret}"
    cookie = f"{debugger.pin_cookie_name}=9999999999|{werkzeug.debug.hash_pin(debugger.pin)}"
    for path, query in [
        ("/console", ""),
        ("/", pin),
        ("/", f"__debugger__=yes&cmd=printpin&s={debugger.secret}"),
        ("/", "__debugger__=yes&cmd=resource&f=debugger.js"),
        ("/", f"__debugger__=yes&cmd=19953%2B1&frm=0&s={debugger.secret}"),
    ]:
        reply = call(debugger, path, query=query, HTTP_COOKIE=cookie, **request)
        assert reply.code in (200, 400, 404)
        assert reply.body == b"answer" or b"<title>40" in reply.body
        assert reply.get("Set-Cookie") is None


def test_an_error_of_a_stranger_is_logged_with_its_traceback(call, debugger):
    reply = call(debugger, "/boom", HTTP_HOST="evil.test")
    assert "ValueError: the cause" in reply.errors
    assert b"Internal Server Error" in reply.body


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_an_error_after_the_first_block_reaches_the_server(call, debugger, host):
    """The page cannot be sent any more; the server must know that the answer is broken."""
    sent = []

    def strict(environ: Any, start_response: Any) -> Any:
        def start(status: str, headers: Any, exc_info: Any = None) -> Any:
            if exc_info and sent:
                raise exc_info[1]
            return start_response(status, headers)

        for block in debugger(environ, start):
            sent.append(block)
            yield block

    with pytest.raises(ValueError, match="the cause"):
        call(strict, "/late", HTTP_HOST=host)
    assert sent == [b"first"]


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_sites_page_cannot_reach_the_console_through_the_browser(call, debugger, site):
    headers = {"Sec-Fetch-Site": site}
    assert call(debugger, "/console", headers=headers).code == 404
    pin = f"__debugger__=yes&cmd=pinauth&pin={debugger.pin}&s={debugger.secret}"
    assert call(debugger, "/", query=pin, headers=headers).body == b"answer"
    # A traceback after a redirect from another site, such as a sign-in, is still shown.
    assert b"the cause" in call(debugger, "/boom", headers=headers).body


def test_the_page_cannot_be_framed_or_stored(call, debugger):
    reply = call(debugger, "/boom")
    assert reply.get("X-Frame-Options") == "DENY"
    assert reply.get("Cache-Control") == "no-store"


# -- console and PIN ----------------------------------------------------------------------------


def test_the_console_runs_code_after_the_pin_in_the_context_of_the_request(call, debugger):
    page = call(debugger, "/boom").body
    secret = secret_of(page)
    frame = re.findall(rb'id="frame-(\d+)"', page)[-1].decode()
    command = f"__debugger__=yes&cmd=g.thing&frm={frame}&s={secret}"
    assert call(debugger, query=command).body == b"answer"
    answer, cookie = unlock(call, debugger, debugger.pin, secret)
    assert answer == {"auth": True, "exhausted": False}
    assert b"kept" in call(debugger, query=command, HTTP_COOKIE=cookie).body


def test_running_a_command_does_not_tear_the_request_down_again(call, broken, debugger):
    ended = []
    broken.teardown_request(lambda error: ended.append(error))
    page = call(debugger, "/boom").body
    frame = re.findall(rb'id="frame-(\d+)"', page)[-1].decode()
    _, cookie = unlock(call, debugger, debugger.pin, secret_of(page))
    command = f"__debugger__=yes&cmd=1&frm={frame}&s={secret_of(page)}"
    call(debugger, query=command, HTTP_COOKIE=cookie)
    assert len(ended) == 1


def test_the_pin_is_locked_after_ten_wrong_tries(call, debugger, no_waiting):
    """HOSTILE-180."""
    secret = secret_of(call(debugger, "/boom").body)
    for _ in range(10):
        assert unlock(call, debugger, "0", secret)[0]["auth"] is False
    answer, cookie = unlock(call, debugger, debugger.pin, secret)
    assert answer == {"auth": False, "exhausted": True}
    assert cookie == ""


def test_a_forged_cookie_is_refused(call, debugger, no_waiting):
    """HOSTILE-180."""
    page = call(debugger, "/boom").body
    frame = re.findall(rb'id="frame-(\d+)"', page)[-1].decode()
    command = f"__debugger__=yes&cmd=g.thing&frm={frame}&s={secret_of(page)}"
    for value in ("9999999999|", "9999999999|abc", "x|y", "|"):
        cookie = f"{debugger.pin_cookie_name}={value}"
        assert call(debugger, query=command, HTTP_COOKIE=cookie).body == b"answer"


def test_each_process_has_its_own_random_pin(broken):
    """HOSTILE-180, CVE-2019-14806: not computed from facts about the machine."""
    pins = {SafeDebugger(broken).pin for _ in range(8)}
    assert len(pins) == 8
    assert all(re.fullmatch(r"\d{3}-\d{3}-\d{3}", pin or "") for pin in pins)
    computed, _ = werkzeug.debug.get_pin_and_cookie_name(broken)
    assert computed not in pins


def test_the_pin_may_be_set_but_not_switched_off(broken, monkeypatch):
    monkeypatch.setenv("WERKZEUG_DEBUG_PIN", "12-34")
    assert SafeDebugger(broken).pin == "12-34"
    for value in ("off", "", "none"):
        monkeypatch.setenv("WERKZEUG_DEBUG_PIN", value)
        assert re.fullmatch(r"\d{3}-\d{3}-\d{3}", SafeDebugger(broken).pin or "")


def test_without_evalex_the_page_has_a_traceback_and_no_console(call, broken):
    debugger = SafeDebugger(broken, evalex=False)
    page = call(debugger, "/boom").body
    assert b"the cause" in page
    assert b"EVALEX = false" in page
    assert b'SECRET = ""' in page
    assert call(debugger, "/console").code == 404
    for command in ("pinauth&pin=1", "printpin"):
        query = f"__debugger__=yes&cmd={command}&s={debugger.secret}"
        assert call(debugger, query=query).body == b"answer"
    style = call(debugger, query="__debugger__=yes&cmd=resource&f=style.css")
    assert b"font-family" in style.body


# -- secrets ------------------------------------------------------------------------------------


def test_secrets_of_environment_and_configuration_are_masked(call, app, monkeypatch):
    """HOSTILE-177: an exception whose message holds the whole environment."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG")
    monkeypatch.setenv("DATABASE_URL", "postgres://app:hunter2@db.internal/fleet")
    monkeypatch.setenv("STRIPE_TOKEN", "<sk & 'live'>")
    monkeypatch.setenv("HARMLESS", "shown as it is")
    app.secret_key = "dev"
    app.config["SECRET_KEY_FALLBACKS"] = ["older-than-old"]
    app.config["MAIL"] = {"server": "mail.internal", "password": "p@ss--word"}
    app.config["API_KEY"] = b"\x01binary-key\x02"

    def all_of_it() -> str:
        return f"{dict(os.environ)} {dict(app.config)} 'dev' {app.config['API_KEY']!r}"

    app.add_url_rule("/boom", view_func=raising(all_of_it))
    app.debug = True
    page = call(SafeDebugger(app, config=app.config), "/boom").body.decode()
    for secret in ("wJalr", "hunter2", "sk &amp;", "sk & ", "older-than", "p@ss", "binary-key"):
        assert secret not in page
    assert "&#39;dev&#39;" not in page
    assert "'dev'" not in page
    assert "shown as it is" in page
    assert "mail.internal" in page
    assert MASK in page


def test_a_secret_in_the_source_beside_the_error_is_masked(call, tmp_path, app):
    """The page shows lines of source: a literal key in one of them is still a key."""
    source = 'KEY = "sk-live-51-literal"\ndef boom():\n    raise ValueError(KEY)\n'
    (tmp_path / "view.py").write_text(source)
    namespace: dict[str, Any] = {}
    exec(compile(source, str(tmp_path / "view.py"), "exec"), namespace)
    app.add_url_rule("/boom", view_func=namespace["boom"])
    app.config["PAYMENT_KEY"] = "sk-live-51-literal"
    app.debug = True
    page = call(SafeDebugger(app, config=app.config), "/boom").body
    assert b"raise ValueError(KEY)" in page
    assert b"sk-live" not in page


def test_the_page_has_no_locals_and_no_environment(call, app, monkeypatch):
    """HOSTILE-178."""
    monkeypatch.setenv("HARMLESS", "environment-value")

    app.add_url_rule("/boom", view_func=raising(lambda: "the cause", "local-value"))
    app.debug = True
    page = call(SafeDebugger(app, config=app.config), "/boom").body
    assert b"the cause" in page
    assert b"local-value" not in page
    assert b"environment-value" not in page


def test_the_exceptions_text_is_escaped(call, app):
    """CVE-2016-10516, CVE-2017-12794."""
    app.add_url_rule("/html", view_func=raising(lambda: "--><script>alert(1)</script>"))
    app.debug = True
    debugger = SafeDebugger(app)
    page = call(debugger, "/html").body
    visible, _, comment = page.partition(b"<!--\n")
    assert b"<script>alert" not in visible
    assert b"-->" not in comment.rpartition(b"\n-->")[0]


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"SECRET_KEY": "abc"}, {"abc"}),
        ({"secret_key": "abc"}, {"abc"}),
        ({"GITHUB_TOKEN": "abc"}, {"abc"}),
        ({"DB_PASSWORD": "abc"}, {"abc"}),
        ({"SENTRY_DSN": "abc"}, {"abc"}),
        ({"AZURE_CREDENTIALS": "abc"}, {"abc"}),
        ({"SECRET_KEY_FALLBACKS": ["abc", b"def"]}, {"abc", "def"}),
        ({"OAUTH": {"client_id": "shown", "client_secret": "abc"}}, {"abc"}),
        ({"PIN": 123456}, {"123456"}),
        ({"PWD": "/home", "OLDPWD": "/", "PATH": "/bin", "DEBUG": "1"}, set()),
        ({"SECRET_KEY": None, "TOKEN": "", "KEY_CHECK": True}, set()),
        ({"SITE": "https://example.test/a@b"}, set()),
    ],
)
def test_what_counts_as_secret(table: dict[str, Any], expected: set[str]) -> None:
    assert secret_values(table) == expected


def test_the_password_of_a_url_is_secret_whatever_the_name() -> None:
    found = secret_values({"CACHE": "redis://:pass%20word@cache:6379/0"})
    assert mask("at redis://:pass%20word@cache:6379/0 now", found) == f"at {MASK} now"
    assert mask("pass%20word, pass word", found) == f"{MASK}, {MASK}"


def test_the_lines_of_a_pem_key_are_secret_one_by_one() -> None:
    key = "-----BEGIN KEY-----\nMIIEvAIBADAN\nBgkqhkiG9w0B\n-----END KEY-----\n"
    text = mask("found MIIEvAIBADAN and BgkqhkiG9w0B", secret_values({"TLS_KEY": key}))
    assert text == f"found {MASK} and {MASK}"


def test_a_short_secret_is_masked_in_quotes_only() -> None:
    assert mask("develop 'dev' \"dev\" device", {"dev"}) == f"develop '{MASK}' \"{MASK}\" device"


def test_a_secret_that_holds_another_is_masked_whole() -> None:
    assert mask("prefix-secret-suffix", {"secret", "prefix-secret-suffix"}) == MASK


# -- where it is refused ------------------------------------------------------------------------


@pytest.fixture
def handed_over(monkeypatch):
    calls = []

    def run_simple(hostname, port, application, **options):
        calls.append({"hostname": hostname, "application": application} | options)

    monkeypatch.setattr(werkzeug.serving, "run_simple", run_simple)
    return calls


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "", "unix:///tmp/app.sock"])
def test_on_an_address_that_others_reach_there_is_no_debugger(broken, handed_over, host, capsys):
    """HOSTILE-175: neither console nor traceback, and a loud word about it."""
    serve(broken, host, 0, name="x", debug=True, use_debugger=True, use_evalex=True)
    (call,) = handed_over
    assert call["application"] is broken
    assert call["use_debugger"] is False
    said = capsys.readouterr().err
    assert "WARNING" in said
    assert "no interactive console" in said


def test_on_loopback_the_fenced_debugger_is_used_and_werkzeugs_is_not(broken, handed_over, capsys):
    serve(broken, "127.0.0.1", 0, name="x", debug=True, use_debugger=True)
    (call,) = handed_over
    assert type(call["application"]) is SafeDebugger
    assert call["application"].evalex is True
    assert call["use_debugger"] is False
    assert capsys.readouterr().err == ""


def test_use_evalex_false_is_honoured(broken, handed_over):
    serve(broken, "127.0.0.1", 0, name="x", debug=True, use_debugger=True, use_evalex=False)
    assert handed_over[0]["application"].evalex is False


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
        ("AWS_LAMBDA_FUNCTION_NAME", "site"),
        ("DYNO", "web.1"),
        ("K_SERVICE", "site"),
        ("APP_ENV", "production"),
        ("APP_ENV", "Prod"),
        ("ENVIRONMENT", "staging"),
    ],
)
@pytest.mark.parametrize("switches", [(True, True), (True, False), (False, True)])
def test_debug_mode_in_production_is_refused(
    broken, handed_over, monkeypatch, capsys, name, value, switches
):
    """HOSTILE-176."""
    monkeypatch.setenv(name, value)
    debug, use_debugger = switches
    with pytest.raises(NotSafeError, match=name):
        serve(broken, "127.0.0.1", 0, name="x", debug=debug, use_debugger=use_debugger)
    assert handed_over == []
    assert capsys.readouterr().out == ""
    serve(broken, "127.0.0.1", 0, name="x", debug=False, use_debugger=False)
    assert len(handed_over) == 1


def test_the_refusal_is_a_usage_error_of_the_command(tmp_path, monkeypatch, handed_over):
    from click.testing import CliRunner

    from carboy.cli import FlaskGroup

    monkeypatch.setenv("DYNO", "web.1")
    # The command sets both; they are put back with the fixture.
    monkeypatch.setenv("FLASK_DEBUG", "0")
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", "false")
    group = FlaskGroup(create_app=lambda: Carboy("refused"))
    result = CliRunner().invoke(group, ["run", "--debug"])
    assert result.exit_code == 2
    assert "Debug mode was refused" in result.output
    assert "DYNO" in result.output


def test_a_development_environment_is_not_production():
    ordinary = {"APP_ENV": "development", "ENVIRONMENT": "", "FLASK_ENV": "production", "HOME": "/"}
    assert production_sign(ordinary) is None


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_loopback_addresses_may_be_bound(host):
    assert is_loopback_bind(host)


@pytest.mark.parametrize(
    "value",
    ["localhost", "LOCALHOST:5000", "api.localhost:80", "127.0.0.1:1", "127.255.0.1", "[::1]:5000"],
)
def test_loopback_names_in_the_host_header(value):
    assert is_loopback_host_header(value)


@pytest.mark.parametrize("value", FOREIGN_HOSTS)
def test_foreign_names_in_the_host_header(value):
    assert not is_loopback_host_header(value)


def test_a_header_of_the_application_is_not_taken_for_a_proxys():
    environ = {"REMOTE_ADDR": "::1", "HTTP_HOST": "localhost", "SERVER_PROTOCOL": "HTTP/1.1"}
    assert is_local_request(environ | {"HTTP_X_REQUESTED_WITH": "x", "HTTP_X_CSRF_TOKEN": "y"})


# -- a real server ------------------------------------------------------------------------------

APP = """
import os
from carboy import Carboy
app = Carboy(__name__)
app.secret_key = "a-secret-of-the-page"

@app.route("/boom")
def boom():
    raise ValueError(f"the cause {app.secret_key}")
"""


@pytest.mark.server
def test_a_real_server_shows_the_local_developer_the_masked_traceback(start_server):
    server = start_server(APP, "run", "--debug", "--no-reload", "--port", "0")
    status, headers, body = server.get("/boom")
    assert status == 500
    assert b"ValueError: the cause" in body
    assert b"a-secret-of-the-page" not in body
    assert headers["Cache-Control"] == "no-store"
    for stranger in ({"Host": "evil.test"}, {"X_Forwarded_For": "1.2.3.4"}):
        status, _, body = server.get("/boom", **stranger)
        assert status == 500
        assert not any(sign in body for sign in SIGNS_OF_A_DEBUGGER)
        assert server.get("/console", **stranger)[0] == 404


@pytest.mark.server
def test_a_real_server_on_all_addresses_shows_no_traceback_and_says_so(start_server):
    server = start_server(APP, "run", "--debug", "--no-reload", "--host", "0.0.0.0", "--port", "0")
    assert "WARNING: debug mode is on and the server listens on 0.0.0.0" in server.output
    status, _, body = server.get("/boom")
    assert status == 500
    assert not any(sign in body for sign in SIGNS_OF_A_DEBUGGER)
    assert server.get("/console")[0] == 404
    server.wait_for("ValueError: the cause")
    assert "PIN" not in server.output


@pytest.mark.server
def test_a_broken_application_is_shown_and_recovers_when_it_is_saved(start_server, tmp_path):
    server = start_server("import not_installed_anywhere\n", "run", "--debug", "--port", "0")
    status, _, body = server.get("/")
    assert status == 500
    assert b"No module named" in body
    assert b"correct the error and save" in body
    assert b"not_installed" not in server.get("/", Host="evil.test")[2]
    (tmp_path / "app.py").write_text(APP + "\napp.add_url_rule('/', view_func=lambda: 'mended')\n")
    server.wait_for("Detected change in .*app.py")
    server.wait_for("Debugger PIN")
    assert server.get("/")[2] == b"mended"


def test_a_production_server_has_no_debugger_whatever_the_variables_say(tmp_path: Path, call):
    """HOSTILE-181, HOSTILE-182: only the development server installs it."""
    app = Carboy("production", root_path=str(tmp_path))
    app.add_url_rule("/", view_func=lambda: "answer")
    app.debug = True
    assert call(app, "/console").code == 404
    assert call(app, query="__debugger__=yes&cmd=resource&f=style.css").body == b"answer"

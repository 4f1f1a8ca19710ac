"""`carboy check`: it finds what is planted, says nothing about what is right, and can be used by CI."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from carboy import Carboy
from carboy.check import RULES, check, output
from carboy.check.probe import headers_of_an_answer
from carboy.cli import cli
from carboy.config import default_config
from carboy.security.secrets import new_key
from carboy.server_sessions import ServerSessions

from . import bad_apps

pytestmark = pytest.mark.beyond

SOURCE = Path(bad_apps.__file__)


def planted() -> set[str]:
    lists = re.findall(r"# plants: ([a-z-]+(?:, [a-z-]+)*)", SOURCE.read_text())
    return {name for found in lists for name in found.split(", ")}


def ids(app: Carboy, **options: Any) -> set[str]:
    return {finding.rule.id for finding in check(app, **{"deploy": True, "environ": {}} | options)}


def good_app() -> Carboy:
    app = Carboy("nowhere")
    app.config.update(
        SECRET_KEY=new_key(),
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_SAMESITE="Lax",
        TRUSTED_HOSTS=["example.org", ".example.org"],
        MAX_CONTENT_LENGTH=1_000_000,
        SECURITY_HEADERS=True,
        CSRF_PROTECT=True,
    )
    app.add_url_rule("/", view_func=lambda: "", methods=["POST"], endpoint="post")
    return app


def test_every_planted_fault_is_found() -> None:
    """HOSTILE-183: what the bad applications plant is found, each fault by its own rule."""
    found = set().union(*(ids(make()) for make in bad_apps.ALL))
    assert planted() - found == set()


def test_every_rule_has_a_planted_fault() -> None:
    """No rule is without a fault that it must find."""
    assert set(RULES) == planted()


def test_a_good_application_has_no_finding() -> None:
    """Nothing is said about an application that is as the documentation wants it."""
    assert ids(good_app()) == set()


def test_an_unconfigured_application_shows_what_flask_leaves_weak() -> None:
    """The weak defaults of the profile `flask` are each named; Carboy's leaves three things."""
    app = Carboy("nowhere")
    app.add_url_rule("/", view_func=lambda: "", methods=["POST"], endpoint="post")
    assert ids(app) == {"secret-key-missing", "hosts-untrusted", "body-unlimited"}
    app.config.update(default_config("flask"))
    assert ids(app) == {
        "secret-key-missing",
        "cookie-not-secure",
        "cookie-samesite",
        "csrf-off",
        "hosts-untrusted",
        "body-unlimited",
        "headers-off",
    }


def test_without_deploy_only_contradictions_are_found() -> None:
    """On a laptop nothing is said about what only matters once strangers can reach it."""
    assert ids(Carboy("nowhere"), deploy=False) == set()
    assert ids(bad_apps.keyless(), deploy=False) == {"cookie-rejected", "setting-misspelt"}


def test_the_place_is_the_line_that_sets_it() -> None:
    """A finding points at the line of the application's source that makes the setting."""
    (finding,) = (f for f in check(bad_apps.keyless(), deploy=True) if f.rule.id == "testing-on")
    assert finding.place.file is not None
    line = SOURCE.read_text().splitlines()[finding.place.line - 1]
    assert finding.place.file.endswith("bad_apps.py")
    assert "TESTING=True" in line


def test_no_finding_shows_a_key() -> None:
    """Reports go to CI logs, so no key stands in one."""
    for make in bad_apps.ALL:
        app = make()
        findings = check(app, deploy=True)
        text = output.as_text(findings) + output.as_json(findings)
        for key in [app.secret_key, *(app.config["SECRET_KEY_FALLBACKS"] or ())]:
            assert not key or f"{key!r}" not in text
            assert not key or len(key) < 8 or str(key) not in text


@pytest.mark.parametrize("way", ["argument", "setting"])
def test_a_rule_can_be_left_out(way: str) -> None:
    """By the command line or by CHECK_IGNORE, one rule at a time."""
    app = Carboy("nowhere")
    options: dict[str, Any] = {}
    if way == "argument":
        options["ignore"] = ["hosts-untrusted"]
    else:
        app.config["CHECK_IGNORE"] = ["hosts-untrusted"]
    found = ids(app, **options)
    assert "hosts-untrusted" not in found
    assert "body-unlimited" in found


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"SESSION_COOKIE_SAMESITE": "None"}, "cookie-samesite"),
        ({"SESSION_COOKIE_SAMESITE": "none", "SESSION_COOKIE_SECURE": False}, "cookie-rejected"),
        ({"SESSION_COOKIE_NAME": "__Secure-x", "SESSION_COOKIE_SECURE": False}, "cookie-rejected"),
        ({"SESSION_COOKIE_NAME": "__Host-x", "SESSION_COOKIE_PATH": "/a"}, "cookie-rejected"),
        ({"SESSION_COOKIE_NAME": "__Host-x", "SESSION_COOKIE_DOMAIN": "a.b"}, "cookie-rejected"),
        ({"SECRET_KEY_FALLBACKS": "abc"}, "secret-key-fallback-weak"),
        ({"TRUSTED_HOSTS": "example.org"}, "hosts-wide"),
        ({"TRUSTED_HOSTS": [".com"]}, "hosts-wide"),
        ({"TRUSTED_HOSTS": ["https://example.org/"]}, "hosts-wide"),
        ({"MAX_CONTENT_LENGTH": 10**12}, "body-unlimited"),
        ({"SECURITY_HEADERS": False}, "headers-off"),
        ({"CSRF_PROTECT": False}, "csrf-off"),
        ({"CORS_ORIGINS": "*"}, "cors-wildcard"),
        ({"CORS_ORIGINS": "*", "CORS_SUPPORTS_CREDENTIALS": True}, "cors-wildcard-credentials"),
        ({"CORS_ORIGINS": [r"https://app\.example\.org"]}, "cors-open-pattern"),
        ({"PERMANENT_SESSION_LIFETIME": 10**9}, "session-long"),
        ({"SESSION_COOKIE_SAME_SITE": "Lax"}, "setting-misspelt"),
    ],
    ids=lambda value: value if isinstance(value, str) else ",".join(value),
)
def test_one_wrong_setting_is_one_finding(settings: dict[str, Any], expected: str) -> None:
    """Each variant of a fault is found by the rule that is about it, and nothing else is said."""
    app = good_app()
    app.config.update(settings)
    found = ids(app)
    assert expected in found
    assert found - {"cookie-not-secure"} == {expected} | (found & {"cookie-samesite"})


@pytest.mark.parametrize(
    ("store", "expected"),
    [
        ("redis://:password@localhost/0", set()),
        ("redis://127.0.0.1:6379/0", set()),
        ("rediss://:password@store.example.org/0", set()),
        ("rediss://store.example.org/0", {"session-store-open"}),
        ("redis://:password@store.example.org/0", {"session-store-open"}),
        ("sqlite:////var/lib/site/sessions.db", set()),
        ("memory:", {"session-store-memory"}),
    ],
)
def test_stores_of_sessions_are_judged_by_their_address(store: str, expected: set[str]) -> None:
    """What lies on this machine, or is encrypted and has a password, is fine."""
    app = good_app()
    app.config["SESSION_STORE"] = store
    ServerSessions(app)
    assert ids(app) == expected
    assert all(
        "password" not in f.seen for f in check(app, deploy=True, environ={}) if "@" in store
    )


def test_settings_that_nothing_reads_are_named() -> None:
    """Each needs a call, which is easily forgotten."""
    app = good_app()
    app.config.update(SESSION_STORE="memory:", MAX_JSON_DEPTH=5, SIGN_IN_PER_ACCOUNT="5 per hour")
    found = [f for f in check(app, environ={}) if f.rule.id == "setting-unused"]
    assert [f.subject for f in found] == ["SESSION_STORE", "SIGN_IN_PER_ACCOUNT", "MAX_JSON_DEPTH"]


@pytest.mark.parametrize(
    "origins", [["https://app.example.org"], [r"^https://([a-z0-9-]+\.)*example\.org$"]]
)
def test_exact_origins_are_fine(origins: list[str]) -> None:
    """Origins that are listed, or matched to their end, are no finding."""
    app = good_app()
    app.config.update(CORS_ORIGINS=origins, CORS_SUPPORTS_CREDENTIALS=True)
    assert ids(app) == set()


def test_options_of_newer_flask_cors_are_read() -> None:
    """Flask-CORS 6 keeps its options in an object, with compiled patterns; older ones in a dict."""
    app = good_app()
    options = SimpleNamespace(origins=[re.compile(".*")], supports_credentials=True)
    bad_apps.flask_cors(app, (re.compile("/*"), options))
    assert ids(app) == {"cors-wildcard-credentials"}


def test_a_debug_variable_in_the_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Debug mode that comes from the environment says from where."""
    monkeypatch.setenv("FLASK_DEBUG", "1")
    app = Carboy("nowhere")
    (finding,) = (f for f in check(app, deploy=True) if f.rule.id == "debug-on")
    assert "FLASK_DEBUG" in finding.seen


def test_a_probe_sees_headers_that_a_hook_sets(app: Any) -> None:
    """With a probe it is the answer that counts, whoever makes its headers."""
    app.config["SECURITY_HEADERS"] = False
    assert "headers-off" in ids(app, probe=True)

    def guard(response: Any) -> Any:
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers["Strict-Transport-Security"] = "max-age=31536000"
        response.headers["Content-Security-Policy"] = "frame-ancestors 'none'"
        return response

    app.after_request_funcs.setdefault(None, []).append(guard)
    assert "headers-off" not in ids(app, probe=True)


def test_a_probe_names_a_trusted_host(app: Any) -> None:
    """The probe is not stopped by the very setting that the check wants."""
    seen = []
    app.config["TRUSTED_HOSTS"] = [".example.org"]
    app.before_request(lambda: seen.append(True))
    headers_of_an_answer(app)
    assert seen == [True]


def test_without_a_probe_no_request_is_made(app: Any) -> None:
    """The check itself runs none of the application's hooks."""
    seen: list[bool] = []
    app.before_request(lambda: seen.append(True))
    check(app, deploy=True)
    assert seen == []


def write_app(folder: Path, body: str) -> Path:
    file = folder / "some_site.py"
    file.write_text(f"from carboy import Carboy\napp = Carboy(__name__)\n{body}\n")
    return file


@pytest.fixture
def carboy(tmp_path: Path, run_python: Callable[..., subprocess.CompletedProcess[str]]) -> Any:
    return lambda *arguments, **env: run_python("-m", "carboy", *arguments, **env)


GOOD = """
import os
app.config.update(
    SECRET_KEY=os.environ["SITE_KEY"], SESSION_COOKIE_SECURE=True, SESSION_COOKIE_SAMESITE="Lax",
    TRUSTED_HOSTS=["example.org"], MAX_CONTENT_LENGTH=1000, SECURITY_HEADERS=True,
)
"""


def test_the_exit_code_is_for_ci(tmp_path: Path, carboy: Any) -> None:
    """HOSTILE-183: 0 for a clean application, 1 for findings, 2 for wrong usage."""
    write_app(tmp_path, GOOD)
    clean = carboy("--app", "some_site", "check", "--deploy", SITE_KEY=new_key())
    assert (clean.returncode, clean.stdout) == (0, "Nothing found.\n"), clean.stderr
    weak = carboy("--app", "some_site", "check", "--deploy", SITE_KEY="dev")
    assert weak.returncode == 1
    assert "error: secret-key-known: SECRET_KEY" in weak.stdout
    assert "where:  some_site.py:6 (app.config['SECRET_KEY'])" in weak.stdout
    wrong = carboy("--app", "some_site", "check", "--ignore", "secret-key", SITE_KEY="dev")
    assert wrong.returncode == 2
    assert "carboy explain" in wrong.stderr


def test_debug_mode_set_in_the_code_is_seen(tmp_path: Path, carboy: Any) -> None:
    """Other commands let the environment decide over debug mode; a production server does not."""
    write_app(tmp_path, "app.debug = True")
    result = carboy("--app", "some_site", "check", "--deploy", "--format", "json")
    assert "debug-on" in [row["id"] for row in json.loads(result.stdout)]


def test_json_has_all_that_the_text_says(tmp_path: Path, carboy: Any) -> None:
    """A program finds id, level, setting, place, reason and remedy in each row."""
    write_app(tmp_path, "app.secret_key = 'dev'")
    result = carboy("--app", "some_site", "check", "--deploy", "--format", "json")
    (row,) = (r for r in json.loads(result.stdout) if r["id"] == "secret-key-known")
    assert (row["level"], row["setting"], row["file"], row["line"]) == (
        "error",
        "SECRET_KEY",
        "some_site.py",
        3,
    )
    assert row["why"]
    assert "carboy secret" in row["remedy"]


def test_sarif_is_what_scanning_services_take(tmp_path: Path, carboy: Any) -> None:
    """Each result names a rule of the driver's list and a file with a line."""
    write_app(tmp_path, "app.secret_key = 'dev'")
    result = carboy("--app", "some_site", "check", "--deploy", "--format", "sarif")
    log = json.loads(result.stdout)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert log["version"] == "2.1.0"
    assert [rule["id"] for rule in rules] == list(RULES)
    assert run["results"]
    for found in run["results"]:
        assert rules[found["ruleIndex"]]["id"] == found["ruleId"]
        assert found["level"] in {"error", "warning", "note"}
        (location,) = found["locations"]
        where = location["physicalLocation"]
        assert where["artifactLocation"]["uri"] == "some_site.py"
        assert where["region"]["startLine"] >= 1


def test_explain_tells_of_each_rule(app: Any) -> None:
    """`carboy explain` lists the rules, and explains one."""
    runner = app.test_cli_runner()
    listed = runner.invoke(cli, ["explain"])
    assert [line.split()[0] for line in listed.output.splitlines()] == list(RULES)
    one = runner.invoke(cli, ["explain", "hosts-untrusted"])
    assert "TRUSTED_HOSTS" in one.output
    assert "Remedy:" in one.output
    none = runner.invoke(cli, ["explain", "host-untrusted"])
    assert none.exit_code == 2
    assert "Did you mean 'hosts-untrusted'?" in none.output


def test_other_commands_do_not_load_the_rules() -> None:
    """What checks is imported by `carboy check` alone, and by no application."""
    code = "import sys, carboy.cli; print([m for m in sys.modules if 'carboy.check' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n"

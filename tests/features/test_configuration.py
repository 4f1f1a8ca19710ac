"""The configuration object, its loaders and the built-in keys."""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import sys
import tomllib
import types
from typing import Any

import pytest
import werkzeug.exceptions

from carboy import (
    Blueprint,
    Carboy,
    Config,
    current_app,
    jsonify,
    render_template_string,
    request,
    url_for,
)
from carboy.config import ConfigAttribute

from .child import run_python

DEFAULTS: dict[str, Any] = {
    "DEBUG": False,
    "TESTING": False,
    "PROPAGATE_EXCEPTIONS": None,
    "SECRET_KEY": None,
    "SECRET_KEY_FALLBACKS": None,
    "PERMANENT_SESSION_LIFETIME": datetime.timedelta(days=31),
    "USE_X_SENDFILE": False,
    "TRUSTED_HOSTS": None,
    "SERVER_NAME": None,
    "APPLICATION_ROOT": "/",
    "SESSION_COOKIE_NAME": "session",
    "SESSION_COOKIE_DOMAIN": None,
    "SESSION_COOKIE_PATH": None,
    "SESSION_COOKIE_HTTPONLY": True,
    "SESSION_COOKIE_SECURE": False,
    "SESSION_COOKIE_PARTITIONED": False,
    "SESSION_COOKIE_SAMESITE": None,
    "SESSION_REFRESH_EACH_REQUEST": True,
    "MAX_CONTENT_LENGTH": None,
    "MAX_FORM_MEMORY_SIZE": 500_000,
    "MAX_FORM_PARTS": 1_000,
    "SEND_FILE_MAX_AGE_DEFAULT": None,
    "TRAP_BAD_REQUEST_ERRORS": None,
    "TRAP_HTTP_EXCEPTIONS": False,
    "EXPLAIN_TEMPLATE_LOADING": False,
    "PREFERRED_URL_SCHEME": "http",
    "TEMPLATES_AUTO_RELOAD": None,
    "MAX_COOKIE_SIZE": 4093,
    "PROVIDE_AUTOMATIC_OPTIONS": True,
}


class Base:
    COLOUR = "blue"
    lower = "ignored"
    Mixed = "ignored"


class Derived(Base):
    SIZE = 3

    @property
    def COMPUTED(self) -> str:
        return f"{self.COLOUR} {self.SIZE}"


def test_config_is_a_dict(app: Carboy) -> None:
    """CONF-01: app.config is a dict subclass: assignment, update, get and pop work."""
    assert isinstance(app.config, dict) and isinstance(app.config, Config)
    app.config["COLOUR"] = "blue"
    app.config.update(SIZE=3, lower_case_is_fine_here=True)
    assert app.config["COLOUR"] == "blue"
    assert app.config.get("NOTHING") is None
    assert app.config.get("NOTHING", 1) == 1
    with pytest.raises(KeyError):
        app.config["NOTHING"]
    assert app.config.pop("SIZE") == 3
    assert "Config" in repr(app.config)


#: Of these Carboy's own profile has a safer default: docs/migrate-from-flask.md.
SAFER = {"SESSION_COOKIE_SECURE", "SESSION_COOKIE_SAMESITE"}


def test_defaults_of_the_built_in_keys(app: Carboy) -> None:
    """CONF-02: each built-in key is there with its documented default."""
    expected = {key: value for key, value in DEFAULTS.items() if key not in SAFER}
    assert {key: app.config.get(key, "absent") for key in expected} == expected
    assert all(key in Carboy.default_config for key in DEFAULTS)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (Base, {"COLOUR": "blue"}),
        (Derived, {"COLOUR": "blue", "SIZE": 3}),
        (Derived(), {"COLOUR": "blue", "SIZE": 3, "COMPUTED": "blue 3"}),
        (types.SimpleNamespace(COLOUR="red", size=1), {"COLOUR": "red"}),
        (f"{__name__}.Base", {"COLOUR": "blue"}),
        (f"{__name__}:Base", {"COLOUR": "blue"}),
    ],
)
def test_from_object(app: Carboy, given: Any, wanted: dict[str, Any]) -> None:
    """CONF-03: from_object takes upper-case attributes of classes, instances, import strings."""
    before = set(app.config)
    app.config.from_object(given)
    found = {key: app.config[key] for key in set(app.config) - before}
    found.pop("COMPUTED", None) if "COMPUTED" not in wanted else None
    assert found == wanted


def test_from_object_takes_a_module(app: Carboy) -> None:
    """CONF-03: a module's upper-case names are configuration, by object or by name."""
    app.config.from_object(sys.modules[__name__])
    assert app.config["DEFAULTS"] is DEFAULTS
    other = Carboy("other")
    other.config.from_object(__name__)
    assert other.config["DEFAULTS"] is DEFAULTS


def test_from_object_of_a_wrong_name_fails(app: Carboy) -> None:
    """CONF-03: an import string that leads nowhere raises ImportError."""
    with pytest.raises(ImportError):
        app.config.from_object("no.such.module.Config")


def test_from_pyfile(app: Carboy, tmp_path: pathlib.Path) -> None:
    """CONF-04: from_pyfile runs a Python file, relative to the root path, upper-case only."""
    (tmp_path / "settings.cfg").write_text("import os\nCOLOUR = 'b' + 'lue'\nlower = 1\n")
    assert app.config.from_pyfile("settings.cfg") is True
    assert app.config["COLOUR"] == "blue"
    assert "lower" not in app.config and "os" not in app.config
    assert app.config.from_pyfile(tmp_path / "settings.cfg") is True
    assert app.config.from_pyfile("missing.cfg", silent=True) is False
    with pytest.raises(FileNotFoundError, match="Unable to load configuration file"):
        app.config.from_pyfile("missing.cfg")


def test_from_pyfile_knows_its_own_name(app: Carboy, tmp_path: pathlib.Path) -> None:
    """CONF-04: the file sees __file__, and its errors are not hidden by silent."""
    (tmp_path / "a.cfg").write_text("HERE = __file__\n")
    app.config.from_pyfile("a.cfg")
    assert app.config["HERE"].endswith("a.cfg")
    (tmp_path / "bad.cfg").write_text("X = 1 / 0\n")
    with pytest.raises(ZeroDivisionError):
        app.config.from_pyfile("bad.cfg", silent=True)


@pytest.mark.parametrize("name", ["APP_CONFIG_FILE", "APP_CONFIG", "APP_SETTINGS"])
def test_from_envvar(
    app: Carboy, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """CONF-05: an environment variable names the file; unset is an error unless silent."""
    monkeypatch.delenv(name, raising=False)
    with pytest.raises(RuntimeError, match=f"'{name}' is not set"):
        app.config.from_envvar(name)
    assert app.config.from_envvar(name, silent=True) is False
    (tmp_path / "env.cfg").write_text("COLOUR = 'env'\n")
    monkeypatch.setenv(name, str(tmp_path / "env.cfg"))
    assert app.config.from_envvar(name) is True
    assert app.config["COLOUR"] == "env"
    monkeypatch.setenv(name, "missing.cfg")
    assert app.config.from_envvar(name, silent=True) is False
    with pytest.raises(FileNotFoundError):
        app.config.from_envvar(name)


def test_from_file_json(app: Carboy, tmp_path: pathlib.Path) -> None:
    """CONF-06: from_file(path, load=json.load) reads upper-case keys of a JSON file."""
    (tmp_path / "c.json").write_text(json.dumps({"COLOUR": "blüe", "lower": 1}), "utf-8")
    assert app.config.from_file("c.json", load=json.load) is True
    assert app.config["COLOUR"] == "blüe"
    assert "lower" not in app.config
    assert app.config.from_file("missing.json", load=json.load, silent=True) is False
    with pytest.raises(FileNotFoundError):
        app.config.from_file("missing.json", load=json.load)


def test_from_file_toml(app: Carboy, tmp_path: pathlib.Path) -> None:
    """CONF-07: tomllib.load works with text=False."""
    (tmp_path / "c.toml").write_text('COLOUR = "blue"\n[DATABASE]\nport = 5432\n')
    assert app.config.from_file("c.toml", load=tomllib.load, text=False) is True
    assert app.config["DATABASE"] == {"port": 5432}


def test_from_mapping(app: Carboy) -> None:
    """CONF-08: from_mapping takes a mapping and keywords, upper-case keys only."""
    assert app.config.from_mapping({"COLOUR": "blue", "lower": 1}, SIZE=3) is True
    assert (app.config["COLOUR"], app.config["SIZE"]) == ("blue", 3)
    assert "lower" not in app.config
    with pytest.raises(TypeError):
        app.config.from_mapping({}, {})


def test_from_prefixed_env(app: Carboy, monkeypatch: pytest.MonkeyPatch) -> None:
    """CONF-09: FLASK_ variables become keys, values are JSON where they can be."""
    for name, value in {
        "FLASK_STRING": "value",
        "FLASK_BOOL": "true",
        "FLASK_INT": "42",
        "FLASK_LIST": "[1, 2]",
        "FLASK_NOT_JSON": "{bad",
        "FLASK_DB__HOST": "local",
        "FLASK_DB__POOL__SIZE": "5",
        "NOT_PREFIXED": "x",
    }.items():
        monkeypatch.setenv(name, value)
    assert app.config.from_prefixed_env() is True
    wanted = {
        "STRING": "value",
        "BOOL": True,
        "INT": 42,
        "LIST": [1, 2],
        "NOT_JSON": "{bad",
        "DB": {"HOST": "local", "POOL": {"SIZE": 5}},
    }
    assert {key: app.config[key] for key in wanted} == wanted
    assert "NOT_PREFIXED" not in app.config and "PREFIXED" not in app.config


def test_from_prefixed_env_with_other_prefix_and_loader(
    app: Carboy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CONF-09: the prefix and the function that reads values can be chosen."""
    monkeypatch.setenv("SHOP_COLOUR", "12")
    app.config.from_prefixed_env("SHOP", loads=str)
    assert app.config["COLOUR"] == "12"


def test_from_prefixed_env_extends_nested_values(
    app: Carboy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CONF-09: `__` sets one key of a dict that the configuration already has."""
    app.config["DB"] = {"HOST": "a", "PORT": 1}
    monkeypatch.setenv("FLASK_DB__HOST", "b")
    app.config.from_prefixed_env()
    assert app.config["DB"] == {"HOST": "b", "PORT": 1}


def test_get_namespace(app: Carboy) -> None:
    """CONF-10: get_namespace gives the keys of a prefix, lowered and trimmed if wished."""
    app.config.update(MAIL_HOST="h", MAIL_PORT=25, OTHER=1)
    assert app.config.get_namespace("MAIL_") == {"host": "h", "port": 25}
    assert app.config.get_namespace("MAIL_", lowercase=False) == {"HOST": "h", "PORT": 25}
    assert app.config.get_namespace("MAIL_", trim_namespace=False) == {
        "mail_host": "h",
        "mail_port": 25,
    }


def test_config_in_views_templates_and_current_app(app: Carboy) -> None:
    """CONF-11: views reach the configuration by app, current_app and in templates."""
    app.config["COLOUR"] = "blue"

    @app.get("/")
    def index() -> str:
        assert current_app.config is app.config
        return render_template_string("{{ config.COLOUR }} {{ config['COLOUR'] }}")

    assert app.test_client().get("/").text == "blue blue"


@pytest.mark.parametrize(
    ("value", "debug"), [("1", True), ("0", False), ("true", True), ("no", False)]
)
def test_flask_debug_variable_sets_debug(
    monkeypatch: pytest.MonkeyPatch, value: str, debug: bool
) -> None:
    """CONF-14: FLASK_DEBUG decides the debug flag of a new application."""
    monkeypatch.setenv("FLASK_DEBUG", value)
    assert Carboy("x").debug is debug


@pytest.mark.parametrize("value", ["development", "production"])
def test_flask_env_variable_does_nothing(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """CONF-14: FLASK_ENV changes neither debug nor any key; there is no app.env."""
    monkeypatch.setenv("FLASK_ENV", value)
    app = Carboy("x")
    assert app.debug is False
    assert "ENV" not in app.config
    assert not hasattr(app, "env")


def test_attributes_mirror_keys(app: Carboy) -> None:
    """CONF-15: debug, testing, secret_key and permanent_session_lifetime are config keys."""
    app.debug = True
    app.testing = True
    app.secret_key = "key"
    app.permanent_session_lifetime = 60
    assert app.config["DEBUG"] is app.config["TESTING"] is True
    assert app.config["SECRET_KEY"] == "key"
    assert app.permanent_session_lifetime == datetime.timedelta(seconds=60)
    app.config.update(DEBUG=False, TESTING=False)
    assert app.debug is False and app.testing is False


def test_config_attribute_forwards_on_any_class() -> None:
    """CONF-15: ConfigAttribute forwards an attribute to a key, converting when read."""

    class Own(Carboy):
        size = ConfigAttribute("SIZE", get_converter=int)

    app = Own("x")
    app.config["SIZE"] = "3"
    assert app.size == 3
    app.size = 4
    assert app.config["SIZE"] == 4
    assert isinstance(Own.size, ConfigAttribute)


def test_instance_folder(tmp_path: pathlib.Path) -> None:
    """CONF-16: instance_relative_config reads files from the instance folder, which may miss."""
    instance = tmp_path / "private"
    app = Carboy(
        "x", root_path=str(tmp_path), instance_path=str(instance), instance_relative_config=True
    )
    assert app.instance_path == str(instance)
    assert app.config.from_pyfile("override.cfg", silent=True) is False
    os.makedirs(app.instance_path)
    (instance / "override.cfg").write_text("COLOUR = 'instance'\n")
    (tmp_path / "override.cfg").write_text("COLOUR = 'root'\n")
    app.config["COLOUR"] = "default"
    app.config.from_pyfile("override.cfg")
    assert app.config["COLOUR"] == "instance"
    with app.open_instance_resource("note.txt", "w") as file:
        file.write("kept")
    assert (instance / "note.txt").read_text() == "kept"


def test_instance_path_beside_a_module_or_package(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CONF-16: by default the instance folder lies beside the module or the package."""
    (tmp_path / "single_module_app.py").write_text(
        "from carboy import Carboy\napp = Carboy(__name__)\n"
    )
    package = tmp_path / "packaged_app"
    package.mkdir()
    (package / "__init__.py").write_text("from carboy import Carboy\napp = Carboy(__name__)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import importlib

    try:
        for name in ("single_module_app", "packaged_app"):
            module = importlib.import_module(name)
            assert module.app.instance_path == str(tmp_path / "instance")
    finally:
        for name in ("single_module_app", "packaged_app"):
            sys.modules.pop(name, None)


def test_instance_path_must_be_absolute() -> None:
    """CONF-16: a relative instance_path is a ValueError."""
    with pytest.raises(ValueError, match="must be absolute"):
        Carboy("x", instance_path="instance")


@pytest.mark.parametrize(
    ("config", "propagates"),
    [
        ({}, False),
        ({"TESTING": True}, True),
        ({"DEBUG": True}, True),
        ({"PROPAGATE_EXCEPTIONS": True}, True),
        ({"TESTING": True, "PROPAGATE_EXCEPTIONS": False}, False),
        ({"DEBUG": True, "PROPAGATE_EXCEPTIONS": False}, False),
    ],
)
def test_exceptions_propagate_by_setting(
    app: Carboy, config: dict[str, Any], propagates: bool
) -> None:
    """CONF-18: TESTING, debug and PROPAGATE_EXCEPTIONS let errors through; the last wins."""
    app.config.update(config)
    app.add_url_rule("/", "index", lambda: str(1 / 0))
    client = app.test_client()
    if propagates:
        with pytest.raises(ZeroDivisionError):
            client.get("/")
    else:
        assert client.get("/").status_code == 500


def test_trap_http_exceptions(app: Carboy) -> None:
    """CONF-19: TRAP_HTTP_EXCEPTIONS treats HTTP errors of views as any exception."""
    app.config.update(TRAP_HTTP_EXCEPTIONS=True, TESTING=True)
    app.add_url_rule("/", "index", lambda: werkzeug.exceptions.abort(403))
    with pytest.raises(werkzeug.exceptions.Forbidden):
        app.test_client().get("/")


@pytest.mark.parametrize(
    ("trap", "debug", "raises"),
    [(None, False, False), (None, True, True), (True, False, True), (False, True, False)],
)
def test_trap_bad_request_errors(app: Carboy, trap: bool | None, debug: bool, raises: bool) -> None:
    """CONF-19: TRAP_BAD_REQUEST_ERRORS raises missing keys; unset, debug mode decides."""
    app.config.update(TRAP_BAD_REQUEST_ERRORS=trap, TESTING=True)
    app.debug = debug
    app.add_url_rule("/key", "key", lambda: request.form["missing"])
    app.add_url_rule("/abort", "abort", lambda: werkzeug.exceptions.abort(400))
    client = app.test_client()
    if raises:
        with pytest.raises(KeyError, match="missing"):
            client.get("/key")
    else:
        assert client.get("/key").status_code == 400
    if trap:
        with pytest.raises(werkzeug.exceptions.BadRequest):
            client.get("/abort")
    else:
        assert client.get("/abort").status_code == 400


def test_provide_automatic_options(app: Carboy) -> None:
    """CONF-20: PROVIDE_AUTOMATIC_OPTIONS = False gives routes no OPTIONS of their own."""
    app.add_url_rule("/with", "with", lambda: "")
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.add_url_rule("/without", "without", lambda: "")
    client = app.test_client()
    assert client.options("/with").status_code == 200
    assert client.options("/without").status_code == 405


def test_sort_keys_of_the_json_provider(app: Carboy) -> None:
    """CONF-21: app.json.sort_keys decides the order of keys."""
    app.add_url_rule("/", "index", lambda: jsonify({"b": 1, "a": 2}))
    client = app.test_client()
    assert list(client.get("/").json) == ["a", "b"]
    app.json.sort_keys = False
    assert list(client.get("/").json) == ["b", "a"]


def test_preferred_url_scheme(app: Carboy) -> None:
    """CONF-24: PREFERRED_URL_SCHEME is the scheme of URLs built without a request."""
    app.config.update(SERVER_NAME="example.test", PREFERRED_URL_SCHEME="https")
    app.add_url_rule("/x", "x", lambda: url_for("x", _external=True))
    with app.app_context():
        assert url_for("x") == "https://example.test/x"
    # In a request the request's own scheme counts.
    assert (
        app.test_client().get("/x", base_url="http://example.test").text == "http://example.test/x"
    )


def test_config_class_can_be_replaced() -> None:
    """CONF-01: config_class names the class of app.config."""

    class Own(Config):
        pass

    class App(Carboy):
        config_class = Own

    assert type(App("x").config) is Own


def test_default_config_of_a_subclass() -> None:
    """CONF-02: default_config of a subclass gives other defaults; apps do not share them."""

    class App(Carboy):
        default_config = {**Carboy.default_config, "COLOUR": "blue"}

    first, second = App("x"), App("y")
    first.config["COLOUR"] = "red"
    assert second.config["COLOUR"] == "blue"


def test_applications_do_not_share_configuration() -> None:
    """CONF-01: changing one application's configuration leaves another's alone."""
    first, second = Carboy("x"), Carboy("y")
    first.config["DEBUG"] = True
    first.config.from_mapping(COLOUR="red")
    assert second.config["DEBUG"] is False and "COLOUR" not in second.config


def test_blueprints_read_configuration_at_registration(app: Carboy) -> None:
    """CONF-11: recorded functions may use the configuration of the app that registers."""
    app.config["PREFIX"] = "/shop"
    bp = Blueprint("bp", __name__)
    bp.record(lambda state: state.add_url_rule(state.app.config["PREFIX"], "x", lambda: "ok"))
    app.register_blueprint(bp)
    assert app.test_client().get("/shop").text == "ok"


def test_config_is_usable_without_an_application(tmp_path: pathlib.Path) -> None:
    """CONF-01: Config(root_path, defaults) stands alone."""
    config = Config(tmp_path, {"COLOUR": "blue"})
    (tmp_path / "x.cfg").write_text("SIZE = 1\n")
    config.from_pyfile("x.cfg")
    assert dict(config) == {"COLOUR": "blue", "SIZE": 1}


def test_debug_variable_is_read_in_a_fresh_process(tmp_path: pathlib.Path) -> None:
    """CONF-14: FLASK_DEBUG=1 in the environment of a process puts its application in debug."""
    code = "from carboy import Carboy; app = Carboy('x'); print(app.debug, app.config['DEBUG'])"
    done = run_python("-c", code, cwd=tmp_path, FLASK_DEBUG="1")
    assert done.stdout.split() == ["True", "True"], done.stderr

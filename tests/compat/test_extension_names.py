"""The names, private ones too, that popular extensions and their tests reach for in Flask.

Read off the sources and test suites of three dozen extensions and programs. What they override or
write at run time is in test_extension_hooks.py.
"""

from __future__ import annotations

import gc
import importlib
import weakref
from typing import Any
from unittest import mock

import pytest

import carboy
from carboy import Blueprint, Carboy, g, request, session
from carboy.globals import app_ctx, request_ctx
from carboy.sessions import SecureCookieSession

# The package that really holds the code; "flask" where these tests run on the real one.
PACKAGE = carboy.Blueprint.__module__.split(".")[0]


# -- names --------------------------------------------------------------------------------------

MODULES = {
    "app": "Flask Rule",
    "blueprints": "Blueprint BlueprintSetupState",
    "cli": (
        "AppGroup FlaskGroup NoAppException ScriptInfo cli click find_best_app get_version"
        " load_dotenv locate_app prepare_import run_command with_appcontext"
    ),
    "config": "Config ConfigAttribute",
    "ctx": "AppContext RequestContext",
    "debughelpers": "DebugFilesKeyError",
    "globals": "_cv_app _cv_request app_ctx request_ctx current_app g request session",
    "helpers": "get_debug_flag make_response url_for",
    "json": "dump dumps jsonify load loads",
    "json.provider": "DefaultJSONProvider JSONProvider",
    "json.tag": "JSONTag TaggedJSONSerializer",
    "logging": "default_handler has_level_handler wsgi_errors_stream",
    "sansio.app": "App",
    "sansio.blueprints": "Blueprint",
    "sansio.scaffold": "_endpoint_from_view_func Scaffold",
    "sessions": "SecureCookieSessionInterface SessionInterface SessionMixin",
    "signals": "Namespace got_request_exception message_flashed",
    "templating": "Environment render_template render_template_string",
    "testing": "EnvironBuilder FlaskCliRunner FlaskClient",
    "typing": "HeadersValue ResponseReturnValue ResponseValue RouteCallable",
    "views": "MethodView View http_method_funcs",
    "wrappers": "Request Response",
}

TOP_LEVEL = """
    Blueprint Config Flask Request Response abort after_this_request appcontext_popped
    appcontext_pushed appcontext_tearing_down before_render_template copy_current_request_context
    current_app flash g get_flashed_messages get_template_attribute got_request_exception
    has_app_context has_request_context json jsonify make_response message_flashed redirect
    render_template render_template_string request request_finished request_started
    request_tearing_down send_file send_from_directory session stream_template
    stream_template_string stream_with_context template_rendered url_for
"""

# Tried behind a fallback for old versions: where one exists, the extension takes its old road.
GONE = {
    "": "Module _app_ctx_stack _request_ctx_stack signals_available escape Markup JSONEncoder",
    "app": "_app_ctx_stack _request_ctx_stack setupmethod_error",
    "globals": "_app_ctx_stack _request_ctx_stack",
    "helpers": "safe_join total_seconds locked_cached_property",
    "json": "JSONEncoder JSONDecoder htmlsafe_dumps",
    "signals": "signals_available",
    "wrappers": "JSONMixin",
}


def rows(table: dict[str, str]) -> list[tuple[str, str]]:
    return [(module, name) for module, names in table.items() for name in names.split()]


def module_of(name: str) -> Any:
    return importlib.import_module(f"{PACKAGE}.{name}" if name else PACKAGE)


@pytest.mark.parametrize(("module", "name"), rows(MODULES))
def test_a_name_that_extensions_import_is_at_its_place(module: str, name: str) -> None:
    assert getattr(module_of(module), name) is not None


@pytest.mark.parametrize("name", TOP_LEVEL.split())
def test_a_name_of_the_package_is_there(name: str) -> None:
    assert getattr(carboy, name) is not None


@pytest.mark.parametrize(("module", "name"), rows(GONE))
def test_a_name_that_flask_has_dropped_is_absent(module: str, name: str) -> None:
    assert not hasattr(module_of(module), name)


@pytest.mark.beyond
def test_the_endpoint_helper_is_where_old_releases_had_it() -> None:
    """Flask has moved it twice; extensions try the places in turn."""
    old, new = module_of("helpers"), module_of("sansio.scaffold")
    assert old._endpoint_from_view_func is new._endpoint_from_view_func


def test_paths_that_are_patched_as_strings_can_be_followed() -> None:
    with mock.patch(f"{PACKAGE}.helpers.werkzeug.utils.send_file", return_value="patched"):
        assert module_of("helpers").werkzeug.utils.send_file() == "patched"
    with mock.patch(f"{PACKAGE}.cli.load_dotenv", return_value="patched"):
        assert module_of("cli").load_dotenv() == "patched"


# -- attributes ---------------------------------------------------------------------------------

ATTRIBUTES = {
    "app": """
        aborter add_template_filter add_template_test add_url_rule after_request after_request_funcs
        app_context app_ctx_globals_class before_request before_request_funcs blueprints cli config
        context_processor create_url_adapter debug default_config dispatch_request ensure_sync
        errorhandler extensions full_dispatch_request get_send_file_max_age handle_exception
        handle_http_exception handle_url_build_error handle_user_exception has_static_folder
        import_name inject_url_defaults instance_path jinja_env jinja_loader json json_provider_class
        log_exception logger make_default_options_response make_response name open_resource
        permanent_session_lifetime preprocess_request process_response raise_routing_exception
        redirect register_blueprint register_error_handler request_context response_class root_path
        route run secret_key send_static_file session_interface shell_context_processor
        static_folder static_url_path subdomain_matching teardown_appcontext
        teardown_appcontext_funcs teardown_request teardown_request_funcs
        template_context_processors template_filter template_folder template_global template_test
        test_cli_runner test_cli_runner_class test_client test_client_class test_request_context
        testing url_build_error_handlers url_default_functions url_defaults url_for url_map
        url_value_preprocessor url_value_preprocessors view_functions wsgi_app error_handler_spec
        _got_first_request _method_route
    """,
    "blueprint": """
        add_app_template_filter add_app_template_global add_app_template_test add_url_rule
        after_app_request after_request after_request_funcs app_context_processor app_errorhandler
        app_template_filter app_template_global app_template_test app_url_defaults
        app_url_value_preprocessor before_app_request before_request cli context_processor endpoint
        errorhandler get_send_file_max_age has_static_folder import_name jinja_loader
        make_setup_state name open_resource record record_once register register_blueprint
        register_error_handler root_path route send_static_file static_folder static_url_path
        subdomain teardown_app_request teardown_request template_folder url_defaults url_prefix
        url_value_preprocessor url_values_defaults view_functions _method_route deferred_functions
    """,
    "request": "blueprint blueprints endpoint routing_exception url_rule view_args max_content_length",
    "request_ctx": "app match_request push pop request session _session url_adapter flashes copy",
    "app_ctx": "app g push pop url_adapter",
    "client": "application open session_transaction _request_from_builder_args environ_base",
    "interface": """
        get_cookie_domain get_cookie_httponly get_cookie_name get_cookie_path get_cookie_samesite
        get_cookie_secure get_expiration_time is_null_session make_null_session open_session
        pickle_based save_session serializer session_class should_set_cookie digest_method salt
        get_signing_serializer key_derivation null_session_class
    """,
    "template_loader": "list_templates load get_source",
}


@pytest.fixture
def objects(app: Carboy) -> Any:
    app.secret_key = "secret"
    blueprint = Blueprint("part", __name__)
    client = app.test_client()
    with app.test_request_context():
        yield {
            "app": app,
            "blueprint": blueprint,
            "request": request._get_current_object(),
            "request_ctx": request_ctx._get_current_object(),
            "app_ctx": app_ctx._get_current_object(),
            "client": client,
            "interface": app.session_interface,
            "template_loader": app.jinja_env.loader,
        }


@pytest.mark.parametrize(("kind", "name"), rows(ATTRIBUTES))
def test_an_attribute_that_extensions_use_is_there(objects: Any, kind: str, name: str) -> None:
    assert hasattr(objects[kind], name)


def test_any_attribute_may_be_hung_on_the_app_the_request_and_the_contexts(app: Carboy) -> None:
    app.of_an_extension = app  # type: ignore[attr-defined]
    with app.test_request_context():
        for thing in (request, request_ctx, app_ctx, g):
            thing.of_an_extension = 1
            assert thing.of_an_extension == 1


def test_got_first_request_turns_true_with_the_first_request(app: Carboy) -> None:
    assert app._got_first_request is False
    app.test_client().get("/")
    assert app._got_first_request is True


def test_method_route_takes_the_method_the_rule_and_options(app: Carboy) -> None:
    @app._method_route("PATCH", "/p", {"endpoint": "named"})
    def patch() -> str:
        return "patched"

    assert app.test_client().patch("/p").text == "patched"
    assert "named" in app.view_functions


def test_the_client_makes_requests_from_builder_arguments(app: Carboy) -> None:
    made = app.test_client()._request_from_builder_args(("/path",), {"query_string": "a=1"})
    assert (made.path, made.args["a"]) == ("/path", "1")


def test_the_context_gives_its_session_without_marking_it(app: Carboy) -> None:
    app.secret_key = "secret"
    with app.test_request_context():
        found = request_ctx._session
        assert isinstance(found, SecureCookieSession)
        assert not found.accessed
        assert session == {} and found.accessed


def test_a_new_application_is_freed_without_the_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        app = Carboy("short_lived", root_path="/")
        gone = weakref.ref(app)
        del app
        assert gone() is None
    finally:
        gc.enable()

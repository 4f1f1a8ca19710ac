"""What old releases of Flask had and 3.1 has not, and what to write instead.

One table for `carboy doctor`, which looks for uses in an application's sources, and for the
explanation of an `ImportError` that such a use causes.
"""

from __future__ import annotations

from typing import NamedTuple


class Dropped(NamedTuple):
    """The release of Flask that has it no more, and what to do."""

    since: str
    fix: str


_CONTEXT = Dropped("2.3", "use request_ctx and app_ctx from flask.globals, or store on flask.g")
_MARKUP = Dropped("3.0", "import it from markupsafe")
_SAFE_JOIN = Dropped("2.1", "import it from werkzeug.utils")
_ENCODER = Dropped("2.3", "subclass flask.json.provider.DefaultJSONProvider, set it as app.json")
_ENVIRONMENT = Dropped("2.3", "use --debug, FLASK_DEBUG and a setting of your own instead")
_FIRST = Dropped("2.3", "call the function where the application is made")
_OF_PROVIDER = Dropped("2.3", "set an attribute of app.json instead")
_OF_CONFIG = Dropped("2.3", "read and write app.config instead")
_SIGNALS = Dropped("3.0", "leave the question out: signals are always available")

#: Module -> name -> what has become of it. The name "" is the module itself.
NAMES: dict[str, dict[str, Dropped]] = {
    "flask": {
        "_app_ctx_stack": _CONTEXT,
        "_request_ctx_stack": _CONTEXT,
        "escape": _MARKUP,
        "Markup": _MARKUP,
        "Module": Dropped("0.10", "use flask.Blueprint"),
        "safe_join": _SAFE_JOIN,
        "signals_available": _SIGNALS,
    },
    "flask._compat": {"": Dropped("2.0", "write for Python 3")},
    "flask.ext": {"": Dropped("1.0", "import the extension under its own name, flask_NAME")},
    "flask.exthook": {"": Dropped("1.0", "import extensions under their own names, flask_NAME")},
    "flask.globals": {"_app_ctx_stack": _CONTEXT, "_request_ctx_stack": _CONTEXT},
    "flask.helpers": {
        "get_env": _ENVIRONMENT,
        "locked_cached_property": Dropped("3.0", "use cached_property of werkzeug.utils"),
        "safe_join": _SAFE_JOIN,
        "total_seconds": Dropped("2.1", "call the timedelta's own total_seconds()"),
    },
    "flask.json": {
        "JSONDecoder": _ENCODER,
        "JSONEncoder": _ENCODER,
        "htmlsafe_dump": Dropped("2.1", "use the filter tojson, or jinja2.utils"),
        "htmlsafe_dumps": Dropped("2.1", "use jinja2.utils.htmlsafe_json_dumps"),
    },
    "flask.scaffold": {"": Dropped("3.0", "import from flask.sansio.scaffold")},
    "flask.signals": {"signals_available": _SIGNALS},
    "flask.views": {"MethodViewType": Dropped("2.2", "use MethodView; there is no metaclass")},
    "flask.wrappers": {"JSONMixin": Dropped("1.1", "use flask.Request and flask.Response")},
}

#: Attributes of an application, blueprint or configuration.
ATTRIBUTES: dict[str, Dropped] = {
    "before_app_first_request": _FIRST,
    "before_first_request": _FIRST,
    "before_first_request_funcs": _FIRST,
    "from_json": Dropped("2.1", "use app.config.from_file(name, load=json.load)"),
    "got_first_request": Dropped("3.0", "leave the question out, or ask app._got_first_request"),
    "json_decoder": _ENCODER,
    "json_encoder": _ENCODER,
    "propagate_exceptions": _OF_CONFIG,
    "send_file_max_age_default": _OF_CONFIG,
    "session_cookie_name": _OF_CONFIG,
    "templates_auto_reload": _OF_CONFIG,
    "use_x_sendfile": _OF_CONFIG,
}

#: Attributes that other things have, too: only what is called `app` or the like is meant.
ATTRIBUTES_OF_AN_APP: dict[str, Dropped] = {"env": _ENVIRONMENT}

#: Keys of the configuration that are not looked at. (JSON_SORT_KEYS is: Carboy honours it.)
KEYS: dict[str, Dropped] = {
    "ENV": _ENVIRONMENT,
    "JSONIFY_MIMETYPE": _OF_PROVIDER,
    "JSONIFY_PRETTYPRINT_REGULAR": _OF_PROVIDER,
    "JSON_AS_ASCII": _OF_PROVIDER,
}

#: Arguments of send_file and send_from_directory.
ARGUMENTS: dict[str, Dropped] = {
    "add_etags": Dropped("2.1", "call it etag"),
    "attachment_filename": Dropped("2.1", "call it download_name"),
    "cache_timeout": Dropped("2.1", "call it max_age"),
}


def find(module: str, name: str = "") -> Dropped | None:
    """What has become of `name` in `module`, or of the module; None when Flask 3.1 has it."""
    for known in (module, f"{module}.{name}" if name else module):
        gone = NAMES.get(known, {}).get("")
        if gone is not None:
            return gone
    parent = module.rpartition(".")[0]
    if parent in ("flask.ext",):
        return find(parent)
    return NAMES.get(module, {}).get(name)

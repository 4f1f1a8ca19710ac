"""The application object. It states the API; each body delegates to the room that does the work."""

from __future__ import annotations

import collections.abc as cabc
import os
import sys
import typing as t
import warnings
import weakref
from datetime import timedelta
from functools import partial
from inspect import iscoroutinefunction

from werkzeug.datastructures import ImmutableDict
from werkzeug.exceptions import Aborter, BadRequest, BadRequestKeyError, HTTPException
from werkzeug.routing import BuildError, Map, MapAdapter, RequestRedirect, Rule
from werkzeug.utils import redirect as make_redirect
from werkzeug.wsgi import get_host

from . import bridges, config, ending, pipeline, responding, steps
from .bridges import LOOP_BRIDGE, WSGI_BRIDGE, drive
from .config import Config, ConfigAttribute
from .ctx import AppContext, RequestContext, _AppCtxGlobals
from .descriptors import lazy
from .errors import setup_finished
from .files import StaticFiles
from .gateways.wsgi import wsgi_app
from .globals import _cv, _get_request_context, g
from .helpers import _default_template_ctx_processor, get_debug_flag, select_autoescape
from .hosts import check_trusted, is_below
from .json.provider import DefaultJSONProvider, JSONProvider
from .logging import create_logger, printable
from .plan import LIFECYCLE, HookTable, Plans, remember_originals
from .routing import LazyRule, Router, UrlBuilder
from .scaffold import (
    Scaffold,
    _endpoint_from_view_func,
    _sentinel,
    find_package,
    named,
    setupmethod,
)
from .serving import Serving
from .sessions import SecureCookieSessionInterface, SessionInterface
from .shortcuts import SLOW
from .urls import remember_originals as remember_url_methods
from .urls import short_method, url_for
from .wrappers import Request, Response, _split_blueprint_path

if t.TYPE_CHECKING:
    import logging
    from concurrent.futures import Future
    from types import TracebackType

    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from jinja2 import BaseLoader, Environment
    from werkzeug.wrappers import Response as BaseResponse

    from . import typing as ct
    from .blueprints import Blueprint
    from .scaffold import T_teardown
    from .testing import AsyncClient, FlaskClient, FlaskCliRunner
    from .transport import RequestHead

    ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]

F = t.TypeVar("F", bound=t.Callable[..., t.Any])
T_shell_context_processor = t.TypeVar(
    "T_shell_context_processor", bound="ct.ShellContextProcessorCallable"
)
T_template_filter = t.TypeVar("T_template_filter", bound="ct.TemplateFilterCallable")
T_template_global = t.TypeVar("T_template_global", bound="ct.TemplateGlobalCallable")
T_template_test = t.TypeVar("T_template_test", bound="ct.TemplateTestCallable")

#: Options of a route that are Carboy's own.
ROUTE_MARKS: tuple[str, ...] = ("stream_body", "inline")

#: Tables of hooks that were compiled from, too.
_WATCHED = frozenset(
    {
        "after_request_funcs",
        "before_request_funcs",
        "teardown_request_funcs",
        "url_default_functions",
        "url_value_preprocessors",
    }
)

#: Attributes whose assignment changes what was compiled.
_COMPILED_FROM = _WATCHED.union(
    LIFECYCLE,
    {
        "inject_url_defaults",
        "session_interface",
        "subdomain_matching",
        "url_for",
        "url_map",
        "wsgi_app",
    },
)


def _make_timedelta(value: timedelta | int | None) -> timedelta | None:
    """A duration as a timedelta; a number counts as seconds."""
    return value if value is None or isinstance(value, timedelta) else timedelta(seconds=value)


#: Told once per server name, without the request's host: any client can send another one.
WRONG_SERVER_NAME = (
    "Current server name of a request doesn't match configured server name {!r}, so no rule can"
    " match. Call the application by that name or one below it, or correct SERVER_NAME."
)
_warned: dict[str | tuple[str, type[Warning], int], int] = {}


class Undecided(Router):
    """The router of an application whose rules depend on the host: it leaves all to Werkzeug."""

    def match(self, method: str, path: str, domain: str = "") -> None:
        """None, always."""

    def is_nowhere(self, path: str, domain: str = "") -> bool:
        """False, always."""
        return False


class _TemplateEnvironmentClass:
    """``jinja_environment``: the class is imported, and Jinja2 with it, when it is asked for."""

    def __get__(self, obj: object, owner: type | None = None) -> type[Environment]:
        from .templating import Environment

        return Environment


class Carboy(StaticFiles, Scaffold):
    """A web application: the WSGI callable, and the registry of its routes and hooks.

    ::

        from carboy import Carboy

        app = Carboy(__name__)

        @app.route("/")
        def hello():
            return "Hello, World!"

    :param import_name: The module or package of the application, usually ``__name__``; folders
        are found relative to it.
    :param static_url_path: The URL prefix of the static files; by default the folder's name.
    :param static_folder: The folder of static files, relative to the root path; None for none.
    :param static_host: The host of the static route, needed with ``host_matching``.
    :param host_matching: Whether rules match on the host (``host=``).
    :param subdomain_matching: Whether rules match on the subdomain of ``SERVER_NAME``.
    :param template_folder: The folder of templates, relative to the root path; None for none.
    :param instance_path: An absolute folder for deployment-specific files; found by itself
        unless given.
    :param instance_relative_config: Whether configuration files are named relative to it.
    :param root_path: Where relative folders start; by default the module's folder.
    """

    #: The class of ``app.aborter``, behind ``abort``.
    aborter_class = Aborter
    #: The class of ``g``.
    app_ctx_globals_class = _AppCtxGlobals
    #: The class of ``app.config``.
    config_class = Config
    #: The default configuration.
    default_config: t.Mapping[str, t.Any] = ImmutableDict(config.default_config("carboy"))
    #: The class of ``app.jinja_env``.
    jinja_environment: t.Any = _TemplateEnvironmentClass()
    #: Options for the Jinja environment; change them before the environment is first used.
    jinja_options: dict[str, t.Any] = {}
    #: The class of ``app.json``.
    json_provider_class: type[JSONProvider] = DefaultJSONProvider
    request_class: type[Request] = Request
    response_class: type[Response] = Response
    #: Opens and saves the session of each request.
    session_interface: SessionInterface = SecureCookieSessionInterface()
    #: The class of test clients; None for :class:`carboy.testing.FlaskClient`.
    test_client_class: type[FlaskClient] | None = None
    #: The class of CLI runners; None for :class:`carboy.testing.FlaskCliRunner`.
    test_cli_runner_class: type[FlaskCliRunner] | None = None
    url_map_class = Map
    url_rule_class: type[Rule] = LazyRule

    #: ``TESTING``: exceptions propagate, extensions may change their ways.
    testing = ConfigAttribute[bool]("TESTING")
    #: ``SECRET_KEY``: signs the session cookie.
    secret_key = ConfigAttribute[str | bytes | None]("SECRET_KEY")
    #: ``PERMANENT_SESSION_LIFETIME``: a timedelta; a number counts as seconds.
    permanent_session_lifetime = ConfigAttribute[t.Any](
        "PERMANENT_SESSION_LIFETIME", get_converter=_make_timedelta
    )

    def __init__(
        self,
        import_name: str,
        static_url_path: str | None = None,
        static_folder: str | os.PathLike[str] | None = "static",
        static_host: str | None = None,
        host_matching: bool = False,
        subdomain_matching: bool = False,
        template_folder: str | os.PathLike[str] | None = "templates",
        instance_path: str | None = None,
        instance_relative_config: bool = False,
        root_path: str | None = None,
    ) -> None:
        self._plans = Plans()
        self._serving = Serving()
        #: Set by what protects: looks at each unsafe request before the hooks, and works on each
        #: finished reply after them.
        self._gate: t.Any = None
        self._finish_reply: t.Any = None
        super().__init__(import_name, static_folder, static_url_path, template_folder, root_path)
        #: Where extensions keep their state, under their names.
        self.extensions: dict[str, t.Any] = {}
        #: The registered blueprints by name.
        self.blueprints: dict[str, Blueprint] = {}
        #: The rules, as Werkzeug's map.
        self.url_map = self.url_map_class(host_matching=host_matching)
        self.subdomain_matching = subdomain_matching
        self.shell_context_processors: list[ct.ShellContextProcessorCallable] = []
        self.teardown_appcontext_funcs: list[ct.TeardownCallable] = []
        #: Functions tried when ``url_for`` fails: they get the error, the endpoint and the values.
        self.url_build_error_handlers: list[ct.URLBuildErrorCallable] = []
        #: The folder for files of this deployment.
        self.instance_path = self._instance_path(instance_path)
        #: The configuration, a dict.
        self.config = self.make_config(instance_relative_config)
        #: Encodes and decodes JSON.
        self.json: JSONProvider = self.json_provider_class(self)
        #: What ``abort`` calls.
        self.aborter = self.make_aborter()
        self._got_first_request = False
        self.template_context_processors[None].append(_default_template_ctx_processor)
        if self.has_static_folder:
            self._add_static_route(static_host, host_matching)

    def _instance_path(self, given: str | None) -> str:
        if given is None:
            return self.auto_find_instance_path()
        if os.path.isabs(given):
            return given
        raise ValueError(
            "If an instance path is provided it must be absolute. A relative path was given"
            f" instead: {given!r}."
        )

    def _add_static_route(self, host: str | None, host_matching: bool) -> None:
        assert bool(host) == host_matching, "Invalid static_host/host_matching combination"
        # The view must not keep the application alive.
        find = weakref.ref(self)
        self.add_url_rule(
            f"{self.static_url_path}/<path:filename>",
            endpoint="static",
            host=host,
            view_func=lambda **values: t.cast(Carboy, find()).send_static_file(**values),
        )

    def __setattr__(self, name: str, value: t.Any) -> None:
        if name in _WATCHED:
            value = self._watched(value)
        object.__setattr__(self, name, value)
        if name in _COMPILED_FROM:
            # Afterwards: what another thread compiles in between is dropped too.
            for compiled in ("_router", "_url_builder", "_session_is_lazy"):
                self.__dict__.pop(compiled, None)
            self._plans.drop()

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        if name in _COMPILED_FROM:
            self.__dict__.pop("_session_is_lazy", None)
            self._plans.drop()

    def _watched(self, table: t.Any) -> t.Any:
        if isinstance(table, HookTable):
            return table
        watched = self._hook_table()
        watched.update(table)
        return watched

    def _hook_table(self) -> t.Any:
        return HookTable(list, self._plans.drop)

    def _check_setup_finished(self, f_name: str) -> None:
        if self._got_first_request:
            raise setup_finished(
                f_name, "application", self.name, "handled its first request", "running it"
            )

    def _begin(self) -> None:
        """End the setup at the first request, after adding what settings ask for."""
        switches = ("CSRF_PROTECT", "SECURITY_HEADERS", "RATE_LIMITS")
        if any(map(self.config.get, switches)):
            from .security import install

            install(self)
        self._got_first_request = True

    # -- what is compiled ---------------------------------------------------------------------

    @lazy
    def _router(self) -> Router:
        # Where the host plays a part, only Werkzeug's adapter looks at it.
        return Router(self.url_map) if self._routes_itself and not SLOW else Undecided(self.url_map)

    @lazy
    def _url_builder(self) -> UrlBuilder:
        return self._plans.url_builder(self.url_map)

    @property
    def _routes_itself(self) -> bool:
        """Whether the host plays no part in matching and building."""
        return not self.subdomain_matching and not self.url_map.host_matching

    @lazy
    def _session_is_lazy(self) -> bool:
        """Whether the session may stay closed until it is touched."""
        interface = self.session_interface
        if not getattr(interface, "lazy", False):
            return False
        cls = type(interface)
        own = SecureCookieSessionInterface
        return all(
            getattr(cls, name) is getattr(own, name) and name not in vars(interface)
            for name in ("get_cookie_name", "open_session", "save_session")
        )

    def _session_waits_in(self, head: RequestHead) -> bool:
        """Whether a request brings a session cookie, which may have to be refreshed."""
        cookies = head.cookie
        return cookies is not None and (
            not self._session_is_lazy or self.config["SESSION_COOKIE_NAME"] in cookies
        )

    def _propagates(self) -> bool:
        """Whether unhandled exceptions are raised instead of answered with a 500."""
        propagate: bool | None = self.config["PROPAGATE_EXCEPTIONS"]
        return bool(self.testing or self.debug) if propagate is None else propagate

    # -- parts --------------------------------------------------------------------------------

    if t.TYPE_CHECKING:
        name: str
        logger: logging.Logger
        jinja_env: Environment
    else:

        @lazy
        def name(self) -> str:
            """The application's name: the import name, or the script's when run as one."""
            if self.import_name != "__main__":
                return self.import_name
            script = getattr(sys.modules["__main__"], "__file__", None)
            if script is None:
                return "__main__"
            return os.path.splitext(os.path.basename(script))[0]

        @property
        def _cli_name(self) -> str:
            return self.name

        @lazy
        def logger(self) -> logging.Logger:
            """A standard logger named after the application; at DEBUG level in debug mode."""
            return create_logger(self)

        @lazy
        def jinja_env(self) -> Environment:
            """The Jinja environment, made when first used."""
            return self.create_jinja_environment()

    @property
    def debug(self) -> bool:
        """``DEBUG``: reloads templates, logs more, tells more. Set it before the first request."""
        return t.cast(bool, self.config["DEBUG"])

    @debug.setter
    def debug(self, value: bool) -> None:
        self.config["DEBUG"] = value
        if self.config["TEMPLATES_AUTO_RELOAD"] is None and "jinja_env" in self.__dict__:
            self.jinja_env.auto_reload = value

    def create_jinja_environment(self) -> Environment:
        """Make the Jinja environment, with the options, globals and filters of templates."""
        from .templating import make_environment

        return make_environment(self)

    def create_global_jinja_loader(self) -> BaseLoader:
        """Make the loader that looks in the application's and then the blueprints' folders."""
        from .templating import make_global_loader

        return make_global_loader(self)

    def select_jinja_autoescape(self, filename: str | None) -> bool:
        """Whether a template of this name is escaped: HTML, XML and SVG, and nameless ones."""
        return select_autoescape(filename)

    def make_config(self, instance_relative: bool = False) -> Config:
        """Make the configuration out of the defaults; called once."""
        defaults = dict(self.default_config)
        if type(self).default_config is Carboy.default_config:
            defaults = config.default_config(config.profile)
        defaults["DEBUG"] = get_debug_flag()
        root = self.instance_path if instance_relative else self.root_path
        return self.config_class(root, defaults)

    def make_aborter(self) -> Aborter:
        """Make the object behind ``abort``; called once."""
        return self.aborter_class()

    def auto_find_instance_path(self) -> str:
        """Where the instance folder is when it was not given.

        ``instance`` beside the application, or ``var/NAME-instance`` in the environment that
        it is installed in.
        """
        prefix, folder = find_package(self.import_name)
        if prefix is None:
            return os.path.join(folder, "instance")
        return os.path.join(prefix, "var", f"{self.name}-instance")

    def open_resource(
        self, resource: str, mode: str = "rb", encoding: str | None = None
    ) -> t.IO[t.Any]:
        """Open a file below :attr:`root_path` for reading: ``"rb"``, or ``"r"`` for text.

        Raises ValueError for another mode and OSError as :func:`open` does.
        """
        return self._open(self.root_path, resource, mode, encoding)

    def open_instance_resource(
        self, resource: str, mode: str = "rb", encoding: str | None = "utf-8"
    ) -> t.IO[t.Any]:
        """Open a file in the instance folder, in any mode. Raises OSError as :func:`open` does."""
        path = os.path.join(self.instance_path, resource)
        return open(path, mode) if "b" in mode else open(path, mode, encoding=encoding)

    # -- registration -------------------------------------------------------------------------

    @setupmethod
    def register_blueprint(self, blueprint: Blueprint, **options: t.Any) -> None:
        """Register a blueprint.

        ``options`` replace what the blueprint was made with: ``url_prefix``, ``subdomain``,
        ``name``, ``url_defaults``, ``cli_group``. Raises ValueError when the name is taken.
        """
        blueprint.register(self, options)
        self._plans.drop()

    def iter_blueprints(self) -> t.ValuesView[Blueprint]:
        """The registered blueprints in the order of registration."""
        return self.blueprints.values()

    @setupmethod
    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: ct.RouteCallable | None = None,
        provide_automatic_options: bool | None = None,
        **options: t.Any,
    ) -> None:
        """Bind a URL rule to an endpoint, and a view function to that endpoint.

        Parameters as in :meth:`Scaffold.add_url_rule`. Raises AssertionError when the endpoint
        has another view already, and TypeError when ``methods`` is a string.
        """
        if endpoint is None:
            endpoint = _endpoint_from_view_func(view_func)  # type: ignore[arg-type]
        options["endpoint"] = endpoint
        websocket_options = options.pop("websocket_options", None)
        if (
            websocket_options is None
            and options.get("websocket")
            and iscoroutinefunction(view_func)
        ):
            websocket_options = {}
        methods = options.pop("methods", None)
        if methods is None:
            methods = getattr(view_func, "methods", None) or ("GET",)
        if isinstance(methods, str):
            raise TypeError(
                "Allowed methods must be a list of strings, for example:"
                ' @app.route(..., methods=["POST"])'
            )
        wanted = {method.upper() for method in methods}
        wanted.update(getattr(view_func, "required_methods", ()))
        automatic = provide_automatic_options
        if automatic is None:
            automatic = getattr(view_func, "provide_automatic_options", None)
        if automatic is None:
            automatic = "OPTIONS" not in wanted and self.config["PROVIDE_AUTOMATIC_OPTIONS"]
        if automatic:
            wanted.add("OPTIONS")
        marks = {name: options.pop(name) for name in ROUTE_MARKS if name in options}
        bound = self.url_rule_class(rule, methods=wanted, **options)
        for name, mark in marks.items():
            setattr(bound, name, mark)
        bound.provide_automatic_options = automatic  # type: ignore[attr-defined]
        bound.websocket_options = websocket_options  # type: ignore[attr-defined]
        self.url_map.add(bound)
        if view_func is not None:
            known = self.view_functions.get(endpoint)
            if known is not None and known != view_func:
                raise AssertionError(
                    "View function mapping is overwriting an existing endpoint function:"
                    f" {endpoint}"
                )
            self.view_functions[endpoint] = view_func

    @setupmethod
    def template_filter(
        self, name: str | None = None
    ) -> t.Callable[[T_template_filter], T_template_filter]:
        """Register the decorated function as a template filter, under ``name`` or its own."""
        return named(self.add_template_filter, name)

    @setupmethod
    def add_template_filter(self, f: ct.TemplateFilterCallable, name: str | None = None) -> None:
        """Register a template filter, without a decorator."""
        self.jinja_env.filters[name or f.__name__] = f

    @setupmethod
    def template_test(
        self, name: str | None = None
    ) -> t.Callable[[T_template_test], T_template_test]:
        """Register the decorated function as a template test, under ``name`` or its own."""
        return named(self.add_template_test, name)

    @setupmethod
    def add_template_test(self, f: ct.TemplateTestCallable, name: str | None = None) -> None:
        """Register a template test, without a decorator."""
        self.jinja_env.tests[name or f.__name__] = f

    @setupmethod
    def template_global(
        self, name: str | None = None
    ) -> t.Callable[[T_template_global], T_template_global]:
        """Register the decorated function for use in templates, under ``name`` or its own."""
        return named(self.add_template_global, name)

    @setupmethod
    def add_template_global(self, f: ct.TemplateGlobalCallable, name: str | None = None) -> None:
        """Register a function for use in templates, without a decorator."""
        self.jinja_env.globals[name or f.__name__] = f

    @setupmethod
    def teardown_appcontext(self, f: T_teardown) -> T_teardown:
        """Register a function to run when an application context ends, with an exception or None.

        That is at the end of each request and each command. If it raises, the others still run.
        """
        self.teardown_appcontext_funcs.append(f)
        return f

    @setupmethod
    def shell_context_processor(self, f: T_shell_context_processor) -> T_shell_context_processor:
        """Register a function whose dict is added to the names of ``carboy shell``."""
        self.shell_context_processors.append(f)
        return f

    # -- serving ------------------------------------------------------------------------------

    @setupmethod
    def before_serving(self, f: F) -> F:
        """Register a function, sync or async, to run in each server process before it serves.

        Where the server does not say when that is (WSGI), it is before the first request. If it
        raises, an async server does not start; under WSGI the request fails, and the next one
        tries again. It runs in an application context.
        """
        self._serving.register(self, self._serving.before, f)
        return f

    @setupmethod
    def after_serving(self, f: F) -> F:
        """Register a function, sync or async, to run when a server process has stopped serving.

        Under WSGI that is at the interpreter's exit. If it raises, the others still run.
        """
        self._serving.register(self, self._serving.after, f)
        return f

    @setupmethod
    def while_serving(self, f: F) -> F:
        """Register a generator function, sync or async, that yields once: until the server stops.

        ::

            @app.while_serving
            async def lifespan():
                app.pool = await connect()
                yield
                await app.pool.close()
        """
        self._serving.register(self, self._serving.around, f)
        return f

    def spawn(self, work: t.Any, *args: t.Any, **kwargs: t.Any) -> Future[t.Any]:
        """Begin work that outlives the response, and return its future.

        ``work`` is a coroutine or a coroutine function, which runs on the event loop, or a
        function, which runs in a worker thread; each in an application context of its own. An
        error is logged, with the request that began the work. When the server stops it waits
        some seconds for the work. Raises RuntimeError when 1,000 pieces are running already.
        """
        return self._serving.spawn(self, work, args, kwargs)

    # -- contexts -----------------------------------------------------------------------------

    def app_context(self) -> AppContext:
        """A context for work outside requests: ``with app.app_context():``."""
        return AppContext(self)

    def request_context(self, environ: WSGIEnvironment) -> RequestContext:
        """The context for the request in a WSGI environ; the server's door calls this."""
        return RequestContext(self, environ)

    def test_request_context(self, *args: t.Any, **kwargs: t.Any) -> RequestContext:
        """A request context made of the arguments of a test client's call, without dispatching.

        ``with app.test_request_context("/path?key=value", method="POST"):``
        """
        from .testing import EnvironBuilder

        builder = EnvironBuilder(self, *args, **kwargs)
        try:
            return self.request_context(builder.get_environ())
        finally:
            builder.close()

    def make_shell_context(self) -> dict[str, t.Any]:
        """The names of ``carboy shell``: ``app``, ``g`` and those of the processors."""
        names: dict[str, t.Any] = {"app": self, "g": g}
        for processor in self.shell_context_processors:
            names.update(processor())
        return names

    def update_template_context(self, context: dict[str, t.Any]) -> None:
        """Add to ``context`` what the context processors give; what it has already stays."""
        table = self.template_context_processors
        names: tuple[str | None, ...] = (None,)
        # PERF: which blueprint it is matters only where one has processors, and Carboy's own
        # processor is known to be sync; 2 µs, bench case "template".
        current = None if len(table) == 1 and None in table else _cv.get(None)
        if current is not None and (ctx := current._request_context) is not None:
            names += tuple(reversed(steps.plan_of(ctx).blueprints))
        found: dict[str, t.Any] = {}
        for name in names:
            for function in table.get(name, ()):
                made: t.Any = function
                if function is not _default_template_ctx_processor:
                    made = self.ensure_sync(function)
                found.update(made())
        for key, value in found.items():
            context.setdefault(key, value)

    # -- URLs ---------------------------------------------------------------------------------

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Bind the URL map to a request, or outside of one to ``SERVER_NAME`` (None without).

        Raises SecurityError (a 400) for a host that is not in ``TRUSTED_HOSTS``.
        """
        if request is None:
            if self.config["SERVER_NAME"] is None:
                return None
            return self.url_map.bind(
                self.config["SERVER_NAME"],
                script_name=self.config["APPLICATION_ROOT"],
                url_scheme=self.config["PREFERRED_URL_SCHEME"],
            )
        trusted = self.config["TRUSTED_HOSTS"]
        if trusted is not None:
            request.trusted_hosts = trusted
        check_trusted(request.environ, request.trusted_hosts)
        request.host = get_host(request.environ)
        subdomain = None
        server_name = self.config["SERVER_NAME"]
        if self.url_map.host_matching:
            # With a server name Werkzeug would match that one instead of the request's host.
            server_name = None
        elif not self.subdomain_matching:
            subdomain = self.url_map.default_subdomain or ""
        elif server_name and not is_below(request.host, server_name, request.scheme):
            subdomain = "<invalid>"  # no rule has it, so that only a 404 can come of it
            warnings.warn_explicit(
                WRONG_SERVER_NAME.format(server_name),
                UserWarning,
                __file__,
                1,
                # Filters that silence this were written for Flask's module.
                module="flask.app",
                registry=_warned,
            )
        return self.url_map.bind_to_environ(
            request.environ, server_name=server_name, subdomain=subdomain
        )

    @short_method
    def url_for(
        self,
        /,
        endpoint: str,
        *,
        _anchor: str | None = None,
        _method: str | None = None,
        _scheme: str | None = None,
        _external: bool | None = None,
        **values: t.Any,
    ) -> str:
        """Build the URL of an endpoint.

        :param endpoint: A view's endpoint; a leading dot means the current blueprint's.
        :param _anchor: A fragment to append.
        :param _method: Choose the rule for this method.
        :param _scheme: The scheme of an external URL.
        :param _external: With scheme and host; by default only outside requests.
        :param values: Values for the rule's variables; the rest becomes the query string.

        What raises BuildError (unknown endpoint, missing value) is offered to
        ``url_build_error_handlers`` first. RuntimeError outside a request without
        ``SERVER_NAME``; ValueError for ``_scheme`` with ``_external=False``.
        """
        return url_for(self, endpoint, _anchor, _method, _scheme, _external, values)

    def inject_url_defaults(self, endpoint: str, values: dict[str, t.Any]) -> None:
        """Let the ``url_defaults`` functions of the app and the endpoint's blueprints add values."""
        table = self.url_default_functions
        if not table:
            return
        names: tuple[str | None, ...] = (None,)
        if "." in endpoint:
            names += tuple(reversed(_split_blueprint_path(endpoint.rpartition(".")[0])))
        for name in names:
            for function in table.get(name, ()):
                function(endpoint, values)

    def handle_url_build_error(
        self, error: BuildError, endpoint: str, values: dict[str, t.Any]
    ) -> str:
        """The first URL that one of ``url_build_error_handlers`` gives; else raise ``error``."""
        for handler in self.url_build_error_handlers:
            try:
                url = handler(error, endpoint, values)
            except BuildError as raised:
                # A handler may raise another error, which then is the one to report.
                error = raised
            else:
                if url is not None:
                    return url
        raise error

    def redirect(self, location: str, code: int = 302) -> BaseResponse:
        """A redirect response; ``carboy.redirect`` calls this."""
        return make_redirect(location, code=code, Response=self.response_class)

    # -- errors -------------------------------------------------------------------------------

    def _find_error_handler(
        self, e: Exception, blueprints: list[str]
    ) -> ct.ErrorHandlerCallable | None:
        """The handler for ``e``: code before class, blueprint before app, nearest class first."""
        spec = self.error_handler_spec
        if not spec:
            return None
        exc_class, code = self._get_exc_class_and_code(type(e))
        for by_code in (None,) if code is None else (code, None):
            for name in (*blueprints, None):
                handlers = spec[name][by_code] if name in spec else None
                if not handlers:
                    continue
                for cls in exc_class.__mro__:
                    if (handler := handlers.get(cls)) is not None:
                        return handler
        return None

    def trap_http_exception(self, e: Exception) -> bool:
        """Whether an HTTP error is treated like any other exception.

        By ``TRAP_HTTP_EXCEPTIONS`` and ``TRAP_BAD_REQUEST_ERRORS``; in debug mode a missing form
        key is, too, unless that one says otherwise.
        """
        if self.config["TRAP_HTTP_EXCEPTIONS"]:
            return True
        bad_requests = self.config["TRAP_BAD_REQUEST_ERRORS"]
        if bad_requests is None and self.debug and isinstance(e, BadRequestKeyError):
            return True
        return bool(bad_requests) and isinstance(e, BadRequest)

    def should_ignore_error(self, error: BaseException | None) -> bool:
        """Whether teardown functions are not told of ``error``; override to hide some."""
        return False

    def handle_http_exception(self, e: HTTPException) -> HTTPException | ct.ResponseReturnValue:
        """The answer of the handler for an HTTP error, or the error itself."""
        rv: HTTPException | ct.ResponseReturnValue = self._run(
            pipeline.recover_http, e, less="handle_http_exception"
        )
        return rv

    def handle_user_exception(self, e: Exception) -> HTTPException | ct.ResponseReturnValue:
        """The answer of the handler for an exception; raises it again when there is none."""
        rv: HTTPException | ct.ResponseReturnValue = self._run(
            pipeline.recover, e, less="handle_user_exception"
        )
        if rv is pipeline._UNHANDLED:
            raise e
        return rv

    def handle_exception(self, e: Exception) -> Response:
        """The 500 for an exception that nothing handled: signal, log, handler, response.

        Raises it instead where exceptions propagate.
        """
        rv: Response = self._run(pipeline.fail, e, less="handle_exception")
        return rv

    def log_exception(self, exc_info: ExcInfo | tuple[None, None, None]) -> None:
        """Log an exception that nothing handled, with path and method, at ERROR level."""
        current = _cv.get(None)
        ctx = None if current is None else current._request_context
        where = f"{ctx.request.path} [{ctx.request.method}]" if ctx is not None else self.name
        self.logger.error("Exception on %s", printable(where), exc_info=exc_info)

    def raise_routing_exception(self, request: Request) -> t.NoReturn:
        """Raise why the URL did not match.

        In debug mode a redirect that would lose the body of a form is an error that says so.
        """
        error = request.routing_exception
        if (
            self.debug
            and isinstance(error, RequestRedirect)
            and error.code not in {307, 308}
            and request.method not in {"GET", "HEAD", "OPTIONS"}
        ):
            from .debughelpers import FormDataRoutingRedirect

            raise FormDataRoutingRedirect(request)
        raise t.cast(HTTPException, error)

    # -- the request's life -------------------------------------------------------------------

    def _run(self, part: t.Callable[..., t.Any], *args: t.Any, less: str) -> t.Any:
        """Drive a part of the pipeline for the current request.

        ``less`` is the public method that stands for this part: it must not be gone through
        again, since the part was reached by way of it.
        """
        ctx = _get_request_context()
        return drive(part(ctx, *args, WSGI_BRIDGE, ctx.over - {less}))

    def dispatch_request(self) -> ct.ResponseReturnValue:
        """Call the view of the matched rule and return what it returns. Raises routing errors."""
        ctx = _get_request_context()
        rv: ct.ResponseReturnValue = self._finished(pipeline.call_view(ctx, ctx.over, WSGI_BRIDGE))
        return rv

    @staticmethod
    def _finished(value: t.Any) -> t.Any:
        return bridges.wait(value) if isinstance(value, cabc.Coroutine) else value

    def full_dispatch_request(self) -> Response:
        """Run the request from its hooks to the finished response."""
        ctx = _get_request_context()
        over = ctx.over - {"full_dispatch_request"}
        rv = drive(pipeline.answered(ctx, WSGI_BRIDGE, over))
        response: Response = self._run(pipeline.finalize, rv, less="full_dispatch_request")
        return response

    def finalize_request(
        self, rv: ct.ResponseReturnValue | HTTPException, from_error_handler: bool = False
    ) -> Response:
        """Make the response of a return value and run the after_request functions on it."""
        ctx = _get_request_context()
        over = ctx.over - {"finalize_request"}
        response: Response = drive(
            pipeline.finalize(ctx, rv, WSGI_BRIDGE, over, from_error_handler=from_error_handler)
        )
        return response

    def make_response(self, rv: ct.ResponseReturnValue) -> Response:
        """Turn what a view may return into a response. Raises TypeError for anything else."""
        return responding.make_response(
            _get_request_context(),
            rv,
        )

    def make_default_options_response(self) -> Response:
        """The automatic answer to OPTIONS: an empty response with ``Allow``."""
        ctx = _get_request_context()
        adapter = ctx.url_adapter
        if adapter is None:  # its host was refused
            self.raise_routing_exception(ctx.request)
        response = self.response_class()
        response.allow.update(adapter.allowed_methods())
        return response

    def preprocess_request(self) -> ct.ResponseReturnValue | None:
        """Run the URL value preprocessors and before_request functions, until one answers."""
        rv: ct.ResponseReturnValue | None = self._run(
            pipeline.preprocess, less="preprocess_request"
        )
        return rv

    def process_response(self, response: Response) -> Response:
        """Run the after_request functions on a response and save the session."""
        processed: Response = self._run(pipeline.process, response, less="process_response")
        return processed

    def do_teardown_request(self, exc: BaseException | None = _sentinel) -> None:
        """Run the teardown_request functions; ``exc`` defaults to the exception being handled."""
        if exc is _sentinel:
            exc = sys.exc_info()[1]
        ctx = _get_request_context()
        drive(ending.teardown_request(ctx, exc, WSGI_BRIDGE))

    def do_teardown_appcontext(self, exc: BaseException | None = _sentinel) -> None:
        """Run the teardown_appcontext functions; ``exc`` defaults to the one being handled."""
        if exc is _sentinel:
            exc = sys.exc_info()[1]
        drive(ending.teardown_app(self, exc, WSGI_BRIDGE))

    def _tear_down(self, ctx: RequestContext, exc: BaseException | None) -> None:
        drive(ending.tear_down(ctx, exc, WSGI_BRIDGE))

    async def _tear_down_on_loop(self, ctx: RequestContext, exc: BaseException | None) -> None:
        await bridges.settled(ending.tear_down(ctx, exc, LOOP_BRIDGE))

    def ensure_sync(self, func: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
        """``func`` itself, or for an ``async def`` a function that waits for it."""
        return self.async_to_sync(func) if iscoroutinefunction(func) else func

    def async_to_sync(
        self, func: t.Callable[..., t.Coroutine[t.Any, t.Any, t.Any]]
    ) -> t.Callable[..., t.Any]:
        """A function that runs the coroutine function on the standing event loop and waits."""
        return bridges.async_to_sync(func)

    # -- running ------------------------------------------------------------------------------

    def run(
        self,
        host: str | None = None,
        port: int | None = None,
        debug: bool | None = None,
        load_dotenv: bool = True,
        **options: t.Any,
    ) -> None:
        """Serve the application on the development server; not for production.

        :param host: The address, by default of ``SERVER_NAME`` or 127.0.0.1.
        :param port: The port, by default of ``SERVER_NAME`` or 5000.
        :param debug: Sets :attr:`debug`.
        :param load_dotenv: Read ``.env`` and ``.flaskenv`` first.
        :param options: For :func:`werkzeug.serving.run_simple`.

        Does nothing when a ``carboy`` command is loading the application.
        """
        from .cli.serving import run_app

        run_app(self, host, port, debug, load_dotenv, **options)

    def test_client(self, use_cookies: bool = True, **kwargs: t.Any) -> FlaskClient:
        """A client that calls the application without a server."""
        cls: t.Any = self.test_client_class
        if cls is None:
            from .testing import FlaskClient as cls
        client: FlaskClient = cls(self, self.response_class, use_cookies=use_cookies, **kwargs)
        return client

    def async_test_client(
        self, use_cookies: bool = True, *, door: str = "asgi", **kwargs: t.Any
    ) -> AsyncClient:
        """A client for tests that are coroutines; the application runs on their event loop."""
        from .testing import AsyncClient

        return AsyncClient(self.test_client(use_cookies, door=door, **kwargs))

    def test_cli_runner(self, **kwargs: t.Any) -> FlaskCliRunner:
        """A runner that invokes the application's commands without a process."""
        cls: t.Any = self.test_cli_runner_class
        if cls is None:
            from .testing import FlaskCliRunner as cls
        runner: FlaskCliRunner = cls(self, **kwargs)
        return runner

    # PERF: the door itself, not a method that calls it; bench case "text".
    wsgi_app = wsgi_app

    @lazy
    def _respond_asgi(self) -> t.Callable[..., t.Any]:
        from .gateways.asgi import respond

        return respond

    @lazy
    def _respond_rsgi(self) -> t.Callable[..., t.Any]:
        from .gateways.rsgi import respond

        return respond

    def __rsgi__(self, scope: t.Any, protocol: t.Any) -> t.Any:
        """What an RSGI server calls for each connection."""
        return self._respond_rsgi(self, scope, protocol)

    def __rsgi_init__(self, loop: t.Any) -> None:
        """What an RSGI server calls when a worker begins: runs the ``before_serving`` functions."""
        from .gateways.rsgi import start

        start(self, loop)

    def __rsgi_del__(self, loop: t.Any) -> None:
        """What an RSGI server calls when a worker ends: runs the ``after_serving`` functions."""
        from .gateways.rsgi import stop

        stop(self, loop)

    @t.overload
    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> cabc.Iterable[bytes]:
        """WSGI: :attr:`wsgi_app` with the middleware around it."""

    @t.overload
    def __call__(
        self,
        environ: t.Any = None,
        start_response: t.Any = None,
        send: t.Any = None,
        *,
        scope: t.Any = None,
        receive: t.Any = None,
    ) -> t.Any:
        """ASGI 3: scope, receive, send, also by name; or ASGI 2: only the scope."""

    def __call__(
        self,
        environ: t.Any = None,
        start_response: t.Any = None,
        send: t.Any = None,
        *,
        scope: t.Any = None,
        receive: t.Any = None,
    ) -> t.Any:
        """What a server calls, with the two arguments of WSGI or the three of ASGI.

        A server that cannot tell which one it is (uvicorn, on a Python older than 3.12) takes it
        for ASGI 2, whose one argument works, too. Daphne calls with the names of ASGI's arguments.
        """
        if environ is None:
            if scope is None:  # uvicorn tries so whether it has a factory
                raise TypeError("An application is called with the arguments of WSGI or ASGI.")
            environ, start_response = scope, receive
        if send is not None:
            return self._respond_asgi(self, environ, start_response, send)
        if start_response is not None:
            return self.wsgi_app(environ, start_response)
        return partial(self._respond_asgi, self, environ)


if sys.version_info >= (3, 12):
    from inspect import markcoroutinefunction

    markcoroutinefunction(Carboy.__call__)

remember_originals(Carboy)
remember_url_methods(Carboy)

#: Flask's name for the class.
Flask = Carboy

"""What an application and a blueprint have in common: routes, hooks, handlers, folders."""

from __future__ import annotations

import os
import typing as t
from collections import defaultdict
from functools import lru_cache, update_wrapper

from werkzeug.exceptions import HTTPException, default_exceptions

from .descriptors import lazy
from .helpers import get_root_path
from .packages import _find_package_path as _find_package_path
from .packages import find_package as find_package

if t.TYPE_CHECKING:
    import click
    from jinja2 import BaseLoader

    from . import typing as ct
    from .cli import AppGroup

F = t.TypeVar("F", bound=t.Callable[..., t.Any])
T_after_request = t.TypeVar("T_after_request", bound="ct.AfterRequestCallable[t.Any]")
T_before_request = t.TypeVar("T_before_request", bound="ct.BeforeRequestCallable")
T_error_handler = t.TypeVar("T_error_handler", bound="ct.ErrorHandlerCallable")
T_route = t.TypeVar("T_route", bound="ct.RouteCallable")
T_teardown = t.TypeVar("T_teardown", bound="ct.TeardownCallable")
T_template_context_processor = t.TypeVar(
    "T_template_context_processor", bound="ct.TemplateContextProcessorCallable"
)
T_websocket = t.TypeVar("T_websocket", bound=t.Callable[..., t.Any])
T_url_defaults = t.TypeVar("T_url_defaults", bound="ct.URLDefaultCallable")
T_url_value_preprocessor = t.TypeVar(
    "T_url_value_preprocessor", bound="ct.URLValuePreprocessorCallable"
)

_sentinel: t.Any = object()

ErrorHandlers = dict[int | None, dict[type[Exception], "ct.ErrorHandlerCallable"]]


def setupmethod(f: F) -> F:
    """Mark a method that registers something: once requests are served it raises."""
    name = f.__name__

    def checked(self: Scaffold, *args: t.Any, **kwargs: t.Any) -> t.Any:
        self._check_setup_finished(name)
        return f(self, *args, **kwargs)

    return t.cast(F, update_wrapper(checked, f))


def named(add: t.Callable[..., None], name: str | None) -> t.Callable[[F], F]:
    """A decorator that calls ``add(function, name=name)`` and returns the function."""

    def register(f: F) -> F:
        add(f, name=name)
        return f

    return register


def kept(functions: list[t.Any], f: F) -> F:
    """Append a decorated function to its list, and return it."""
    functions.append(f)
    return f


def _endpoint_from_view_func(view_func: ct.RouteCallable) -> str:
    """The endpoint of a view that was not given one: the function's name."""
    assert view_func is not None, "expected view func if endpoint is not provided."
    return view_func.__name__


# PERF: the same few each time; 1 µs, bench case "static".
_join = lru_cache(maxsize=256)(os.path.join)


class Scaffold:
    """The common base of :class:`~carboy.Carboy` and :class:`~carboy.Blueprint`.

    :param import_name: The module it is defined in, usually ``__name__``.
    :param static_folder: A folder of files to serve, relative to the root path, or None.
    :param static_url_path: The URL prefix of those files; by default the folder's name.
    :param template_folder: A folder of templates, relative to the root path, or None.
    :param root_path: Where relative folders start; by default the module's folder.
    """

    _cli_name: str | None = None
    _static_folder: str | None = None
    _static_url_path: str | None = None

    def __init__(
        self,
        import_name: str,
        static_folder: str | os.PathLike[str] | None = None,
        static_url_path: str | None = None,
        template_folder: str | os.PathLike[str] | None = None,
        root_path: str | None = None,
    ) -> None:
        #: The name of the module that this object belongs to; fixed.
        self.import_name = import_name
        self.static_folder = static_folder
        self.static_url_path = static_url_path
        #: The template folder as given, relative to :attr:`root_path`; None for none.
        self.template_folder = template_folder
        #: The folder that relative folders start from.
        self.root_path = get_root_path(import_name) if root_path is None else root_path

        #: View functions by endpoint.
        self.view_functions: dict[str, ct.RouteCallable] = {}
        #: Error handlers by blueprint name (None: all), code (None: any), class.
        self.error_handler_spec: dict[ct.AppOrBlueprintKey, ErrorHandlers] = defaultdict(
            lambda: defaultdict(dict)
        )
        # The hook tables: lists of functions by blueprint name, None for all requests.
        self.before_request_funcs: dict[ct.AppOrBlueprintKey, list[ct.BeforeRequestCallable]] = (
            self._hook_table()
        )
        self.after_request_funcs: dict[
            ct.AppOrBlueprintKey, list[ct.AfterRequestCallable[t.Any]]
        ] = self._hook_table()
        self.teardown_request_funcs: dict[ct.AppOrBlueprintKey, list[ct.TeardownCallable]] = (
            self._hook_table()
        )
        self.template_context_processors: dict[
            ct.AppOrBlueprintKey, list[ct.TemplateContextProcessorCallable]
        ] = defaultdict(list)
        self.url_value_preprocessors: dict[
            ct.AppOrBlueprintKey, list[ct.URLValuePreprocessorCallable]
        ] = self._hook_table()
        self.url_default_functions: dict[ct.AppOrBlueprintKey, list[ct.URLDefaultCallable]] = (
            self._hook_table()
        )

    def _hook_table(self) -> t.Any:
        return defaultdict(list)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    if t.TYPE_CHECKING:
        name: str

    def _check_setup_finished(self, f_name: str) -> None:
        raise NotImplementedError

    if t.TYPE_CHECKING:
        cli: AppGroup
    else:

        @lazy
        def cli(self) -> click.Group:
            """The Click group of commands registered here, in this app's context when run."""
            from .cli import AppGroup

            return AppGroup(self._cli_name)

    # -- folders ------------------------------------------------------------------------------

    @property
    def static_folder(self) -> str | None:
        """The absolute path of the static folder, or None."""
        folder = self._static_folder
        return None if folder is None else _join(self.root_path, folder)

    @static_folder.setter
    def static_folder(self, value: str | os.PathLike[str] | None) -> None:
        self._static_folder = None if value is None else os.fspath(value).rstrip(r"\/")

    @property
    def has_static_folder(self) -> bool:
        """Whether a static folder is set; it need not exist yet."""
        return self._static_folder is not None

    @property
    def static_url_path(self) -> str | None:
        """The URL prefix of the static files: as set, else the name of the folder."""
        if self._static_url_path is not None:
            return self._static_url_path
        if self.static_folder is None:
            return None
        return "/" + os.path.basename(self.static_folder).rstrip("/")

    @static_url_path.setter
    def static_url_path(self, value: str | None) -> None:
        self._static_url_path = None if value is None else value.rstrip("/")

    if t.TYPE_CHECKING:
        jinja_loader: BaseLoader | None
    else:

        @lazy
        def jinja_loader(self) -> BaseLoader | None:
            """The Jinja loader of :attr:`template_folder`, or None without one."""
            if self.template_folder is None:
                return None
            from jinja2 import FileSystemLoader

            return FileSystemLoader(os.path.join(self.root_path, self.template_folder))

    # -- routes -------------------------------------------------------------------------------

    def _method_route(
        self, method: str, rule: str, options: dict[str, t.Any]
    ) -> t.Callable[[T_route], T_route]:
        if "methods" in options:
            raise TypeError("Use the 'route' decorator to use the 'methods' argument.")
        return self.route(rule, methods=[method], **options)

    @setupmethod
    def get(self, rule: str, **options: t.Any) -> t.Callable[[T_route], T_route]:
        """Register a view for GET (and HEAD and OPTIONS): :meth:`route` with one method."""
        return self._method_route(rule=rule, options=options, method="GET")

    @setupmethod
    def post(self, rule: str, **options: t.Any) -> t.Callable[[T_route], T_route]:
        """Register a view for POST: :meth:`route` with one method."""
        return self._method_route(rule=rule, options=options, method="POST")

    @setupmethod
    def put(self, rule: str, **options: t.Any) -> t.Callable[[T_route], T_route]:
        """Register a view for PUT: :meth:`route` with one method."""
        return self._method_route(rule=rule, options=options, method="PUT")

    @setupmethod
    def delete(self, rule: str, **options: t.Any) -> t.Callable[[T_route], T_route]:
        """Register a view for DELETE: :meth:`route` with one method."""
        return self._method_route(rule=rule, options=options, method="DELETE")

    @setupmethod
    def patch(self, rule: str, **options: t.Any) -> t.Callable[[T_route], T_route]:
        """Register a view for PATCH: :meth:`route` with one method."""
        return self._method_route(rule=rule, options=options, method="PATCH")

    @setupmethod
    def route(self, rule: str, **options: t.Any) -> t.Callable[[T_route], T_route]:
        """Register the decorated function as the view of a URL rule, and return it unchanged.

        ``options`` are those of :meth:`add_url_rule`; ``endpoint`` is the function's name and
        ``methods`` is ``["GET"]`` unless given.
        """

        def register(f: T_route) -> T_route:
            self.add_url_rule(rule, options.pop("endpoint", None), f, **options)
            return f

        return register

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

        :param rule: The URL pattern, starting with ``/``.
        :param endpoint: The name for ``url_for``; by default the function's name.
        :param view_func: The view; it may also be given later with :meth:`endpoint`.
        :param provide_automatic_options: Answer OPTIONS by itself; by default if the view does
            not handle OPTIONS.
        :param stream_body: Do not receive the body before the view is called: it reads
            ``request.stream`` as the client sends, in a plain view as a file that blocks, in an
            async one by ``async for chunk in request.stream``. ``MAX_CONTENT_LENGTH`` holds; a
            client that leaves is a :exc:`~werkzeug.exceptions.ClientDisconnected` for the reader.
        :param inline: The sync steps of this route never wait, so that behind an async door its
            requests run on the event loop, without a thread. Under WSGI it means nothing.
        :param options: For Werkzeug's rule: ``methods``, ``defaults``, ``strict_slashes``,
            ``subdomain``, ``host``, ``redirect_to`` and others.
        """
        raise NotImplementedError

    @setupmethod
    def endpoint(self, endpoint: str) -> t.Callable[[F], F]:
        """Register the decorated function as the view of an endpoint that has rules already."""

        def register(f: F) -> F:
            self.view_functions[endpoint] = f
            return f

        return register

    @setupmethod
    def websocket(self, rule: str, **options: t.Any) -> t.Callable[[T_websocket], T_websocket]:
        """Register the decorated function as the view of a WebSocket, and return it unchanged.

        ::

            @app.websocket("/echo")
            async def echo():
                async for message in websocket:
                    await websocket.send(message)

        ``options`` are those of :meth:`add_websocket`.
        """

        def register(f: T_websocket) -> T_websocket:
            self.add_websocket(rule, options.pop("endpoint", None), f, **options)
            return f

        return register

    @setupmethod
    def add_websocket(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: t.Callable[..., t.Any] | None = None,
        **options: t.Any,
    ) -> None:
        """Bind a URL rule for WebSockets to an endpoint, and a view to that endpoint.

        ``origins`` (a list, or ``"*"``), ``max_message_size`` (bytes or None) and ``idle_timeout``
        (seconds or None) take the place of the settings ``WEBSOCKET_ORIGINS``,
        ``WEBSOCKET_MAX_MESSAGE_SIZE`` and ``WEBSOCKET_IDLE_TIMEOUT``. Everything else is as in
        :meth:`add_url_rule`, without ``methods``: the handshake is a GET.
        """
        if "methods" in options:
            raise TypeError("A WebSocket has no methods: its handshake is a GET.")
        names = ("origins", "max_message_size", "idle_timeout")
        limits = {name: options.pop(name) for name in names if name in options}
        options |= {"methods": ["GET"], "websocket": True, "websocket_options": limits}
        options.setdefault("provide_automatic_options", False)
        self.add_url_rule(rule, endpoint, view_func, **options)

    # -- hooks --------------------------------------------------------------------------------

    @setupmethod
    def before_request(self, f: T_before_request) -> T_before_request:
        """Register a function to run before each view; what it returns is the response.

        On a blueprint: before the views of that blueprint. Returning None lets the request
        go on.
        """
        return kept(self.before_request_funcs.setdefault(None, []), f)

    @setupmethod
    def after_request(self, f: T_after_request) -> T_after_request:
        """Register a function that gets each response and returns it or another one.

        On a blueprint: the responses of its views. Not run when an exception propagates.
        """
        return kept(self.after_request_funcs.setdefault(None, []), f)

    @setupmethod
    def teardown_request(self, f: T_teardown) -> T_teardown:
        """Register a function to run when a request is over, with its exception or None.

        It runs whatever happened, and its return value is ignored. If it raises, the others
        still run.
        """
        return kept(self.teardown_request_funcs.setdefault(None, []), f)

    @setupmethod
    def context_processor(self, f: T_template_context_processor) -> T_template_context_processor:
        """Register a function whose dict is added to the variables of each template."""
        return kept(self.template_context_processors[None], f)

    @setupmethod
    def url_value_preprocessor(self, f: T_url_value_preprocessor) -> T_url_value_preprocessor:
        """Register a function that gets endpoint and view args, and may change the args."""
        return kept(self.url_value_preprocessors[None], f)

    @setupmethod
    def url_defaults(self, f: T_url_defaults) -> T_url_defaults:
        """Register a function that gets endpoint and values of ``url_for``, to add to them."""
        return kept(self.url_default_functions[None], f)

    @setupmethod
    def errorhandler(
        self, code_or_exception: type[Exception] | int
    ) -> t.Callable[[T_error_handler], T_error_handler]:
        """Register the decorated function for an HTTP status code or an exception class.

        It gets the exception, and what it returns is the response. Raises ValueError for an
        unknown code and TypeError for something else than a code or an exception class.
        """

        def handles(f: T_error_handler) -> T_error_handler:
            self.register_error_handler(code_or_exception, f)
            return f

        return handles

    @setupmethod
    def register_error_handler(
        self, code_or_exception: type[Exception] | int, f: ct.ErrorHandlerCallable
    ) -> None:
        """Register ``f`` as :meth:`errorhandler` does, without a decorator."""
        exc_class, code = self._get_exc_class_and_code(code_or_exception)
        self.error_handler_spec[None][code][exc_class] = f

    @staticmethod
    def _get_exc_class_and_code(
        exc_class_or_code: type[Exception] | int,
    ) -> tuple[type[Exception], int | None]:
        """The exception class that is meant, and its HTTP status code or None."""
        found: t.Any = exc_class_or_code
        if isinstance(found, int):
            if found not in default_exceptions:
                raise ValueError(
                    f"'{found}' is not a recognized HTTP error code. Use a subclass of"
                    " HTTPException with that code instead."
                )
            found = default_exceptions[found]
        only = "Handlers can only be registered for Exception classes or HTTP error codes."
        if isinstance(found, Exception):
            raise TypeError(f"{found!r} is an instance, not a class. {only}")
        if not issubclass(found, Exception):
            raise ValueError(f"'{found.__name__}' is not a subclass of Exception. {only}")
        return found, found.code if issubclass(found, HTTPException) else None

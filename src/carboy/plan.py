"""What is known about an endpoint before a request for it comes.

A :class:`Plan` lists the hook functions that apply to an endpoint, in order, as references to
the very lists that ``app.before_request_funcs`` and its siblings hold: appending to such a list
is seen at once, and a change in the tables themselves (:class:`HookTable`) drops the plans.
:class:`Plans` keeps them for one application, and knows which lifecycle methods the application
replaces, by a subclass or by assignment, so that the pipeline goes through those.
"""

from __future__ import annotations

import inspect
import threading
import typing as t
from functools import partial
from itertools import chain
from operator import attrgetter
from types import FunctionType

from .routing import UrlBuilder
from .shortcuts import SLOW
from .signals import (
    appcontext_popped,
    appcontext_pushed,
    appcontext_tearing_down,
    request_finished,
    request_started,
    request_tearing_down,
)
from .wrappers import _split_blueprint_path

if t.TYPE_CHECKING:
    from werkzeug.routing import Map

    from .app import Carboy

#: What a request's context has for ``over`` where nothing is replaced: a mark, if no shortcut is to
#: be taken, since none is where anything is replaced.
PLAIN: frozenset[str] = frozenset({"slow"}) if SLOW else frozenset()

K = t.TypeVar("K")
V = t.TypeVar("V")

#: Methods that are part of the request's life and may be replaced; see DESIGN: overrides.
LIFECYCLE = (
    "create_url_adapter",
    "dispatch_request",
    "do_teardown_appcontext",
    "do_teardown_request",
    "ensure_sync",
    "async_to_sync",
    "finalize_request",
    "full_dispatch_request",
    "handle_exception",
    "handle_http_exception",
    "handle_user_exception",
    "make_response",
    "preprocess_request",
    "process_response",
    "request_context",
)


class HookTable(dict[K, V]):
    """A dict with a default factory that tells when its keys change."""

    def __init__(self, factory: t.Callable[[], V], changed: t.Callable[[], None]) -> None:
        super().__init__()
        self._factory = factory
        self._changed = changed

    def __missing__(self, key: K) -> V:
        value = self._factory()
        self[key] = value
        return value

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        self._changed()

    def __delitem__(self, key: K) -> None:
        super().__delitem__(key)
        self._changed()

    def setdefault(self, key: K, default: t.Any = None) -> V:
        """Return the value of ``key``, setting it to ``default`` when missing."""
        try:
            return super().setdefault(key, default)
        finally:
            self._changed()

    def pop(self, *args: t.Any) -> t.Any:
        """Remove a key and return its value, as dict does."""
        try:
            return super().pop(*args)
        finally:
            self._changed()

    def update(self, *args: t.Any, **kwargs: t.Any) -> None:
        """Take keys from another mapping, as dict does."""
        super().update(*args, **kwargs)
        self._changed()

    def __ior__(self, other: t.Any) -> t.Self:  # type: ignore[override, misc]
        self.update(other)
        return self

    def clear(self) -> None:
        """Remove all keys."""
        super().clear()
        self._changed()


class Plan:
    """The hooks of one endpoint, each as a tuple of live lists in the order they run."""

    __slots__ = (
        "_colour",
        "_lists",
        "_seen",
        "_view",
        "after",
        "before",
        "blueprints",
        "endpoint",
        "teardown",
        "url_processors",
    )

    def __init__(self, app: Carboy, endpoint: str | None) -> None:
        self.endpoint = endpoint
        self.blueprints: tuple[str, ...] = ()
        if endpoint is not None and "." in endpoint:
            self.blueprints = _split_blueprint_path(endpoint.rpartition(".")[0])
        inward = (None, *reversed(self.blueprints))
        outward = (*self.blueprints, None)
        self.url_processors = _lists(app.url_value_preprocessors, inward)
        self.before = _lists(app.before_request_funcs, inward)
        self.after = _lists(app.after_request_funcs, outward)
        self.teardown = _lists(app.teardown_request_funcs, outward)
        self._lists = (*self.url_processors, *self.before, *self.after, *self.teardown)
        self._view: t.Any = None
        self._seen = -1
        self._colour = ""

    def steps(self, app: Carboy) -> t.Iterator[tuple[str, t.Any]]:
        """What each request for the endpoint runs, as pairs of a kind and a callable.

        Signals with receivers and a session interface that opens eagerly count as sync steps.
        Error handlers are none: they seldom run.
        """
        for kind in ("url_processors", "before", "after", "teardown"):
            for functions in getattr(self, kind):
                for function in functions:
                    yield kind, function
        view = None if self.endpoint is None else app.view_functions.get(self.endpoint)
        if view is not None:
            yield "view", view
        for function in app.teardown_appcontext_funcs:
            yield "teardown_appcontext", function
        if not app._session_is_lazy:
            yield "session", app.session_interface.open_session
        for signal in _SIGNALS:
            if signal.receivers:
                yield "signal", signal.send

    def colour(self, app: Carboy) -> str:
        """``"sync"``, ``"async"`` or ``"mixed"``, by :meth:`steps`; without any, ``"async"``.

        It decides the road of a request that comes through an async door.
        """
        # PERF: looked at again only when a step came or went; bench case "async view".
        view = None if self.endpoint is None else app.view_functions.get(self.endpoint)
        seen = len(app.teardown_appcontext_funcs)
        if self._lists:
            seen += sum(map(len, self._lists))
        seen = 4 * seen + 2 * app._session_is_lazy + any(_RECEIVERS)
        if view is self._view and seen == self._seen:
            return self._colour
        kinds = {is_async(function) for _, function in self.steps(app)}
        if len(kinds) == 2 or None in kinds:
            self._colour = "mixed"
        else:
            self._colour = "sync" if False in kinds else "async"
        self._view, self._seen = view, seen
        return self._colour


_SIGNALS = (
    appcontext_popped,
    appcontext_pushed,
    appcontext_tearing_down,
    request_finished,
    request_started,
    request_tearing_down,
)


#: The receivers of each of these, which a signal keeps in one dict for its life.
_RECEIVERS = [signal.receivers for signal in _SIGNALS]


#: The flag of a coroutine function's code.
COROUTINE = inspect.CO_COROUTINE


def is_async(function: t.Any) -> bool | None:
    """Whether calling ``function`` gives a coroutine, as far as can be told beforehand.

    None for a class's view of which that depends on the request's method.

    A plain function around an async one (a decorator's) counts as sync: its own code may block,
    or wait for the inner one, which only a thread may.
    """
    # PERF: asked for each step of each request behind an async door, where most are functions
    # that are plainly async; inspect takes 1 µs to say so.
    if type(function) is FunctionType and function.__code__.co_flags & COROUTINE:
        return True
    while isinstance(function, partial):
        function = function.func
    if inspect.iscoroutinefunction(function):
        return True
    view: t.Any = getattr(function, "__dict__", _NOTHING).get("_view_of_class")
    if view is not None and view is function:  # not something around it
        return t.cast("bool | None", view.view_class._is_async())
    # PERF: what has code is no object with an async __call__; most steps are functions.
    return not hasattr(function, "__code__") and inspect.iscoroutinefunction(
        getattr(type(function), "__call__", None)  # noqa: B004
    )


_NOTHING: dict[str, t.Any] = {}


def is_wrapped(app: Carboy) -> bool:
    """Whether requests have to go through a replaced ``wsgi_app``."""
    app._plans.overrides(app)
    return app._plans.is_wrapped


def _lists(table: t.Mapping[t.Any, list[t.Any]], names: tuple[t.Any, ...]) -> tuple[t.Any, ...]:
    return tuple(table[name] for name in names if name in table)


class Plans:
    """The plans of one application. Holds no reference to it, so that it can be freed."""

    def __init__(self) -> None:
        #: Those that are compiled, by endpoint.
        self.known: dict[str | None, Plan] = {}
        self._lock = threading.Lock()
        self._revision = 0
        #: The lifecycle methods of the application's class when it was last looked at, and the
        #: overrides found then.
        self.seen: tuple[t.Any, ...] | None = None
        self.found: frozenset[str] = frozenset()
        #: Whether requests have to go through a replaced ``wsgi_app``.
        self.is_wrapped = False
        #: Whether any view or hook is async, as far as was known when this was compiled.
        self.has_async = False
        self._url_builder: UrlBuilder | None = None

    def get(self, app: Carboy, endpoint: str | None) -> Plan:
        """The plan of ``endpoint`` (None: of requests that no rule matched)."""
        plan = self.known.get(endpoint)
        return plan if plan is not None else self._compile(app, endpoint)

    def _compile(self, app: Carboy, endpoint: str | None) -> Plan:
        while True:
            revision = self._revision
            plan = Plan(app, endpoint)
            with self._lock:
                if revision == self._revision:
                    self.known[endpoint] = plan
                    return plan

    def drop(self) -> None:
        """Forget everything: a registration or a replaced method changed what was compiled."""
        with self._lock:
            self._revision += 1
            self.known.clear()
            self.seen = None
        if self._url_builder is not None:
            self._url_builder.forget()

    def url_builder(self, url_map: Map) -> UrlBuilder:
        """The builder for ``url_map``; what it knows is true for as long as the plans."""
        with self._lock:
            builder = self._url_builder
            if builder is None or builder.url_map is not url_map:
                builder = self._url_builder = UrlBuilder(url_map)
            return builder

    def overrides(self, app: Carboy) -> frozenset[str]:
        """The lifecycle methods that the application does not take from Carboy itself.

        Methods patched onto a class are noticed because the class's methods are compared each
        time; those set on the object because ``Carboy.__setattr__`` calls :meth:`drop`.
        """
        cls: t.Any = type(app)
        # PERF: one call into C for all of them, 0.25 µs; bench case "text".
        seen = lifecycle(cls)
        if seen == self.seen:
            return self.found
        own = vars(app)
        self.found = frozenset(
            name
            for name, method in zip(LIFECYCLE, seen[1:], strict=True)
            if name in own or method is not _originals[name]
        )
        self.is_wrapped = "wsgi_app" in own or not hasattr(cls.wsgi_app, "_is_carboys_own")
        self.has_async = _has_async(app)
        if app._serving.waiting:
            # Not a method: the first request finds out by the way that the start is still due.
            self.found |= {"serving"}
        self.seen = seen
        return self.found


def _has_async(app: Carboy) -> bool:
    """Whether any step of the application is async, wholly or in part."""
    tables: tuple[t.Any, ...] = (
        app.url_value_preprocessors,
        app.before_request_funcs,
        app.after_request_funcs,
        app.teardown_request_funcs,
    )
    lists = [functions for table in tables for functions in table.values()]
    steps = chain(app.view_functions.values(), app.teardown_appcontext_funcs, *lists)
    return any(is_async(step) is not False for step in steps)


lifecycle = attrgetter("wsgi_app", *LIFECYCLE)

#: The lifecycle methods as Carboy's own class defines them: whatever differs is a replacement.
_originals: dict[str, t.Any] = {}


def remember_originals(cls: type[t.Any]) -> None:
    """Note the lifecycle methods of the application class before anybody can patch them."""
    _originals.update((name, getattr(cls, name)) for name in LIFECYCLE)

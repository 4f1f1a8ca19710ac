"""What is known about an endpoint before a request for it comes.

A :class:`Plan` lists the hook functions that apply to an endpoint, in order, as references to
the very lists that ``app.before_request_funcs`` and its siblings hold: appending to such a list
is seen at once, and a change in the tables themselves (:class:`HookTable`) drops the plans.
:class:`Plans` keeps them for one application, and knows which lifecycle methods the application
replaces, by a subclass or by assignment, so that the pipeline goes through those.
"""

from __future__ import annotations

import threading
import typing as t

from .wrappers import _split_blueprint_path

if t.TYPE_CHECKING:
    from .app import Carboy

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

    def clear(self) -> None:
        """Remove all keys."""
        super().clear()
        self._changed()


class Plan:
    """The hooks of one endpoint, each as a tuple of live lists in the order they run."""

    __slots__ = ("after", "before", "blueprints", "endpoint", "teardown", "url_processors")

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


def _lists(table: t.Mapping[t.Any, list[t.Any]], names: tuple[t.Any, ...]) -> tuple[t.Any, ...]:
    return tuple(table[name] for name in names if name in table)


class Plans:
    """The plans of one application. Holds no reference to it, so that it can be freed."""

    def __init__(self) -> None:
        #: Those that are compiled, by endpoint.
        self.known: dict[str | None, Plan] = {}
        self._lock = threading.Lock()
        self._revision = 0
        self._seen_class: tuple[t.Any, ...] | None = None
        self._overrides: frozenset[str] = frozenset()

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
            self._seen_class = None

    def overrides(self, app: Carboy) -> frozenset[str]:
        """The lifecycle methods that the application does not take from Carboy itself.

        Methods patched onto a class are noticed because the class's methods are compared each
        time; those set on the object because ``Carboy.__setattr__`` calls :meth:`drop`.
        """
        cls: t.Any = type(app)
        # PERF: attribute loads and one tuple comparison, 0.2 µs; bench case "text".
        seen = (
            cls.create_url_adapter,
            cls.dispatch_request,
            cls.do_teardown_appcontext,
            cls.do_teardown_request,
            cls.ensure_sync,
            cls.async_to_sync,
            cls.finalize_request,
            cls.full_dispatch_request,
            cls.handle_exception,
            cls.handle_http_exception,
            cls.handle_user_exception,
            cls.make_response,
            cls.preprocess_request,
            cls.process_response,
            cls.request_context,
        )
        if seen == self._seen_class:
            return self._overrides
        own = vars(app)
        self._overrides = frozenset(
            name
            for name, method in zip(LIFECYCLE, seen, strict=True)
            if name in own or method is not _originals[name]
        )
        self._seen_class = seen
        return self._overrides


#: The lifecycle methods as Carboy's own class defines them: whatever differs is a replacement.
_originals: dict[str, t.Any] = {}


def remember_originals(cls: type[t.Any]) -> None:
    """Note the lifecycle methods of the application class before anybody can patch them."""
    _originals.update((name, getattr(cls, name)) for name in LIFECYCLE)

"""Rate limits: how often a client may ask, for the whole application, a blueprint or a view.

Answers say how much is left (``RateLimit-Limit``, ``-Remaining`` and ``-Reset``, the IETF's draft),
and a 429 says when to come again (RFC 6585, ``Retry-After``).
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import time
import typing as t
from collections.abc import Callable
from functools import wraps

from werkzeug.exceptions import ServiceUnavailable, TooManyRequests

from carboy.audit import record
from carboy.globals import _get_request_context, request
from carboy.plan import is_async
from carboy.wrappers import _split_blueprint_path

from .windows import Count, Limit, MemoryWindows, SharedWindows, parse_limit

if t.TYPE_CHECKING:
    from carboy.app import Carboy
    from carboy.wrappers import Response

T = t.TypeVar("T")
Key = Callable[[], "str | None"]

_MARK = "_rate_limits"
_KEY = "carboy.rate_limit"
#: Seconds for which a store that failed is left alone.
_REST = 5


class RateLimitExceeded(TooManyRequests):
    """The 429: ``limit`` in words, and in ``retry_after`` the seconds until it is worth trying."""

    def __init__(self, limit: str, retry_after: int) -> None:
        super().__init__(
            f"More than {limit}. Try again in {retry_after} seconds.", retry_after=retry_after
        )
        self.limit = limit


class _Rule(t.NamedTuple):
    scope: str
    limit: Limit
    key: Key
    methods: frozenset[str] | None


def client_address() -> str:
    """The client's address, the default key. An IPv6 client is its network of 64 bits.

    Behind a proxy this is the proxy, unless ``TrustedProxies`` or ``ProxyFix`` says who asked it.
    """
    text = request.remote_addr or ""
    if ":" not in text:
        return text
    try:
        address = ipaddress.IPv6Address(text.partition("%")[0])
    except ValueError:
        return text
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    # One household has 2**64 addresses, and would have as many limits.
    return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))


class Windows:
    """Where requests are counted, as ``RATE_LIMIT_STORAGE`` says; in memory while that is away."""

    def __init__(self, app: Carboy | None = None) -> None:
        config = {} if app is None else app.config
        self.memory = MemoryWindows(config.get("RATE_LIMIT_MAX_KEYS") or 100_000)
        uri = config.get("RATE_LIMIT_STORAGE") or "memory://"
        self._shared = None if uri.startswith("memory:") else SharedWindows(uri)
        self._rest_until = 0.0

    @property
    def is_shared(self) -> bool:
        """Whether counting asks another machine, and so may take a while."""
        return self._shared is not None

    def hit(self, app: Carboy, limit: Limit, client: str) -> Count:
        """Count one of ``client``'s. ServiceUnavailable as ``RATE_LIMIT_ON_ERROR`` says."""
        if self._shared is not None and time.monotonic() >= self._rest_until:
            try:
                return self._shared.hit(limit, client)
            except Exception as error:  # each store's library has its own
                self._rest(app, error)
        if self._shared is not None and app.config.get("RATE_LIMIT_ON_ERROR") == "refuse":
            raise ServiceUnavailable(retry_after=_REST)
        return self.memory.hit(limit, client)

    def clear(self, app: Carboy, limit: Limit, client: str) -> None:
        """Forget what was counted of ``client``."""
        self.memory.clear(limit, client)
        if self._shared is not None and time.monotonic() >= self._rest_until:
            try:
                self._shared.clear(limit, client)
            except Exception as error:
                self._rest(app, error)

    def _rest(self, app: Carboy, error: Exception) -> None:
        self._rest_until = time.monotonic() + _REST
        app.logger.error("The store of rate limits does not answer: %r", error)


class RateLimits:
    """``RateLimits(app, "300 per minute")``, or the setting ``RATE_LIMITS``, for all requests.

    :param app: The application; without it call :meth:`init_app` later.
    :param limits: What a client may ask of the whole application, in words.
    :param key: A function that names the client; None leaves the request uncounted.
    """

    def __init__(self, app: Carboy | None = None, *limits: str, key: Key = client_address) -> None:
        self._key = key
        self._rules = [_Rule("*", parse_limit(text), key, None) for text in limits]
        self._windows = Windows()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Carboy) -> None:
        """Count the requests of ``app`` before its hooks. ValueError for a limit that is none."""
        if "carboy.rate_limits" in app.extensions:
            return
        setting = app.config.get("RATE_LIMITS") or ()
        if isinstance(setting, str):
            setting = (setting,)
        self._rules += [_Rule("*", parse_limit(text), self._key, None) for text in setting]
        self._windows = Windows(app)
        app.extensions["carboy.rate_limits"] = self
        app.before_request_funcs.setdefault(None, []).insert(0, self.count)
        app.after_request_funcs.setdefault(None, []).insert(0, self.tell)

    def limit(
        self, *limits: str, key: Key | None = None, methods: t.Iterable[str] | None = None
    ) -> Callable[[T], T]:
        """Decorate a view, a view class or a blueprint with limits of its own, besides the others.

        :param limits: In words: ``"5 per minute"``.
        :param key: Names the client, as for the class.
        :param methods: Count requests with these methods only.
        """
        if isinstance(methods, str):
            raise TypeError(f"methods is a list; write [{methods!r}].")
        wanted = None if methods is None else frozenset(map(str.upper, methods))
        parsed = [parse_limit(text) for text in limits]

        def mark(target: T) -> T:
            known = list(getattr(target, _MARK, ()))
            name = f"{getattr(target, '__module__', '')}.{getattr(target, '__qualname__', '')}"
            scope = getattr(target, "name", name)
            # By number, too: another key's clients must not be counted under the same name.
            rules = [
                _Rule(f"{scope}:{number}:{limit}", limit, key or self._key, wanted)
                for number, limit in enumerate(parsed, len(known))
            ]
            setattr(target, _MARK, known + rules)
            return target

        return mark

    def limit_messages(self, *limits: str, key: Key | None = None) -> Callable[[T], T]:
        """Decorate a WebSocket's view, below ``@app.websocket``, with limits for what it receives.

        Over a limit the conversation is closed with 1008 (RFC 6455 section 7.4.1), and a view that
        receives learns so as of any other end. Parameters as for :meth:`limit`; the key is asked for once,
        when the conversation begins.
        """
        parsed = [parse_limit(text) for text in limits]

        def mark(view: T) -> T:
            function = t.cast("Callable[..., t.Any]", view)
            scope = f"{getattr(view, '__module__', '')}.{getattr(view, '__qualname__', '')}"

            def begin() -> None:
                client = (key or self._key)()
                if client is not None:
                    names = [(limit, f"message {scope}:{limit}|{client}") for limit in parsed]
                    self._count_messages(_get_request_context()._websocket, names)

            @wraps(function)
            def limited(*args: t.Any, **kwargs: t.Any) -> t.Any:
                begin()
                return function(*args, **kwargs)

            @wraps(function)
            async def limited_async(*args: t.Any, **kwargs: t.Any) -> t.Any:
                begin()
                return await function(*args, **kwargs)

            return t.cast(T, limited_async if is_async(function) else limited)

        return mark

    def _count_messages(self, websocket: t.Any, names: list[tuple[Limit, str]]) -> None:
        receive = websocket._receive

        async def counted() -> t.Any:
            message = await receive()
            for limit, name in names:
                hit = self._windows.hit
                if self._windows.is_shared:
                    count = await asyncio.to_thread(hit, websocket.app, limit, name)
                else:
                    count = hit(websocket.app, limit, name)
                if not count.allowed:
                    record(websocket.app, "rate_limited", limit=f"{limit} messages")
                    websocket.end_with(1008, "Too many messages")
                    websocket._check("receive")
            return message

        websocket._receive = counted

    def exempt(self, target: T) -> T:
        """Leave a view or a blueprint uncounted: a health check, say."""
        setattr(target, _MARK, None)
        return target

    def count(self) -> None:
        """Count the current request. Raises RateLimitExceeded, or ServiceUnavailable if the store
        is away and ``RATE_LIMIT_ON_ERROR`` is ``"refuse"``."""
        ctx = _get_request_context()
        if ctx.app.config.get("RATE_LIMITS") is False:
            return
        tightest: tuple[Limit, Count] | None = None
        for rule in self._rules_for(ctx.app, ctx.request.endpoint):
            if rule.methods is not None and ctx.head.method not in rule.methods:
                continue
            client = rule.key()
            if client is None:
                continue
            counted = self._windows.hit(ctx.app, rule.limit, f"{rule.scope}|{client}")
            if tightest is None or counted.remaining < tightest[1].remaining:
                tightest = rule.limit, counted
            if not counted.allowed:
                ctx.head.environ[_KEY] = rule.limit, counted
                record(ctx.app, "rate_limited", limit=str(rule.limit))
                raise RateLimitExceeded(str(rule.limit), max(math.ceil(counted.reset), 1))
        if tightest is not None:
            ctx.head.environ[_KEY] = tightest

    def tell(self, response: Response) -> Response:
        """Say on the answer what is left of the tightest limit."""
        found = _get_request_context().head.environ.get(_KEY)
        if found is not None:
            limit, counted = found
            response.headers["RateLimit-Limit"] = str(limit.amount)
            response.headers["RateLimit-Remaining"] = str(counted.remaining)
            response.headers["RateLimit-Reset"] = str(math.ceil(counted.reset))
        return response

    def _rules_for(self, app: Carboy, endpoint: str | None) -> list[_Rule]:
        rules = list(self._rules)
        if endpoint is None:
            return rules
        view: t.Any = app.view_functions.get(endpoint)
        marked: list[t.Any] = [view, getattr(view, "view_class", None)]
        if "." in endpoint:
            names = _split_blueprint_path(endpoint.rpartition(".")[0])
            marked.extend(app.blueprints.get(name) for name in names)
        for target in marked:
            own = getattr(target, _MARK, ())
            if own is None:
                return []
            rules.extend(own)
        return rules

"""Cross-origin resource sharing (Fetch standard, section 3.2): which other sites may read answers.

Origins are compared whole: scheme, host and port. A policy belongs to the application, a blueprint
or a view, and never to a piece of a path, which has more than one spelling.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Callable, Iterable

from werkzeug.exceptions import HTTPException

from carboy.globals import _get_request_context
from carboy.origins import origins_of, parse_origin
from carboy.wrappers import _split_blueprint_path

if t.TYPE_CHECKING:
    from carboy.app import Carboy
    from carboy.ctx import RequestContext
    from carboy.wrappers import Response

T = t.TypeVar("T")

Origins = str | Iterable[str | re.Pattern[str]]

_MARK = "_cors_policy"
_DYNAMIC = "Origin"
_PREFLIGHT = ("Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers")
_ANY_HEADER = "*"


class Policy:
    """Who may read, and how; the parameters are those of :meth:`CORS.allow`."""

    def __init__(
        self,
        origins: Origins,
        *,
        credentials: bool = False,
        methods: Iterable[str] | None = None,
        allow_headers: Iterable[str] = ("Content-Type",),
        expose_headers: Iterable[str] = (),
        max_age: int = 600,
        private_network: bool = False,
    ) -> None:
        for name, value in (("methods", methods), ("allow_headers", allow_headers)):
            if isinstance(value, str):
                raise TypeError(f"{name} is a list; write [{value!r}].")
        listed = [origins] if isinstance(origins, str) else [*origins]
        self.any_origin = "*" in listed
        if self.any_origin and credentials:
            raise ValueError(
                "All origins ('*') cannot be allowed with credentials: any page could then read what"
                " the signed-in user may. List the origins that need it."
            )
        self.patterns = [item for item in listed if isinstance(item, re.Pattern)]
        exact = [item for item in listed if isinstance(item, str) and item != "*"]
        self.exact = origins_of(exact, "origins")
        self.credentials = credentials
        self.methods = None if methods is None else frozenset(map(str.upper, methods))
        self.headers = frozenset(map(str.lower, allow_headers))
        if _ANY_HEADER in self.headers and credentials:
            raise ValueError("With credentials the request headers must be listed; '*' is none.")
        self.exposed = ", ".join(expose_headers)
        self.max_age = max_age
        self.private_network = private_network

    def allows(self, origin: str | None) -> bool:
        """Whether a page of this origin may read. ``null`` and what is no origin never may."""
        if origin is None:
            return False
        parsed = parse_origin(origin)
        if parsed is None:
            return self.any_origin
        if self.any_origin or parsed in self.exact:
            return True
        text = origin.lower()
        return any(pattern.fullmatch(text) is not None for pattern in self.patterns)


class CORS:
    """``CORS(app, origins=["https://app.example.org"])`` lets pages of that origin read all answers.

    Without ``origins`` nothing is allowed but what :meth:`allow` marks. The further parameters are
    those of :meth:`allow`.
    """

    def __init__(
        self, app: Carboy | None = None, origins: Origins | None = None, **options: t.Any
    ) -> None:
        if origins is None and options:
            raise TypeError(f"CORS() was given {', '.join(options)} and no origins to allow.")
        self.default = None if origins is None else Policy(origins, **options)
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Carboy) -> None:
        """Answer preflight requests of ``app`` before its hooks, and mark its answers after them.

        Raises RuntimeError the second time: two policies for everything contradict each other.
        """
        if "carboy.cors" in app.extensions:
            raise RuntimeError(
                "CORS was set up for this application before. Give views and blueprints policies of"
                " their own with its allow(...) instead."
            )
        app.extensions["carboy.cors"] = self
        app.before_request_funcs.setdefault(None, []).insert(0, self.answer_preflight)
        app.after_request_funcs.setdefault(None, []).insert(0, self.mark)

    def allow(self, origins: Origins, **options: t.Any) -> Callable[[T], T]:
        """Decorate a view, a view class or a blueprint with a policy of its own.

        :param origins: ``"https://app.example.org"`` and the like, exact; compiled patterns, which
            must match the whole origin in lower case; or ``"*"`` for public data.
        :param credentials: Whether cookies may come along. Not with ``"*"``.
        :param methods: The methods to allow; by default those that the address answers.
        :param allow_headers: The request headers to allow besides the harmless ones.
        :param expose_headers: The response headers that scripts may read.
        :param max_age: How long browsers keep the answer to a preflight, in seconds.
        :param private_network: Whether public sites may ask this private one.

        The innermost policy counts: view, blueprint, application. No origins means nobody.
        """
        policy = Policy(origins, **options)

        def mark(target: T) -> T:
            setattr(target, _MARK, policy)
            return target

        return mark

    def answer_preflight(self) -> Response | None:
        """The answer to a browser that asks before it sends, or None for other requests."""
        ctx = _get_request_context()
        environ = ctx.head.environ
        method = environ.get("HTTP_ACCESS_CONTROL_REQUEST_METHOD")
        origin = environ.get("HTTP_ORIGIN")
        if ctx.head.method != "OPTIONS" or method is None or origin is None:
            return None
        endpoint = _endpoint_for(ctx, method)
        policy = None if endpoint is None else self._policy(ctx.app, endpoint)
        if policy is None or not policy.allows(origin):
            return None
        if policy.methods is not None and method not in policy.methods:
            return None
        response = ctx.app.response_class(status=204)
        headers = response.headers
        # This one only: browsers remember all that are named, and another may have another policy.
        headers["Access-Control-Allow-Methods"] = method
        asked = environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "").lower().split(",")
        names = {name.strip() for name in asked}
        granted = sorted(names & policy.headers)
        if _ANY_HEADER in policy.headers:
            granted = [_ANY_HEADER]
        if granted:
            headers["Access-Control-Allow-Headers"] = ", ".join(granted)
        headers["Access-Control-Max-Age"] = str(policy.max_age)
        if (
            policy.private_network
            and environ.get("HTTP_ACCESS_CONTROL_REQUEST_PRIVATE_NETWORK") == "true"
        ):
            headers["Access-Control-Allow-Private-Network"] = "true"
        response.vary.update(_PREFLIGHT)
        self._share(response, policy, origin)
        return response

    def mark(self, response: Response) -> Response:
        """Say on an answer who may read it, unless the view has said so itself."""
        ctx = _get_request_context()
        policy = self._policy(ctx.app, ctx.request.endpoint)
        if policy is None or "Access-Control-Allow-Origin" in response.headers:
            return response
        if not policy.any_origin:
            # Without Origin, too: a cache must not hand this answer to who comes with one.
            response.vary.add(_DYNAMIC)
        environ = ctx.head.environ
        if ctx.head.method == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ:
            return response  # a preflight that was not granted; this view is not what it is about
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None and policy.allows(origin):
            self._share(response, policy, origin)
            if policy.exposed:
                response.headers["Access-Control-Expose-Headers"] = policy.exposed
        return response

    def _share(self, response: Response, policy: Policy, origin: str) -> None:
        allowed = "*" if policy.any_origin else origin
        response.headers["Access-Control-Allow-Origin"] = allowed
        if policy.credentials:
            response.headers["Access-Control-Allow-Credentials"] = "true"

    def _policy(self, app: Carboy, endpoint: str | None) -> Policy | None:
        if endpoint is None:
            return self.default
        view: t.Any = app.view_functions.get(endpoint)
        found = getattr(view, _MARK, None) or getattr(
            getattr(view, "view_class", None), _MARK, None
        )
        if found is None and "." in endpoint:
            names = _split_blueprint_path(endpoint.rpartition(".")[0])
            marks = (getattr(app.blueprints.get(name), _MARK, None) for name in names)
            found = next((mark for mark in marks if mark is not None), None)
        policy: Policy | None = self.default if found is None else found
        return policy

    def policies(self, app: Carboy) -> t.Iterator[tuple[str, Policy]]:
        """Every policy of an application with a name for it; for ``carboy check``."""
        if self.default is not None:
            yield "the application", self.default
        for name, blueprint in app.blueprints.items():
            if (mark := getattr(blueprint, _MARK, None)) is not None:
                yield f"blueprint {name}", mark
        for endpoint, view in app.view_functions.items():
            mark = getattr(view, _MARK, None) or getattr(
                getattr(view, "view_class", None), _MARK, None
            )
            if mark is not None:
                yield f"view {endpoint}", mark


def _endpoint_for(ctx: RequestContext, method: str) -> str | None:
    """The endpoint that a request with this method would reach at the current address."""
    # Methods are case-sensitive (RFC 9110 section 9.1), and Werkzeug's matching is not.
    if ctx.url_adapter is None or not method or method != method.upper():
        return None
    try:
        endpoint, _ = ctx.url_adapter.match(method=method)
    except HTTPException:
        return None
    return str(endpoint)

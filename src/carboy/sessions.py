"""Sessions: the dict a client carries from request to request, and the signed cookie it lies in.

The cookie is Flask's own (same salt, serializer, signature and key rotation), so one application
may be served by both frameworks. Its content can be read by whoever has it, and not changed.
"""

from __future__ import annotations

import hashlib
import re
import typing as t
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from functools import lru_cache, partial
from operator import attrgetter, itemgetter

from werkzeug.datastructures import CallbackDict
from werkzeug.http import dump_cookie

from .body import cookies_named
from .dates import http_date
from .globals import _cv
from .headers import CookieScope, Headers, cookie_attributes
from .json.tag import TaggedJSONSerializer
from .wrappers import Request, Response

if t.TYPE_CHECKING:
    from itsdangerous import URLSafeTimedSerializer

    from .app import Carboy
    from .signing import KeptSigners

#: How far a cookie's time may lie ahead of this machine's, in seconds: clocks are set back by
#: their time server, and two hosts never quite agree. Such a session is kept, not lost.
CLOCK_TOLERANCE = 30


class SessionMixin(MutableMapping[str, t.Any]):
    """What a session has beside being a mutable mapping. ``class Session(dict, SessionMixin)``."""

    #: Whether the session was made in this request. Only some interfaces know; False here.
    new = False

    #: Whether there is something to save. An interface that cannot tell leaves it True.
    modified = True

    #: Whether anybody looked at the session in this request. The context sets it when it hands
    #: the session out, and the response then says that it varies with the cookie.
    accessed = False

    @property
    def permanent(self) -> bool:
        """Whether the session outlives the browser's, for ``PERMANENT_SESSION_LIFETIME``.

        Kept in the session itself, under the key ``_permanent``.
        """
        permanent: bool = self.get("_permanent", False)
        return permanent

    @permanent.setter
    def permanent(self, value: bool) -> None:
        self["_permanent"] = bool(value)


def _mark_modified(session: t.Any) -> None:
    session.modified = True


class SecureCookieSession(CallbackDict[str, t.Any], SessionMixin):
    """The session of the signed cookie.

    It notices changes of its own items. After a change inside one of them (an ``append`` to a
    list, say) set :attr:`modified` yourself.
    """

    modified = False

    # On the class, where the base keeps one function an instance: a session costs one dict.
    on_update = staticmethod(_mark_modified)

    def __init__(self, initial: Mapping[str, t.Any] | None = None) -> None:
        dict.__init__(self, initial or ())

    def __setitem__(self, key: str, value: t.Any) -> None:
        dict.__setitem__(self, key, value)
        if (tell := self.on_update) is not None:
            tell(self)


_NO_KEY = """\
The session is unavailable because no secret key was set. Set app.secret_key, or SECRET_KEY in the
configuration, to a long random value that stays the same over restarts. This command prints one:
python -c 'import secrets; print(secrets.token_hex())'\
"""


class NullSession(SecureCookieSession):
    """The session of an application without a secret key: empty, and refusing to change."""

    def _refuse(self, *args: t.Any, **kwargs: t.Any) -> t.NoReturn:
        raise RuntimeError(_NO_KEY)

    __setitem__ = __delitem__ = setdefault = update = pop = popitem = clear = _refuse
    del _refuse


class SessionInterface:
    """Where sessions come from and go to: subclass it with :meth:`open_session` and
    :meth:`save_session`, and assign an instance to :attr:`~carboy.Carboy.session_interface`.

    Requests of one client may run at the same time, so one session may be open twice.
    """

    #: The class of the session that stands in when :meth:`open_session` returns None.
    null_session_class = NullSession

    #: Whether the store uses pickle, for extensions that want to know.
    pickle_based = False

    #: True lets the core put off :meth:`open_session` until the session is touched, for requests
    #: that carry no session cookie.
    lazy: bool = False

    def make_null_session(self, app: Carboy) -> NullSession:
        """Return the stand-in for a session that could not be opened. It is never saved."""
        return self.null_session_class()

    def is_null_session(self, obj: object) -> bool:
        """Whether the object is such a stand-in."""
        # PERF: the usual session is known by its type; 0.3 µs, bench case "session".
        null = self.null_session_class
        return (type(obj) is not SecureCookieSession or null is not NullSession) and isinstance(
            obj, null
        )

    # What the cookie is like, each from the configuration key of its name.

    def get_cookie_name(self, app: Carboy) -> str:
        """``SESSION_COOKIE_NAME``."""
        name: str = app.config["SESSION_COOKIE_NAME"]
        return name

    def get_cookie_domain(self, app: Carboy) -> str | None:
        """``SESSION_COOKIE_DOMAIN``. None: the host that set the cookie, without subdomains."""
        domain: str | None = app.config["SESSION_COOKIE_DOMAIN"]
        return domain

    def get_cookie_path(self, app: Carboy) -> str:
        """``SESSION_COOKIE_PATH``, or ``APPLICATION_ROOT`` where that is not set."""
        path: str = app.config["SESSION_COOKIE_PATH"] or app.config["APPLICATION_ROOT"]
        return path

    def get_cookie_httponly(self, app: Carboy) -> bool:
        """``SESSION_COOKIE_HTTPONLY``: scripts in the page cannot read the cookie."""
        http_only: bool = app.config["SESSION_COOKIE_HTTPONLY"]
        return http_only

    def get_cookie_secure(self, app: Carboy) -> bool:
        """``SESSION_COOKIE_SECURE``: sent over HTTPS only. None: see :func:`wants_secure`."""
        secure: bool | None = app.config["SESSION_COOKIE_SECURE"]
        if secure is not None:
            return secure
        same_site = self.get_cookie_samesite(app)
        return (
            wants_secure(app)
            # RFC 6265bis sections 4.1.3 and 5.7: without it, browsers drop these.
            or self.get_cookie_name(app).lower().startswith(("__host-", "__secure-"))
            or (same_site is not None and same_site.lower() == "none")
            or self.get_cookie_partitioned(app)
        )

    def get_cookie_samesite(self, app: Carboy) -> str | None:
        """``SESSION_COOKIE_SAMESITE``: ``"Strict"``, ``"Lax"``, ``"None"``, or None for no word."""
        same_site: str | None = app.config["SESSION_COOKIE_SAMESITE"]
        return same_site

    def get_cookie_partitioned(self, app: Carboy) -> bool:
        """``SESSION_COOKIE_PARTITIONED``: one jar for each top-level site that embeds this one."""
        partitioned: bool = app.config["SESSION_COOKIE_PARTITIONED"]
        return partitioned

    def get_expiration_time(self, app: Carboy, session: SessionMixin) -> datetime | None:
        """When a permanent session's cookie expires (aware, UTC); None for other sessions."""
        return datetime.now(UTC) + app.permanent_session_lifetime if session.permanent else None

    def should_set_cookie(self, app: Carboy, session: SessionMixin) -> bool:
        """Whether the response must carry the cookie: the session changed, or it is permanent
        and ``SESSION_REFRESH_EACH_REQUEST`` is on."""
        if session.modified:
            return True
        refresh: bool = session.permanent and app.config["SESSION_REFRESH_EACH_REQUEST"]
        return refresh

    def open_session(self, app: Carboy, request: Request) -> SessionMixin | None:
        """Return the session of a request; called at its beginning, before it is routed.

        None when there is none and cannot be: :meth:`make_null_session` then gives a stand-in.
        """
        raise NotImplementedError

    def save_session(self, app: Carboy, session: SessionMixin, response: Response) -> None:
        """Save the session and set its cookie; called when the response is made."""
        raise NotImplementedError


def wants_secure(app: Carboy) -> bool:
    """Whether a cookie of the current request should be sent over HTTPS only.

    Yes, unless the request came by plain http in debug mode or to this very machine
    (``localhost``, a loopback address), where there is nobody on the way. A proxy that takes the
    encryption off is therefore no matter.
    """
    ctx = _cv.get(None)
    found = None if ctx is None else ctx._request_context
    if found is None:
        return not app.debug
    get = found.head.get
    if get("wsgi.url_scheme") == "https":
        return True
    host = get("HTTP_HOST") or get("SERVER_NAME", "")
    if app.debug or _LOOPBACK.fullmatch(host) is not None:
        return False
    # Browsers say Sec-Fetch-Site over https and to localhost only.
    if get("HTTP_SEC_FETCH_SITE") is None and "carboy.plain_http" not in app.extensions:
        app.extensions["carboy.plain_http"] = True
        app.logger.warning(
            "The session cookie is marked Secure, and this request came by http: if the browser"
            " sent it so, it drops the cookie, and nobody stays signed in. Serve the site by"
            " https; or set TRUSTED_PROXIES if a proxy in front does so already, or"
            " SESSION_COOKIE_SECURE = False if there is none. This is said once."
        )
    return True


_LOOPBACK = re.compile(
    r"(?:localhost|[\w-]+\.localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]*)?", re.IGNORECASE
)

session_json_serializer = TaggedJSONSerializer()


def _lazy_sha1(string: bytes = b"") -> t.Any:
    # Looked up when first used: where SHA-1 is switched off (FIPS), importing still works and a
    # subclass can name another digest.
    return hashlib.sha1(string)


# The methods of an interface that say what its cookie is like, and the settings they read.
_asked = attrgetter(
    "get_cookie_name",
    "get_cookie_path",
    "get_cookie_domain",
    "get_cookie_secure",
    "get_cookie_httponly",
    "get_cookie_samesite",
    "get_cookie_partitioned",
)
_STOCK = _asked(SessionInterface)
_settings = itemgetter(
    "SESSION_COOKIE_NAME",
    "SESSION_COOKIE_PATH",
    "APPLICATION_ROOT",
    "SESSION_COOKIE_DOMAIN",
    "SESSION_COOKIE_SECURE",
    "SESSION_COOKIE_HTTPONLY",
    "SESSION_COOKIE_SAMESITE",
    "SESSION_COOKIE_PARTITIONED",
)
_SET_COOKIE = Response.set_cookie


@lru_cache(maxsize=64)
def _stock_cookie(settings: tuple[t.Any, ...], secure: bool) -> tuple[str, CookieScope]:
    name, path, root, domain, _, *rest = settings
    return name, CookieScope(path or root, domain, secure, *rest)


class SecureCookieSessionInterface(SessionInterface):
    """The session in a signed cookie. Change a class attribute to change how it is signed."""

    #: Mixed into the secret key, so that a signature made for another purpose is worth nothing.
    salt = "cookie-session"

    #: The hash function of the signature.
    digest_method = staticmethod(_lazy_sha1)

    #: How ItsDangerous makes the signing key of secret key and salt.
    key_derivation = "hmac"

    #: Turns the session into text and back; an object with ``dumps`` and ``loads``.
    serializer = session_json_serializer

    session_class = SecureCookieSession
    lazy = True

    _serializers: t.ClassVar[dict[t.Any, KeptSigners]] = {}

    def get_signing_serializer(self, app: Carboy) -> URLSafeTimedSerializer | None:
        """Return what signs and verifies the cookie, or None for an application without a key.

        It signs with the secret key and accepts those of ``SECRET_KEY_FALLBACKS`` besides.
        """
        key = app.secret_key
        if not key:
            return None
        older = app.config["SECRET_KEY_FALLBACKS"]
        keys = (*older, key) if older else (key,)  # newest last
        derivation, digest = self.key_derivation, self.digest_method
        recipe = (keys, self.salt, derivation, digest, id(self.serializer))
        kept = self._serializers.get(recipe)
        if kept is not None and kept.serializer is self.serializer:
            return kept
        from .signing import KeptSigners

        made = KeptSigners(
            t.cast("list[str]", list(keys)), digest, derivation, self.salt, self.serializer
        )
        if len(self._serializers) >= 64:  # keys changed again and again, as in a test suite
            self._serializers.clear()
        self._serializers[recipe] = made
        return made

    def open_session(self, app: Carboy, request: Request) -> SecureCookieSession | None:
        """Return the session of the request's cookie, empty for one that does not verify.

        Of several cookies with the name the first that verifies counts: another host of the
        domain may have planted one. None without a secret key.
        """
        serializer = self.get_signing_serializer(app)
        if serializer is None:
            return None
        name = self.get_cookie_name(app)
        values = _values_of(request, name)
        if values:
            read = getattr(serializer, "read", None) or _reader(serializer)
            max_age = int(app.permanent_session_lifetime.total_seconds())
            for value in filter(None, values):
                good, content = read(value, max_age, CLOCK_TOLERANCE)
                if good:
                    return self.session_class(content)
        return self.session_class()

    def save_session(self, app: Carboy, session: SessionMixin, response: Response) -> None:
        """Set the cookie if the session changed or is to be refreshed; delete it if the session
        was emptied; and say ``Vary: Cookie`` if the session was looked at or its cookie is set.
        """
        if session:
            sets = self.should_set_cookie(app, session)
        else:
            sets = session.modified
        if session.accessed or sets:
            headers = response.headers
            # PERF: one look at the names' lengths instead of three searches; 2 µs.
            if type(headers) is Headers and not {4, 13} & {len(name) for name, _ in headers._list}:
                headers._list.append(("Vary", "Cookie"))
            else:
                _vary(response)
                if sets:
                    _keep_private(response)
            control = app.config["SESSION_CACHE_CONTROL"]
            if control and "Cache-Control" not in headers:
                headers["Cache-Control"] = control
        if not sets:
            return
        if session:
            self._set_cookie(app, session, response)
        else:
            name, scope = self._cookie(app)
            response.delete_cookie(name, **scope._asdict())

    def _cookie(self, app: Carboy) -> tuple[str, CookieScope]:
        """The name of the cookie and where it is sent, as the ``get_cookie_`` methods say."""
        # PERF: six calls less where none of them is replaced; bench case "session".
        if not self.__dict__ and _asked(type(self)) == _STOCK:
            settings = _settings(app.config)
            return _stock_cookie(
                settings, self.get_cookie_secure(app) if settings[4] is None else settings[4]
            )
        return self.get_cookie_name(app), CookieScope(
            self.get_cookie_path(app),
            self.get_cookie_domain(app),
            self.get_cookie_secure(app),
            self.get_cookie_httponly(app),
            self.get_cookie_samesite(app),
            self.get_cookie_partitioned(app),
        )

    def _set_cookie(self, app: Carboy, session: SessionMixin, response: Response) -> None:
        serializer = self.get_signing_serializer(app)
        if serializer is None:  # the key went away since the session was opened
            raise RuntimeError(_NO_KEY)
        name, scope = self._cookie(app)
        value = serializer.dumps(dict(session))
        expires = self.get_expiration_time(app, session)
        limit = response.max_cookie_size
        headers = response.headers
        if (
            type(headers) is Headers
            and type(response).set_cookie is _SET_COOKIE
            and value.isascii()
            and (not limit or len(value) + 512 <= limit)
        ):
            # PERF: what a signature is written in needs no quotes; 3 µs, bench case "session".
            before, after = cookie_attributes(name, scope)
            until = "" if expires is None else f"; Expires={http_date(expires)}"
            headers._list.append(("Set-Cookie", f"{name}={value}{before}{until}{after}"))
            return
        options = scope._asdict()
        options["expires"] = expires
        if limit and len(value) + 512 > limit:
            _report_size(app, limit, len(dump_cookie(name, value, **options, max_size=0)))
        response.set_cookie(name, value, **options)


def _reader(serializer: URLSafeTimedSerializer) -> t.Callable[[str, int, int], tuple[bool, t.Any]]:
    """As :meth:`KeptSigners.read`, for a serializer of the application's own."""
    from .signing import read

    return partial(read, serializer)


def _values_of(request: Request, name: str) -> t.Sequence[str]:
    """The values of the cookies of this name, as they came."""
    # PERF: nobody asked for the others yet, and most views never will; 2 µs, bench case "session".
    if type(request) is Request and "cookies" not in request.__dict__:
        values = cookies_named(name, request.environ.get("HTTP_COOKIE", ""))
        if values is not None:
            return values
    cookies = request.cookies
    if name not in cookies:
        return ()
    return cookies.getlist(name) if hasattr(cookies, "getlist") else [cookies[name]]


def _vary(response: Response) -> None:
    known = response.headers.get("Vary")
    if known is None:
        response.headers["Vary"] = "Cookie"
    elif known != "Cookie":
        response.vary.add("Cookie")


def _keep_private(response: Response) -> None:
    """See to it that no shared cache hands the cookie of one user to the next."""
    if "Cache-Control" in response.headers:
        control = response.cache_control
        if control.public or control.s_maxage is not None:  # RFC 9111 sections 3.5 and 5.2.2.10
            control.public = False
            control.s_maxage = None
            control.private = True


def _report_size(app: Carboy, limit: int, size: int) -> None:
    if size > limit:
        app.logger.error(
            "The session cookie is %d bytes long, and browsers drop a cookie of more than %d"
            " without a word: what this request put into the session is lost. Keep less in the"
            " session (an id instead of the object), or use a server-side session interface.",
            size,
            limit,
        )

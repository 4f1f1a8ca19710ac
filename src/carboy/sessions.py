"""Sessions: the dict a client carries from request to request, and the signed cookie it lies in.

The cookie is Flask's own (same salt, serializer, signature and key rotation), so one application
may be served by both frameworks. Its content can be read by whoever has it, and not changed.
"""

from __future__ import annotations

import hashlib
import hmac
import time
import typing as t
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime

from itsdangerous import (
    BadData,
    HMACAlgorithm,
    SignatureExpired,
    TimestampSigner,
    URLSafeTimedSerializer,
)
from itsdangerous.encoding import base64_decode, base64_encode, want_bytes
from werkzeug.datastructures import CallbackDict
from werkzeug.http import dump_cookie

from .json.tag import TaggedJSONSerializer

if t.TYPE_CHECKING:
    from .app import Carboy
    from .wrappers import Request, Response

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
        return isinstance(obj, self.null_session_class)

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
        """``SESSION_COOKIE_SECURE``: sent over HTTPS only."""
        secure: bool = app.config["SESSION_COOKIE_SECURE"]
        return secure

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


session_json_serializer = TaggedJSONSerializer()


def _lazy_sha1(string: bytes = b"") -> t.Any:
    # Looked up when first used: where SHA-1 is switched off (FIPS), importing still works and a
    # subclass can name another digest.
    return hashlib.sha1(string)


class _Sha1(HMACAlgorithm):
    """HMAC-SHA1 in one call into C, for the stock digest."""

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        return hmac.digest(key, value, "sha1")


class _KeptKeySigner(TimestampSigner):
    """ItsDangerous' signer, which derives a key anew for every value; this one remembers."""

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self._derived: dict[str | bytes | None, bytes] = {}

    def derive_key(self, secret_key: str | bytes | None = None) -> bytes:
        key = self._derived.get(secret_key)
        if key is None:
            key = self._derived[secret_key] = super().derive_key(secret_key)
        return key

    def accepts(self, value: bytes, signature: bytes) -> bool:
        """Whether this is the signature of the value, by any key, as this class writes it."""
        sign = self.algorithm.get_signature
        return any(
            hmac.compare_digest(base64_encode(sign(self.derive_key(key), value)), signature)
            for key in reversed(self.secret_keys)
        )


class _KeptSigners(URLSafeTimedSerializer):
    """A serializer that makes its signer once, and reads its own cookies by a shorter way.

    It writes what its base reads and reads what its base writes.
    """

    def __init__(self, keys: list[str], options: dict[str, t.Any], **kwargs: t.Any) -> None:
        super().__init__(keys, signer=_KeptKeySigner, signer_kwargs=options, **kwargs)
        self._kept = _KeptKeySigner(self.secret_keys, salt=self.salt, **options)

    def make_signer(self, salt: str | bytes | None = None) -> TimestampSigner:
        if salt is None or salt == self.salt:
            return self._kept
        return t.cast(TimestampSigner, super().make_signer(salt))

    def loads(  # type: ignore[override]
        self,
        s: str | bytes,
        max_age: int | None = None,
        return_timestamp: bool = False,
        salt: str | bytes | None = None,
    ) -> t.Any:
        # PERF: 6 µs where the base takes 10. Only a good cookie goes this way; whatever is wrong
        # with another one, the base finds out and says.
        if max_age is not None and salt is None and not return_timestamp and s.isascii():
            value, _, signature = want_bytes(s).rpartition(b".")
            if value and self._kept.accepts(value, signature):
                payload, _, stamp = value.rpartition(b".")
                if payload and stamp and 0 <= _age(stamp) <= max_age:
                    return self.load_payload(payload)
        return super().loads(s, max_age, return_timestamp, salt)


def _age(stamp: bytes) -> int:
    """Seconds since the signing; -1 for what is no time stamp."""
    try:
        return int(time.time()) - int.from_bytes(base64_decode(stamp), "big")
    except BadData:
        return -1


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

    _serializers: t.ClassVar[dict[t.Any, URLSafeTimedSerializer]] = {}

    def get_signing_serializer(self, app: Carboy) -> URLSafeTimedSerializer | None:
        """Return what signs and verifies the cookie, or None for an application without a key.

        It signs with the secret key and accepts those of ``SECRET_KEY_FALLBACKS`` besides.
        """
        key = app.secret_key
        if not key:
            return None
        keys = (*(app.config["SECRET_KEY_FALLBACKS"] or ()), key)  # newest last
        derivation, digest = self.key_derivation, self.digest_method
        recipe = (keys, self.salt, derivation, digest, id(self.serializer))
        kept = self._serializers.get(recipe)
        if kept is not None and kept.serializer is self.serializer:
            return kept
        options = {
            "key_derivation": derivation,
            "digest_method": digest,
            "algorithm": _Sha1(digest) if digest is _lazy_sha1 else None,
        }
        made = _KeptSigners(
            t.cast("list[str]", list(keys)), options, salt=self.salt, serializer=self.serializer
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
        cookies = request.cookies
        if name in cookies:
            max_age = int(app.permanent_session_lifetime.total_seconds())
            values = cookies.getlist(name) if hasattr(cookies, "getlist") else [cookies[name]]
            for value in filter(None, values):
                try:
                    return self.session_class(_load(serializer, value, max_age))
                except BadData:  # a bad signature, or content that no tag here can read
                    continue
        return self.session_class()

    def save_session(self, app: Carboy, session: SessionMixin, response: Response) -> None:
        """Set the cookie if the session changed or is to be refreshed; delete it if the session
        was emptied; and say ``Vary: Cookie`` if the session was looked at or its cookie is set.
        """
        if session.accessed:
            _vary(response)
        if not session:
            if session.modified:
                name = self.get_cookie_name(app)
                response.delete_cookie(name, **self._cookie_options(app))
                _keep_private(response)
        elif self.should_set_cookie(app, session):
            self._set_cookie(app, session, response)
            _keep_private(response)

    def _cookie_options(self, app: Carboy) -> dict[str, t.Any]:
        return {
            "path": self.get_cookie_path(app),
            "domain": self.get_cookie_domain(app),
            "secure": self.get_cookie_secure(app),
            "httponly": self.get_cookie_httponly(app),
            "samesite": self.get_cookie_samesite(app),
            "partitioned": self.get_cookie_partitioned(app),
        }

    def _set_cookie(self, app: Carboy, session: SessionMixin, response: Response) -> None:
        serializer = self.get_signing_serializer(app)
        if serializer is None:  # the key went away since the session was opened
            raise RuntimeError(_NO_KEY)
        name = self.get_cookie_name(app)
        value = serializer.dumps(dict(session))
        options = self._cookie_options(app)
        options["expires"] = self.get_expiration_time(app, session)
        limit = response.max_cookie_size
        if limit and len(value) + 512 > limit:
            _report_size(app, limit, len(dump_cookie(name, value, **options, max_size=0)))
        response.set_cookie(name, value, **options)


def _load(serializer: URLSafeTimedSerializer, value: str, max_age: int) -> t.Any:
    try:
        return serializer.loads(value, max_age=max_age)
    except SignatureExpired as error:
        # Raised too for a good signature of the near future: see CLOCK_TOLERANCE.
        signed = error.date_signed
        if (
            signed is not None
            and isinstance(error.payload, bytes)
            and 0 < signed.timestamp() - int(time.time()) <= CLOCK_TOLERANCE
        ):
            return serializer.load_payload(error.payload)
        raise


def _vary(response: Response) -> None:
    known = response.headers.get("Vary")
    if known is None:
        response.headers["Vary"] = "Cookie"
    elif known != "Cookie":
        response.vary.add("Cookie")


def _keep_private(response: Response) -> None:
    """See to it that no shared cache hands the cookie of one user to the next."""
    _vary(response)
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

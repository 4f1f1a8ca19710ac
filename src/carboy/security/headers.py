"""Headers that tell browsers what to refuse, on every answer, and a policy for scripts with a nonce.

``SECURITY_HEADERS`` is the one switch: True for the defaults below, a dict to change some of
them, False for none. A header that a view or a hook has set is never touched.
"""

from __future__ import annotations

import os
import typing as t
from base64 import urlsafe_b64encode
from collections.abc import Mapping

from carboy.globals import _get_request_context
from carboy.headers import check_name, value_of

from .template_names import offer

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from carboy.app import Carboy
    from carboy.transport import Reply, RequestHead

CSP = "Content-Security-Policy"
REPORT_ONLY = "Content-Security-Policy-Report-Only"
HSTS = "Strict-Transport-Security"

#: The source, in a policy, that stands for the nonce of the current answer.
NONCE = "'nonce'"

#: What ``True`` sends. The policy refuses plug-ins, foreign bases and foreign frames, which no
#: ordinary page misses; scripts and styles are the application's to restrict.
DEFAULTS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    CSP: "object-src 'none'; base-uri 'self'; frame-ancestors 'self'",
    HSTS: "max-age=31536000",
}

#: A policy for scripts that carry ``nonce="{{ csp_nonce() }}"``, and for what these load; no other
#: script runs, whatever is injected into a page.
STRICT_CSP: Mapping[str, str] = {
    "script-src": f"{NONCE} 'strict-dynamic'",
    "object-src": "'none'",
    "base-uri": "'none'",
    "frame-ancestors": "'self'",
}

_POLICIES = frozenset({CSP.lower(), REPORT_ONLY.lower()})
_KEY = "carboy.csp_nonce"

#: A header: its lower-case name, then itself as a pair.
_Header = tuple[str, tuple[str, str]]


def csp_nonce() -> str:
    """The nonce of the current answer, for ``<script nonce="{{ csp_nonce() }}">``.

    128 random bits, the same during one request. The answer's policy names it if it was asked
    for. RuntimeError outside a request.
    """
    return _nonce(_get_request_context().head.environ)


def _nonce(environ: WSGIEnvironment) -> str:
    nonce: str | None = environ.get(_KEY)
    if nonce is None:
        nonce = environ[_KEY] = urlsafe_b64encode(os.urandom(16)).rstrip(b"=").decode()
    return nonce


class SecurityHeaders:
    """Adds the headers to an application's answers: ``SecurityHeaders(app)``, or by the setting."""

    def __init__(self, app: Carboy | None = None) -> None:
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Carboy) -> None:
        """Add the headers to each answer after all hooks, and give templates ``csp_nonce()``.

        Raises ValueError or TypeError for a setting that cannot be sent.
        """
        if "carboy.security_headers" not in app.extensions:
            app._finish_reply = _finisher(app.config)
            app.extensions["carboy.security_headers"] = self
            offer(app, "csp_nonce", csp_nonce)


def _finisher(config: Mapping[str, t.Any]) -> t.Callable[[Reply, RequestHead], None]:
    """What adds the headers to finished replies of one application, whoever made them."""
    read = config.get
    setting = read("SECURITY_HEADERS")
    compiled = compile_headers(setting)
    http, https = _pairs(compiled)
    is_fixed = not compiled.policies

    def finish(reply: Reply, head: RequestHead) -> None:
        nonlocal setting, compiled, http, https, is_fixed
        if read("SECURITY_HEADERS") is not setting:
            compiled = compile_headers(read("SECURITY_HEADERS"))
            http, https = _pairs(compiled)
            is_fixed = not compiled.policies
            setting = read("SECURITY_HEADERS")
        headers = reply.headers
        # PERF: most replies have these two only, and nothing need be compared: 0.3 µs where the
        # long way takes 1; bench case "text".
        if (
            is_fixed
            and len(headers) == 2
            and headers[0][0] == "Content-Type"
            and headers[1][0] == "Content-Length"
        ):
            made = head.made
            scheme = head.scheme if made is None else made["wsgi.url_scheme"]
            reply.headers = headers + (https if scheme == "https" else http)
        else:
            _add_missing(compiled, reply, head)

    return finish


def _pairs(compiled: Compiled) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The headers as they are sent, by http and by https."""
    return [pair for _, pair in compiled.http], [pair for _, pair in compiled.https]


def _add_missing(compiled: Compiled, reply: Reply, head: RequestHead) -> None:
    wanted = compiled.https if head.scheme == "https" else compiled.http
    present = {name.lower() for name, _ in reply.headers}
    # A new list: a WSGI application that answered may keep its own for the next request.
    reply.headers = [*reply.headers, *(pair for name, pair in wanted if name not in present)]
    if compiled.policies:
        _add_policies(compiled, reply, head.environ, present)


def _add_policies(
    compiled: Compiled, reply: Reply, environ: WSGIEnvironment, present: set[str]
) -> None:
    """Add the policies with a nonce in them, if a page may have one in it, too."""
    if reply.status.startswith("304"):
        return  # it would replace the policy of the stored page, whose nonce is another
    # A stream may ask for the nonce after the headers have gone.
    is_whole = isinstance(reply.body, list | tuple)
    nonce = environ.get(_KEY) if is_whole else _nonce(environ)
    source = "" if nonce is None else f"'nonce-{nonce}'"
    for name, (header, policy) in compiled.policies:
        if name not in present:
            reply.headers.append((header, policy.replace(NONCE, source)))


class Compiled(t.NamedTuple):
    """A setting made ready: headers by http, headers by https, policies with a nonce."""

    http: list[_Header]
    https: list[_Header]
    policies: list[_Header]


def compile_headers(setting: t.Any) -> Compiled:
    """Make a value of ``SECURITY_HEADERS`` ready to be sent; None counts as True.

    Raises TypeError for a value of the wrong kind, ValueError for what no header can carry.
    """
    if setting is False:
        return Compiled([], [], [])
    chosen: dict[str, tuple[str, t.Any]] = {k.lower(): (k, v) for k, v in DEFAULTS.items()}
    if isinstance(setting, Mapping):
        for name, value in setting.items():
            check_name(name)
            chosen[name.lower()] = (name, value)
    elif setting is not True and setting is not None:
        raise TypeError(
            f"SECURITY_HEADERS is True, False or a dict of headers, not {setting!r}. A dict changes"
            " some of the defaults: {'X-Frame-Options': 'DENY', 'Referrer-Policy': False}."
        )
    compiled = Compiled([], [], [])
    for lowered, (name, value) in chosen.items():
        if value is None or value is False:
            continue
        text = _text_of(name, DEFAULTS.get(name) if value is True else value)
        header = (lowered, (name, text))
        if lowered in _POLICIES and NONCE in text:
            compiled.policies.append(header)
            continue
        compiled.https.append(header)
        if lowered != HSTS.lower():  # RFC 6797 section 7.2: not by http
            compiled.http.append(header)
    return compiled


def _text_of(name: str, value: t.Any) -> str:
    if isinstance(value, Mapping) and name.lower() in _POLICIES:
        value = "; ".join(filter(None, (_directive(key, item) for key, item in value.items())))
    if not isinstance(value, str):
        raise TypeError(
            f"SECURITY_HEADERS has {value!r} for {name!r}. A header is a text, False for none, or,"
            " for the content security policies, a dict of directives."
        )
    return value_of(name, value)


def _directive(name: str, sources: t.Any) -> str:
    """One directive: a text or a list of sources; True for the name alone, False for none."""
    if sources is None or sources is False:
        return ""
    if sources is True:
        sources = ""
    if not isinstance(sources, str):
        sources = " ".join(sources)
    if ";" in sources or "," in sources:
        raise ValueError(
            f"The sources {sources!r} of {name!r} hold a separator, which would begin another"
            " directive or policy. Write one directive an item, and percent-encode ; and , in"
            " addresses."
        )
    return f"{name} {sources}".strip()


def settings_problem(config: Mapping[str, t.Any]) -> str | None:
    """What is wrong with ``SECURITY_HEADERS``, or None; for ``carboy check``."""
    try:
        compile_headers(config.get("SECURITY_HEADERS"))
    except (TypeError, ValueError) as error:
        return str(error)
    return None

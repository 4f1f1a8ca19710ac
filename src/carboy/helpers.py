"""The functions that views call by name: URLs, redirects, flashes, files, streams.

Most hand on to the current application's method of the same name, so that an application that
overrides the method changes the function too.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import typing as t
from datetime import datetime
from functools import cache, lru_cache, update_wrapper

import werkzeug.utils
from werkzeug.exceptions import NotFound
from werkzeug.exceptions import abort as _wz_abort
from werkzeug.utils import redirect as _wz_redirect
from werkzeug.wrappers import Response as BaseResponse

from .globals import (
    _cv,
    _cv_request,
    _get_app,
    _get_request_context,
    current_app,
    session,
)
from .sending import find, send, source_of
from .signals import message_flashed
from .urls import is_own, short
from .urls import url_for as build_url

if t.TYPE_CHECKING:
    from types import ModuleType

    from .ctx import RequestContext
    from .wrappers import Response

_NO = frozenset(["0", "false", "no"])


def _setting(name: str) -> str:
    """The environment variable, ``CARBOY_NAME`` before ``FLASK_NAME``; empty without either."""
    return os.environ.get(f"CARBOY_{name}") or os.environ.get(f"FLASK_{name}") or ""


def get_debug_flag() -> bool:
    """Whether ``CARBOY_DEBUG`` or ``FLASK_DEBUG`` switches debug mode on. Not without one."""
    value = _setting("DEBUG")
    return value != "" and value.lower() not in _NO


def get_load_dotenv(default: bool = True) -> bool:
    """Whether ``.env`` files are to be read: ``CARBOY_SKIP_DOTENV`` or ``FLASK_SKIP_DOTENV``
    says no, without them ``default`` counts."""
    value = _setting("SKIP_DOTENV")
    return value.lower() in _NO if value else default


# -- responses ----------------------------------------------------------------------------------


def make_response(*args: t.Any) -> Response:
    """Return the response that a view returning ``args`` would give, to change it further.

    ``make_response(body, 404)`` is what ``return body, 404`` makes; without arguments the
    response is empty.
    """
    app = _get_app()
    if not args:
        return app.response_class()
    return app.make_response(args if len(args) > 1 else args[0])


def redirect(
    location: str, code: int = 302, Response: type[BaseResponse] | None = None
) -> BaseResponse:
    """Return a response that sends the client to another URL.

    Within an application context this is :meth:`app.redirect() <carboy.Carboy.redirect>`, which
    makes the application's own response class; ``Response`` counts elsewhere only.
    """
    ctx = _cv.get(None)
    if ctx is None:
        return _wz_redirect(location, code=code, Response=Response)
    return ctx.app.redirect(location, code=code)


def abort(code: int | BaseResponse, *args: t.Any, **kwargs: t.Any) -> t.NoReturn:
    """Leave the view with the HTTP error of this code, or with this response.

    Further arguments are the exception's, as in ``abort(404, description="No such vessel")``.
    """
    ctx = _cv.get(None)
    if ctx is not None:
        ctx.app.aborter(code, *args, **kwargs)
    _wz_abort(code, *args, **kwargs)


@short
def url_for(
    endpoint: str,
    *,
    _anchor: str | None = None,
    _method: str | None = None,
    _scheme: str | None = None,
    _external: bool | None = None,
    **values: t.Any,
) -> str:
    """Return the URL of an endpoint: :meth:`app.url_for() <carboy.Carboy.url_for>`.

    An endpoint that begins with a dot is the current blueprint's. ``values`` fill the rule's
    variables, and the rest becomes the query string. ``_external`` asks for a whole URL.
    """
    ctx = _cv.get(None)
    # The proxy is asked only where it has an error to raise.
    app = current_app if ctx is None else ctx.app
    if ctx is not None and is_own(ctx.app):
        return build_url(ctx.app, endpoint, _anchor, _method, _scheme, _external, values)
    return app.url_for(
        endpoint,
        _external=_external,
        _scheme=_scheme,
        _method=_method,
        _anchor=_anchor,
        **values,
    )


# -- files --------------------------------------------------------------------------------------

_WERKZEUG_SEND_FILE = werkzeug.utils.send_file


def send_file(
    path_or_file: os.PathLike[t.AnyStr] | str | t.IO[bytes],
    mimetype: str | None = None,
    as_attachment: bool = False,
    download_name: str | None = None,
    conditional: bool = True,
    etag: bool | str = True,
    last_modified: datetime | int | float | None = None,
    max_age: int | t.Callable[[str | None], int | None] | None = None,
) -> Response:
    """Return a response with a file's contents.

    A path is relative to the application's folder and must not come from the client: that is
    what :func:`send_from_directory` is for. A file object must be open for bytes and stand at
    the beginning. Type, name, ETag and modification time are taken from a path where they are
    not given; ``max_age`` (seconds) is :meth:`~carboy.Carboy.get_send_file_max_age`'s.
    ``conditional`` answers ranges (206) and unchanged files (304).

    Raises :exc:`FileNotFoundError` for a path that is not there, and :exc:`ValueError` for a
    text file object or an unknown type without a name to tell it from.
    """
    app = _get_app()
    environ = _get_request_context().head.environ
    if max_age is None:
        max_age = app.get_send_file_max_age
    if werkzeug.utils.send_file is not _WERKZEUG_SEND_FILE:
        # Tests of applications and extensions put a stand-in there.
        stand_in: t.Any = werkzeug.utils.send_file
        answer: Response = stand_in(
            path_or_file=path_or_file,
            environ=environ,
            mimetype=mimetype,
            as_attachment=as_attachment,
            download_name=download_name,
            conditional=conditional,
            etag=etag,
            last_modified=last_modified,
            max_age=max_age,
        )
        return answer
    return send(
        source_of(path_or_file, app.root_path, app.config["USE_X_SENDFILE"]),
        environ,
        app.response_class,
        mimetype,
        as_attachment,
        download_name,
        conditional,
        etag,
        last_modified,
        max_age,
    )


def send_from_directory(
    directory: os.PathLike[str] | str, path: os.PathLike[str] | str, **kwargs: t.Any
) -> Response:
    """Return a response with the file that a client asked for, from inside ``directory``.

    The directory is relative to the application's folder. ``kwargs`` are those of
    :func:`send_file`. Raises :exc:`~werkzeug.exceptions.NotFound` for a path that leaves the
    directory, names no regular file, or ends in a slash; for a link out of the directory unless
    ``SEND_FILE_LINKS`` is set, and for a hidden file unless ``SEND_FILE_HIDDEN`` is.
    """
    name = os.fspath(path)
    # A file is not a directory: a cache that goes by the path's shape must not be deceived.
    if name.endswith("/"):
        raise NotFound()
    app = _get_app()
    return send_file(find(os.fspath(directory), name, app.root_path, app.config), **kwargs)


# -- streams ------------------------------------------------------------------------------------


@t.overload
def stream_with_context(
    generator_or_function: t.Iterator[t.AnyStr],
) -> t.Iterator[t.AnyStr]:
    """Wrap an iterator."""


@t.overload
def stream_with_context(
    generator_or_function: t.Callable[..., t.Iterator[t.AnyStr]],
) -> t.Callable[[t.Iterator[t.AnyStr]], t.Iterator[t.AnyStr]]:
    """Decorate a function that makes one."""


def stream_with_context(generator_or_function: t.Any) -> t.Any:
    """Keep the request's context for a generator, sync or async, that a response streams.

    Wrap a generator, ``return stream_with_context(rows())``, or decorate the function that makes
    it. ``request``, ``session`` and ``g`` work in the generator while it is asked for its next
    part, and teardown functions run once, after the stream has ended or was given up.

    Raises :exc:`RuntimeError` when there is no request to keep.
    """
    is_async = hasattr(generator_or_function, "__aiter__")
    try:
        parts = aiter(generator_or_function) if is_async else iter(generator_or_function)
    except TypeError:
        make = generator_or_function

        def decorated(*args: t.Any, **kwargs: t.Any) -> t.Any:
            return stream_with_context(make(*args, **kwargs))

        return update_wrapper(decorated, make)
    ctx = _cv_request.get(None)
    if ctx is None:
        raise RuntimeError(
            "'stream_with_context' can only be used when a request context is active, such as in"
            " a view function. Here there is no request whose context the stream could keep."
        )
    return _AsyncStream(ctx, parts) if is_async else _Stream(ctx, parts)


class _Stream:
    """An iterator that holds a request's context until it has ended.

    Between two parts the context is not current: the server's thread may serve others meanwhile.
    """

    __slots__ = ("_ctx", "_held", "_parts")

    def __init__(self, ctx: RequestContext, parts: t.Iterator[t.Any]) -> None:
        self._held = False
        self._ctx = ctx
        self._parts = parts
        ctx.hold()
        self._held = True

    def __iter__(self) -> t.Self:
        return self

    def __next__(self) -> t.Any:
        if not self._held:
            raise StopIteration
        # PERF: what ctx.active() does, without its object: a streamed template has many parts.
        token = _cv.set(self._ctx)
        try:
            try:
                return next(self._parts)
            finally:
                _cv.reset(token)
        except StopIteration:
            self._end(None)
            raise
        except BaseException as error:
            self._end(error)
            raise

    def close(self) -> None:
        """End the stream, wherever it is, and with it the request. Once; then it does nothing."""
        self._end(None)

    def _end(self, error: BaseException | None) -> None:
        if not self._held:
            return
        self._held = False
        try:
            close = getattr(self._parts, "close", None)
            if close is not None:
                with self._ctx.active():
                    close()
        except BaseException as failure:
            error = error or failure
            raise
        finally:
            self._ctx.release(error)

    def __del__(self) -> None:
        # A server that dropped the response without closing it.
        if self._held:
            self.close()


class _AsyncStream:
    """As :class:`_Stream`, for an asynchronous iterator."""

    __slots__ = ("_ctx", "_held", "_parts")

    def __init__(self, ctx: RequestContext, parts: t.AsyncIterator[t.Any]) -> None:
        self._ctx = ctx
        self._parts = parts
        ctx.hold()
        self._held = True

    def __aiter__(self) -> t.Self:
        return self

    async def __anext__(self) -> t.Any:
        if not self._held:
            raise StopAsyncIteration
        try:
            with self._ctx.active():
                return await anext(self._parts)
        except StopAsyncIteration:
            await self._end(None)
            raise
        except BaseException as error:
            await self._end(error)
            raise

    async def aclose(self) -> None:
        """End the stream, wherever it is, and with it the request. Once; then it does nothing."""
        await self._end(None)

    async def _end(self, error: BaseException | None) -> None:
        if not self._held:
            return
        self._held = False
        try:
            close = getattr(self._parts, "aclose", None)
            if close is not None:
                with self._ctx.active():
                    await close()
        except BaseException as failure:
            error = error or failure
            raise
        finally:
            await self._ctx.release_on_loop(error)

    def __del__(self) -> None:
        # Never begun, as for HEAD: nothing of it has to be awaited but the teardown.
        if self._held:
            self._held = False
            self._ctx.release()


# -- templates and flashes ----------------------------------------------------------------------


def get_template_attribute(template_name: str, attribute: str) -> t.Any:
    """Return a macro or variable that a template exports, to use it from Python."""
    return getattr(current_app.jinja_env.get_template(template_name).module, attribute)


def _default_template_ctx_processor() -> dict[str, t.Any]:
    """What every template has: ``g`` and ``request``, the objects themselves.

    Not the session: it must be asked for through its proxy, so that the context sees that the
    response depends on it.
    """
    ctx = _cv.get(None)
    if ctx is None:
        return {}
    outer = ctx._request_context
    return {"g": ctx.g} if outer is None else {"g": ctx.g, "request": outer.request}


_MARKUP = ("html", "htm", "xml", "xhtml", "svg")
_TEMPLATE = ("jinja", "jinja2", "j2")
_PLAIN = frozenset(
    [
        "cfg",
        "conf",
        "css",
        "csv",
        "eml",
        "env",
        "ics",
        "ini",
        "js",
        "json",
        "md",
        "properties",
        "py",
        "rst",
        "service",
        "sh",
        "sql",
        "tex",
        "text",
        "toml",
        "tsv",
        "txt",
        "vcf",
        "yaml",
        "yml",
    ]
)


def select_autoescape(filename: str | None) -> bool:
    """Whether the values in this template are escaped.

    As in Flask: in ``.html``, ``.htm``, ``.xml``, ``.xhtml`` and ``.svg`` templates, and in a
    string without a name. Beyond that, capital letters make no difference, and the suffixes
    ``.jinja``, ``.jinja2`` and ``.j2`` are seen through: ``page.html.j2`` and ``page.jinja`` are
    escaped, ``mail.txt.j2`` is not.
    """
    # PERF: Jinja asks at each rendering; 2 µs, bench case "template".
    return _is_escaped(filename)


@lru_cache(maxsize=512)
def _is_escaped(filename: str | None) -> bool:
    if filename is None:
        return True
    _, *suffixes = filename.lower().rpartition("/")[2].split(".")
    if suffixes and suffixes[-1] in _TEMPLATE:
        return len(suffixes) == 1 or suffixes[-2] not in _PLAIN
    return bool(suffixes) and suffixes[-1] in _MARKUP


def flash(message: str, category: str = "message") -> None:
    """Keep a message in the session until a page shows it with :func:`get_flashed_messages`.

    Any category will do; ``message``, ``info``, ``warning`` and ``error`` are customary.
    """
    # Assigned, not appended in place: a session may notice only changes of its own items.
    waiting = [*session.get("_flashes", ()), (category, message)]
    session["_flashes"] = waiting
    if message_flashed.receivers:
        app = _get_app()
        message_flashed.send(
            app, _async_wrapper=app.ensure_sync, message=message, category=category
        )


def get_flashed_messages(
    with_categories: bool = False, category_filter: t.Iterable[str] = ()
) -> list[str] | list[tuple[str, str]]:
    """Return the messages flashed so far and take them out of the session.

    Within one request every call finds the same messages. ``category_filter`` asks for those of
    some categories; ``with_categories`` gives ``(category, message)`` pairs.
    """
    ctx = _get_request_context()
    if ctx.flashes is None:
        # Not a pop with a default: that would count as a change of the session.
        ctx.flashes = session.pop("_flashes") if "_flashes" in session else []
    wanted = [*category_filter]
    found = [pair for pair in ctx.flashes if pair[0] in wanted] if wanted else ctx.flashes
    if with_categories:
        pairs: list[tuple[str, str]] = found
        return pairs
    return [message for _, message in found]


# -- packages -----------------------------------------------------------------------------------


def get_root_path(import_name: str) -> str:
    """Return the folder of a module or package, found without importing it where possible.

    The current directory for what has no file (an interactive session, an unknown name). Raises
    :exc:`RuntimeError` for a namespace package, which has no one folder.
    """
    known = sys.modules.get(import_name)
    path = _file_of(known) or _file_by_spec(import_name)
    return os.getcwd() if path is None else os.path.dirname(os.path.abspath(path))


def _file_of(module: ModuleType | None) -> str | None:
    return getattr(module, "__file__", None)


def _file_by_spec(import_name: str) -> str | None:
    try:
        spec = importlib.util.find_spec(import_name)
    except (ImportError, ValueError):  # not there, or __main__ without a spec
        return None
    if spec is None or spec.loader is None:
        return None
    get_filename = getattr(spec.loader, "get_filename", None)
    if get_filename is not None:
        path: str = get_filename(import_name)
        return path
    # A loader of another kind: only the imported module can tell.
    found = _file_of(importlib.import_module(import_name))
    if found is None:
        raise RuntimeError(
            f"No root path can be found for the provided module {import_name!r}. It is a"
            " namespace package, which has many folders or none, or it was imported by a hook"
            " that does not tell file names. Pass root_path explicitly."
        )
    return found


@cache
def _split_blueprint_path(name: str) -> list[str]:
    """``"a.b.c"`` → ``["a.b.c", "a.b", "a"]``: a nested blueprint, then those it lies in."""
    parts = [name]
    while "." in name:
        name = name.rpartition(".")[0]
        parts.append(name)
    return parts


def __getattr__(name: str) -> t.Any:
    # Where extensions written for older Flask versions look for it. The scaffold imports this
    # module, so it can only be asked later.
    if name == "_endpoint_from_view_func":
        from .scaffold import _endpoint_from_view_func

        return _endpoint_from_view_func
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

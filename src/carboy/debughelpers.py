"""Errors and log entries that say more than the plain ones; used in debug mode only."""

from __future__ import annotations

import typing as t

from werkzeug.routing import RequestRedirect

from .blueprints import Blueprint
from .globals import _cv_request

if t.TYPE_CHECKING:
    from jinja2.loaders import BaseLoader

    from .app import Carboy
    from .scaffold import Scaffold
    from .wrappers import Request

    _Found = tuple[str, str | None, t.Callable[[], bool] | None]


class UnexpectedUnicodeError(AssertionError, UnicodeError):
    """Text where bytes were due, or the other way round."""


class DebugFilesKeyError(KeyError, AssertionError):
    """A file was asked for that the browser could not send, as the form has no ``enctype``."""

    def __init__(self, request: Request, key: str) -> None:
        message = (
            f"There is no file {key!r} in request.files, but there is a form field of that name:"
            f" the form came as {request.mimetype!r}, so no file contents were transmitted."
            ' Add enctype="multipart/form-data" to the form.'
        )
        names = request.form.getlist(key)
        if names:
            message += f"\n\nThis was submitted: {', '.join(map(repr, names))}"
        self.msg = message

    def __str__(self) -> str:
        return self.msg


class FormDataRoutingRedirect(AssertionError):
    """Routing answered a form with a redirect upon which browsers drop what was sent."""

    def __init__(self, request: Request) -> None:
        redirect = request.routing_exception
        if not isinstance(redirect, RequestRedirect):
            raise TypeError("This error is about a request that routing redirected; it was not.")
        target = redirect.new_url
        message = (
            f"A {request.method} request for {request.url!r} was redirected by routing to the"
            f" canonical URL '{target}', and a browser would follow without the form data."
        )
        if target.partition("?")[0] == request.base_url + "/":
            message += (
                " The rule ends in a slash and the request's URL does not, so the slash was added."
            )
        super().__init__(
            f"{message} Send the form to the canonical URL (url_for makes it), or give the"
            " redirect the code 307 or 308, which keep method and data. You see this in debug"
            " mode only."
        )


def attach_enctype_error_multidict(request: Request) -> None:
    """Make ``request.files[key]`` raise :exc:`DebugFilesKeyError` where that is the cause."""
    files = request.files
    plain: t.Any = type(files)

    def look_up(self: t.Any, key: str) -> t.Any:
        try:
            return plain.__getitem__(self, key)
        except KeyError:
            if key in request.form:
                raise DebugFilesKeyError(request, key) from None
            raise

    namespace = {"__getitem__": look_up, "__module__": plain.__module__}
    files.__class__ = type(plain.__name__, (plain,), namespace)


def _dump_loader_info(loader: BaseLoader) -> t.Iterator[str]:
    """A line for the loader's class and for each public setting of a plain type."""
    cls = type(loader)
    yield f"class: {cls.__module__}.{cls.__name__}"
    settings = vars(loader)
    for name in sorted(name for name in settings if name[:1] != "_"):
        value = settings[name]
        if isinstance(value, str | int | float):
            yield f"{name}: {value!r}"
        elif isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
            yield f"{name}:"
            yield from (f"  - {item}" for item in value)


def _owner(scaffold: Scaffold) -> str:
    if isinstance(scaffold, Blueprint):
        return f"blueprint {scaffold.name!r} ({scaffold.import_name})"
    return f"application {scaffold.import_name!r}"


def explain_template_loading_attempts(
    app: Carboy, template: str, attempts: list[tuple[BaseLoader, Scaffold, _Found | None]]
) -> None:
    """Log where a template was looked for and what was found (``EXPLAIN_TEMPLATE_LOADING``)."""
    lines = [f"Locating template {template!r}:"]
    for number, (loader, scaffold, found) in enumerate(attempts, 1):
        lines.append(f"{number:5}: trying loader of {_owner(scaffold)}")
        lines += (f"       {line}" for line in _dump_loader_info(loader))
        outcome = "no match" if found is None else f"found ({found[1] or '<string>'!r})"
        lines.append(f"       -> {outcome}")

    matches = sum(found is not None for _, _, found in attempts)
    if matches == 0:
        lines.append("Error: the template could not be found in any of these places.")
    elif matches > 1:
        lines.append("Warning: it is in several places, and the first one wins.")
    ctx = _cv_request.get(None)
    blueprint = None if ctx is None else ctx.request.blueprint
    if matches != 1 and blueprint is not None:
        lines += (
            f"  It was looked up from an endpoint that belongs to the blueprint {blueprint!r}.",
            "  The application's own folder comes first, then those of the blueprints in the",
            "  order of their registration: put a blueprint's templates in a subfolder that has",
            "  the blueprint's name, in the blueprint's template_folder.",
            "  See https://flask.palletsprojects.com/blueprints/#templates",
        )
    app.logger.info("\n".join(lines))

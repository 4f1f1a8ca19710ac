"""Templates: the Jinja environment of an application, and the functions that render.

Jinja is imported with this module, so the rest of Carboy imports this module when the first
template is needed.
"""

from __future__ import annotations

import typing as t
from collections import ChainMap

from jinja2 import BaseLoader, Template, TemplateNotFound
from jinja2 import Environment as BaseEnvironment
from jinja2.runtime import Context, new_context

from .globals import _cv_request, _get_app, g, request, session
from .helpers import _default_template_ctx_processor as _default_template_ctx_processor
from .helpers import get_flashed_messages, stream_with_context
from .helpers import select_autoescape as select_autoescape
from .shortcuts import SLOW
from .signals import before_render_template, template_rendered

if t.TYPE_CHECKING:
    from .app import Carboy
    from .scaffold import Scaffold

    _Source = tuple[str, str | None, t.Callable[[], bool] | None]

_LOOP_CONTROLS = "jinja2.ext.loopcontrols"


class _Template(Template):
    """Jinja's template, which lays the globals together sooner."""

    def new_context(
        self,
        vars: dict[str, t.Any] | None = None,
        shared: bool = False,
        locals: t.Mapping[str, t.Any] | None = None,
    ) -> Context:
        """Make the context of one rendering, as Jinja's method does."""
        names = self.globals
        if type(names) is ChainMap:
            # PERF: the chain is asked for each name, in Python, and twice; a dict is copied as a
            # whole. 12 µs, bench case "template".
            together: dict[str, t.Any] = {}
            for part in reversed(names.maps):
                together.update(part)
            names = together
        return new_context(self.environment, self.name, self.blocks, vars, shared, names, locals)


# To a user it is Jinja's class; its repr says so.
_Template.__name__ = _Template.__qualname__ = "Template"


class Environment(BaseEnvironment):
    """Jinja's environment, which knows its application (:attr:`app`) and loads from its folders
    and those of its blueprints."""

    if not SLOW:
        template_class = _Template

    def __init__(self, app: Carboy, **options: t.Any) -> None:
        if "loader" not in options:
            options["loader"] = app.create_global_jinja_loader()
        super().__init__(**options)
        self.app = app


class DispatchingJinjaLoader(BaseLoader):
    """Looks for a template in the application's loader and then in the blueprints', in the order
    of their registration."""

    def __init__(self, app: Carboy) -> None:
        self.app = app

    def get_source(self, environment: BaseEnvironment, template: str) -> _Source:
        """Return Jinja's triple of source, file name and up-to-date check.

        Raises :exc:`~jinja2.TemplateNotFound`. With ``EXPLAIN_TEMPLATE_LOADING`` the search is
        logged, and goes on after the first match to find those behind it.
        """
        explain = self.app.config["EXPLAIN_TEMPLATE_LOADING"]
        attempts: list[tuple[BaseLoader, Scaffold, _Source | None]] = []
        first: _Source | None = None
        for owner, loader in self._iter_loaders(template):
            try:
                found = loader.get_source(environment, template)
            except TemplateNotFound:
                found = None
            first = first or found
            attempts.append((loader, owner, found))
            if found is not None and not explain:
                break
        if explain:
            from .debughelpers import explain_template_loading_attempts

            explain_template_loading_attempts(self.app, template, attempts)
        if first is None:
            raise TemplateNotFound(template)
        return first

    def _iter_loaders(self, template: str) -> t.Iterator[tuple[Scaffold, BaseLoader]]:
        owners: list[Scaffold] = [self.app, *self.app.iter_blueprints()]
        for owner in owners:
            if owner.jinja_loader is not None:
                yield owner, owner.jinja_loader

    def list_templates(self) -> list[str]:
        """Return the names of all templates, of the application and its blueprints."""
        return list(
            {name for _, loader in self._iter_loaders("") for name in loader.list_templates()}
        )


def make_global_loader(app: Carboy) -> DispatchingJinjaLoader:
    """Return the loader of :meth:`~carboy.Carboy.create_global_jinja_loader`."""
    return DispatchingJinjaLoader(app)


def make_environment(app: Carboy) -> Environment:
    """Return the environment of :meth:`~carboy.Carboy.create_jinja_environment`.

    ``app.jinja_options`` go to Jinja. ``break`` and ``continue`` work in loops. Templates are
    read again when they change if ``TEMPLATES_AUTO_RELOAD`` says so; None means in debug mode.
    """
    options = dict(app.jinja_options)
    extensions = list(options.get("extensions", ()))
    if _LOOP_CONTROLS not in extensions:
        extensions.append(_LOOP_CONTROLS)
    options["extensions"] = extensions
    options.setdefault("autoescape", app.select_jinja_autoescape)
    if "auto_reload" not in options:
        reload = app.config["TEMPLATES_AUTO_RELOAD"]
        options["auto_reload"] = app.debug if reload is None else reload
    environment: Environment = app.jinja_environment(app, **options)
    # The last three are there for templates that are imported without a context.
    environment.globals |= {
        "config": app.config,
        "get_flashed_messages": get_flashed_messages,
        "url_for": app.url_for,
        "session": session,
        "request": request,
        "g": g,
    }
    environment.globals |= app.extensions.get("carboy.template_globals", {})
    environment.policies["json.dumps_function"] = app.json.dumps
    return environment


def _announce(signal: t.Any, app: Carboy, template: Template, context: dict[str, t.Any]) -> None:
    signal.send(app, _async_wrapper=app.ensure_sync, template=template, context=context)


def _render(app: Carboy, template: Template, context: dict[str, t.Any]) -> str:
    app.update_template_context(context)
    if before_render_template.receivers:
        _announce(before_render_template, app, template, context)
    text = template.render(context)
    if template_rendered.receivers:
        _announce(template_rendered, app, template, context)
    return text


def _stream(app: Carboy, template: Template, context: dict[str, t.Any]) -> t.Iterator[str]:
    app.update_template_context(context)
    if before_render_template.receivers:
        _announce(before_render_template, app, template, context)

    def parts() -> t.Iterator[str]:
        yield from template.generate(context)
        if template_rendered.receivers:
            _announce(template_rendered, app, template, context)

    return parts() if _cv_request.get(None) is None else stream_with_context(parts())


def render_template(
    template_name_or_list: str | Template | list[str | Template], **context: t.Any
) -> str:
    """Render a template with the given variables; of a list, the first template that exists.

    Raises :exc:`~jinja2.TemplateNotFound`.
    """
    app = _get_app()
    return _render(app, app.jinja_env.get_or_select_template(template_name_or_list), context)


def render_template_string(source: str, **context: t.Any) -> str:
    """Render template source with the given variables. Values are escaped."""
    app = _get_app()
    return _render(app, app.jinja_env.from_string(source), context)


def stream_template(
    template_name_or_list: str | Template | list[str | Template], **context: t.Any
) -> t.Iterator[str]:
    """Render a template part by part, for a response that is sent while it is made.

    The request's context stays until the last part. Raises :exc:`~jinja2.TemplateNotFound`.
    """
    app = _get_app()
    return _stream(app, app.jinja_env.get_or_select_template(template_name_or_list), context)


def stream_template_string(source: str, **context: t.Any) -> t.Iterator[str]:
    """Render template source part by part, as :func:`stream_template` does."""
    app = _get_app()
    return _stream(app, app.jinja_env.from_string(source), context)

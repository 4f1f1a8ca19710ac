"""Blueprints: parts of an application that are written down first and registered later."""

from __future__ import annotations

import os
import typing as t

from .errors import setup_finished
from .files import StaticFiles
from .scaffold import Scaffold, _endpoint_from_view_func, _sentinel, named, setupmethod

if t.TYPE_CHECKING:
    from . import typing as ct
    from .app import Carboy
    from .scaffold import (
        T_after_request,
        T_before_request,
        T_error_handler,
        T_teardown,
        T_template_context_processor,
        T_url_defaults,
        T_url_value_preprocessor,
    )

DeferredSetupFunction = t.Callable[["BlueprintSetupState"], None]
T_template_filter = t.TypeVar("T_template_filter", bound="ct.TemplateFilterCallable")
T_template_global = t.TypeVar("T_template_global", bound="ct.TemplateGlobalCallable")
T_template_test = t.TypeVar("T_template_test", bound="ct.TemplateTestCallable")


class BlueprintSetupState:
    """One registration of a blueprint: what its recorded functions work on."""

    def __init__(
        self, blueprint: Blueprint, app: Carboy, options: t.Any, first_registration: bool
    ) -> None:
        def chosen(option: str) -> t.Any:
            value = options.get(option)
            return getattr(blueprint, option) if value is None else value

        #: The application that the blueprint is registered on.
        self.app = app
        #: The blueprint.
        self.blueprint = blueprint
        #: The keyword arguments of ``register_blueprint``.
        self.options = options
        #: Whether this blueprint is registered for the first time on this application.
        self.first_registration = first_registration
        #: The subdomain of the rules, or None.
        self.subdomain = chosen("subdomain")
        #: The prefix of the rules, or None.
        self.url_prefix = chosen("url_prefix")
        #: The name it is registered under, and the dotted name of the blueprint around it.
        self.name = options.get("name", blueprint.name)
        self.name_prefix = options.get("name_prefix", "")
        #: Default values for each rule.
        self.url_defaults = {**blueprint.url_values_defaults, **(options.get("url_defaults") or {})}

    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: ct.RouteCallable | None = None,
        **options: t.Any,
    ) -> None:
        """Add a rule to the application, with the prefixes of this registration."""
        if self.url_prefix is not None:
            rule = _join(self.url_prefix, rule) if rule else self.url_prefix
        options.setdefault("subdomain", self.subdomain)
        if endpoint is None:
            endpoint = _endpoint_from_view_func(view_func)  # type: ignore[arg-type]
        defaults = self.url_defaults
        if "defaults" in options:
            defaults = {**defaults, **options.pop("defaults")}
        full_name = f"{self.name_prefix}.{self.name}.{endpoint}".lstrip(".")
        self.app.add_url_rule(rule, full_name, view_func, defaults=defaults, **options)


def _join(prefix: str, rule: str) -> str:
    return prefix.rstrip("/") + "/" + rule.lstrip("/")


class Blueprint(StaticFiles, Scaffold):
    """A set of routes, hooks, templates and files, to be registered on an application.

    What is decorated with a blueprint's methods applies to its own views; the methods with
    ``app`` in their names apply to the whole application.

    :param name: Prepended to each endpoint, with a dot; must not be empty or have a dot.
    :param import_name: The module the blueprint is defined in, usually ``__name__``.
    :param static_folder: A folder of files served under :attr:`static_url_path`.
    :param static_url_path: URL prefix of those files, below ``url_prefix``.
    :param template_folder: Templates that are searched after the application's own.
    :param url_prefix: Prepended to each rule, unless given at registration.
    :param subdomain: The subdomain that the rules match on, unless given at registration.
    :param url_defaults: Default values for the variables of each rule.
    :param root_path: Where relative folders start; by default the module's folder.
    :param cli_group: The name of its command group; None merges into the application's.
    """

    _got_registered_once = False

    def __init__(
        self,
        name: str,
        import_name: str,
        static_folder: str | os.PathLike[str] | None = None,
        static_url_path: str | None = None,
        template_folder: str | os.PathLike[str] | None = None,
        url_prefix: str | None = None,
        subdomain: str | None = None,
        url_defaults: dict[str, t.Any] | None = None,
        root_path: str | None = None,
        cli_group: str | None = _sentinel,
    ) -> None:
        super().__init__(import_name, static_folder, static_url_path, template_folder, root_path)
        if not name:
            raise ValueError("'name' may not be empty.")
        if "." in name:
            raise ValueError("'name' may not contain a dot '.' character.")
        self.name = name
        self.url_prefix = url_prefix
        self.subdomain = subdomain
        self.deferred_functions: list[DeferredSetupFunction] = []
        self.url_values_defaults = {} if url_defaults is None else url_defaults
        self.cli_group = cli_group
        self._blueprints: list[tuple[Blueprint, dict[str, t.Any]]] = []

    def _check_setup_finished(self, f_name: str) -> None:
        if self._got_registered_once:
            raise setup_finished(
                f_name, "blueprint", self.name, "been registered at least once", "registering it"
            )

    def open_resource(
        self, resource: str, mode: str = "rb", encoding: str | None = "utf-8"
    ) -> t.IO[t.Any]:
        """Open a file below :attr:`root_path` for reading: ``"rb"``, or ``"r"`` for text.

        Raises ValueError for another mode and OSError as :func:`open` does.
        """
        return self._open(self.root_path, resource, mode, encoding)

    # -- registration -------------------------------------------------------------------------

    @setupmethod
    def record(self, func: DeferredSetupFunction) -> None:
        """Have ``func`` called with the :class:`BlueprintSetupState` at each registration."""
        self.deferred_functions.append(func)

    @setupmethod
    def record_once(self, func: DeferredSetupFunction) -> None:
        """Have ``func`` called at the first registration on each application only."""

        def first_time(state: BlueprintSetupState) -> None:
            if state.first_registration:
                func(state)

        self.record(first_time)

    def make_setup_state(
        self, app: Carboy, options: dict[str, t.Any], first_registration: bool = False
    ) -> BlueprintSetupState:
        """The object that recorded functions get; override to give them another one."""
        return BlueprintSetupState(self, app, options, first_registration)

    @setupmethod
    def register_blueprint(self, blueprint: Blueprint, **options: t.Any) -> None:
        """Nest ``blueprint`` in this one; ``options`` as for the application's method.

        Raises ValueError for a blueprint nested in itself.
        """
        if blueprint is self:
            raise ValueError("Cannot register a blueprint on itself")
        self._blueprints.append((blueprint, options))

    def register(self, app: Carboy, options: dict[str, t.Any]) -> None:
        """Put all that the blueprint holds onto ``app``; called by ``register_blueprint``.

        Raises ValueError when the name is taken.
        """
        own_name = options.get("name", self.name)
        name = f"{options.get('name_prefix', '')}.{own_name}".lstrip(".")
        if name in app.blueprints:
            which = "this" if app.blueprints[name] is self else "a different"
            where = "" if own_name == name else f" '{name}'"
            raise ValueError(
                f"The name '{own_name}' is already registered for {which} blueprint{where}."
                " Use 'name=' to provide a unique name."
            )
        first = all(known is not self for known in app.blueprints.values())
        app.blueprints[name] = self
        self._got_registered_once = True
        state = self.make_setup_state(app, options, first)
        if self.has_static_folder:
            state.add_url_rule(
                f"{self.static_url_path}/<path:filename>",
                view_func=self.send_static_file,
                endpoint="static",
            )
        self._merge_blueprint_funcs(app, name)
        for deferred in self.deferred_functions:
            deferred(state)
        self._register_commands(app, name, options)
        for nested, nested_options in self._blueprints:
            nested.register(app, _nested_options(state, name, nested, nested_options))

    def _register_commands(self, app: Carboy, name: str, options: dict[str, t.Any]) -> None:
        # A blueprint without commands never had its group made, nor Click imported.
        if "cli" not in self.__dict__ or not self.cli.commands:
            return
        group = options.get("cli_group", self.cli_group)
        if group is None:
            app.cli.commands.update(self.cli.commands)
            return
        self.cli.name = name if group is _sentinel else group
        app.cli.add_command(self.cli)

    def _merge_blueprint_funcs(self, app: Carboy, name: str) -> None:
        """Copy hooks and handlers into the application's tables, under ``name``."""

        def under(key: str | None) -> str:
            return name if key is None else f"{name}.{key}"

        for key, handlers in self.error_handler_spec.items():
            known = app.error_handler_spec[under(key)]
            for code, by_class in handlers.items():
                known[code].update(by_class)
        app.view_functions.update(self.view_functions)
        tables: tuple[tuple[t.Any, t.Any], ...] = (
            (self.before_request_funcs, app.before_request_funcs),
            (self.after_request_funcs, app.after_request_funcs),
            (self.teardown_request_funcs, app.teardown_request_funcs),
            (self.url_default_functions, app.url_default_functions),
            (self.url_value_preprocessors, app.url_value_preprocessors),
            (self.template_context_processors, app.template_context_processors),
        )
        for mine, theirs in tables:
            for key, functions in mine.items():
                theirs[under(key)].extend(functions)

    @setupmethod
    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: ct.RouteCallable | None = None,
        provide_automatic_options: bool | None = None,
        **options: t.Any,
    ) -> None:
        """Record a rule; it is added to the application at registration, with the prefixes.

        Raises ValueError when the endpoint or the view's name has a dot in it.
        """
        if endpoint and "." in endpoint:
            raise ValueError("'endpoint' may not contain a dot '.' character.")
        if view_func and "." in getattr(view_func, "__name__", ""):
            raise ValueError("'view_func' name may not contain a dot '.' character.")
        self.record(
            lambda state: state.add_url_rule(
                rule,
                endpoint,
                view_func,
                provide_automatic_options=provide_automatic_options,
                **options,
            )
        )

    # -- things for the whole application -----------------------------------------------------

    @setupmethod
    def app_template_filter(
        self, name: str | None = None
    ) -> t.Callable[[T_template_filter], T_template_filter]:
        """Register a template filter for the whole application; see its ``template_filter``."""
        return named(self.add_app_template_filter, name)

    @setupmethod
    def add_app_template_filter(
        self, f: ct.TemplateFilterCallable, name: str | None = None
    ) -> None:
        """Register a template filter for the whole application, without a decorator."""
        self.record_once(lambda state: state.app.add_template_filter(f, name=name))

    @setupmethod
    def app_template_test(
        self, name: str | None = None
    ) -> t.Callable[[T_template_test], T_template_test]:
        """Register a template test for the whole application; see its ``template_test``."""
        return named(self.add_app_template_test, name)

    @setupmethod
    def add_app_template_test(self, f: ct.TemplateTestCallable, name: str | None = None) -> None:
        """Register a template test for the whole application, without a decorator."""
        self.record_once(lambda state: state.app.add_template_test(f, name=name))

    @setupmethod
    def app_template_global(
        self, name: str | None = None
    ) -> t.Callable[[T_template_global], T_template_global]:
        """Register a template global for the whole application; see its ``template_global``."""
        return named(self.add_app_template_global, name)

    @setupmethod
    def add_app_template_global(
        self, f: ct.TemplateGlobalCallable, name: str | None = None
    ) -> None:
        """Register a template global for the whole application, without a decorator."""
        self.record_once(lambda state: state.app.add_template_global(f, name=name))

    @setupmethod
    def before_app_request(self, f: T_before_request) -> T_before_request:
        """Like ``before_request``, for each request of the application."""
        self.record_once(lambda state: state.app.before_request_funcs[None].append(f))
        return f

    @setupmethod
    def after_app_request(self, f: T_after_request) -> T_after_request:
        """Like ``after_request``, for each request of the application."""
        self.record_once(lambda state: state.app.after_request_funcs[None].append(f))
        return f

    @setupmethod
    def teardown_app_request(self, f: T_teardown) -> T_teardown:
        """Like ``teardown_request``, for each request of the application."""
        self.record_once(lambda state: state.app.teardown_request_funcs[None].append(f))
        return f

    @setupmethod
    def app_context_processor(
        self, f: T_template_context_processor
    ) -> T_template_context_processor:
        """Like ``context_processor``, for each template of the application."""
        self.record_once(lambda state: state.app.template_context_processors[None].append(f))
        return f

    @setupmethod
    def app_errorhandler(
        self, code: type[Exception] | int
    ) -> t.Callable[[T_error_handler], T_error_handler]:
        """Like ``errorhandler``, for each request of the application."""

        def register(f: T_error_handler) -> T_error_handler:
            self.record_once(lambda state: state.app.register_error_handler(code, f))
            return f

        return register

    @setupmethod
    def app_url_value_preprocessor(self, f: T_url_value_preprocessor) -> T_url_value_preprocessor:
        """Like ``url_value_preprocessor``, for each request of the application."""
        self.record_once(lambda state: state.app.url_value_preprocessors[None].append(f))
        return f

    @setupmethod
    def app_url_defaults(self, f: T_url_defaults) -> T_url_defaults:
        """Like ``url_defaults``, for each URL of the application."""
        self.record_once(lambda state: state.app.url_default_functions[None].append(f))
        return f


def _nested_options(
    state: BlueprintSetupState, name: str, nested: Blueprint, options: dict[str, t.Any]
) -> dict[str, t.Any]:
    """The options for registering ``nested`` inside the registration ``state``."""
    merged = dict(options, name_prefix=name)
    subdomain = options.get("subdomain")
    if subdomain is None:
        subdomain = nested.subdomain
    parts = [part for part in (subdomain, state.subdomain) if part is not None]
    if parts:
        merged["subdomain"] = ".".join(parts)
    prefix = options.get("url_prefix")
    if prefix is None:
        prefix = nested.url_prefix
    if state.url_prefix is not None and prefix is not None:
        merged["url_prefix"] = _join(state.url_prefix, prefix)
    elif prefix is not None or state.url_prefix is not None:
        merged["url_prefix"] = state.url_prefix if prefix is None else prefix
    return merged

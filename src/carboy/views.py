"""Views as classes: :class:`View` for one function, :class:`MethodView` for one a method."""

from __future__ import annotations

import inspect
import typing as t

from . import typing as ft
from .globals import _get_app, request

F = t.TypeVar("F", bound=t.Callable[..., t.Any])

#: The names of the methods that :class:`MethodView` looks for by itself.
http_method_funcs = frozenset({"head", "get", "post", "put", "patch", "delete", "options", "trace"})


class View:
    """A view whose work is done by :meth:`dispatch_request`.

    ::

        class Page(View):
            def __init__(self, template):
                self.template = template

            def dispatch_request(self):
                return render_template(self.template)

        app.add_url_rule("/about", view_func=Page.as_view("about", "about.html"))
    """

    #: Whether each request gets an instance of its own. False is faster, and then nothing of a
    #: request may be kept on ``self``.
    init_every_request: t.ClassVar[bool] = True

    #: Decorators for the view function, the innermost first. A decorator on the class itself
    #: does not reach the function.
    decorators: t.ClassVar[list[t.Callable[..., t.Any]]] = []

    #: Whether OPTIONS is answered without the view; None means the rule's default.
    provide_automatic_options: t.ClassVar[bool | None] = None

    #: The HTTP methods of the rule; None means those of ``add_url_rule``.
    methods: t.ClassVar[t.Collection[str] | None] = None

    def dispatch_request(self) -> ft.ResponseReturnValue:
        """Answer a request; the rule's variables come as keyword arguments."""
        raise NotImplementedError(
            f"{type(self).__name__} is registered as a view and has no dispatch_request method."
        )

    @classmethod
    def as_view(cls, name: str, *class_args: t.Any, **class_kwargs: t.Any) -> ft.RouteCallable:
        """Return a view function named ``name``; the other arguments go to the class.

        The function's ``view_class`` is the class, and replacing it changes what is made.
        """
        shared = None if cls.init_every_request else cls(*class_args, **class_kwargs)

        outermost: t.Any

        def view(**kwargs: t.Any) -> t.Any:
            instance = shared
            if instance is None:
                instance = outermost.view_class(*class_args, **class_kwargs)
            app = _get_app()
            if (
                outermost is view
                and instance._is_async() is not False
                and app.view_functions.get(request.endpoint) is view  # type: ignore[arg-type]
                and not app._plans.overrides(app)
            ):
                # Called by the pipeline itself, which runs what is async in the best place.
                return instance._dispatch(**kwargs)
            return app.ensure_sync(instance.dispatch_request)(**kwargs)

        outermost = view
        for decorate in cls.decorators:
            outermost.__name__ = name
            outermost.__module__ = cls.__module__
            outermost = decorate(outermost)
        outermost.view_class = cls
        outermost._view_of_class = view
        outermost.methods = cls.methods
        outermost.provide_automatic_options = cls.provide_automatic_options
        outermost.__module__ = cls.__module__
        outermost.__name__ = name
        outermost.__doc__ = cls.__doc__
        return t.cast("ft.RouteCallable", outermost)

    @classmethod
    def _is_async(cls) -> bool | None:
        """Whether a request is answered by a coroutine; None if that depends on its method."""
        return inspect.iscoroutinefunction(cls.dispatch_request)

    def _dispatch(self, **kwargs: t.Any) -> t.Any:
        """As dispatch_request; may give a coroutine."""
        return self.dispatch_request(**kwargs)


class MethodView(View):
    """A view with a method for each HTTP method: ``get``, ``post`` and so on.

    ::

        class VesselView(MethodView):
            def get(self, number):
                return find_vessel(number)

            def delete(self, number):
                remove_vessel(number)
                return "", 204

        app.add_url_rule("/vessels/<int:number>", view_func=VesselView.as_view("vessel"))

    :attr:`methods` is collected from the class and its bases, unless the class sets it.
    """

    def __init_subclass__(cls, **kwargs: t.Any) -> None:
        super().__init_subclass__(**kwargs)
        if "methods" in vars(cls):
            return
        found = {name.upper() for name in http_method_funcs if hasattr(cls, name)}
        for base in cls.__bases__:
            found.update(getattr(base, "methods", None) or ())
        if found:
            cls.methods = found

    def dispatch_request(self, **kwargs: t.Any) -> ft.ResponseReturnValue:
        """Call the method for the request's, ``get`` for HEAD where there is no ``head``.

        Raises :exc:`AssertionError` when there is none: the rule lets more methods in than the
        class has.
        """
        answer: ft.ResponseReturnValue = _get_app().ensure_sync(self._chosen())(**kwargs)
        return answer

    @classmethod
    def _is_async(cls) -> bool | None:
        if cls.dispatch_request is not MethodView.dispatch_request:
            return super()._is_async()
        names = [method.lower() for method in cls.methods or ()]
        kinds = {inspect.iscoroutinefunction(getattr(cls, name, None)) for name in names}
        return None if len(kinds) == 2 else kinds == {True}

    def _dispatch(self, **kwargs: t.Any) -> t.Any:
        if type(self).dispatch_request is not MethodView.dispatch_request:
            return self.dispatch_request(**kwargs)
        return self._chosen()(**kwargs)

    def _chosen(self) -> t.Callable[..., t.Any]:
        """The method for the request's."""
        method = request.method
        handler = self._handler(method)
        if handler is None and method == "HEAD":
            handler = self._handler("GET")
        if handler is None:
            raise AssertionError(
                f"Unimplemented method {method!r}: the rule of {type(self).__name__} accepts it,"
                f" and the class has no {method.lower()}() for it. Write one, or take the method"
                " out of `methods`."
            )
        return handler

    def _handler(self, method: str) -> t.Callable[..., t.Any] | None:
        # A request must not reach an attribute because it is called like one: only the standard
        # names count, and those that the class declares and View does not have.
        name = method.lower()
        if name not in http_method_funcs and (
            hasattr(View, name) or method not in (self.methods or ())
        ):
            return None
        return getattr(self, name, None)

"""The order of a request's life, whatever the colours of its steps."""

from __future__ import annotations

import contextvars
import itertools
from typing import Any

import pytest

from carboy import (
    Blueprint,
    after_this_request,
    appcontext_popped,
    appcontext_pushed,
    current_app,
    g,
    request,
    request_finished,
    request_started,
    request_tearing_down,
)

MIXTURES = ["".join(mixture) for mixture in itertools.product("sa", repeat=4)]


def dyed(function: Any, letter: str) -> Any:
    if letter == "s":
        return function

    async def step(*args: Any) -> Any:
        import asyncio

        await asyncio.sleep(0)
        return function(*args)

    return step


@pytest.mark.parametrize("mixture", MIXTURES)
def test_any_mixture_of_colours(app: Any, visit: Any, mixture: str) -> None:
    """Each step runs once, in order, in the request's context, and sees what the others left."""
    log: list[str] = []
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    def before() -> None:
        g.seen = ["before"]
        variable.set("set")
        log.append("before")

    def view() -> str:
        g.seen.append(variable.get())
        log.append("view")
        return request.path

    def after(response: Any) -> Any:
        response.headers["X-Seen"] = ",".join([*g.seen, variable.get()])
        log.append("after")
        return response

    def teardown(error: Any) -> None:
        log.append(f"teardown {error} {request.path} {current_app.name}")

    app.before_request(dyed(before, mixture[0]))
    app.add_url_rule("/", "view", dyed(view, mixture[1]))
    app.after_request(dyed(after, mixture[2]))
    app.teardown_request(dyed(teardown, mixture[3]))
    answer = visit(compare=False)
    assert answer.text == "/"
    assert answer.get("x-seen") == "before,set,set"
    assert log == ["before", "view", "after", f"teardown None / {app.name}"]


def test_a_hook_that_answers(app: Any, visit: Any, dye: Any) -> None:
    """What before_request returns is the answer."""
    app.before_request(dye(lambda: ("stop", 403)))
    app.add_url_rule("/", "view", dye(lambda: "view"))
    assert visit().text == "stop"


def test_hooks_of_blueprints(app: Any, visit: Any, dye: Any) -> None:
    """A blueprint's hooks run inside of the application's, for its own views."""
    log: list[str] = []
    blueprint = Blueprint("part", __name__, url_prefix="/part")
    app.before_request(dye(lambda: log.append("app")))
    blueprint.before_request(dye(lambda: log.append("part")))
    blueprint.add_url_rule("/", "view", dye(lambda: "part"))
    app.add_url_rule("/", "view", dye(lambda: "app"))
    app.register_blueprint(blueprint)
    assert visit("/part/", compare=False).text == "part"
    assert visit("/", compare=False).text == "app"
    assert log == ["app", "part", "app"]


def test_after_this_request(app: Any, visit: Any, dye: Any, colour: str) -> None:
    """A function for one response, sync or async."""

    def view() -> str:
        after_this_request(dye(header))
        return "x"

    def header(response: Any) -> Any:
        response.headers["X-Once"] = "1"
        return response

    app.add_url_rule("/", "view", dye(view))
    assert visit().get("x-once") == "1"


def test_url_value_preprocessors(app: Any, visit: Any, dye: Any) -> None:
    """They may take values out before the view is called."""

    def pull(endpoint: str, values: dict[str, Any]) -> None:
        g.lang = values.pop("lang")

    app.url_value_preprocessor(pull)
    app.add_url_rule("/<lang>", "view", dye(lambda: g.lang))
    assert visit("/de").text == "de"


def test_signals(app: Any, visit: Any, dye: Any, colour: str) -> None:
    """Receivers, sync or async, are told in order."""
    log: list[str] = []
    signals = (
        appcontext_pushed,
        request_started,
        request_finished,
        request_tearing_down,
        appcontext_popped,
    )
    receivers = []
    for signal in signals:
        name = signal.name

        def note(sender: Any, name: str = name, **values: Any) -> None:
            log.append(name)

        receiver = dyed_receiver(note, colour)
        receivers.append(receiver)
        signal.connect(receiver, app)
    app.add_url_rule("/", "view", dye(lambda: "x"))
    try:
        assert visit(compare=False).text == "x"
    finally:
        for signal, receiver in zip(signals, receivers, strict=True):
            signal.disconnect(receiver, app)
    assert log == [signal.name for signal in signals]


def dyed_receiver(function: Any, colour: str) -> Any:
    if colour == "sync":
        return function

    async def receive(sender: Any, **values: Any) -> None:
        function(sender, **values)

    return receive


@pytest.mark.parametrize("failing", ["before", "view", "after", "teardown"])
def test_an_error_in_a_step(app: Any, visit: Any, dye: Any, failing: str) -> None:
    """It is a 500, and teardown still runs, once."""
    torn: list[Any] = []

    def step(name: str, result: Any = None) -> Any:
        def run(*args: Any) -> Any:
            if name == failing:
                raise ValueError(name)
            return args[0] if name == "after" else result

        return dye(run)

    app.before_request(step("before"))
    app.add_url_rule("/", "view", step("view", "fine"))
    app.after_request(step("after"))
    app.teardown_request(step("teardown"))
    app.teardown_request(dye(lambda error: torn.append(error)))
    answer = visit(compare=False)
    assert answer.code == (200 if failing == "teardown" else 500)
    assert len(torn) == 1


def test_an_error_handler(app: Any, visit: Any, dye: Any) -> None:
    """The handler for a class of exceptions answers."""

    def view() -> str:
        raise KeyError("key")

    app.register_error_handler(LookupError, dye(lambda error: (f"no {error}", 404)))
    app.add_url_rule("/", "view", dye(view))
    assert (visit().code, visit().text) == (404, "no 'key'")


def test_a_handler_for_404(app: Any, visit: Any, dye: Any) -> None:
    """It answers for paths without a rule."""
    app.register_error_handler(404, dye(lambda error: ("nowhere", 404)))
    assert visit("/nowhere").text == "nowhere"


def test_a_handler_of_another_colour(app: Any, visit: Any, dye: Any, colour: str) -> None:
    """A sync handler for an async view, and the other way round."""

    def view() -> str:
        raise KeyError("key")

    other = dyed(lambda error: "handled", "s" if colour == "async" else "a")
    app.register_error_handler(KeyError, other)
    app.add_url_rule("/", "view", dye(view))
    assert visit().text == "handled"


def test_errors_that_propagate(app: Any, visit: Any, dye: Any) -> None:
    """With TESTING the exception comes out of the door, and teardown has run."""
    torn: list[Any] = []
    app.testing = True
    app.teardown_request(dye(torn.append))

    def view() -> str:
        raise KeyError("out")

    app.add_url_rule("/", "view", dye(view))
    with pytest.raises(KeyError, match="out"):
        visit(compare=False)
    assert [type(error) for error in torn] == [KeyError]


def test_stop_iteration_from_a_view(app: Any, visit: Any, dye: Any) -> None:
    """Even that is a plain 500."""

    def view() -> str:
        raise StopIteration("odd")

    app.add_url_rule("/", "view", dye(view))
    assert visit().code == 500


def test_class_views(app: Any, visit: Any, colour: str) -> None:
    """Views as classes, with sync and async methods."""
    from carboy.views import MethodView, View

    class Plain(View):
        if colour == "sync":

            def dispatch_request(self) -> str:
                return "plain"
        else:

            async def dispatch_request(self) -> str:  # type: ignore[override]
                return "plain"

    class ByMethod(MethodView):
        def get(self) -> str:
            return "get"

        async def post(self) -> str:
            return "post"

    app.add_url_rule("/plain", view_func=Plain.as_view("plain"))
    app.add_url_rule("/method", view_func=ByMethod.as_view("method"))
    assert visit("/plain").text == "plain"
    assert visit("/method").text == "get"
    assert visit("/method", "POST").text == "post"


def test_a_decorator_around_an_async_view(app: Any, visit: Any) -> None:
    """A sync decorator hands the coroutine on, or waits for it through ensure_sync."""
    import functools

    async def view() -> str:
        return "inner"

    @functools.wraps(view)
    def hands_on(*args: Any) -> Any:
        return view(*args)

    @functools.wraps(view)
    def waits(*args: Any) -> Any:
        return current_app.ensure_sync(view)(*args).upper()

    app.add_url_rule("/on", "on", hands_on)
    app.add_url_rule("/waits", "waits", waits)
    app.before_request(dyed(lambda: None, "a"))
    assert visit("/on").text == "inner"
    assert visit("/waits").text == "INNER"


def test_an_application_that_replaces_methods(visit: Any, app: Any, dye: Any) -> None:
    """Overridden lifecycle methods are gone through, and may wait for async steps."""
    original = app.dispatch_request
    seen = []

    def dispatch_request() -> Any:
        seen.append(request.path)
        return original()

    app.dispatch_request = dispatch_request
    app.before_request(dyed(lambda: None, "a"))
    app.add_url_rule("/", "view", dye(lambda: "view"))
    assert visit(compare=False).text == "view"
    assert seen == ["/"]

"""``async def`` views, hooks and handlers on a WSGI application."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
from typing import Any

import pytest

from carboy import (
    Blueprint,
    Carboy,
    Response,
    abort,
    after_this_request,
    copy_current_request_context,
    current_app,
    g,
    has_app_context,
    has_request_context,
    jsonify,
    render_template_string,
    request,
    session,
    url_for,
)
from carboy.views import MethodView, View


@pytest.fixture
def app(app: Carboy) -> Carboy:
    app.secret_key = "test key"
    return app


def throw(error: BaseException) -> Any:
    raise error


def test_async_view_answers(app: Carboy) -> None:
    """ASY-01: an async def view answers like any other, with variables and request data."""

    @app.route("/<name>", methods=["GET", "POST"])
    async def view(name: str) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"name": name, "q": request.args.get("q"), "form": request.form.get("f")}

    client = app.test_client()
    assert client.get("/ada?q=1").json == {"name": "ada", "q": "1", "form": None}
    assert client.post("/ada", data={"f": "x"}).json == {"name": "ada", "q": None, "form": "x"}
    assert client.delete("/ada").status_code == 405


def test_everything_of_the_request_works_in_an_async_view(app: Carboy) -> None:
    """ASY-01: session, g, templates, url_for, after_this_request work before and after an await."""

    @app.get("/page")
    async def page() -> str:
        g.value = 7
        session["user"] = "ada"
        await asyncio.sleep(0)

        @after_this_request
        def header(response: Response) -> Response:
            response.headers["X-Value"] = str(g.value)
            return response

        assert current_app.name == app.name
        return render_template_string(
            "{{ g.value }} {{ session.user }} {{ url_for('page') }} {{ request.path }}"
        )

    client = app.test_client()
    response = client.get("/page")
    assert response.text == "7 ada /page /page"
    assert response.headers["X-Value"] == "7"
    assert client.get_cookie("session") is not None


@pytest.mark.parametrize("kind", ["function", "partial", "callable object"])
def test_kinds_of_async_callables(app: Carboy, kind: str) -> None:
    """ASY-01: coroutine functions, also behind functools.partial, are recognised."""

    async def view(number: int = 1) -> str:
        return f"number {number}"

    chosen: Any = view
    if kind == "partial":
        chosen = functools.partial(view, number=2)
    elif kind == "callable object":
        # A plain callable that gives a coroutine function's result through ensure_sync.
        chosen = app.ensure_sync(view)
    app.add_url_rule("/", "index", chosen)
    assert app.test_client().get("/").text.startswith("number ")


def test_gather_runs_calls_together(app: Carboy) -> None:
    """ASY-02: asyncio.gather in a view overlaps its calls."""
    running = 0
    most = 0

    async def fetch(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        running -= 1
        return number

    @app.get("/")
    async def index() -> Any:
        return jsonify(await asyncio.gather(*(fetch(i) for i in range(5))))

    assert app.test_client().get("/").json == [0, 1, 2, 3, 4]
    assert most == 5


def test_tasks_of_a_view_see_its_request(app: Carboy) -> None:
    """ASY-02: tasks made in a view read the request and share its `g`."""

    @app.get("/")
    async def index() -> Any:
        g.found = []

        async def work(n: int) -> None:
            await asyncio.sleep(0)
            g.found.append((n, request.args["q"]))

        await asyncio.gather(work(1), work(2))
        return jsonify(sorted(g.found))

    assert app.test_client().get("/?q=x").json == [[1, "x"], [2, "x"]]


def test_async_hooks(app: Carboy) -> None:
    """ASY-03: before, after, teardown and after_this_request functions may be async."""
    order: list[str] = []

    @app.before_request
    async def before() -> None:
        await asyncio.sleep(0)
        g.who = "hook"
        order.append("before")

    @app.after_request
    async def after(response: Response) -> Response:
        await asyncio.sleep(0)
        order.append("after")
        response.headers["X-Async"] = g.who
        return response

    @app.teardown_request
    async def teardown(error: BaseException | None) -> None:
        await asyncio.sleep(0)
        order.append("teardown")

    @app.teardown_appcontext
    async def teardown_app(error: BaseException | None) -> None:
        order.append("teardown app")

    @app.get("/sync")
    def sync_view() -> str:
        @after_this_request
        async def this(response: Response) -> Response:
            order.append("this")
            return response

        return g.who

    @app.get("/async")
    async def async_view() -> str:
        return g.who

    client = app.test_client()
    response = client.get("/sync")
    assert (response.text, response.headers["X-Async"]) == ("hook", "hook")
    assert order == ["before", "this", "after", "teardown", "teardown app"]
    order.clear()
    assert client.get("/async").text == "hook"
    assert order == ["before", "after", "teardown", "teardown app"]


def test_async_before_request_may_answer(app: Carboy) -> None:
    """ASY-03: an async before_request function's value is the response."""

    @app.before_request
    async def stop() -> tuple[str, int]:
        return "stopped", 503

    app.add_url_rule("/", "index", lambda: "view")
    assert app.test_client().get("/").text == "stopped"


def test_async_error_handlers(app: Carboy) -> None:
    """ASY-03: handlers by code and by class may be async, for sync and async views."""

    @app.errorhandler(404)
    async def missing(error: Exception) -> tuple[str, int]:
        await asyncio.sleep(0)
        return "async 404", 404

    @app.errorhandler(LookupError)
    async def lookup(error: LookupError) -> tuple[str, int]:
        return f"async {error}", 400

    @app.get("/async")
    async def async_view() -> str:
        raise LookupError("async view")

    app.add_url_rule("/sync", "sync", lambda: throw(LookupError("sync view")))
    client = app.test_client()
    assert client.get("/nowhere").text == "async 404"
    assert client.get("/async").text == "async async view"
    assert client.get("/sync").text == "async sync view"


def test_abort_in_an_async_view(app: Carboy) -> None:
    """ASY-03: abort works in async views, an unhandled error is a 500 or propagates."""

    @app.get("/abort")
    async def aborting() -> str:
        abort(403)

    @app.get("/crash")
    async def crash() -> str:
        raise ZeroDivisionError("async")

    client = app.test_client()
    assert client.get("/abort").status_code == 403
    assert client.get("/crash").status_code == 500
    app.testing = True
    with pytest.raises(ZeroDivisionError, match="async"):
        client.get("/crash")


def test_async_class_views(app: Carboy) -> None:
    """ASY-04: dispatch_request and the verbs of a MethodView may be async, mixed with sync."""

    class Page(View):
        async def dispatch_request(self) -> str:
            await asyncio.sleep(0)
            return "async page"

    class Verbs(MethodView):
        async def get(self) -> str:
            return "async get"

        def post(self) -> str:
            return "sync post"

    app.add_url_rule("/page", view_func=Page.as_view("page"))
    app.add_url_rule("/verbs", view_func=Verbs.as_view("verbs"))
    client = app.test_client()
    assert client.get("/page").text == "async page"
    assert client.get("/verbs").text == "async get"
    assert client.post("/verbs").text == "sync post"
    assert client.put("/verbs").status_code == 405


def test_async_on_blueprints(app: Carboy) -> None:
    """ASY-04: blueprint views, hooks and handlers may be async."""
    bp = Blueprint("bp", __name__, url_prefix="/bp")

    @bp.before_request
    async def before() -> None:
        g.seen = "bp"

    @bp.errorhandler(ValueError)
    async def handler(error: Exception) -> str:
        return f"{g.seen} handled"

    @bp.get("/x")
    async def view() -> str:
        return g.seen + url_for(".view")

    @bp.get("/fail")
    async def fail() -> str:
        raise ValueError

    app.register_blueprint(bp)
    client = app.test_client()
    assert client.get("/bp/x").text == "bp/bp/x"
    assert client.get("/bp/fail").text == "bp handled"


def test_ensure_sync_and_async_to_sync(app: Carboy) -> None:
    """ASY-05: ensure_sync gives sync functions back and wraps async ones; so do decorators."""

    def plain() -> str:
        return "plain"

    async def coroutine(x: int) -> int:
        await asyncio.sleep(0)
        return x + 1

    assert app.ensure_sync(plain) is plain
    with app.app_context():
        assert app.ensure_sync(coroutine)(1) == 2
        assert app.async_to_sync(coroutine)(2) == 3

    def checked(view: Any) -> Any:
        @functools.wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return "checked " + current_app.ensure_sync(view)(*args, **kwargs)

        return wrapper

    @app.get("/")
    @checked
    async def view() -> str:
        return f"async {request.path}"

    assert app.test_client().get("/").text == "checked async /"


def test_overridden_ensure_sync_is_used() -> None:
    """ASY-05: a subclass's ensure_sync or async_to_sync sees the application's functions."""
    seen: list[str] = []

    class Own(Carboy):
        def async_to_sync(self, func: Any) -> Any:
            seen.append(func.__name__)
            return lambda *args, **kwargs: asyncio.run(func(*args, **kwargs))

    app = Own("own")

    @app.get("/")
    async def my_view() -> str:
        return "ok"

    assert app.test_client().get("/").text == "ok"
    assert "my_view" in seen


def test_context_variables_of_hooks_reach_async_views(app: Carboy) -> None:
    """ASY-05: a context variable set before the view is seen by async code."""
    var: contextvars.ContextVar[str] = contextvars.ContextVar("var", default="unset")

    @app.before_request
    def before() -> None:
        var.set("from the hook")

    @app.get("/")
    async def view() -> str:
        await asyncio.sleep(0)
        return var.get()

    def run() -> str:
        return app.test_client().get("/").text

    assert contextvars.copy_context().run(run) == "from the hook"


def test_copied_request_context_in_async_code(app: Carboy) -> None:
    """ASY-05: copy_current_request_context works for functions that a task runs in a thread."""

    @app.get("/")
    async def view() -> str:
        @copy_current_request_context
        def work() -> str:
            return request.path

        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, work)

    assert app.test_client().get("/").text == "/"


def test_async_views_leave_no_context_behind(app: Carboy) -> None:
    """ASY-01: after an async request, failed or not, no context is left."""

    @app.get("/ok")
    async def fine() -> str:
        return "ok"

    @app.get("/crash")
    async def crash() -> str:
        raise ZeroDivisionError

    client = app.test_client()
    for path in ("/ok", "/crash"):
        client.get(path)
        assert not has_request_context() and not has_app_context()


def test_async_requests_in_threads_do_not_mix(app: Carboy) -> None:
    """ASY-01: async views called from several threads keep their own request and `g`."""

    @app.get("/<int:n>")
    async def view(n: int) -> str:
        g.n = n
        for _ in range(5):
            await asyncio.sleep(0)
        assert request.view_args == {"n": n}
        return str(g.n)

    wrong: list[Any] = []

    def run(start: int) -> None:
        client = app.test_client()
        for n in range(start, start + 10):
            text = client.get(f"/{n}").text
            if text != str(n):
                wrong.append((n, text))

    threads = [threading.Thread(target=run, args=(i * 100,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_asyncio_run_inside_a_sync_view(app: Carboy) -> None:
    """ASY-05: a sync view may run a loop of its own."""

    async def work() -> str:
        await asyncio.sleep(0)
        return request.path

    app.add_url_rule("/", "index", lambda: asyncio.run(work()))
    assert app.test_client().get("/").text == "/"


@pytest.mark.beyond
def test_async_steps_share_one_standing_loop(app: Carboy) -> None:
    """ASY-09: under WSGI all async code runs on one loop that stays, so clients can be kept."""
    loops: list[Any] = []

    @app.before_request
    async def before() -> None:
        loops.append(asyncio.get_running_loop())

    @app.get("/async")
    async def view() -> str:
        loops.append(asyncio.get_running_loop())
        return "ok"

    app.add_url_rule("/sync", "sync", lambda: "ok")
    client = app.test_client()
    for path in ("/async", "/sync", "/async"):
        assert client.get(path).text == "ok"
    assert len(loops) == 5
    assert len({id(loop) for loop in loops}) == 1
    assert loops[0].is_running()
    assert not loops[0].is_closed()


@pytest.mark.beyond
def test_a_future_of_one_request_can_be_awaited_in_the_next(app: Carboy) -> None:
    """ASY-09: objects bound to the loop, like a connection pool, live on between requests."""
    kept: dict[str, Any] = {}

    @app.get("/make")
    async def make() -> str:
        kept["future"] = asyncio.get_running_loop().create_future()
        return "made"

    @app.get("/use")
    async def use() -> str:
        asyncio.get_running_loop().call_soon(kept["future"].set_result, "alive")
        return await kept["future"]  # of another loop this would be a RuntimeError

    client = app.test_client()
    assert client.get("/make").text == "made"
    assert client.get("/use").text == "alive"


@pytest.mark.beyond
def test_a_background_task_finishes_after_its_request(app: Carboy) -> None:
    """ASY-09: a task started by a view goes on after the answer; Flask's loop cancels it."""
    done = threading.Event()
    tasks: set[asyncio.Task[None]] = set()

    @app.get("/")
    async def view() -> str:
        async def later() -> None:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            done.set()

        tasks.add(asyncio.get_running_loop().create_task(later()))
        return "answered"

    assert app.test_client().get("/").text == "answered"
    assert done.wait(10)


def test_async_to_sync_inside_a_running_loop_is_refused(app: Carboy) -> None:
    """ASY-05: blocking on async code from the loop's own thread is an error, not a deadlock."""

    async def inner() -> str:
        return "never"

    async def outer() -> Any:
        call = inner_call
        return call()

    inner_call = app.ensure_sync(inner)
    with app.app_context(), pytest.raises(RuntimeError):
        app.ensure_sync(outer)()

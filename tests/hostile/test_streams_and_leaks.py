"""Streams that end badly, memory, threads, nested requests, forks."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import io
import sys
import threading
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from features.child import run_python
from werkzeug.test import create_environ

from carboy import (
    Carboy,
    Response,
    current_app,
    flash,
    g,
    get_flashed_messages,
    has_app_context,
    has_request_context,
    render_template_string,
    request,
    session,
    stream_template_string,
    stream_with_context,
)


class Started:
    def __init__(self) -> None:
        self.status = ""
        self.headers: list[tuple[str, str]] = []

    def __call__(self, status: str, headers: Any, exc_info: Any = None) -> Any:
        self.status, self.headers = status, headers
        return lambda data: None


def begin(app: Any, path: str = "/", method: str = "GET", **environ: Any) -> tuple[Any, Started]:
    """Call the application as a server does; the iterable is left to the caller."""
    started = Started()
    env = create_environ(path, "http://localhost", method=method)
    env.update(environ)
    return app(env, started), started


def close(iterable: Any) -> None:
    if hasattr(iterable, "close"):
        iterable.close()


class Stream:
    """Counts how often a generator was entered and closed."""

    def __init__(self, chunks: int = 3, fail_at: int | None = None) -> None:
        self.chunks = chunks
        self.fail_at = fail_at
        self.entered = 0
        self.closed = 0

    def __call__(self) -> Iterator[str]:
        self.entered += 1
        try:
            for number in range(self.chunks):
                if number == self.fail_at:
                    raise ZeroDivisionError("midway")
                yield f"{number};"
        finally:
            self.closed += 1


class Body:
    """An iterable that counts calls of close(), like a file."""

    def __init__(self, chunks: list[Any]) -> None:
        self.chunks = iter(chunks)
        self.closed = 0

    def __iter__(self) -> Body:
        return self

    def __next__(self) -> Any:
        return next(self.chunks)

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("with_context", [False, True])
@pytest.mark.parametrize("read", [0, 1, None])
def test_a_stream_is_closed_once_whenever_it_ends(
    app: Carboy, with_context: bool, read: int | None
) -> None:
    """HOSTILE-193: finished, abandoned or never started: closed once, no context is left."""
    stream = Stream()
    app.add_url_rule(
        "/", "index", lambda: stream_with_context(stream()) if with_context else stream()
    )
    iterable, started = begin(app)
    assert started.status == "200 OK"
    iterator = iter(iterable)
    got = list(iterator) if read is None else [next(iterator) for _ in range(read)]
    assert b"".join(got) == {0: b"", 1: b"0;", None: b"0;1;2;"}[read]
    close(iterable)
    del iterator, iterable
    assert stream.closed == stream.entered
    assert not has_request_context() and not has_app_context()


@pytest.mark.parametrize("read", [0, 1, None])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_close_of_the_body_is_called_once(app: Carboy, read: int | None, method: str) -> None:
    """HOSTILE-193: an iterable's close() is called exactly once, for HEAD and abandoned too."""
    body = Body(["a", "b"])
    app.add_url_rule("/", "index", lambda: Response(body))
    iterable, _ = begin(app, method=method)
    iterator = iter(iterable)
    if read is None:
        data = b"".join(iterator)
        assert data == (b"" if method == "HEAD" else b"ab")
    elif method == "GET":
        for _ in range(read):
            next(iterator)
    close(iterable)
    assert body.closed == 1


@pytest.mark.parametrize("with_context", [False, True])
@pytest.mark.parametrize("fail_at", [0, 1])
def test_a_cut_stream_never_looks_complete(app: Carboy, with_context: bool, fail_at: int) -> None:
    """HOSTILE-193: an error in the stream reaches the server, which can cut the connection."""
    stream = Stream(fail_at=fail_at)
    app.add_url_rule(
        "/", "index", lambda: stream_with_context(stream()) if with_context else stream()
    )
    got = []

    def consume() -> None:
        iterable, started = begin(app)
        assert "Content-Length" not in dict(started.headers)
        try:
            got.extend(iterable)
        finally:
            close(iterable)

    if with_context and fail_at == 0:
        # The first chunk is made early on Flask: the error may come before the status is sent.
        try:
            consume()
        except ZeroDivisionError:
            pass
        else:
            assert got != [b"0;", b"1;", b"2;"]
    else:
        with pytest.raises(ZeroDivisionError):
            consume()
    assert b"".join(got) == b"0;"[: 2 * fail_at]
    assert stream.closed == 1
    assert not has_app_context()


@pytest.mark.beyond
@pytest.mark.parametrize("read", [0, 1, None])
@pytest.mark.parametrize("kind", ["generator", "decorator", "template"])
def test_stream_with_context_tears_down_once_after_the_stream(
    app: Carboy, read: int | None, kind: str
) -> None:
    """HOSTILE-194: the 3.1.2 regression: one teardown, when the stream has ended, not before.

    KNOWN-stream-with-context-tears-down-twice.
    """
    log: list[Any] = []
    app.teardown_request(lambda error: log.append("teardown request"))
    app.teardown_appcontext(lambda error: log.append("teardown app"))

    def chunks() -> Iterator[str]:
        for number in range(3):
            log.append(f"chunk {number} of {request.path}")
            yield str(number)

    @app.get("/x")
    def view() -> Any:
        if kind == "generator":
            return stream_with_context(chunks())
        if kind == "template":
            return stream_template_string(
                "{% for c in chunks() %}{{ c }}{% endfor %}", chunks=chunks
            )
        return stream_with_context(chunks)()

    iterable, _ = begin(app, "/x")
    assert log.count("teardown request") == 0
    iterator = iter(iterable)
    if read is None:
        assert b"".join(iterator) == b"012"
    else:
        for _ in range(read):
            next(iterator)
    close(iterable)
    assert log.count("teardown request") == log.count("teardown app") == 1
    assert log[-2:] == ["teardown request", "teardown app"]
    assert not has_request_context() and not has_app_context()


def in_thread(function: Callable[[], Any]) -> Any:
    """Run `function` in a thread of its own, which must end without any context."""
    box: list[Any] = []

    def work() -> None:
        try:
            box.append(function())
        except BaseException as error:
            box.append(error)
        box.append(has_request_context() or has_app_context())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert box[1] is False, "a context was left on the thread"
    if isinstance(box[0], BaseException):
        raise box[0]
    return box[0]


@pytest.mark.beyond
@pytest.mark.parametrize("finish", [True, False])
def test_a_stream_may_move_from_thread_to_thread(app: Carboy, finish: bool) -> None:
    """HOSTILE-194: a server may begin, read and close a stream on different threads."""
    log: list[Any] = []
    app.teardown_request(lambda error: log.append(("teardown", request.path, error)))

    @app.get("/x")
    def view() -> Any:
        g.value = "kept"

        def chunks() -> Iterator[str]:
            for number in range(3):
                yield f"{number}{g.value}{request.path};"

        return stream_with_context(chunks())

    iterable, _ = in_thread(lambda: begin(app, "/x"))
    iterator = iter(iterable)
    got = [in_thread(lambda: next(iterator)) for _ in range(3 if finish else 1)]
    if finish:
        with pytest.raises(StopIteration):
            in_thread(lambda: next(iterator))
    in_thread(lambda: close(iterable))
    assert b"".join(got) == b"0kept/x;1kept/x;2kept/x;"[: 8 * len(got)]
    assert log == [("teardown", "/x", None)]


@pytest.mark.beyond
def test_a_stream_that_nobody_closes_is_torn_down_when_it_is_freed(app: Carboy) -> None:
    """HOSTILE-193, HOSTILE-194: a server that forgets close() does not keep the context alive."""
    stream = Stream()
    log: list[str] = []
    app.teardown_request(lambda error: log.append("teardown"))
    app.add_url_rule("/", "index", lambda: stream_with_context(stream()))
    iterable, _ = begin(app)
    iterator = iter(iterable)
    assert next(iterator) == b"0;"
    del iterable, iterator
    gc.collect()
    assert stream.closed == 1
    assert log == ["teardown"]
    assert not has_app_context()


@pytest.mark.beyond
def test_nested_streams_keep_their_own_requests(app: Carboy) -> None:
    """HOSTILE-201: a stream that reads another application's stream restores its own context."""
    inner = Carboy("inner")

    @inner.get("/inner")
    def inner_view() -> Any:
        return stream_with_context(f"{request.path}{n}" for n in range(2))

    @app.get("/outer")
    def outer() -> Any:
        def chunks() -> Iterator[str]:
            iterable, _ = begin(inner, "/inner")
            for chunk in iterable:
                yield f"{chunk.decode()} in {request.path} of {current_app.name};"
            close(iterable)
            yield request.path

        return stream_with_context(chunks())

    assert run(app, "/outer") == (
        b"/inner0 in /outer of test_app;/inner1 in /outer of test_app;/outer"
    )


@pytest.mark.beyond
def test_all_close_callbacks_run_when_one_raises(app: Carboy) -> None:
    """HOSTILE-195: a failing call_on_close callback does not stop the others."""
    log: list[int] = []

    def view() -> Response:
        response = Response(Body(["x"]))
        response.call_on_close(lambda: log.append(1))
        response.call_on_close(lambda: 1 / 0)
        response.call_on_close(lambda: log.append(3))
        return response

    app.add_url_rule("/", "index", view)
    iterable, _ = begin(app)
    list(iterable)
    try:
        close(iterable)
    except ZeroDivisionError:
        pass
    assert sorted(log) == [1, 3]


@pytest.mark.parametrize("chunk", [None, 1, object(), ["x"]])
def test_a_chunk_that_is_no_text_is_an_error(app: Carboy, chunk: Any) -> None:
    """HOSTILE-196: a generator that yields None or an int fails loudly."""

    def chunks() -> Iterator[Any]:
        yield "good"
        yield chunk

    app.add_url_rule("/", "index", lambda: Response(chunks()))

    def consume() -> None:
        iterable, _ = begin(app)
        try:
            for item in iterable:
                if not isinstance(item, bytes):
                    raise TypeError("a server refuses this")
        finally:
            close(iterable)

    with pytest.raises((TypeError, AttributeError)):
        consume()
    assert not has_app_context()


def kinds(app: Carboy) -> dict[str, str]:
    """Routes of several kinds, by name."""

    def big_stream() -> Iterator[str]:
        yield "x" * 100
        yield request.path

    async def async_view() -> str:
        await asyncio.sleep(0)
        return "async"

    def with_session() -> str:
        session["n"] = session.get("n", 0) + 1
        flash("hello")
        return str(get_flashed_messages())

    app.secret_key = "test key"
    app.add_url_rule("/text/<x>", "text", lambda x: x)
    app.add_url_rule("/json", "json", lambda: {"a": [1, 2]})
    app.add_url_rule("/stream", "stream", lambda: stream_with_context(big_stream()))
    app.add_url_rule("/template", "template", lambda: render_template_string("{{ request.path }}"))
    app.add_url_rule("/session", "session", with_session)
    app.add_url_rule("/async", "async", async_view)
    app.add_url_rule("/crash", "crash", lambda: 1 / 0)
    app.logger.disabled = True
    return {
        "text": "/text/{}",
        "query": "/text/x?a={}",
        "json": "/json",
        "stream": "/stream",
        "template": "/template",
        "session": "/session",
        "async": "/async",
        "crash": "/crash",
        "missing": "/missing/{}",
        "redirect": "//text/{}",
    }


def run(app: Carboy, path: str, **environ: Any) -> bytes:
    iterable, _ = begin(app, path, **environ)
    try:
        return b"".join(iterable)
    finally:
        close(iterable)


@pytest.fixture
def quiet_app(app: Carboy) -> Iterator[Carboy]:
    yield app
    app.logger.disabled = False


def growth_of(work: Callable[[int], None], warm: int, count: int) -> int:
    """Bytes that `count` calls leave allocated, after `warm` calls that fill the caches."""
    tracemalloc.start()
    try:
        for number in range(warm):
            work(number)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for number in range(warm, warm + count):
            work(number)
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "kind",
    ["text", "query", "json", "stream", "template", "session", "crash", "missing", "redirect"],
)
def test_three_hundred_requests_leave_nothing(quiet_app: Carboy, kind: str) -> None:
    """HOSTILE-197: 300 requests of each kind grow memory by less than 100 kB."""
    path = kinds(quiet_app)[kind]
    assert growth_of(lambda n: (run(quiet_app, path.format(n)), None)[1], 60, 300) < 100_000


def test_async_requests_leave_nothing(quiet_app: Carboy) -> None:
    """HOSTILE-197: the same for async views."""
    path = kinds(quiet_app)["async"]
    assert growth_of(lambda n: (run(quiet_app, path), None)[1], 30, 150) < 100_000


HOSTILE_HEADERS = (
    "HTTP_HOST",
    "HTTP_ACCEPT_LANGUAGE",
    "HTTP_ACCEPT",
    "HTTP_COOKIE",
    "CONTENT_TYPE",
    "HTTP_USER_AGENT",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_AUTHORIZATION",
    "HTTP_IF_NONE_MATCH",
    "HTTP_RANGE",
    "QUERY_STRING",
)


@pytest.mark.parametrize("host", ["hostile", "good"])
def test_no_cache_grows_with_hostile_header_values(app: Carboy, host: str) -> None:
    """HOSTILE-198, CVE-2023-23969: 1500 distinct values of each header stay in no cache.

    A hostile Host is refused, and the view then sees none of the others: they get a good one, too.
    """
    app.secret_key = "test key"

    @app.get("/")
    def index() -> str:
        request.accept_languages.best_match(["en"])
        request.accept_mimetypes.best
        request.if_none_match, request.range, request.args, request.user_agent
        return f"{session.get('x')}{request.url}{request.content_type}{request.authorization}"

    def work(number: int) -> None:
        value = f"session=v{number};x={'y' * 200}{number}"
        fields = dict.fromkeys(HOSTILE_HEADERS, value)
        if host == "good":
            fields["HTTP_HOST"] = "localhost"
        run(app, "/", **fields)

    # 1500 kept values of 200 characters would be more than 300 kB.
    assert growth_of(work, 300, 1500) < 100_000


@pytest.mark.parametrize(
    "kind",
    [
        "text",
        "json",
        "template",
        "session",
        pytest.param("missing", marks=pytest.mark.beyond),
        "stream",
        pytest.param("crash", marks=pytest.mark.beyond),
    ],
)
def test_request_objects_die_without_the_collector(quiet_app: Carboy, kind: str) -> None:
    """HOSTILE-199: after a request, failed or not, its objects are freed by reference count."""
    path = kinds(quiet_app)[kind].format("x")
    alive: list[weakref.ref[Any]] = []

    @quiet_app.before_request
    def note() -> None:
        alive.append(weakref.ref(request._get_current_object()))
        alive.append(weakref.ref(g._get_current_object()))

    run(quiet_app, path)  # the first request fills lazy places
    alive.clear()
    gc.collect()
    gc.disable()
    try:
        run(quiet_app, path)
        # The interpreter keeps the last handled exception of no frame: only real references stay.
        assert [ref() for ref in alive] == [None] * len(alive)
    finally:
        gc.enable()
    assert alive


class Refs:
    """Mixed-up values that any thread has seen."""

    def __init__(self) -> None:
        self.wrong: list[Any] = []


def test_sixteen_threads_never_mix(app: Carboy) -> None:
    """HOSTILE-200: g, session, flash, request and after hooks of parallel requests stay apart."""
    app.secret_key = "test key"
    seen = Refs()

    @app.before_request
    def before() -> None:
        g.token = request.args["t"]

    @app.after_request
    def after(response: Response) -> Response:
        response.headers["X-Token"] = g.token
        return response

    @app.teardown_request
    def teardown(error: Any) -> None:
        if g.token != request.args["t"]:
            seen.wrong.append("teardown")

    @app.get("/<token>")
    def view(token: str) -> str:
        session["token"] = token
        flash(token)
        if not (g.token == token == request.args["t"] == request.view_args["token"]):  # type: ignore[index]
            seen.wrong.append("view")
        return f"{g.token} {session['token']} {get_flashed_messages()[-1]}"

    def work(name: str, count: int) -> None:
        client = app.test_client()
        for number in range(count):
            token = f"{name}-{number}"
            response = client.get(f"/{token}?t={token}")
            if response.text != f"{token} {token} {token}" or response.headers["X-Token"] != token:
                seen.wrong.append(response.text)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(10e-6)
    try:
        threads = [threading.Thread(target=work, args=(f"t{i}", 60)) for i in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert seen.wrong == []
    assert not has_app_context()


def test_async_views_with_gather_never_mix(app: Carboy) -> None:
    """HOSTILE-201: tasks of concurrent async requests read their own request and `g`."""
    wrong: list[Any] = []

    @app.get("/<token>")
    async def view(token: str) -> str:
        g.token = token

        async def part() -> str:
            for _ in range(3):
                await asyncio.sleep(0)
            return f"{g.token}={request.args['t']}"

        return ",".join(await asyncio.gather(part(), part()))

    def work(name: str) -> None:
        client = app.test_client()
        for number in range(8):
            token = f"{name}{number}"
            if client.get(f"/{token}?t={token}").text != f"{token}={token},{token}={token}":
                wrong.append(token)

    threads = [threading.Thread(target=work, args=(f"t{i}-",)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def interleaved(app: Carboy) -> tuple[list[bytes], list[bytes]]:
    def chunks() -> Iterator[str]:
        for number in range(3):
            yield f"{request.args['t']}{number}{g.token}{current_app.name};"

    @app.get("/")
    def view() -> Any:
        g.token = request.args["t"].upper()
        return stream_with_context(chunks())

    return [], []


def test_streams_served_in_turns_by_their_own_contexts_never_mix(app: Carboy) -> None:
    """HOSTILE-201: two streams that are read in turns each see their own request."""
    first, second = interleaved(app)
    contexts = contextvars.copy_context(), contextvars.copy_context()
    streams = [
        context.run(begin, app, f"/?t={name}")[0]
        for context, name in zip(contexts, "ab", strict=True)
    ]
    iterators = [iter(stream) for stream in streams]
    for _ in range(3):
        for context, iterator, got in zip(contexts, iterators, (first, second), strict=True):
            got.append(context.run(next, iterator))
    for context, stream in zip(contexts, streams, strict=True):
        context.run(close, stream)
    assert b"".join(first) == b"a0Atest_app;a1Atest_app;a2Atest_app;"
    assert b"".join(second) == b"b0Btest_app;b1Btest_app;b2Btest_app;"
    assert not has_app_context()


@pytest.mark.beyond
def test_streams_interleaved_on_one_thread_never_mix(app: Carboy) -> None:
    """HOSTILE-201: even on one thread, as an event loop's server does it."""
    first, second = interleaved(app)
    streams = [begin(app, f"/?t={name}")[0] for name in "ab"]
    iterators = [iter(stream) for stream in streams]
    for _ in range(3):
        for iterator, got in zip(iterators, (first, second), strict=True):
            got.append(next(iterator))
            assert not has_request_context()  # the server's own code sees no request
    for stream in streams:
        close(stream)
    assert b"".join(first) == b"a0Atest_app;a1Atest_app;a2Atest_app;"
    assert b"".join(second) == b"b0Btest_app;b1Btest_app;b2Btest_app;"
    assert not has_app_context()


@pytest.mark.beyond
def test_nested_request_of_the_same_app_has_its_own_g(app: Carboy) -> None:
    """HOSTILE-202: a request made inside a request has its own `g`; the outer one is restored."""
    ended: list[str] = []
    app.teardown_request(lambda error: ended.append(request.path))

    @app.get("/outer")
    def outer() -> str:
        g.name = "outer"
        with current_app.test_client() as client:
            inside = client.get("/inner").text
        return f"{inside} {g.name} {request.path}"

    @app.get("/inner")
    def inner() -> str:
        before = g.get("name", "nothing")
        g.name = "inner"
        return f"{before} {g.name} {request.path}"

    assert run(app, "/outer") == b"nothing inner /inner outer /outer"
    assert ended == ["/inner", "/outer"]
    assert not has_app_context()


def test_an_app_in_an_app_and_two_apps(app: Carboy) -> None:
    """HOSTILE-203: a view that calls another application sees each its own current_app."""
    inner = Carboy("inner")
    inner.add_url_rule("/", "index", lambda: f"{current_app.name} {request.path}")

    @app.get("/outer")
    def outer() -> str:
        return f"{run(inner, '/').decode()} in {current_app.name} {request.path}"

    assert run(app, "/outer") == b"inner / in test_app /outer"
    assert run(inner, "/") == b"inner /"


def test_eight_concurrent_first_requests() -> None:
    """HOSTILE-203: an application's very first requests may come all at once."""
    app = Carboy("first")
    app.secret_key = "test key"
    routes = kinds(app)
    app.logger.disabled = False
    barrier = threading.Barrier(8)
    found: list[Any] = []

    def work(number: int) -> None:
        barrier.wait(10)
        name = ("text", "json", "template", "session", "stream", "missing", "async", "query")[
            number
        ]
        iterable, started = begin(app, routes[name].format("x"))
        b"".join(iterable)
        close(iterable)
        found.append((name, started.status[:3]))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert {name: status for name, status in found if status != "200"} == {"missing": "404"}


FORKED = """
import io, os, sys
from carboy import Carboy, session
app = Carboy("forked")
app.secret_key = "shared key"

@app.get("/login")
def login():
    session["user"] = "ada"
    return "in"

@app.get("/who")
async def who():
    return session.get("user", "nobody")

client = app.test_client()
assert client.get("/login").text == "in"
assert client.get("/who").text == "ada"
cookie = client.get_cookie("session").value
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
codes = []
for _ in range(2):
    pid = os.fork()
    if pid == 0:
        fresh = app.test_client(use_cookies=False)
        ok = fresh.get("/who", headers={"Cookie": "session=" + cookie}).text == "ada"
        os._exit(0 if ok else 1)
    codes.append(os.waitpid(pid, 0)[1])
print(codes, client.get("/who").text)
"""


@pytest.mark.skipif(not hasattr(sys, "getswitchinterval") or sys.platform == "win32", reason="fork")
def test_children_forked_after_serving_serve(tmp_path: Any) -> None:
    """HOSTILE-204: workers forked after requests were served answer, async views too."""
    done = run_python("-c", FORKED, cwd=tmp_path)
    assert done.stdout == "[0, 0] ada\n", done.stderr


def test_errors_stream_is_the_requests_own(app: Carboy) -> None:
    """HOSTILE-200: what a request writes to wsgi.errors goes to its own stream."""
    app.add_url_rule(
        "/<x>", "index", lambda x: (request.environ["wsgi.errors"].write(x) and "") or ""
    )
    first, second = io.StringIO(), io.StringIO()
    run(app, "/one", **{"wsgi.errors": first})
    run(app, "/two", **{"wsgi.errors": second})
    assert (first.getvalue(), second.getvalue()) == ("one", "two")

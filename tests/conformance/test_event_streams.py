"""Server-sent events through each door: wire, heartbeats, clients that leave, the server's end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from carboy import (
    EventChannel,
    EventStream,
    ServerSentEvent,
    g,
    request,
    stream_with_context,
)
from carboy.sse.sources import Pumped


@pytest.fixture(params=["sync events", "async events"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param).partition(" ")[0]


def events(kind: str, make: Any) -> Any:
    """The generator function ``make`` as it is, or as an async generator function."""
    if kind == "sync":
        return make

    async def made() -> AsyncIterator[Any]:
        inner = make()
        try:
            for item in inner:
                await asyncio.sleep(0)
                yield item
        finally:
            inner.close()

    return made


def wire(answer: Any) -> str:
    """The stream without the comment that opens it."""
    opening, _, rest = answer.text.partition("\n\n")
    assert opening == ":"
    return rest


def test_what_a_browser_gets(app: Any, visit: Any, dye: Any, kind: str) -> None:
    """Text, JSON, names, ids and retry times, in WHATWG's format."""

    def make() -> Iterator[Any]:
        yield "one\ntwo\r\nthree\rfour"
        yield {"lat": 51.95}
        yield [1, 2]
        yield ServerSentEvent("ä", event="greeting", id=7, retry=2000, comment="a\nb")
        yield ServerSentEvent(event="tick")

    app.add_url_rule("/", "view", dye(lambda: EventStream(events(kind, make)())))
    answer = visit()
    assert wire(answer) == (
        "data: one\ndata: two\ndata: three\ndata: four\n\n"
        'data: {"lat": 51.95}\n\n'
        "data: [1, 2]\n\n"
        ": a\n: b\nevent: greeting\nid: 7\nretry: 2000\ndata: ä\n\n"
        "event: tick\ndata\n\n"
    )
    assert answer.get("content-type") == "text/event-stream; charset=utf-8"
    assert answer.get("cache-control") == "no-store, no-transform"
    assert answer.get("x-accel-buffering") == "no"
    assert answer.get("content-length") is None


def test_status_headers_and_retry(app: Any, visit: Any, dye: Any, kind: str) -> None:
    """As for any response; retry comes first."""

    def view() -> Any:
        made = events(kind, lambda: iter(["x"]) if kind == "sync" else (x for x in "x"))()
        return EventStream(made, retry=50, status=201, headers={"X-A": "b", "Cache-Control": "x"})

    app.add_url_rule("/", "view", dye(view))
    answer = visit()
    assert (answer.code, answer.get("x-a")) == (201, "b")
    assert answer.all("cache-control") == ["x"]
    assert answer.text == "retry: 50\n\ndata: x\n\n"


def test_head_asks_for_no_event(app: Any, visit: Any, dye: Any, kind: str) -> None:
    """The generator is not begun, and teardown runs once."""
    log: list[Any] = []
    app.teardown_request(lambda error: log.append(error))

    def make() -> Iterator[str]:
        log.append("begun")
        yield "x"

    view = dye(lambda: EventStream(stream_with_context(events(kind, make)())))
    app.add_url_rule("/", "view", view)
    answer = visit("/", "HEAD", compare=False)
    assert (answer.body, answer.get("content-type")) == (b"", "text/event-stream; charset=utf-8")
    assert log == [None]


def test_hooks_see_a_response(app: Any, visit: Any, dye: Any, kind: str) -> None:
    """after_request functions may set headers; whoever wants the whole body is told off."""

    def after(response: Any) -> Any:
        response.headers["X-After"] = response.mimetype
        with pytest.raises(RuntimeError):
            response.get_data()
        return response

    app.after_request(dye(after))
    made = events(kind, lambda: (x for x in "ab"))
    app.add_url_rule("/", "view", dye(lambda: EventStream(made())))
    answer = visit()
    assert answer.get("x-after") == "text/event-stream"
    assert wire(answer) == "data: a\n\ndata: b\n\n"


def test_the_context_of_a_stream(app: Any, visit: Any, dye: Any, kind: str) -> None:
    """stream_with_context keeps request and g; teardown runs once, after the last event."""
    log: list[str] = []
    app.teardown_request(dye(lambda error: log.append(f"teardown {error}")))

    def make() -> Iterator[str]:
        yield request.args["name"]
        log.append("event")
        yield g.word

    def view() -> Any:
        g.word = "word"
        return EventStream(stream_with_context(events(kind, make)()))

    app.add_url_rule("/", "view", dye(view))
    assert wire(visit(query="name=ann", compare=False)) == "data: ann\n\ndata: word\n\n"
    assert log == ["event", "teardown None"]


def test_a_generator_finds_its_context_variables(app: Any, visit: Any, dye: Any, kind: str) -> None:
    """What it has set before an event is there after it."""
    from contextvars import ContextVar

    variable: ContextVar[str] = ContextVar("variable")

    def make() -> Iterator[str]:
        variable.set("kept")
        yield "x"
        yield variable.get()

    app.add_url_rule("/", "view", dye(lambda: EventStream(events(kind, make)())))
    assert wire(visit()) == "data: x\n\ndata: kept\n\n"


@pytest.mark.parametrize("bad", [b"bytes", 7, None, ("a", "b")])
def test_what_is_no_event(app: Any, visit: Any, dye: Any, kind: str, bad: Any) -> None:
    """It is an error that says what to yield, and the generator is closed."""
    log: list[str] = []

    def make() -> Iterator[Any]:
        try:
            yield bad
        finally:
            log.append("closed")

    app.add_url_rule("/", "view", dye(lambda: EventStream(events(kind, make)())))
    with pytest.raises(TypeError, match="ServerSentEvent"):
        visit(compare=False)
    assert log == ["closed"]


def test_a_generator_that_fails(app: Any, visit: Any, dye: Any, kind: str) -> None:
    """The error comes out of the door, and teardown knows it."""
    torn: list[Any] = []
    app.teardown_request(lambda error: torn.append(type(error)))

    def make() -> Iterator[str]:
        yield "x"
        raise KeyError("midway")

    view = dye(lambda: EventStream(stream_with_context(events(kind, make)())))
    app.add_url_rule("/", "view", view)
    with pytest.raises(KeyError, match="midway"):
        visit(compare=False)
    assert torn == [KeyError]


def test_events_are_made_when_asked_for(app: Any, door: str, dye: Any, kind: str) -> None:
    """A client that reads slowly does not make the server collect events."""
    made: list[int] = []

    def make() -> Iterator[str]:
        for number in range(100):
            made.append(number)
            yield str(number)

    app.add_url_rule("/", "view", dye(lambda: EventStream(events(kind, make)())))
    with app.test_client(door=door).stream("/") as response:
        assert [next(response.events()).data for _ in range(2)] == ["0", "1"]
        assert len(made) <= 5


def test_a_client_that_leaves_between_events(app: Any, door: str, dye: Any, kind: str) -> None:
    """The generator is closed once, and teardown runs once, in its context."""
    log: list[str] = []
    app.teardown_request(dye(lambda error: log.append(f"teardown {request.path}")))

    def make() -> Iterator[str]:
        try:
            while True:
                yield "x"
        finally:
            log.append(f"closed {request.path}")

    view = dye(lambda: EventStream(stream_with_context(events(kind, make)())))
    app.add_url_rule("/p", "view", view)
    with app.test_client(door=door).stream("/p") as response:
        assert next(response.events()).data == "x"
    assert log == ["closed /p", "teardown /p"]


def test_heartbeats_while_nothing_happens(app: Any, door: str, dye: Any, kind: str) -> None:
    """A comment is sent when the generator takes its time; its event comes all the same."""
    free = threading.Event()

    def make_here() -> Iterator[str]:
        assert free.wait(20)
        yield "late"

    async def make_there() -> AsyncIterator[str]:
        assert await asyncio.to_thread(free.wait, 20)
        yield "late"

    make: Any = make_here if kind == "sync" else make_there
    app.add_url_rule("/", "view", dye(lambda: EventStream(make(), heartbeat=0.01)))
    with app.test_client(door=door).stream("/") as response:
        assert [next(response.chunks()) for _ in range(3)] == [b":\n\n"] * 3
        free.set()
        assert next(response.events()).data == "late"
        assert list(response.events()) == []


def test_a_client_that_leaves_an_idle_stream(app: Any, door: str, dye: Any) -> None:
    """HOSTILE-222: an async generator that waits is cancelled, and teardown runs once."""
    log: list[str] = []
    app.teardown_request(lambda error: log.append("teardown"))

    async def make() -> AsyncIterator[str]:
        try:
            await asyncio.Event().wait()
            yield "never"
        finally:
            await asyncio.sleep(0)
            log.append(f"closed {request.path}")

    view = dye(lambda: EventStream(stream_with_context(make()), heartbeat=0.01))
    app.add_url_rule("/p", "view", view)
    with app.test_client(door=door).stream("/p") as response:
        assert [next(response.chunks()) for _ in range(3)] == [b":\n\n"] * 3
    assert log == ["closed /p", "teardown"]


def test_a_generator_that_blocks_does_not_hold_the_server(
    app: Any, door: str, dye: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is closed by its own thread, when it comes back."""
    monkeypatch.setattr(Pumped, "patience", 0.01)
    free, closed = threading.Event(), threading.Event()

    def make() -> Iterator[str]:
        try:
            assert free.wait(20)
            yield "x"
        finally:
            closed.set()

    app.add_url_rule("/", "view", dye(lambda: EventStream(make(), heartbeat=0.01)))
    with app.test_client(door=door).stream("/") as response:
        assert [next(response.chunks()) for _ in range(2)] == [b":\n\n"] * 2
    assert not closed.is_set()
    free.set()
    assert closed.wait(20)


def test_too_many_plain_generators(app: Any, visit: Any, dye: Any) -> None:
    """Each holds a thread, so there is a limit: 503."""

    class Few(EventStream):
        most_threads = 0

    app.add_url_rule("/", "view", dye(lambda: Few(x for x in "a")))
    answer = visit()
    assert (answer.code, answer.get("retry-after")) == (503, "5")


# -- channels ------------------------------------------------------------------------------------


def test_a_channel_reaches_everybody(app: Any, door: str, dye: Any) -> None:
    """Each client gets each event, published by any thread."""
    channel = EventChannel()
    app.add_url_rule("/", "view", dye(lambda: EventStream(channel)))
    client = app.test_client(door=door)
    with client.stream("/") as one, client.stream("/") as two:
        assert len(channel) == 2
        thread = threading.Thread(target=channel.publish, args=({"n": 1},))
        thread.start()
        thread.join()
        first, second = next(one.events()), next(two.events())
        assert first.data == second.data == '{"n": 1}'
        assert first.id == second.id
    assert len(channel) == 0


def test_last_event_id_gets_what_was_missed(app: Any, door: str, dye: Any) -> None:
    """Those after the one the client names; without a name only what comes."""
    channel = EventChannel(history=3)
    app.add_url_rule("/", "view", dye(lambda: EventStream(channel)))
    client = app.test_client(door=door)
    sent = [channel.publish(str(number)) for number in range(5)]

    def seen(last: str | None, count: int) -> list[str]:
        headers = {} if last is None else {"Last-Event-ID": last}
        with client.stream("/", headers=headers) as response:
            channel.publish("now", id=f"now-{last}")
            return [next(response.events()).data for _ in range(count)]

    assert seen(sent[3].id, 2) == ["4", "now"]
    assert seen(None, 1) == ["now"]
    # Not in the history any more: all of it.
    assert seen(sent[0].id, 4) == ["4", "now", "now", "now"]


def test_a_generator_may_use_a_subscription(app: Any, door: str, dye: Any, kind: str) -> None:
    """In either colour; when the client leaves, the generator does too."""
    channel = EventChannel()
    log: list[str] = []

    def make_here() -> Iterator[Any]:
        try:
            with channel.subscribe() as subscription:
                yield "ready"
                yield from subscription
        finally:
            log.append("closed")

    async def make_there() -> AsyncIterator[Any]:
        try:
            async with channel.subscribe() as subscription:
                yield "ready"
                async for event in subscription:
                    yield event
        finally:
            log.append("closed")

    make: Any = make_here if kind == "sync" else make_there
    app.add_url_rule("/", "view", dye(lambda: EventStream(make(), heartbeat=0.01)))
    with app.test_client(door=door).stream("/") as response:
        assert next(response.events()).data == "ready"
        channel.publish("news")
        assert next(response.events()).data == "news"
        assert next(response.chunks()) == b":\n\n"
    assert (log, len(channel)) == (["closed"], 0)


def test_a_closed_channel_ends_its_streams(app: Any, door: str, dye: Any) -> None:
    """After the events that were published before."""
    channel = EventChannel()
    app.add_url_rule("/", "view", dye(lambda: EventStream(channel)))
    with app.test_client(door=door).stream("/") as response:
        channel.publish("last")
        channel.close()
        assert [event.data for event in response.events()] == ["last"]


def test_a_new_client_gets_a_picture_first(app: Any, door: str, dye: Any) -> None:
    """Instead of what it missed; then what comes."""
    channel = EventChannel()
    channel.publish("old")

    def view() -> Any:
        subscription = channel.subscribe("unknown")
        channel.publish("meanwhile")
        subscription.begin_with({"all": 1}, event="snapshot")
        return EventStream(subscription)

    app.add_url_rule("/", "view", dye(view))
    with app.test_client(door=door).stream("/") as response:
        seen = [next(response.events()) for _ in range(2)]
    assert [(event.event, event.data) for event in seen] == [
        ("snapshot", '{"all": 1}'),
        ("message", "meanwhile"),
    ]


def test_a_stream_ends_when_its_time_is_over(app: Any, visit: Any, dye: Any, kind: str) -> None:
    """Whatever its generator does; a browser then has to ask again."""
    channel = EventChannel()

    async def make_there() -> AsyncIterator[Any]:
        async for event in channel.subscribe():
            yield event

    make: Any = (lambda: iter(channel.subscribe())) if kind == "sync" else make_there
    app.add_url_rule("/", "view", dye(lambda: EventStream(make(), lifetime=0.01)))
    assert visit().text == ":\n\n"


# -- the server's end ----------------------------------------------------------------------------


def test_streams_end_when_the_server_does(app: Any, door: str, dye: Any, kind: str) -> None:
    """Those that wait, at once; and those that still come."""
    log: list[str] = []
    channel = EventChannel()

    def make_here() -> Iterator[Any]:
        try:
            yield "ready"
            yield from channel.subscribe()
        finally:
            log.append("closed")

    async def make_there() -> AsyncIterator[Any]:
        try:
            yield "ready"
            await asyncio.Event().wait()
        finally:
            log.append("closed")

    make: Any = make_here if kind == "sync" else make_there
    app.add_url_rule("/", "view", dye(lambda: EventStream(make(), heartbeat=None)))
    client = app.test_client(door=door)
    with client.stream("/") as response:
        chunks = response.chunks()
        assert [next(chunks) for _ in range(2)] == [b":\n\n", b"data: ready\n\n"]
        thread = threading.Thread(target=app._serving.close_connections)
        thread.start()
        assert list(chunks) == []
        thread.join()
    assert log == ["closed"]
    with client.stream("/") as response:
        assert list(response.chunks()) == [b":\n\n"]
    assert not app._serving._to_close

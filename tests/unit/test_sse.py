"""Events on the wire, channels, and what a slow client gets."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
from pathlib import Path
from typing import Any

import pytest

import carboy
from carboy import EventChannel, EventStream, ServerSentEvent
from carboy.sse.waiting import Bell
from carboy.testing import ReceivedEvent, parse_events

# -- events --------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\0"])
@pytest.mark.parametrize("field", ["event", "id"])
def test_no_field_can_be_injected(field: str, end: str) -> None:
    """A name or an id is one line: ValueError says what to do."""
    with pytest.raises(ValueError, match="Put text of users into data"):
        ServerSentEvent("x", **{field: f"a{end}data: injected"})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    ["a\ndata: b", "a\n\ndata: b", "a\r\revent: b", "id: 7", "", " x", "\u2028\x0b\x85", ":"],
)
def test_data_arrives_as_it_was(text: str) -> None:
    """Whatever it looks like; line ends become line feeds."""
    sent = ServerSentEvent(text, event="name", comment=text).encode()
    arrived = text.replace("\r\n", "\n").replace("\r", "\n")
    assert parse_events([sent]) == [ReceivedEvent(arrived, "name")]


def test_an_event_may_have_only_an_id() -> None:
    """Then a browser remembers the id, and tells nobody."""
    stream = ServerSentEvent(id=7).encode() + ServerSentEvent("x").encode()
    assert parse_events([stream]) == [ReceivedEvent("x", id="7")]


def test_an_id_of_no_characters_resets_it() -> None:
    stream = ServerSentEvent("a", id="7").encode() + ServerSentEvent("b", id="").encode()
    assert [event.id for event in parse_events([stream])] == ["7", ""]


@pytest.mark.parametrize("bad", [-1, 1.5, "1000", True])
def test_retry_is_a_number_of_milliseconds(bad: Any) -> None:
    with pytest.raises(ValueError, match="milliseconds"):
        ServerSentEvent(retry=bad)


def test_a_name_is_text() -> None:
    with pytest.raises(TypeError, match="must be text"):
        ServerSentEvent("x", event=b"name")  # type: ignore[arg-type]


def test_an_event_shows_its_fields() -> None:
    assert repr(ServerSentEvent("x", id=7)) == "ServerSentEvent(data='x', id='7')"


def test_a_lone_surrogate_does_not_end_the_stream() -> None:
    assert ServerSentEvent("a\ud800").encode() == b"data: a?\n\n"


def test_an_applications_json_is_used(app: Any) -> None:
    """As for JSON responses."""
    app.json.sort_keys = False
    app.add_url_rule("/", "view", lambda: EventStream(iter([{"b": 1, "a": 2}])))
    assert app.test_client().get("/").text == ':\n\ndata: {"b": 1, "a": 2}\n\n'


@pytest.mark.parametrize("cut", range(1, 12))
def test_the_parser_does_not_mind_where_chunks_end(cut: int) -> None:
    """UTF-8, CRLF and fields may be cut anywhere."""
    stream = (
        "\ufeffid: 1\r\nevent: é\r\ndata: a\rdata: ö\n\nretry: 50\ndata\n\ndata: never".encode()
    )
    chunks = [stream[at : at + cut] for at in range(0, len(stream), cut)]
    assert parse_events(chunks) == [
        ReceivedEvent("a\nö", "é", "1"),
        ReceivedEvent("", id="1"),
    ]


# -- streams -------------------------------------------------------------------------------------


def test_the_names_are_imported_when_asked_for() -> None:
    assert carboy.EventStream is EventStream
    assert EventStream.__module__ == "carboy.sse"
    assert {"EventStream", "EventChannel", "ServerSentEvent"} <= set(dir(carboy))


@pytest.mark.parametrize("bad", ["text", b"x", {"a": 1}, None, 7])
def test_a_source_is_something_to_iterate_over(bad: Any) -> None:
    with pytest.raises(TypeError, match="takes a generator"):
        EventStream(bad)


def test_a_generator_function_must_be_called() -> None:
    with pytest.raises(TypeError, match="Call the generator function"):
        EventStream(lambda: iter(()))


@pytest.mark.parametrize("name", ["heartbeat", "lifetime"])
def test_times_are_above_zero(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        EventStream(iter(()), **{name: 0})  # type: ignore[arg-type]


def test_a_response_class_of_the_application_is_honoured(app: Any) -> None:
    """An event stream becomes one of it, and streams all the same."""

    class Mine(carboy.Response):
        mark = "mine"

    app.response_class = Mine
    seen = []
    app.after_request(lambda response: seen.append(response.mark) or response)
    app.add_url_rule("/", "view", lambda: EventStream(iter("x")))
    assert app.test_client().get("/").text == ":\n\ndata: x\n\n"
    assert seen == ["mine"]


# -- channels ------------------------------------------------------------------------------------


def data_of(subscription: Any) -> list[str]:
    """What waits in a subscription, until it has ended."""
    return [event.data for event in subscription]


def test_events_are_numbered_and_written_once() -> None:
    channel = EventChannel()
    with channel.subscribe() as one, channel.subscribe() as two:
        made = channel.publish({"a": 1}, event="name")
        assert made.data == '{"a": 1}'
        assert made.id is not None and made.id.endswith("-1")
        assert next(one) is next(two) is made


def test_a_ready_event_can_be_published() -> None:
    """It keeps its own id; one without gets one, and the object itself is left alone."""
    channel = EventChannel()
    given = ServerSentEvent("x", event="name", retry=5)
    made = channel.publish(given)
    assert (made.event, made.retry, given.id) == ("name", 5, None)
    assert channel.publish(ServerSentEvent("x", id="mine")).id == "mine"


def test_two_channels_do_not_mistake_each_others_ids() -> None:
    """As after a restart: all of the history is sent, and it is told that there is a gap."""
    before, after = EventChannel(), EventChannel()
    seen = before.publish("old")
    after.publish("new")
    subscription = after.subscribe(seen.id)
    after.close()
    assert subscription.gap
    assert data_of(subscription) == ["new"]


@pytest.mark.parametrize("history", [0, 1, 3, 10])
def test_history_is_bounded(history: int) -> None:
    channel = EventChannel(history=history)
    sent = [channel.publish(str(number)) for number in range(6)]
    for number, event in enumerate(sent):
        subscription = channel.subscribe(event.id)
        missed = [str(n) for n in range(number + 1, 6)]
        known = number >= 6 - history
        assert subscription.gap is not known
        got = [subscription.take().data for _ in range(len(missed) if known else history)][:6]
        assert got == (missed if known else [str(n) for n in range(6)][-history:] * bool(history))


def test_an_id_that_is_used_again_means_its_last_event() -> None:
    channel = EventChannel(history=3)
    for data in "abcd":
        channel.publish(data, id="same" if data in "ac" else None)
    subscription = channel.subscribe("same")
    channel.close()
    assert data_of(subscription) == ["d"]


def test_a_slow_client_loses_its_oldest_events() -> None:
    channel = EventChannel(queue=2)
    subscription = channel.subscribe()
    for data in "abcd":
        channel.publish(data)
    channel.close()
    assert (data_of(subscription), subscription.dropped) == (["c", "d"], 2)


def test_a_slow_client_is_disconnected() -> None:
    """And gets what it missed when it comes again."""
    channel = EventChannel(queue=2, slow="disconnect")
    subscription = channel.subscribe()
    last = channel.publish("a")
    assert next(subscription).data == "a"
    for data in "bcd":
        channel.publish(data)
    assert data_of(subscription) == []
    again = channel.subscribe(last.id)
    channel.close()
    assert data_of(again) == ["b", "c", "d"]


def test_a_slow_client_gets_the_news_of_each_key() -> None:
    """A newer event of a key replaces the one that waits, and comes last."""
    channel = EventChannel(queue=3, slow="coalesce")
    subscription = channel.subscribe()
    for data in ("a1", "b1", "a2", "plain", "a3"):
        channel.publish(data, key=None if data == "plain" else data[0])
    channel.publish("c1", key="c")
    channel.close()
    assert (data_of(subscription), subscription.dropped) == (["plain", "a3", "c1"], 1)


def test_a_backlog_does_not_count_as_slow() -> None:
    channel = EventChannel(history=10, queue=1, slow="disconnect")
    first = channel.publish("0")
    for number in range(1, 8):
        channel.publish(str(number))
    subscription = channel.subscribe(first.id)
    channel.publish("now")
    channel.close()
    assert data_of(subscription) == ["1", "2", "3", "4", "5", "6", "7", "now"]


def test_a_subscription_that_is_dropped_is_forgotten() -> None:
    channel = EventChannel()
    subscription = channel.subscribe()
    assert len(channel) == 1
    del subscription
    gc.collect()
    assert len(channel) == 0


def test_closing_ends_who_waits() -> None:
    """In a thread and on a loop; afterwards nothing can be published."""
    channel = EventChannel()
    here, there = channel.subscribe(), channel.subscribe()
    got: list[Any] = []
    thread = threading.Thread(target=lambda: got.append(data_of(here)))
    thread.start()

    async def listen() -> list[Any]:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.to_thread(channel.close))
            task = group.create_task(anext_or_none(there))
        return [task.result()]

    assert asyncio.run(listen()) == [None]
    thread.join(20)
    assert got == [[]]
    with pytest.raises(RuntimeError, match="closed"):
        channel.publish("x")
    assert data_of(channel.subscribe()) == []


async def anext_or_none(subscription: Any) -> Any:
    return await anext(subscription, None)


def test_publishing_from_many_threads_loses_nothing() -> None:
    """And everybody sees one order."""
    channel = EventChannel(queue=10_000)
    subscriptions = [channel.subscribe() for _ in range(3)]

    def publish(name: int) -> None:
        for number in range(200):
            channel.publish(f"{name}-{number}")

    threads = [threading.Thread(target=publish, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    channel.close()
    first, *others = map(data_of, subscriptions)
    assert len(first) == 800
    assert others == [first, first]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [({"slow": "wait"}, "slow"), ({"history": -1}, "history"), ({"queue": 0}, "queue")],
)
def test_a_channel_with_impossible_settings(arguments: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        EventChannel(**arguments)


# -- bells ---------------------------------------------------------------------------------------


def test_a_ring_before_the_wait_is_heard() -> None:
    bell = Bell()
    bell.ring()
    assert bell.wait(None)
    assert not bell.wait(0)
    bell.ring()
    assert asyncio.run(bell.wait_on_loop(None))


def test_time_runs_out() -> None:
    assert not Bell().wait(0.001)
    assert not asyncio.run(Bell().wait_on_loop(0.001))


def test_a_bell_may_outlive_its_loop() -> None:
    """Whoever rings it then does not notice."""
    bell = Bell()
    loop = asyncio.new_event_loop()
    task = loop.create_task(bell.wait_on_loop(None))
    loop.run_until_complete(asyncio.sleep(0))
    bell.ring()
    loop.run_until_complete(task)
    waiting = loop.create_task(bell.wait_on_loop(None))
    loop.run_until_complete(asyncio.sleep(0))
    waiting.cancel()
    sleeper = bell._sleeper
    loop.run_until_complete(asyncio.gather(waiting, return_exceptions=True))
    loop.close()
    bell._sleeper = sleeper
    bell.ring()


# -- many ----------------------------------------------------------------------------------------


THOUSAND = """\
import asyncio, gc, json, threading, tracemalloc
from carboy import Carboy
from carboy.sse import EventChannel, EventStream

app = Carboy("streams")
channel = EventChannel()

@app.get("/")
async def view():
    return EventStream(channel)

scope = {
    "type": "http",
    "method": "GET",
    "path": "/",
    "query_string": b"",
    "headers": [(b"host", b"localhost")],
}

async def test():
    got = []
    reached = asyncio.Event()

    async def listen():
        async def send(message):
            if message.get("body"):
                got.append(message["body"])
                if len(got) % 1000 == 0:
                    reached.set()

        await app(dict(scope), asyncio.Event().wait, send)

    before = tracemalloc.get_traced_memory()[0]
    streams = [asyncio.create_task(listen()) for _ in range(1000)]
    await reached.wait()
    gc.collect()
    held = (tracemalloc.get_traced_memory()[0] - before) / 1000
    threads = [thread.name for thread in threading.enumerate()]
    reached.clear()
    channel.publish("news")
    await reached.wait()
    news = sum(b"data: news\\n" in body for body in got)
    app._serving.close_connections()
    await asyncio.gather(*streams)
    return {"held": held, "threads": threads, "news": news, "listeners": len(channel)}

tracemalloc.start()
print(json.dumps(asyncio.run(test())))
"""


def test_a_thousand_idle_streams_are_cheap(run_python: Any, tmp_path: Path) -> None:
    """Below 20 kB each, and no thread; an event reaches all, and all end at once.

    In a process of their own: threads and memory of other tests are not theirs.
    """
    (tmp_path / "thousand.py").write_text(THOUSAND)
    ended = run_python("thousand.py")
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found.pop("held") < 20_000
    assert found == {"threads": ["MainThread"], "news": 1000, "listeners": 0}

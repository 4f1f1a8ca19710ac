"""How often a request leaves the event loop: as the table of colours says."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from carboy import request_finished
from carboy.bridges import WORKERS
from carboy.plan import is_async
from carboy.testing.doors import DOORS

from .conftest import environ_for, through


@pytest.fixture
def hops(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Each hop to a worker thread."""
    seen: list[Any] = []
    submit_in = WORKERS.submit_in

    def counted(context: Any, function: Any, *args: Any) -> Any:
        seen.append(function)
        return submit_in(context, function, *args)

    monkeypatch.setattr(WORKERS, "submit_in", counted)
    return seen


@pytest.fixture(params=sorted(DOORS))
def door(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def nothing(*args: Any) -> None:
    pass


async def view() -> str:
    return "async"


def test_all_sync_is_one_hop(app: Any, door: str, hops: list[Any]) -> None:
    """However many sync steps there are, the request goes to a thread once."""
    for _ in range(3):
        app.before_request(lambda: None)
        app.after_request(lambda response: response)
        app.teardown_request(lambda error: None)
    app.teardown_appcontext(lambda error: None)
    app.add_url_rule("/", "view", lambda: "sync")
    assert through(door, app, environ_for()).text == "sync"
    assert len(hops) == 1


def test_all_async_is_no_hop(app: Any, door: str, hops: list[Any]) -> None:
    """Async steps are awaited where they are."""

    async def after(response: Any) -> Any:
        return response

    app.before_request(nothing)
    app.after_request(after)
    app.teardown_request(nothing)
    app.teardown_appcontext(nothing)
    app.add_url_rule("/", "view", view)
    assert through(door, app, environ_for()).text == "async"
    assert hops == []


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_mixed_is_one_hop_for_each_sync_step(
    app: Any, door: str, hops: list[Any], steps: int
) -> None:
    """The async ones stay."""
    app.before_request(nothing)
    for _ in range(steps):
        app.before_request(lambda: None)
    app.add_url_rule("/", "view", view)
    assert through(door, app, environ_for()).text == "async"
    assert len(hops) == steps


def test_a_receiver_is_a_sync_step(app: Any, door: str, hops: list[Any]) -> None:
    """A signal's receivers run in one hop."""

    def receive(sender: Any, **values: Any) -> None:
        pass

    app.add_url_rule("/", "view", view)
    with request_finished.connected_to(receive, app):
        through(door, app, environ_for())
    assert len(hops) == 1


def test_a_handler_that_does_not_run_is_no_hop(app: Any, door: str, hops: list[Any]) -> None:
    """Sync error handlers cost an async view nothing, until they run."""

    async def fail() -> str:
        raise KeyError

    app.register_error_handler(KeyError, lambda error: "handled")
    app.add_url_rule("/", "view", view)
    app.add_url_rule("/fail", "fail", fail)
    through(door, app, environ_for())
    assert hops == []
    assert through(door, app, environ_for("/fail")).text == "handled"
    assert len(hops) == 1


def test_a_small_file_is_one_hop(app: Any, door: str, hops: list[Any], tmp_path: Any) -> None:
    """It is read in the thread that found it."""
    (tmp_path / "static").mkdir()
    (tmp_path / "static/a.txt").write_text("text")
    assert through(door, app, environ_for("/static/a.txt")).text == "text"
    assert len(hops) == 1


class Callable:
    async def __call__(self) -> str:
        return "called"


def sync() -> str:
    return "sync"


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (view, True),
        (partial(view), True),
        (partial(partial(view)), True),
        (Callable(), True),
        (Callable().__call__, True),
        (sync, False),
        (partial(sync), False),
        (lambda: None, False),
        (Callable, False),
        (print, False),
    ],
)
def test_what_is_async(function: Any, expected: bool) -> None:
    """Coroutine functions, also partial ones and methods, and objects with an async __call__."""
    assert is_async(function) is expected


@pytest.mark.parametrize(
    ("before", "function", "colour"),
    [
        (None, sync, "sync"),
        (None, view, "async"),
        (nothing, sync, "mixed"),
        (nothing, view, "async"),
        (sync, view, "mixed"),
        (sync, sync, "sync"),
    ],
)
def test_the_colour_of_a_plan(app: Any, before: Any, function: Any, colour: str) -> None:
    """By what runs on each request."""
    if before is not None:
        app.before_request(before)
    app.add_url_rule("/", "view", function)
    assert app._plans.get(app, "view").colour(app) == colour

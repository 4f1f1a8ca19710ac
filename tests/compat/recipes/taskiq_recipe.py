"""Taskiq: tasks kicked and awaited by async views, state and contexts from dependencies.

As Taskiq's documentation has it; it has no package for Flask.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

import pytest
from flask import Flask, current_app, g, has_request_context, request
from taskiq import (
    Context,
    InMemoryBroker,
    SimpleRetryMiddleware,
    TaskiqDepends,
    TaskiqEvents,
    TaskiqResultTimeoutError,
    TaskiqState,
)


async def app_context(context: Annotated[Context, TaskiqDepends()]):
    """An application context around the task that depends on it."""
    with context.state.app.app_context():
        yield current_app


def create_app(**options) -> Flask:
    app = Flask("recipe")
    app.config["GREETING"] = "good day"
    broker = InMemoryBroker(**options).with_middlewares(
        SimpleRetryMiddleware(no_result_on_retry=False)
    )
    app.extensions["taskiq"] = broker
    app.ended = []
    app.attempts = []

    @broker.on_event(TaskiqEvents.WORKER_STARTUP)
    async def startup(state: TaskiqState) -> None:
        state.app = app

    @app.teardown_appcontext
    def note_end(error):
        app.ended.append(error)

    @broker.task
    async def add_one(value: int) -> int:
        return value + 1

    @broker.task
    def add_two(value: int) -> int:
        return value + 2

    @broker.task
    async def surroundings(inside: Annotated[object, TaskiqDepends(app_context)]) -> dict:
        await asyncio.sleep(0)
        fresh = "seen" not in g
        g.seen = True
        greeting = current_app.config["GREETING"]
        return {"app": current_app.name, "greeting": greeting, "fresh g": fresh}

    @broker.task
    async def without() -> list:
        return [has_request_context(), request.path if has_request_context() else None]

    @broker.task(retry_on_error=True, max_retries=2)
    async def broken(text: str) -> None:
        app.attempts.append(text)
        raise ValueError(text)

    @broker.task
    async def endless() -> None:
        await asyncio.Event().wait()

    app.tasks = {"add_one": add_one, "broken": broken}

    @app.before_request
    def sync_before():
        g.user = request.args.get("user", "nobody")

    @app.get("/add/<int:value>")
    async def add(value):
        task = await add_one.kiq(value)
        result = await task.wait_result(check_interval=0.01, timeout=20)
        return {"value": result.return_value, "error": result.is_err, "user": g.user}

    @app.get("/both/<int:value>")
    async def both(value):
        kicked = [await add_one.kiq(value), await add_two.kiq(value)]
        waits = (task.wait_result(check_interval=0.01, timeout=20) for task in kicked)
        return [result.return_value for result in await asyncio.gather(*waits)]

    @app.get("/surroundings")
    async def show_surroundings():
        g.seen = "by the view"
        task = await surroundings.kiq()
        result = await task.wait_result(check_interval=0.01, timeout=20)
        return {"inside": result.return_value, "g": g.seen, "path": request.path}

    @app.get("/without")
    async def show_without():
        task = await without.kiq()
        return (await task.wait_result(check_interval=0.01, timeout=20)).return_value

    @app.get("/broken")
    async def show_broken():
        task = await broken.kiq("no paper")
        result = await task.wait_result(check_interval=0.01, timeout=20)
        return {"error": result.is_err, "why": str(result.error)}

    @app.get("/raise")
    async def raise_it():
        task = await broken.kiq("no paper")
        result = await task.wait_result(check_interval=0.01, timeout=20)
        result.raise_for_error()

    @app.get("/late")
    async def late():
        task = await endless.kiq()
        try:
            await task.wait_result(check_interval=0.01, timeout=0.05)
        except TaskiqResultTimeoutError:
            return "not done yet", 202

    return app


@pytest.fixture
def app():
    made = create_app()
    asyncio.run(made.extensions["taskiq"].startup())
    yield made
    asyncio.run(made.extensions["taskiq"].shutdown())


def test_an_async_view_kicks_a_task_and_awaits_its_result(app):
    answer = app.test_client().get("/add/41?user=ada").json
    assert answer == {"value": 42, "error": False, "user": "ada"}


def test_the_broker_serves_one_request_after_another(app):
    client = app.test_client()
    assert [client.get(f"/add/{n}").json["value"] for n in range(10)] == list(range(1, 11))


def test_async_and_plain_tasks_run_side_by_side(app):
    assert app.test_client().get("/both/1").json == [2, 3]


def test_a_dependency_gives_the_task_an_application_context_of_its_own(app):
    answer = app.test_client().get("/surroundings").json
    assert answer["inside"] == {"app": "recipe", "greeting": "good day", "fresh g": True}
    assert (answer["g"], answer["path"]) == ("by the view", "/surroundings")
    assert app.ended == [None, None]


def test_a_task_in_memory_is_started_inside_the_views_context(app):
    # asyncio copies the context of whoever makes a task; a broker of another process would not.
    assert app.test_client().get("/without").json == [True, "/without"]


def test_the_error_of_a_task_comes_with_its_result(app):
    answer = app.test_client().get("/broken").json
    assert answer == {"error": True, "why": "no paper"}


def test_a_task_is_tried_again_as_often_as_its_label_says():
    app = create_app(await_inplace=True)

    async def kick():
        await app.extensions["taskiq"].startup()
        await app.tasks["broken"].kiq("no paper")
        await app.extensions["taskiq"].shutdown()

    asyncio.run(kick())
    assert app.attempts == ["no paper"] * 2


def test_an_error_raised_again_goes_to_the_applications_error_handler(app):
    @app.errorhandler(ValueError)
    async def no_paper(error):
        return f"sorry: {error}", 503

    answer = app.test_client().get("/raise")
    assert (answer.status_code, answer.text) == (503, "sorry: no paper")


def test_a_view_need_not_wait_for_a_task_to_end(app):
    answer = app.test_client().get("/late")
    assert (answer.status_code, answer.text) == (202, "not done yet")


def test_a_plain_view_kicks_a_task_through_ensure_sync(app):
    add_one = app.tasks["add_one"]

    @app.get("/plain")
    def plain():
        async def kick():
            task = await add_one.kiq(1)
            return (await task.wait_result(check_interval=0.01, timeout=20)).return_value

        return {"value": current_app.ensure_sync(kick)()}

    assert app.test_client().get("/plain").json == {"value": 2}

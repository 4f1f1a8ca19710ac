"""Taskiq with its in-memory broker beside an application; runs on Flask and on Carboy."""

from __future__ import annotations

import asyncio

import pytest
from flask import Flask, current_app
from taskiq import InMemoryBroker

broker = InMemoryBroker(await_inplace=True)


def make_app():
    app = Flask("tasks")
    app.config["FACTOR"] = 3

    @app.post("/times/<int:number>")
    async def begin(number):
        task = await times.kiq(number)
        result = await task.wait_result(timeout=20)
        return {"value": result.return_value, "failed": result.is_err}

    @app.post("/sync/<int:number>")
    def begin_sync(number):
        return {"value": asyncio.run(ask(number))}

    return app


@broker.task
async def times(number: int) -> int:
    """Makes its own application and context, as tasks in another process do."""
    if number == 13:
        raise ValueError("on purpose")
    with make_app().app_context():
        return number * current_app.config["FACTOR"]


async def ask(number):
    task = await times.kiq(number)
    return (await task.wait_result(timeout=20)).return_value


@pytest.fixture
def client():
    return make_app().test_client()


def test_an_async_view_starts_a_task_and_waits(client):
    assert client.post("/times/14").json == {"value": 42, "failed": False}


def test_a_failing_task_is_told(client):
    assert client.post("/times/13").json["failed"] is True


def test_a_plain_view_asks_through_a_loop_of_its_own(client):
    assert client.post("/sync/5").json == {"value": 15}


def test_views_ask_one_after_the_other(client):
    assert [client.post(f"/times/{n}").json["value"] for n in range(3)] == [0, 3, 6]

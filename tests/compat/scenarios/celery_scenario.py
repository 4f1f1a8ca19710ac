"""Celery as Flask's documentation combines the two; runs on Flask and on Carboy.

No broker: tasks run at once (`task_always_eager`), or travel through Celery's in-memory transport
to a worker in a thread.
"""

from __future__ import annotations

import pytest
from celery import Celery, Task, shared_task
from celery.contrib.testing.worker import start_worker
from celery.result import AsyncResult
from flask import Flask, current_app, g, has_request_context, jsonify, request, url_for


def celery_init_app(app: Flask) -> Celery:
    class FlaskTask(Task):
        def __call__(self, *args, **kwargs):
            with app.app_context():
                return self.run(*args, **kwargs)

    celery_app = Celery(app.name, task_cls=FlaskTask)
    celery_app.config_from_object(app.config["CELERY"])
    celery_app.set_default()
    app.extensions["celery"] = celery_app
    return celery_app


@shared_task(ignore_result=False)
def add_together(a: int, b: int) -> int:
    return a + b


@shared_task
def facts() -> list:
    g.own = "of the task"
    return [current_app.name, current_app.config["NUMBER"], g.own, has_request_context()]


@shared_task
def build_url() -> str:
    return url_for("index")


@shared_task
def fail() -> None:
    raise ValueError("on purpose")


def create_app(**celery) -> Flask:
    app = Flask("tasks")
    app.config.from_mapping(
        NUMBER=42, SERVER_NAME="example.com", CELERY={"task_ignore_result": False, **celery}
    )
    app.config.from_prefixed_env()
    celery_init_app(app)

    @app.get("/")
    def index():
        return "front page"

    @app.post("/add")
    def start_add():
        result = add_together.delay(
            request.form.get("a", type=int), request.form.get("b", type=int)
        )
        return {"result_id": result.id, "value": result.get(timeout=20)}

    @app.get("/result/<id>")
    def result(id):
        found = AsyncResult(id)
        return jsonify(ready=found.ready(), value=found.result if found.ready() else None)

    return app


@pytest.fixture
def eager():
    return create_app(task_always_eager=True)


@pytest.fixture
def working():
    app = create_app(broker_url="memory://", result_backend="cache+memory://")
    with start_worker(app.extensions["celery"], perform_ping_check=False, pool="solo"):
        yield app


def test_a_view_starts_a_task_at_once(eager):
    assert eager.test_client().post("/add", data={"a": 1, "b": 2}).json["value"] == 3


def test_a_task_has_an_application_context_and_no_request(eager):
    assert facts.delay().get() == ["tasks", 42, "of the task", False]


def test_a_task_leaves_no_context_behind(eager):
    facts.delay()
    with pytest.raises(RuntimeError, match="application context"):
        current_app.name


def test_a_task_builds_urls(eager):
    assert build_url.delay().get() == "http://example.com/"


def test_an_error_of_a_task_is_its_result(eager):
    with pytest.raises(ValueError, match="on purpose"):
        fail.delay().get()


def test_a_worker_runs_the_task_in_its_own_context(working):
    assert facts.delay().get(timeout=20) == ["tasks", 42, "of the task", False]


def test_a_view_asks_a_worker(working):
    client = working.test_client()
    answer = client.post("/add", data={"a": 20, "b": 22}, base_url="http://example.com").json
    assert answer["value"] == 42
    later = client.get(f"/result/{answer['result_id']}", base_url="http://example.com").json
    assert later == {"ready": True, "value": 42}

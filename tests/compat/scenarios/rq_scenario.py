"""RQ as Flask tutorials use it, with a Redis in memory; runs on Flask and on Carboy."""

from __future__ import annotations

import fakeredis
import pytest
from flask import Blueprint, Flask, current_app
from rq import Queue, SimpleWorker
from rq.job import Job


def create_app():
    app = Flask("queueing")
    app.config["NAME_OF_TASKS"] = "own"
    app.redis = fakeredis.FakeStrictRedis()
    app.task_queue = Queue("tasks", connection=app.redis)
    part = Blueprint("tasks", __name__, url_prefix="/tasks")

    @part.post("/<int:number>")
    def begin(number):
        job = current_app.task_queue.enqueue(square, number)
        return {"id": job.id}, 202

    @part.get("/<id>")
    def state(id):
        job = Job.fetch(id, connection=current_app.redis)
        return {"status": job.get_status().value, "value": job.return_value()}

    app.register_blueprint(part)
    return app


def square(number):
    """Makes its own application and context, as tasks in another process do."""
    app = create_app()
    with app.app_context():
        assert current_app.config["NAME_OF_TASKS"] == "own"
        return number * number


@pytest.fixture
def app():
    return create_app()


def test_a_task_is_queued_worked_off_and_read(app):
    client = app.test_client()
    answer = client.post("/tasks/7")
    assert answer.status_code == 202
    path = f"/tasks/{answer.json['id']}"
    assert client.get(path).json["status"] == "queued"
    SimpleWorker([app.task_queue], connection=app.redis).work(burst=True)
    assert client.get(path).json == {"status": "finished", "value": 49}


def test_tasks_of_several_requests_wait_in_order(app):
    client = app.test_client()
    ids = [client.post(f"/tasks/{number}").json["id"] for number in range(3)]
    assert app.task_queue.get_job_ids() == ids


def test_an_attribute_of_the_application_is_seen_through_the_proxy(app):
    with app.app_context():
        assert current_app.task_queue is app.task_queue

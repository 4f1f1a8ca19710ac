"""RQ: jobs of a queue on the application, run by workers inside an application context.

As the documentation of RQ and the tutorials on Flask that use it have it.
"""

from __future__ import annotations

import json
import os
import uuid

import fakeredis
import pytest
import redis
import rq
from flask import Flask, current_app, g, has_app_context, has_request_context, request, url_for
from rq.job import Job
from rq.registry import FailedJobRegistry

# A worker's task module makes an application for its jobs.
worker_app = Flask("jobs")
worker_app.config.update(GREETING="good day", SERVER_NAME="shop.example")
worker_app.add_url_rule("/orders/<int:number>", "order")


def count_words(text: str) -> int:
    return len(text.split())


def surroundings() -> dict:
    with worker_app.app_context():
        fresh = "seen" not in g
        g.seen = True
        return {
            "app": current_app.name,
            "greeting": current_app.config["GREETING"],
            "link": url_for("order", number=3),
            "fresh g": fresh,
            "request": has_request_context(),
        }


def greeting() -> list:
    with worker_app.app_context():
        return [current_app.config["GREETING"], "seen" in g]


def surroundings_without_context() -> bool:
    return has_app_context()


def export(total: int) -> None:
    job = rq.get_current_job()
    for done in range(1, total + 1):
        job.meta["progress"] = 100 * done // total
        job.save_meta()


def broken(text: str) -> None:
    with worker_app.app_context():
        raise ValueError(f"{current_app.name}: {text}")


def create_app(connection) -> Flask:
    app = Flask("recipe")
    app.redis = connection
    app.task_queue = rq.Queue(f"queue-{uuid.uuid4()}", connection=app.redis)

    @app.post("/count")
    def start_count():
        job = current_app.task_queue.enqueue(count_words, request.form["text"])
        return {"id": job.id}, 202

    @app.get("/jobs/<id>")
    def show(id):
        try:
            job = Job.fetch(id, connection=current_app.redis)
        except rq.exceptions.NoSuchJobError:
            return {"error": "no such job"}, 404
        return {
            "finished": job.is_finished,
            "failed": job.is_failed,
            "value": job.return_value(),
            "progress": job.meta.get("progress", 0),
        }

    return app


@pytest.fixture(params=["fakeredis", "redis"])
def app(request):
    if request.param == "fakeredis":
        connection = fakeredis.FakeStrictRedis()
    else:
        connection = redis.Redis(unix_socket_path=request.getfixturevalue("redis_socket"))
    yield create_app(connection)
    connection.close()


@pytest.fixture
def work(app):
    def run():
        queue = app.task_queue
        rq.SimpleWorker([queue], connection=queue.connection).work(burst=True)

    return run


def test_a_view_enqueues_a_job_and_another_shows_its_result(app, work):
    client = app.test_client()
    answer = client.post("/count", data={"text": "one two three"})
    assert answer.status_code == 202
    before = client.get(f"/jobs/{answer.json['id']}").json
    assert before == {"finished": False, "failed": False, "value": None, "progress": 0}
    work()
    after = client.get(f"/jobs/{answer.json['id']}").json
    assert after == {"finished": True, "failed": False, "value": 3, "progress": 0}


def test_jobs_of_many_requests_are_each_answered(app, work):
    client = app.test_client()
    ids = [client.post("/count", data={"text": "x " * n}).json["id"] for n in range(10)]
    work()
    assert [client.get(f"/jobs/{each}").json["value"] for each in ids] == list(range(10))


def test_a_job_that_does_not_exist_is_a_404(app):
    assert app.test_client().get("/jobs/none").status_code == 404


def test_a_job_pushes_an_application_context_and_has_no_request(app, work):
    wanted = {
        "app": "jobs",
        "greeting": "good day",
        "link": "http://shop.example/orders/3",
        "fresh g": True,
        "request": False,
    }
    jobs = [app.task_queue.enqueue(surroundings) for _ in range(2)]
    work()
    assert [job.return_value() for job in jobs] == [wanted, wanted]


def test_nothing_is_pushed_for_a_job_that_does_not_ask(app, work):
    job = app.task_queue.enqueue(surroundings_without_context)
    work()
    assert job.return_value() is False


def test_the_progress_of_a_job_is_shown_by_a_view(app, work):
    job = app.task_queue.enqueue(export, 4)
    work()
    assert app.test_client().get(f"/jobs/{job.id}").json["progress"] == 100


def test_a_failed_job_is_kept_with_its_traceback(app, work):
    job = app.task_queue.enqueue(broken, "no paper")
    work()
    answer = app.test_client().get(f"/jobs/{job.id}").json
    assert (answer["finished"], answer["failed"]) == (False, True)
    assert "ValueError: jobs: no paper" in job.latest_result().exc_string
    assert job.id in FailedJobRegistry(queue=app.task_queue)


def test_a_failed_job_is_tried_again_as_often_as_asked(app, work):
    job = app.task_queue.enqueue(broken, "no paper", retry=rq.Retry(max=2))
    work()
    job.refresh()
    assert (job.is_failed, job.retries_left) == (True, 0)


def test_an_application_context_pushed_by_the_workers_module_serves_its_jobs(app, work):
    pushed = worker_app.app_context()
    pushed.push()
    try:
        job = app.task_queue.enqueue(surroundings_without_context)
        work()
    finally:
        pushed.pop()
    assert job.return_value() is True


def test_a_queue_that_is_not_async_runs_the_job_inside_the_view():
    app = create_app(fakeredis.FakeStrictRedis())
    app.task_queue = rq.Queue(is_async=False, connection=app.redis)

    @app.get("/now")
    def now():
        g.seen = "by the view"
        job = current_app.task_queue.enqueue(greeting)
        return {"inside": job.return_value(), "g": g.seen, "app": current_app.name}

    answer = app.test_client().get("/now").json
    assert answer == {"inside": ["good day", False], "g": "by the view", "app": "recipe"}


def test_the_rq_command_forks_for_each_job(redis_socket, run_child, here):
    connection = redis.Redis(unix_socket_path=redis_socket)
    app = create_app(connection)
    client = app.test_client()
    started = client.post("/count", data={"text": "one two"}).json
    inside = app.task_queue.enqueue(surroundings)
    run_child(
        "",
        *("-m", "rq.cli", "worker", "--burst", "--url", f"unix://{redis_socket}"),
        *("--path", str(here), app.task_queue.name),
        PYTHONPATH=os.pathsep.join([str(here), os.environ.get("PYTHONPATH", "")]),
    )
    assert client.get(f"/jobs/{started['id']}").json["value"] == 2
    value = json.loads(json.dumps(inside.return_value()))
    assert (value["app"], value["request"]) == ("jobs", False)
    connection.close()

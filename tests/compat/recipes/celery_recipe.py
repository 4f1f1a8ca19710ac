"""Celery: `celery_init_app`, `shared_task`, `.delay()` in a view, the result polled in another.

As "Background Tasks with Celery" in Flask's documentation has it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys

import pytest
from celery import Celery, Task, shared_task
from celery.contrib.testing.worker import start_worker
from celery.exceptions import Retry
from celery.result import AsyncResult
from flask import (
    Flask,
    current_app,
    g,
    has_app_context,
    has_request_context,
    render_template_string,
    request,
    url_for,
)


def celery_init_app(app: Flask) -> Celery:
    class FlaskTask(Task):
        def __call__(self, *args: object, **kwargs: object) -> object:
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


@shared_task(ignore_result=False)
def surroundings() -> dict:
    fresh = "seen" not in g
    g.seen = True
    return {
        "app": current_app.name,
        "greeting": current_app.config["GREETING"],
        "fresh g": fresh,
        "request": has_request_context(),
    }


@shared_task(ignore_result=False)
def letter(name: str) -> str:
    link = url_for("start_add")
    return render_template_string("Dear {{ name }}: {{ link }}", name=name, link=link)


@shared_task(ignore_result=False)
def broken(text: str) -> None:
    raise ValueError(text)


@shared_task(ignore_result=False)
def uses_request() -> str:
    return request.path


@shared_task(ignore_result=False, bind=True, max_retries=3, default_retry_delay=0)
def third_time(self) -> int:
    assert has_app_context()
    if self.request.retries < 2:
        raise self.retry(exc=ConnectionError("not yet"))
    return self.request.retries


@shared_task(
    ignore_result=False,
    bind=True,
    autoretry_for=(ConnectionError,),
    max_retries=2,
    default_retry_delay=0,
    retry_backoff=False,
)
def never(self) -> None:
    raise ConnectionError(f"attempt {self.request.retries}")


def create_app(**celery) -> Flask:
    app = Flask("recipe")
    settings = {"broker_url": "memory://", "result_backend": "cache+memory://"}
    app.config.from_mapping(
        GREETING="good day",
        SERVER_NAME="shop.example",
        CELERY={**settings, "task_ignore_result": True, **celery},
    )
    app.config.from_prefixed_env()
    celery_init_app(app)
    app.ended = []

    @app.teardown_appcontext
    def note_end(error):
        app.ended.append(error)

    @app.post("/add")
    def start_add() -> dict[str, object]:
        a = request.form.get("a", type=int)
        b = request.form.get("b", type=int)
        result = add_together.delay(a, b)
        return {"result_id": result.id}

    @app.get("/result/<id>")
    def task_result(id: str) -> dict[str, object]:
        result = AsyncResult(id)
        return {
            "ready": result.ready(),
            "successful": result.successful(),
            "value": result.result if result.ready() else None,
        }

    return app


@pytest.fixture
def worker():
    """`worker(app)`: Celery's own embedded worker, in a thread, until the test ends."""
    with contextlib.ExitStack() as stack:

        def start(app):
            celery_app = app.extensions["celery"]
            stack.enter_context(start_worker(celery_app, perform_ping_check=False, pool="solo"))
            return celery_app

        yield start


def poll(client, result_id):
    """The answer of the result's view, once the result is there."""
    AsyncResult(result_id).get(timeout=20, interval=0.01, propagate=False)
    return client.get(f"/result/{result_id}").json


def test_a_view_starts_a_task_and_another_polls_its_result(worker):
    app = create_app()
    client = app.test_client()
    started = client.post("/add", data={"a": "2", "b": "40"}).json
    before = client.get(f"/result/{started['result_id']}").json
    assert before == {"ready": False, "successful": False, "value": None}
    worker(app)
    assert poll(client, started["result_id"]) == {"ready": True, "successful": True, "value": 42}


def test_tasks_of_many_requests_are_each_answered(worker):
    app = create_app()
    worker(app)
    client = app.test_client()
    ids = [client.post("/add", data={"a": n, "b": 100}).json["result_id"] for n in range(20)]
    assert [poll(client, each)["value"] for each in ids] == [100 + n for n in range(20)]


def test_a_task_runs_in_an_application_context_of_its_own_and_has_no_request(worker):
    app = create_app()
    worker(app)
    wanted = {"app": "recipe", "greeting": "good day", "fresh g": True, "request": False}
    assert [surroundings.delay().get(timeout=20) for _ in range(2)] == [wanted, wanted]
    assert not has_app_context()


def test_a_task_renders_a_template_with_a_link_to_the_site(worker):
    worker(create_app())
    assert letter.delay("Ada").get(timeout=20) == "Dear Ada: http://shop.example/add"


def test_a_task_that_uses_the_request_fails_with_the_usual_message(worker):
    worker(create_app())
    with pytest.raises(RuntimeError, match="Working outside of request context"):
        uses_request.delay().get(timeout=20)


def test_each_task_ends_with_the_teardown_of_its_context(worker):
    app = create_app()
    celery_app = worker(app)
    celery_app.tasks[add_together.name].delay(1, 2).get(timeout=20)
    failed = broken.delay("no paper")
    with pytest.raises(ValueError, match="no paper"):
        failed.get(timeout=20)
    assert [type(error) for error in app.ended] == [type(None), ValueError]


def test_a_failed_task_is_ready_and_not_successful(worker):
    app = create_app()
    worker(app)
    result = broken.delay("no paper")
    with pytest.raises(ValueError, match="no paper"):
        result.get(timeout=20)
    assert (result.ready(), result.successful(), result.state) == (True, False, "FAILURE")


def test_a_task_is_retried_until_it_succeeds(worker):
    app = create_app()
    worker(app)
    assert third_time.delay().get(timeout=20) == 2
    assert [type(error) for error in app.ended] == [Retry, Retry, type(None)]


def test_a_task_gives_up_after_its_last_retry(worker):
    worker(create_app())
    with pytest.raises(ConnectionError, match="attempt 2"):
        never.delay().get(timeout=20)


def test_a_chain_of_tasks_hands_results_on(worker):
    worker(create_app())
    assert (add_together.s(1, 2) | add_together.s(30)).delay().get(timeout=20) == 33


def test_an_eager_task_is_done_before_the_view_answers():
    app = create_app(task_always_eager=True, task_store_eager_result=True)
    client = app.test_client()
    started = client.post("/add", data={"a": "2", "b": "3"}).json
    answer = client.get(f"/result/{started['result_id']}").json
    assert answer == {"ready": True, "successful": True, "value": 5}


def test_an_eager_task_has_a_g_of_its_own_and_leaves_the_request_as_it_was():
    app = create_app(task_always_eager=True)

    @app.get("/eager")
    def eager():
        g.seen = "by the view"
        inside = surroundings.delay().get()
        return {"inside": inside, "g": g.seen, "path": request.path, "link": url_for("start_add")}

    answer = app.test_client().get("/eager", base_url="http://shop.example").json
    assert (answer["g"], answer["path"]) == ("by the view", "/eager")
    assert answer["link"] == "/add"
    # The request's own context is below the task's: it can be seen, in eager mode only.
    assert answer["inside"] == {
        "app": "recipe",
        "greeting": "good day",
        "fresh g": True,
        "request": True,
    }


def test_an_eager_task_that_fails_gives_its_error_to_the_view_or_the_result():
    app = create_app(task_always_eager=True)

    @app.get("/eager")
    def eager():
        result = broken.delay("no paper")
        return {"state": result.state, "path": request.path, "why": str(result.result)}

    answer = app.test_client().get("/eager", base_url="http://shop.example").json
    assert answer == {"state": "FAILURE", "path": "/eager", "why": "no paper"}
    create_app(task_always_eager=True, task_eager_propagates=True)
    with pytest.raises(ValueError, match="no paper"):
        broken.delay("no paper")


def test_settings_may_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("FLASK_CELERY__task_always_eager", "true")
    monkeypatch.setenv("FLASK_CELERY__task_default_queue", "letters")
    celery_app = create_app().extensions["celery"]
    assert celery_app.conf.task_always_eager is True
    assert celery_app.conf.task_default_queue == "letters"


def test_shared_tasks_belong_to_the_application_that_was_made_last():
    first, second = create_app(), create_app()
    assert first.extensions["celery"] is not second.extensions["celery"]
    assert add_together.app is second.extensions["celery"]


MAKE_CELERY = """
from celery_recipe import create_app

flask_app = create_app()
celery_app = flask_app.extensions["celery"]
"""


@pytest.mark.parametrize("pool", ["solo", "prefork"])
def test_a_worker_process_of_the_celery_command_works_through_real_redis(
    redis_socket, tmp_path, monkeypatch, pool, here
):
    address = f"redis+socket://{redis_socket}"
    monkeypatch.setenv("FLASK_CELERY__broker_url", address)
    monkeypatch.setenv("FLASK_CELERY__result_backend", address)
    monkeypatch.setenv("FLASK_CELERY__task_default_queue", f"queue-{pool}")
    (tmp_path / "make_celery.py").write_text(MAKE_CELERY)
    path = [str(tmp_path), str(here), os.environ.get("PYTHONPATH", "")]
    app = create_app()
    client = app.test_client()
    ids = [client.post("/add", data={"a": n, "b": 1}).json["result_id"] for n in range(5)]
    inside = surroundings.delay()
    command = [sys.executable, "-m", "celery", "-A", "make_celery", "worker"]
    command += ["--pool", pool, "--concurrency", "1", "--without-gossip", "--without-mingle"]
    with (tmp_path / "worker.log").open("w") as log:
        worker = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            assert [poll(client, each)["value"] for each in ids] == [1, 2, 3, 4, 5]
            assert inside.get(timeout=20)["request"] is False
        finally:
            worker.terminate()
            code = worker.wait(20)
    assert code == 0, (tmp_path / "worker.log").read_text()

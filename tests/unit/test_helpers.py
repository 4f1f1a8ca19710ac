"""The functions that views call by name."""

from __future__ import annotations

import gc
import importlib
import os
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.exceptions import HTTPException, NotFound

import carboy.helpers
from carboy import Carboy, Response, flash, g, get_flashed_messages, message_flashed, request
from carboy.globals import _cv_request
from carboy.helpers import (
    _split_blueprint_path,
    abort,
    get_debug_flag,
    get_load_dotenv,
    get_root_path,
    make_response,
    redirect,
    send_from_directory,
    stream_with_context,
)


@pytest.fixture
def app(tmp_path: Path) -> Carboy:
    app = Carboy("helpers_app", root_path=str(tmp_path))
    app.secret_key = "key"
    return app


@pytest.fixture
def torn_down(app: Carboy) -> list[Any]:
    """What teardown functions of the app were called with."""
    seen: list[Any] = []
    app.teardown_request(seen.append)
    return seen


def start(app: Carboy) -> Any:
    """One request to /, its body not read yet."""
    return app.test_client().get("/?name=World", buffered=False)


# -- stream_with_context --------------------------------------------------------------------------


def test_the_stream_has_the_request_and_teardown_waits_for_its_end(
    app: Carboy, torn_down: list[Any]
) -> None:
    """HOSTILE-194: teardown once, after the stream."""

    @app.get("/")
    def index() -> Any:
        g.kept = "kept"

        def parts() -> Iterator[str]:
            yield "Hello "
            yield request.args["name"]
            assert torn_down == []
            yield g.kept

        return stream_with_context(parts())

    response = start(app)
    assert torn_down == []
    assert b"".join(response.response) == b"Hello Worldkept"
    assert torn_down == [None]
    response.close()
    assert torn_down == [None]


def test_between_two_parts_no_context_is_current(app: Carboy) -> None:
    with app.test_request_context("/?name=x"):
        stream: Any = stream_with_context(request.args["name"] for _ in range(2))
    assert next(stream) == "x"
    assert _cv_request.get(None) is None
    assert next(stream) == "x"
    stream.close()
    with pytest.raises(StopIteration):
        next(stream)


def test_another_request_s_context_is_there_again_after_a_part(app: Carboy) -> None:
    with app.test_request_context("/?name=first"):
        stream: Any = stream_with_context(iter(lambda: request.args["name"], None))
    with app.test_request_context("/?name=second"):
        assert next(stream) == "first"
        assert request.args["name"] == "second"
    stream.close()


def test_closing_early_closes_the_generator_and_tears_down_once(
    app: Carboy, torn_down: list[Any]
) -> None:
    """HOSTILE-193."""
    closed = []

    @app.get("/")
    def index() -> Any:
        def parts() -> Iterator[str]:
            try:
                yield "a"
                yield "b"
            finally:
                closed.append(request.args["name"])

        return stream_with_context(parts())

    response = start(app)
    assert next(iter(response.response)) == b"a"
    response.close()
    response.close()
    assert closed == ["World"]
    assert torn_down == [None]


def test_a_stream_that_was_never_started_tears_down_when_closed(
    app: Carboy, torn_down: list[Any]
) -> None:
    @app.get("/")
    def index() -> Any:
        return stream_with_context(iter("ab"))

    start(app).close()
    assert torn_down == [None]


def test_a_dropped_stream_tears_down(app: Carboy, torn_down: list[Any]) -> None:
    with app.test_request_context():
        stream = stream_with_context(iter("ab"))
    assert torn_down == []
    del stream
    gc.collect()
    assert torn_down == [None]


def test_an_error_in_the_stream_reaches_the_server_and_the_teardown(
    app: Carboy, torn_down: list[Any]
) -> None:
    error = ValueError("midway")

    @app.get("/")
    def index() -> Any:
        def parts() -> Iterator[str]:
            yield "a"
            raise error

        return stream_with_context(parts())

    response = start(app)
    with pytest.raises(ValueError, match="midway"):
        b"".join(response.response)
    response.close()
    assert torn_down == [error]


def test_an_error_while_closing_reaches_the_teardown(app: Carboy, torn_down: list[Any]) -> None:
    error = ValueError("at close")

    class Parts:
        def __iter__(self) -> Any:
            return self

        def __next__(self) -> str:
            return "a"

        def close(self) -> None:
            raise error

    with app.test_request_context():
        stream: Any = stream_with_context(Parts())  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="at close"):
        stream.close()
    stream.close()
    assert torn_down == [error]


def test_a_decorated_function_keeps_its_name_and_arguments(app: Carboy) -> None:
    @stream_with_context
    def greet(word: str) -> Iterator[str]:
        """Greets."""
        yield f"{word} {request.args['name']}"

    decorated: Any = greet
    assert (decorated.__name__, decorated.__doc__) == ("greet", "Greets.")
    with app.test_request_context("/?name=you"):
        assert list(decorated("hello")) == ["hello you"]


def test_a_stream_inside_a_stream_works(app: Carboy, torn_down: list[Any]) -> None:
    with app.test_request_context("/?name=x"):
        inner = stream_with_context(request.args["name"] for _ in range(2))
        outer = stream_with_context(inner)
    assert list(outer) == ["x", "x"]
    assert torn_down == [None]


def test_without_a_request_there_is_nothing_to_keep(app: Carboy) -> None:
    with app.app_context(), pytest.raises(RuntimeError, match="when a request context is active"):
        stream_with_context(iter("a"))


# -- responses ------------------------------------------------------------------------------------


def test_make_response_takes_what_a_view_returns(app: Carboy) -> None:
    with app.test_request_context():
        assert make_response().get_data() == b""
        assert make_response("a").get_data() == b"a"
        assert make_response("a", 404).status_code == 404
        assert make_response(("a", 201)).status_code == 201


def test_redirect_and_abort_go_through_the_application(app: Carboy) -> None:
    class Mine(Response):
        pass

    app.response_class = Mine
    app.aborter.mapping[418] = NotFound
    with app.app_context():
        assert isinstance(redirect("/a", 303), Mine)
        with pytest.raises(NotFound):
            abort(418)


def test_redirect_and_abort_work_without_an_application() -> None:
    class Mine(Response):
        pass

    found = redirect("/a", 301, Response=Mine)
    assert isinstance(found, Mine) and found.status_code == 301
    with pytest.raises(HTTPException) as caught:
        abort(404, description="gone")
    assert caught.value.description == "gone"


# -- files ----------------------------------------------------------------------------------------


def test_a_file_s_name_with_a_slash_behind_is_not_found(app: Carboy, tmp_path: Path) -> None:
    """HOSTILE-115."""
    (tmp_path / "a.txt").write_text("a")
    with app.test_request_context():
        response = send_from_directory(".", "a.txt")
        assert response.status_code == 200
        response.close()
        for path in ("a.txt/", "a.txt//", "../helpers", "b.txt"):
            with pytest.raises(NotFound):
                send_from_directory(".", path)


def test_max_age_is_the_application_s_unless_given(app: Carboy, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 60
    with app.test_request_context():
        for given, expected in (({}, 60), ({"max_age": 5}, 5)):
            response = carboy.helpers.send_file("a.txt", **given)  # type: ignore[arg-type]
            assert response.cache_control.max_age == expected
            response.close()


def test_tests_may_patch_werkzeug_by_the_module_s_attribute(
    app: Carboy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carboy.helpers.werkzeug.utils.send_file", lambda **options: options)
    with app.test_request_context():
        assert carboy.helpers.send_file("x")["path_or_file"] == "x"  # type: ignore[index]


# -- flashes --------------------------------------------------------------------------------------


def test_flashes_are_filtered_and_found_again_in_the_same_request(app: Carboy) -> None:
    with app.test_request_context():
        flash("one")
        flash("two", "error")
        assert get_flashed_messages(category_filter=["error"]) == ["two"]
        assert get_flashed_messages(with_categories=True) == [("message", "one"), ("error", "two")]
        assert get_flashed_messages(category_filter=iter(["error"])) == ["two"]


def test_asking_for_no_messages_does_not_change_the_session(app: Carboy) -> None:
    with app.test_request_context() as ctx:
        assert get_flashed_messages() == []
        assert ctx.session.modified is False


def test_flashing_sends_a_signal(app: Carboy) -> None:
    with (
        app.test_request_context(),
        message_flashed.connected_to(
            lambda sender, **data: heard.append((sender, data["message"], data["category"]))
        ),
    ):
        heard: list[Any] = []
        flash("one", "error")
        assert heard == [(app, "one", "error")]


# -- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [("", False), ("0", False), ("False", False), ("no", False), ("1", True), ("yes", True)],
)
@pytest.mark.parametrize("prefix", ["FLASK", "CARBOY"])
def test_debug_flag(
    monkeypatch: pytest.MonkeyPatch, prefix: str, value: str, expected: bool
) -> None:
    assert get_debug_flag() is False
    monkeypatch.setenv(f"{prefix}_DEBUG", value)
    assert get_debug_flag() is expected


def test_carboy_s_variable_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_DEBUG", "1")
    monkeypatch.setenv("CARBOY_DEBUG", "0")
    assert get_debug_flag() is False


@pytest.mark.parametrize(("value", "expected"), [("1", False), ("0", True), ("no", True)])
def test_load_dotenv(monkeypatch: pytest.MonkeyPatch, value: str, expected: bool) -> None:
    assert get_load_dotenv() is True
    assert get_load_dotenv(default=False) is False
    monkeypatch.setenv("FLASK_SKIP_DOTENV", value)
    assert get_load_dotenv(default=not expected) is expected


# -- packages -------------------------------------------------------------------------------------


def test_the_root_path_is_the_folder_of_a_module_or_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a_package").mkdir()
    (tmp_path / "a_package" / "__init__.py").touch()
    (tmp_path / "a_module.py").write_text("raise RuntimeError('must not be imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert get_root_path("a_package") == str(tmp_path / "a_package")
    assert get_root_path("a_module") == str(tmp_path)
    assert get_root_path("json") == os.path.dirname(sys.modules["json"].__file__ or "")


def test_what_has_no_file_is_in_the_current_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    assert get_root_path("no_such_module") == os.getcwd()
    monkeypatch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))
    assert get_root_path("__main__") == os.getcwd()


def test_a_namespace_package_has_no_root_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a_namespace").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("a_namespace")
    with pytest.raises(RuntimeError, match="No root path can be found for the provided module"):
        get_root_path("a_namespace")


def test_a_nested_blueprint_s_name_is_split_up_to_the_outermost() -> None:
    assert _split_blueprint_path("a.b.c") == ["a.b.c", "a.b", "a"]
    assert _split_blueprint_path("a") == ["a"]


def test_a_name_that_extensions_look_for_is_here_too() -> None:
    from carboy.scaffold import _endpoint_from_view_func

    assert carboy.helpers._endpoint_from_view_func is _endpoint_from_view_func
    with pytest.raises(AttributeError, match="no_such_name"):
        carboy.helpers.no_such_name

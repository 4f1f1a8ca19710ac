"""Modules that are put off: like any other to whoever imports them, only later."""

from __future__ import annotations

import importlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from carboy.importing import SELDOM, import_lightly

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write a module with this body, put off, and give its name."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def put_off(body: str, name: str = "put_off_module", **others: str) -> str:
        path = tmp_path / f"{name.replace('.', '/')}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(body)
        for other, text in others.items():
            (tmp_path / f"{other}.py").write_text(text)
        importlib.invalidate_caches()
        import_lightly(name.removesuffix(".__init__"))
        return name.removesuffix(".__init__")

    yield put_off
    for name in set(sys.modules) - before:
        if name.startswith("put_off"):
            del sys.modules[name]


def ran(name: str) -> bool:
    return "__getattr__" not in vars(sys.modules[name])


BODY = "import sys\nsys.put_off_runs = getattr(sys, 'put_off_runs', 0) + 1\nvalue = 1\n"


@pytest.fixture(autouse=True)
def _runs() -> Iterator[None]:
    yield
    vars(sys).pop("put_off_runs", None)


def test_the_body_runs_at_the_first_look_and_once(write: Write) -> None:
    module: Any = importlib.import_module(write(BODY))
    assert not hasattr(sys, "put_off_runs")
    assert module.value == 1
    assert module.value == 1
    assert vars(sys)["put_off_runs"] == 1
    assert sys.modules[module.__name__] is module
    assert not {"__getattr__", "__dir__"} & vars(module).keys()


@pytest.mark.parametrize(
    "statement",
    ["from put_off_module import value", "from put_off_module import *", "value = dir(M)"],
)
def test_each_way_of_looking_runs_the_body(write: Write, statement: str) -> None:
    name = write(BODY)
    namespace = {"M": sys.modules[name]}
    exec(statement, namespace)
    assert namespace["value"] in (1, dir(sys.modules[name]))
    assert ran(name)
    assert "value" in dir(sys.modules[name])


def test_all_is_honoured(write: Write) -> None:
    write("__all__ = ['public']\npublic = value = 1\n")
    namespace: dict[str, Any] = {}
    exec("from put_off_module import *", namespace)
    assert "public" in namespace and "value" not in namespace


def test_a_name_that_is_not_there_is_an_attribute_error_or_an_import_error(write: Write) -> None:
    module: Any = importlib.import_module(write(BODY))
    with pytest.raises(AttributeError, match="'put_off_module' has no attribute 'other'"):
        module.other
    with pytest.raises(ImportError):
        exec("from put_off_module import other")


def test_what_the_import_system_asks_does_not_run_the_body(write: Write) -> None:
    name = write(BODY)
    with pytest.raises(ModuleNotFoundError, match="is not a package"):
        importlib.import_module(f"{name}.inner")
    assert getattr(sys.modules[name], "__path__", None) is None
    assert not ran(name)


def test_a_body_with_a_getattr_of_its_own_keeps_it(write: Write) -> None:
    module: Any = importlib.import_module(write("def __getattr__(name): return name * 2\n"))
    assert module.ab == "abab"
    assert module.__getattr__("x") == "xx"


def test_a_body_that_fails_is_run_again(write: Write) -> None:
    body = "import sys\nsys.put_off_runs = getattr(sys, 'put_off_runs', 0) + 1\n"
    body += "if sys.put_off_runs < 2: raise OSError('first')\nvalue = 2\n"
    module: Any = importlib.import_module(write(body))
    with pytest.raises(OSError, match="first"):
        module.value
    assert module.value == 2


def test_a_body_that_asks_for_what_it_has_not_made_yet_gets_an_error(write: Write) -> None:
    body = "import put_off_module as me\nfound = hasattr(me, 'later')\nlater = 1\n"
    module: Any = importlib.import_module(write(body))
    assert module.found is False
    assert module.later == 1


def test_threads_that_come_together_all_find_the_whole_module(write: Write) -> None:
    body = "import put_off_gate\nearly = 1\nput_off_gate.wait()\nlate = 2\n"
    gate = "import threading\nstarted = threading.Event()\ngo = threading.Event()\n"
    gate += "def wait():\n    started.set()\n    assert go.wait(10)\n"
    module: Any = importlib.import_module(write(body, put_off_gate=gate))
    gate_module: Any = importlib.import_module("put_off_gate")
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(module.late)) for _ in range(4)]
    threads[0].start()
    assert gate_module.started.wait(10)
    for thread in threads[1:]:
        thread.start()
    gate_module.go.set()
    for thread in threads:
        thread.join(10)
    assert found == [2, 2, 2, 2]


def test_a_package_gives_its_submodules_without_its_own_body(write: Write) -> None:
    name = write(BODY, "put_off_package.__init__")
    folder = Path(str(sys.modules[name].__file__)).parent
    (folder / "inner.py").write_text("value = 3\n")
    importlib.invalidate_caches()
    package: Any = sys.modules[name]
    assert importlib.import_module("put_off_package.inner").value == 3
    assert not ran(name)
    assert package.inner.value == 3
    assert not ran(name)
    assert package.value == 1
    assert ran(name)


def test_a_module_that_was_imported_before_is_left_alone() -> None:
    import json

    import_lightly("json")
    assert sys.modules["json"] is json
    assert "__getattr__" not in vars(json)


def test_a_module_that_does_not_exist_is_left_to_whoever_imports_it() -> None:
    import_lightly("put_off_nowhere")
    assert "put_off_nowhere" not in sys.modules


def test_what_is_put_off_can_be_used_and_starting_up_does_not_use_it() -> None:
    code = f"""
import sys
from carboy import Carboy
app = Carboy("light", static_folder=None)
app.get("/")(lambda: "ok")
app.secret_key = "key"
environ = {{"REQUEST_METHOD": "GET", "PATH_INFO": "/", "SERVER_NAME": "a", "SERVER_PORT": "80",
           "wsgi.url_scheme": "http", "wsgi.errors": sys.stderr}}
assert b"".join(app(environ, lambda *args: None)) == b"ok"
print([name for name in {SELDOM!r} if "__getattr__" not in vars(sys.modules[name])])
import email.utils, uuid, shutil, difflib, ipaddress, pkgutil, werkzeug
print(email.utils.formatdate(0, usegmt=True), uuid.UUID(int=0).hex, shutil.copy.__name__)
print(difflib.get_close_matches("a", ["a"]), ipaddress.ip_address("::1"), werkzeug.Client.__name__)
"""
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    first, *rest = done.stdout.splitlines()
    assert first == "[]"
    assert rest == [f"Thu, 01 Jan 1970 00:00:00 GMT {'0' * 32} copy", "['a'] ::1 Client"]


def test_what_an_import_makes_is_not_searched_for_garbage() -> None:
    """It becomes old at once; nothing is frozen afterwards, and collections go on as before."""
    code = """
import gc
from carboy.importing import without_collections
def runs():
    return sum(generation["collections"] for generation in gc.get_stats())
with without_collections():
    made = [[] for _ in range(50_000)]
    before = runs()
more = [[] for _ in range(50)]
assert runs() == before, (runs(), before)
assert gc.isenabled() and gc.get_freeze_count() == 0
more = [[] for _ in range(3_000)]
assert runs() > before
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

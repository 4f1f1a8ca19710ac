"""What the tests of the small examples share.

An example is one `app.py`, loaded anew for each test. With `EXAMPLES_AS_FLASK=alias` in the
environment its source is read as if it said `from flask import Flask` and run through Carboy's alias;
`test_through_alias.py` runs every example's tests that way. (`EXAMPLES_AS_FLASK=flask` does the same on
a real Flask, to see that a test says the truth about Flask.)
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

AS_FLASK = os.environ.get("EXAMPLES_AS_FLASK", "")

if AS_FLASK == "alias":
    importlib.import_module("carboy.as_flask")


def as_flask_source(source: str) -> str:
    """The example as its author would have written it for Flask."""
    source = re.sub(r"^(\s*(?:from|import) )carboy\b", r"\1flask", source, flags=re.MULTILINE)
    return re.sub(r"\bCarboy\b", "Flask", source)


@pytest.fixture
def load(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], types.ModuleType]:
    """`load()` runs the `app.py` of the example that the test belongs to, as a new module."""
    path = Path(str(request.path)).parent.parent / "app.py"
    name = f"example_{path.parent.name}"

    def load_example() -> types.ModuleType:
        source = path.read_text()
        module = types.ModuleType(name)
        module.__file__ = str(path)
        monkeypatch.setitem(sys.modules, name, module)
        code = compile(as_flask_source(source) if AS_FLASK else source, path, "exec")
        exec(code, vars(module))
        return module

    return load_example

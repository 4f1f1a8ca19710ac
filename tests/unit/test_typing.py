"""The public type aliases."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, get_args

from carboy import typing as ct


def test_aliases_combine_with_other_types_at_run_time() -> None:
    combined: Any = ct.ResponseReturnValue | complex
    assert complex in get_args(combined)


def test_a_view_may_return_each_documented_kind_of_value() -> None:
    kinds = get_args(ct.ResponseReturnValue)
    for kind in (str, bytes, list[Any]):
        assert kind in kinds
    shapes = [len(get_args(kind)) for kind in kinds if getattr(kind, "__origin__", None) is tuple]
    assert sorted(shapes) == [2, 2, 3]


def test_importing_the_aliases_imports_no_library() -> None:
    code = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('aliases', {ct.__file__!r})\n"
        "spec.loader.exec_module(importlib.util.module_from_spec(spec))\n"
        "print([name for name in ('werkzeug', 'jinja2', 'click') if name in sys.modules])\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"

"""Each small example runs unchanged as a Flask application, through the alias."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
EXAMPLES = ("api", "blog", "hello", "registration", "shortener", "streaming", "uploads")


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_passes_its_tests_when_it_imports_flask(name: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", name]
    env = os.environ | {"EXAMPLES_AS_FLASK": "alias"}
    run = subprocess.run(command, cwd=HERE, env=env, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_small_example_is_in_the_list() -> None:
    assert set(EXAMPLES) == {path.parent.name for path in HERE.glob("*/app.py")}

"""Child processes of the tests: Python with the same packages, without the shell's settings."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

_SETTINGS = ("FLASK_", "CARBOY_", "WERKZEUG_")


def run_python(
    *arguments: str, cwd: pathlib.Path, stdin: str = "", **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run ``python ARGUMENTS`` in `cwd` to its end; `environ` is added to the environment."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(_SETTINGS)}
    # The same import path as here; the child's own folder comes first by itself.
    kept["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    kept["PYTHONDONTWRITEBYTECODE"] = "1"
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        env=kept | environ,
        timeout=60,
        check=False,
    )

"""The alias in child processes: a folder on `PYTHONPATH` with a package `flask` that hands over."""

from __future__ import annotations

import os

#: The folder that children get on their path. Nothing but `flask` is in it.
CHILD_PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "child_path")

#: Set to "0" in a child's environment, this variable gives it the real Flask again.
SWITCH = "CARBOY_AS_FLASK"


def share_with_children() -> None:
    """Let `import flask` mean Carboy in the Python processes that this one starts, too.

    Changes `PYTHONPATH` and `CARBOY_AS_FLASK` in this process's environment.
    """
    os.environ.setdefault(SWITCH, "1")
    given = os.environ.get("PYTHONPATH", "")
    folders = [folder for folder in given.split(os.pathsep) if folder]
    if CHILD_PATH not in folders:
        os.environ["PYTHONPATH"] = os.pathsep.join([CHILD_PATH, *folders])

"""Stands first on the path of processes that the `carboy` command started: `flask` is Carboy.

Hands over to the real Flask where this interpreter has no Carboy, or where `CARBOY_AS_FLASK=0`.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys


def _use_carboy() -> bool:
    if os.environ.get("CARBOY_AS_FLASK") == "0":
        return False
    if importlib.util.find_spec("carboy") is None:
        return False
    import carboy.as_flask  # noqa: F401  (puts itself where this module is)

    return True


def _use_real_flask() -> None:
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    others = [folder for folder in sys.path if os.path.abspath(folder or ".") != here]
    spec = importlib.machinery.PathFinder.find_spec("flask", others)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError("No module named 'flask'", name="flask")
    module = importlib.util.module_from_spec(spec)
    sys.modules["flask"] = module
    spec.loader.exec_module(module)


if not _use_carboy():
    _use_real_flask()

"""Importing Werkzeug without its development server and its test client.

``werkzeug/__init__.py`` imports both, and with them ``http.server``, ``ssl`` and ``socketserver``:
half of what ``import carboy`` would cost, in production for nothing. So the package is entered in
``sys.modules`` with its body put off: its submodules can be imported as ever, and the first look
at a name of the package itself (``werkzeug.run_simple``, ``from werkzeug import Client``) runs the
body as it is. Nothing is changed where Werkzeug was imported before.
"""

from __future__ import annotations

import sys
import typing as t
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from threading import RLock


def import_lightly(package: str) -> None:
    """Enter ``package`` in ``sys.modules`` so that its ``__init__`` runs when first needed."""
    spec = None if package in sys.modules else find_spec(package)
    if spec is None or spec.loader is None or spec.submodule_search_locations is None:
        return
    loader = spec.loader
    module = module_from_spec(spec)
    lock = RLock()
    run: list[bool] = []

    def look(name: str) -> t.Any:
        if name.startswith("__") or find_spec(f"{package}.{name}") is not None:
            # A submodule: the import system looks for it here before it imports it.
            return _submodule(package, name)
        with lock:
            if not run:
                run.append(True)
                namespace = vars(module)
                if namespace.get("__getattr__") is look:
                    del namespace["__getattr__"]
                loader.exec_module(module)
        return getattr(module, name)

    vars(module)["__getattr__"] = look
    sys.modules[package] = module


def _submodule(package: str, name: str) -> t.Any:
    if name.startswith("__"):
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    return import_module(f"{package}.{name}")


import_lightly("werkzeug")

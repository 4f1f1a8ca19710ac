"""Importing Werkzeug without what few of its users need: modules that are put off.

``werkzeug/__init__.py`` imports the development server and the test client, and with them
``http.server``, ``ssl`` and ``socketserver``; its submodules import parts of the standard library
for what hardly any request meets, such as :mod:`difflib` for the hint at a misspelt endpoint. Such
a module is entered in ``sys.modules`` with its body put off: it can be imported as ever, and the
first look at a name in it runs the body as it is. Nothing is changed where it was imported before.
"""

from __future__ import annotations

import gc
import sys
import typing as t
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from threading import RLock

#: Modules of the standard library that Werkzeug and Carboy import whole, and use in a function
#: here and there. Not one of them is needed to start an application or to answer its first request.
SELDOM = ("difflib", "email.utils", "ipaddress", "pkgutil", "shutil", "uuid")


#: What the import system looks for in a module, and where it must not find more than there is.
_OF_IMPORTS = frozenset({"__cached__", "__file__", "__path__", "__warningregistry__"})


def import_lightly(name: str) -> None:
    """Enter the module or package in ``sys.modules`` so that its body runs when first needed."""
    spec = None if name in sys.modules else find_spec(name)
    if spec is None or spec.loader is None:
        return
    run = spec.loader.exec_module
    is_package = spec.submodule_search_locations is not None
    module = module_from_spec(spec)
    namespace = vars(module)
    lock = RLock()
    running: list[bool] = []

    def load() -> None:
        # Whoever comes while the body runs in another thread waits here for its end.
        with lock:
            if namespace.get("__getattr__") is look and not running:
                running.append(True)
                try:
                    run(module)
                finally:
                    running.clear()
                for key, hook in hooks.items():
                    if namespace.get(key) is hook:
                        del namespace[key]

    def look(attribute: str) -> t.Any:
        if attribute not in _OF_IMPORTS:
            if is_package and not attribute.startswith("__") and find_spec(f"{name}.{attribute}"):
                return import_module(f"{name}.{attribute}")
            load()
            if attribute in namespace:
                return namespace[attribute]
            if (own := namespace.get("__getattr__")) not in (None, look):
                return own(attribute)
        raise AttributeError(f"module {name!r} has no attribute {attribute!r}")

    def names() -> list[str]:
        load()
        return sorted(namespace)

    hooks: dict[str, t.Any] = {"__getattr__": look, "__dir__": names}
    namespace |= hooks
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)


@contextmanager
def without_collections() -> t.Iterator[None]:
    """Let the garbage collector rest: what an import makes stays, and is looked through in vain.

    It is a tenth of the time that ``import carboy`` takes.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            if gc.get_freeze_count() == 0:
                # PERF: to the old objects with them, without a look at each; else the next one
                # that is made has all of them looked through, 4 ms. Figure "import" of the bench.
                gc.freeze()
                gc.unfreeze()
            gc.enable()


for _name in ("werkzeug", *SELDOM):
    import_lightly(_name)

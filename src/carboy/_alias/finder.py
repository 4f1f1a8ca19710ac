"""The entry in `sys.meta_path` that answers for `flask` and everything below it."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING

import carboy
from carboy.config import use_profile

from .blame import AliasError, explain_conflict
from .face import SUBMODULES, Face, loaded_submodules, make_face

if TYPE_CHECKING:
    from importlib.metadata import Distribution, DistributionFinder


class _Alias(Loader):
    """Loads `flask.X` by putting the module `carboy.X` in its place."""

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None  # A throw-away module: Carboy's own keeps its name and its spec untouched.

    def exec_module(self, module: ModuleType) -> None:
        # The import system takes what stands in sys.modules afterwards.
        name = module.__name__
        if name == "flask":
            del sys.modules[name]
            install()
        else:
            sys.modules[name] = importlib.import_module(_in_carboy(name))


class AliasFinder(MetaPathFinder):
    """Finds `flask` and its submodules in Carboy."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        package, _, rest = fullname.partition(".")
        if package != "flask":
            return None
        if rest == "__main__":  # python -m flask
            main = os.path.join(os.path.dirname(carboy.__file__ or ""), "__main__.py")
            return importlib.util.spec_from_file_location(fullname, main)
        if rest and rest.partition(".")[0] not in SUBMODULES:
            return None
        if rest and importlib.util.find_spec(_in_carboy(fullname)) is None:
            return None
        return ModuleSpec(fullname, _Alias(), is_package=not rest)

    def find_distributions(self, context: DistributionFinder.Context) -> Iterable[Distribution]:
        """Find a stand-in for Flask's metadata where Flask is not installed."""
        from .distribution import stand_ins  # importlib.metadata is slow to import

        return stand_ins(context, self)


def install() -> None:
    """Make `flask` and each `flask.X` mean Carboy, and choose the profile `flask`.

    Twice is harmless. Raises `AliasError` when the real Flask, or an application's own
    `flask.py`, was imported as `flask` before.
    """
    finder = expect_flask()
    if isinstance(sys.modules.get("flask"), Face):
        return
    spec = finder.find_spec("flask", None)
    assert spec is not None
    face = make_face(spec)
    sys.modules["flask"] = face
    for name, module in loaded_submodules().items():
        sys.modules[name] = module
        if name.count(".") == 1:
            setattr(face, name.partition(".")[2], module)
    use_profile("flask")


def expect_flask() -> AliasFinder:
    """Let the first `import flask` of whoever does it install the alias.

    A program that never imports `flask` keeps the profile `carboy`. Raises `AliasError` as
    `install` does.
    """
    complaint = explain_conflict(sys.modules)
    if complaint is not None:
        raise AliasError(complaint)
    for finder in sys.meta_path:
        if isinstance(finder, AliasFinder):
            return finder
    finder = AliasFinder()
    sys.meta_path.insert(0, finder)
    return finder


def _in_carboy(name: str) -> str:
    return "carboy" + name.removeprefix("flask")

"""Where on the disk an import name lives."""

from __future__ import annotations

import importlib.util
import os
import sys


def _find_package_path(import_name: str) -> str:
    """The folder from which the top-level package or module of ``import_name`` is imported.

    The current folder, where there is nothing of that name.
    """
    try:
        spec = importlib.util.find_spec(import_name.partition(".")[0])
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        return os.getcwd()
    folders = spec.submodule_search_locations
    if not folders:
        return os.path.dirname(spec.origin or "")
    if spec.origin not in (None, "namespace"):
        return os.path.dirname(os.path.dirname(spec.origin or ""))
    # A namespace package lies in several folders: take the one that holds this part of it.
    return os.path.dirname(_namespace_folder(import_name, list(folders)))


def _namespace_folder(import_name: str, folders: list[str]) -> str:
    spec = importlib.util.find_spec(import_name)
    if spec is not None and spec.submodule_search_locations:
        inner = os.path.commonpath(list(spec.submodule_search_locations))
        for folder in folders:
            if _is_within(inner, folder):
                return folder
    return folders[0]


def _is_within(folder: str, outer: str) -> bool:
    """Whether a folder is ``outer`` or below it, by their names."""
    folder, outer = (os.path.normcase(os.path.normpath(path)) for path in (folder, outer))
    return folder == outer or folder.startswith(os.path.join(outer, ""))


def find_package(import_name: str) -> tuple[str | None, str]:
    """Return ``(prefix, folder)``: the environment a package is installed in, if any, and
    the folder that it is imported from.
    """
    folder = _find_package_path(import_name)
    prefix = os.path.abspath(sys.prefix)
    if _is_within(folder, prefix):
        return prefix, folder
    above, name = os.path.split(folder)
    if name.lower() != "site-packages":
        return None, folder
    # .../lib/site-packages on Windows, .../lib/python3.x/site-packages elsewhere.
    outer, inner_name = os.path.split(above)
    if inner_name.lower() == "lib":
        return outer, folder
    if os.path.basename(outer).lower() == "lib":
        return os.path.dirname(outer), folder
    return above, folder

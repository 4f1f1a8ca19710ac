"""What `importlib.metadata` says about Flask where it is not installed, only Carboy in its place.

Sentry's SDK and OpenTelemetry do not depend on Flask: they ask for the version of the installed
one, and do nothing when there is none. Imported when the metadata of Flask are asked for.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib.abc import MetaPathFinder
from importlib.metadata import Distribution, DistributionFinder
from pathlib import Path

import carboy

from .face import FLASK_VERSION

_METADATA = f"""\
Metadata-Version: 2.1
Name: Flask
Version: {FLASK_VERSION}
Summary: Carboy under the name of Flask
"""


class StandIn(Distribution):
    """Flask's name and version; no files, no requirements, no entry points."""

    def read_text(self, filename: str) -> str | None:
        """Return the metadata, or None: there are no other files."""
        return _METADATA if filename == "METADATA" else None

    def locate_file(self, path: str | os.PathLike[str]) -> Path:
        """Return where a file of the distribution would be."""
        return Path(carboy.__file__ or "").parent.parent / path


def stand_ins(context: DistributionFinder.Context, asked: MetaPathFinder) -> Iterator[Distribution]:
    """Yield the stand-in when `context` asks for Flask, or for everything, of this interpreter.

    Nothing is yielded when a finder other than `asked` has a real Flask, or when the question is
    about folders of the caller's choice, as installers ask it.
    """
    if "path" in vars(context) or (context.name or "flask").lower() != "flask":
        return
    named = DistributionFinder.Context(name="flask")
    for finder in sys.meta_path:
        find = getattr(finder, "find_distributions", None)
        if finder is not asked and find is not None and any(True for _ in find(named)):
            return
    yield StandIn()

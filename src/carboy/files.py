"""Static files and resources of an application or a blueprint."""

from __future__ import annotations

import os
import typing as t
from datetime import timedelta

from .globals import _get_app
from .helpers import send_from_directory

if t.TYPE_CHECKING:
    from .wrappers import Response


class StaticFiles:
    """The file methods that :class:`~carboy.Carboy` and :class:`~carboy.Blueprint` share."""

    if t.TYPE_CHECKING:
        root_path: str
        static_folder: str | None
        has_static_folder: bool

    def get_send_file_max_age(self, filename: str | None) -> int | None:
        """The seconds a browser may keep ``filename``, or None to let it ask each time.

        ``SEND_FILE_MAX_AGE_DEFAULT`` of the current application; override for another rule.
        """
        value = _get_app().config["SEND_FILE_MAX_AGE_DEFAULT"]
        if isinstance(value, timedelta):
            return int(value.total_seconds())
        seconds: int | None = value
        return seconds

    def send_static_file(self, filename: str) -> Response:
        """The view of the static route: the file below :attr:`static_folder`, or a 404.

        Raises RuntimeError without a static folder.
        """
        if not self.has_static_folder:
            raise RuntimeError("'static_folder' must be set to serve static_files.")
        folder = t.cast(str, self.static_folder)
        max_age = self.get_send_file_max_age(filename)
        return send_from_directory(folder, filename, max_age=max_age)

    def _open(self, folder: str, resource: str, mode: str, encoding: str | None) -> t.IO[t.Any]:
        if mode not in {"r", "rt", "rb"}:
            raise ValueError("Resources can only be opened for reading.")
        path = os.path.join(folder, resource)
        return open(path, mode) if mode == "rb" else open(path, mode, encoding=encoding)

"""Sending back what users have uploaded, so that a browser runs none of it as this site's own."""

from __future__ import annotations

import mimetypes
import typing as t

from carboy.helpers import send_from_directory

if t.TYPE_CHECKING:
    import os

    from carboy.wrappers import Response

#: Types that browsers show and that can run no script: by file name, whatever was claimed at upload.
INLINE_TYPES: frozenset[str] = frozenset(
    {
        "image/png",
        "image/jpeg",
        "image/gif",
        "image/webp",
        "image/avif",
        "image/bmp",
        "audio/mpeg",
        "audio/ogg",
        "audio/wav",
        "audio/x-wav",
        "video/mp4",
        "video/webm",
        "text/plain",
    }
)


def send_upload(
    directory: os.PathLike[str] | str,
    path: os.PathLike[str] | str,
    *,
    download_name: str | None = None,
    inline_types: t.Collection[str] = INLINE_TYPES,
    **options: t.Any,
) -> Response:
    """Send a file that a user uploaded, with a type that is safe on this site.

    Pictures, sound, film and plain text (``inline_types``) are shown. Everything else, HTML, SVG
    and PDF among it, is sent as ``application/octet-stream`` to be saved. The type comes from the
    name, browsers are told not to guess another (``nosniff``), and a policy forbids all scripts.
    ``download_name`` is the name to save under; ``options`` are those of ``send_file``. 404 for a
    path that leads out of ``directory``, as with ``send_from_directory``.
    """
    guessed, coding = mimetypes.guess_type(download_name or str(path))
    shown = guessed in inline_types and coding is None
    options.pop("mimetype", None)
    options.pop("as_attachment", None)
    response = send_from_directory(
        directory,
        path,
        mimetype=guessed if shown else "application/octet-stream",
        as_attachment=not shown,
        download_name=download_name,
        **options,
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    return response

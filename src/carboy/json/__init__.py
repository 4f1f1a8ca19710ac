"""JSON through the current application's provider, ``current_app.json``.

Without an application these functions are those of the standard library, with the same extra
types that :class:`~carboy.json.provider.DefaultJSONProvider` writes.
"""

from __future__ import annotations

import json as _json
import typing as t

from carboy.globals import _cv, current_app

from .provider import _default

if t.TYPE_CHECKING:
    from carboy.wrappers import Response


def dumps(obj: t.Any, **kwargs: t.Any) -> str:
    """Return ``obj`` as JSON text. ``kwargs`` go to the provider, or to :func:`json.dumps`."""
    ctx = _cv.get(None)
    if ctx is None:
        return _json.dumps(obj, **{"default": _default, **kwargs})
    return ctx.app.json.dumps(obj, **kwargs)


def dump(obj: t.Any, fp: t.IO[str], **kwargs: t.Any) -> None:
    """Write ``obj`` as JSON to a text file, which should be open for UTF-8."""
    ctx = _cv.get(None)
    if ctx is None:
        _json.dump(obj, fp, **{"default": _default, **kwargs})
    else:
        ctx.app.json.dump(obj, fp, **kwargs)


def loads(s: str | bytes, **kwargs: t.Any) -> t.Any:
    """Return the value of a JSON document in text or UTF-8 bytes."""
    ctx = _cv.get(None)
    return _json.loads(s, **kwargs) if ctx is None else ctx.app.json.loads(s, **kwargs)


def load(fp: t.IO[t.AnyStr], **kwargs: t.Any) -> t.Any:
    """Return the value of the JSON document in an open file."""
    ctx = _cv.get(None)
    return _json.load(fp, **kwargs) if ctx is None else ctx.app.json.load(fp, **kwargs)


def jsonify(*args: t.Any, **kwargs: t.Any) -> Response:
    """Return a JSON response of the current application.

    One argument is the value; several are a list; keyword arguments are an object; none is null.
    Raises :exc:`RuntimeError` without an application context, and :exc:`TypeError` when
    positional and keyword arguments are mixed.
    """
    ctx = _cv.get(None)
    # The proxy is asked only where it has an error to raise.
    app = current_app if ctx is None else ctx.app
    return app.json.response(*args, **kwargs)

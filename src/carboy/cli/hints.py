"""Explains an `ImportError` that comes from code written for another release of Flask."""

from __future__ import annotations

import re
import traceback

from .dropped import Dropped, find
from .installed import flask_pin, owner_of

_NO_NAME = re.compile(
    r"cannot import name '(?P<name>\w+)' from '(?P<module>(?:flask|carboy)[\w.]*)'"
)
_NO_MODULE = re.compile(r"No module named '(?P<module>flask\.[\w.]+)'")


def explain_import_error(error: ImportError) -> str | None:
    """What was asked for, by whom, and the fix; None when the error is about something else."""
    text = str(error)
    if parts := _NO_NAME.search(text):
        module = re.sub(r"^carboy\b", "flask", parts["module"])
        gone, what = find(module, parts["name"]), f"{module}.{parts['name']}"
    elif parts := _NO_MODULE.search(text):
        gone, what = find(parts["module"]), f"the module {parts['module']}"
    else:
        return None
    if gone is None:
        return None
    return f"Flask {gone.since} has dropped {what}. {_advice(error, gone)}"


def _advice(error: ImportError, gone: Dropped) -> str:
    """Where it is asked for; an installed package is to be updated, own code to be changed."""
    asking = [
        (frame.f_globals.get("__name__", ""), frame.f_code.co_filename, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if not frame.f_code.co_filename.startswith("<frozen")
    ]
    if not asking:
        return f"Instead: {gone.fix}."
    module, file, line = asking[-1]
    owner = owner_of(module)
    if owner is None:
        return f"{file}, line {line}, asks for it; instead: {gone.fix}."
    pin = flask_pin(owner)
    made_for = f" (it requires flask{pin})" if pin else ""
    return (
        f"{owner.name} {owner.version}{made_for} asks for it in {file}, line {line}: it was"
        f" written for an older Flask. Install a newer release of {owner.name}; if there is none,"
        f" it works on no Flask of today. (In its code: {gone.fix}.)"
    )

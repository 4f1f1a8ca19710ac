"""Each test runs in a context of its own and must leave no request or application behind."""

from __future__ import annotations

import contextvars

import pytest


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool:
    """Call the test in a copy of the current context; a leak fails this test and no other."""
    from carboy import has_app_context, has_request_context

    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    before = has_app_context()

    def run() -> None:
        assert pyfuncitem.obj(**arguments) is None
        assert has_app_context() is before, "the test left an application context behind"
        assert before or not has_request_context(), "the test left a request context behind"

    contextvars.copy_context().run(run)
    return True

"""A Werkzeug rule that makes its builders when an address is first built with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from werkzeug.routing import Rule


class LazyRule(Rule):
    """A rule whose registration does not pay for code that may never run.

    Werkzeug generates two functions for each rule when it is bound, most of the cost of a
    registration, and only ``MapAdapter.build`` calls them. A rule with defaults is compiled at once:
    its converters may refuse a default, and that error belongs to the registration.
    """

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        make = super()._compile_builder
        if self.defaults:
            return make(append_unknown)
        name = "_build_unknown" if append_unknown else "_build"

        def build(rule: Any, /, **values: Any) -> tuple[str, str]:
            made: Any = make(append_unknown).__get__(rule, None)
            setattr(rule, name, made)
            answer: tuple[str, str] = made(**values)
            return answer

        return build

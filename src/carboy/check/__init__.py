"""``carboy check``: what about an application is weak, said before somebody else finds it.

The rules stand in one file a family: `secrets`, `debug`, `cookies`, `hosts`, `limits`, `proxies`,
`cors`, `headers`, `csrf`, `sessions`, `settings`. :func:`check` runs them; `output` writes what they found.
"""

from __future__ import annotations

import os
import typing as t

from . import (
    cookies,
    cors,
    csrf,
    debug,
    headers,
    hosts,
    limits,
    proxies,
    secrets,
    sessions,
    settings,
)
from .probe import headers_of_an_answer
from .rules import Finding as Finding
from .rules import Rule as Rule
from .subject import Subject as Subject

if t.TYPE_CHECKING:
    from carboy.app import Carboy

_FAMILIES: tuple[tuple[Rule, ...], ...] = (
    secrets.RULES,
    debug.RULES,
    cookies.RULES,
    csrf.RULES,
    sessions.RULES,
    hosts.RULES,
    proxies.RULES,
    limits.RULES,
    cors.RULES,
    headers.RULES,
    settings.RULES,
)

#: Every rule by its id, in the order in which they are run.
RULES: dict[str, Rule] = {rule.id: rule for family in _FAMILIES for rule in family}


def check(
    app: Carboy,
    *,
    deploy: bool = False,
    ignore: t.Collection[str] = (),
    probe: bool = False,
    environ: t.Mapping[str, str] | None = None,
) -> list[Finding]:
    """Run the rules on an application and return what they find, in their order.

    Without ``deploy`` only the rules that hold everywhere are run. ``ignore`` and the setting
    ``CHECK_IGNORE`` leave rules out. ``probe`` sends one GET for an address that does not exist
    through the application, to see the headers of a real answer. ``environ`` stands in for the
    environment of the process.
    """
    left_out = {*ignore, *(app.config.get("CHECK_IGNORE") or ())}
    probed = headers_of_an_answer(app) if probe else None
    subject = Subject(app, environ=os.environ if environ is None else environ, probed=probed)
    return [
        Finding(rule, name, seen, subject.place(name))
        for rule in RULES.values()
        if rule.id not in left_out and (deploy or not rule.deploy)
        for name, seen in rule.test(subject)
    ]

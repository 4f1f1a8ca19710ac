"""The compiled URL builder: a cache of a Werkzeug map that spells the usual address by itself."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from types import SimpleNamespace
from typing import Any

from werkzeug.routing import Map, Rule

from .rule import LazyRule
from .spelling import UNSUITED, Spell, Spelling
from .version import UNREAD, Version, current_version, is_plain

# The methods of a rule that decide how an address is built.
_DECISIVE = ("build", "suitable_for", "_encode_query_vars", "_compile_builder")
_ORDINARY = {name: (getattr(Rule, name), getattr(LazyRule, name)) for name in _DECISIVE}

#: What is known of an endpoint: the only rule's spelling and domain, if there is only one and it is an
#: ordinary one; and all rules in Werkzeug's order.
_Plan = tuple[Spell | None, str | None, tuple[Spelling, ...]]


class UrlBuilder:
    """Builds addresses as the adapters of ``url_map`` do, without asking them, where that can be proved.

    The map may change at any time, as with `Router`.
    """

    def __init__(self, url_map: Map) -> None:
        # A map of an unknown make is never asked anything: each answer is "undecided".
        self._map: Any = url_map if hasattr(url_map, "_remap") else SimpleNamespace(_remap=UNREAD)
        self._plans: dict[Any, _Plan] = {}
        self._version = UNREAD
        self._lock = Lock()

    def build(
        self,
        endpoint: str,
        values: Mapping[str, Any],
        method: str | None,
        default_method: str,
        domain: str,
    ) -> str | None:
        """The path and query string for an endpoint, or None: undecided, ask Werkzeug.

        The path begins with one slash, is percent-encoded and has no script root. It is what
        ``MapAdapter.build`` puts behind the script root when the address is on the same ``domain`` (the
        subdomain, or the server name under host matching) and not asked for as an external one. None
        stands for anything else, errors included. Raises nothing.
        """
        if self._map._remap is not self._version:
            self._renew()
        if type(values) is not dict:
            return None
        try:
            plan = self._plans.get(endpoint)
            if plan is None:
                plan = self._compile(endpoint)
            spell, home, spellings = plan
            if spell is None or method is not None:
                return self._choose(spellings, values, method, default_method, domain)
            if home != domain:
                return None
            path = spell(values)
            return None if path is UNSUITED else path  # type: ignore[return-value]
        except Exception:
            # A converter's refusal, or values that cannot be written: Werkzeug meets the same and
            # says so.
            return None

    def source(self, endpoint: str) -> list[str]:
        """The generated code for the rules of an endpoint; empty where Werkzeug builds."""
        self._renew()
        return [spelling.source for spelling in self._compile(endpoint)[2]]

    def forget(self) -> None:
        """Drop what has been compiled, so that the next address reads the map again."""
        self._version = Version()

    def _renew(self) -> None:
        url_map = self._map
        with self._lock:
            version = current_version(url_map) if is_plain(url_map) else url_map._remap
            if version is not self._version:
                # In this order: whoever sees the new version must not see the old plans.
                self._plans = {}
                self._version = version

    def _compile(self, endpoint: Any) -> _Plan:
        url_map = self._map
        if not is_plain(url_map):
            return None, None, ()
        plans = self._plans
        # Werkzeug sorts the rules of an endpoint in place under this lock.
        with url_map._remap_lock:
            rules = list(url_map._rules_by_endpoint.get(endpoint, ()))
        spellings: tuple[Spelling, ...] = ()
        if all(map(_is_ordinary, rules)):
            spellings = tuple(map(Spelling, rules))
        plan: _Plan = (None, None, spellings)
        if len(spellings) == 1 and not spellings[0].rule.websocket:
            only = spellings[0]
            if only.domain is not None:
                plan = (only.spell, only.domain, spellings)
        if rules:
            plans[endpoint] = plan
        return plan

    def _choose(
        self,
        spellings: tuple[Spelling, ...],
        values: dict[str, Any],
        method: str | None,
        default_method: str,
        domain: str,
    ) -> str | None:
        """Werkzeug's choice: the first rule that suits, for the default method before any other."""
        hosts = self._map.host_matching
        for asked in (default_method, None) if method is None else (method,):
            elsewhere = False
            for spelling in spellings:
                methods = spelling.rule.methods
                if asked is not None and methods is not None and asked not in methods:
                    continue
                path = spelling.spell(values)
                if path is UNSUITED:
                    continue
                if spelling.domain is not None and spelling.domain == domain:
                    return None if spelling.rule.websocket else path  # type: ignore[return-value]
                if not hosts:
                    return None
                elsewhere = True
            if elsewhere:
                return None
        return None


def _is_ordinary(rule: Rule) -> bool:
    """Whether the rule is built by Werkzeug's own code and its defaults have names."""
    kind = type(rule)
    return all(getattr(kind, name) in _ORDINARY[name] for name in _DECISIVE) and all(
        type(name) is str for name in rule.defaults or ()
    )

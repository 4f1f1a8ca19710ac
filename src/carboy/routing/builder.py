"""The compiled URL builder: a cache of a Werkzeug map that spells the usual address by itself."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from types import SimpleNamespace
from typing import Any

from werkzeug.routing import Map, Rule

from .rule import LazyRule
from .spelling import OPTIONS, UNSUITED, Spell, Spelling
from .version import UNREAD, Version, current_version, is_plain

# The methods of a rule that decide how an address is built.
_DECISIVE = ("build", "suitable_for", "_encode_query_vars", "_compile_builder")
_ORDINARY = {name: (getattr(Rule, name), getattr(LazyRule, name)) for name in _DECISIVE}

#: What is known of an endpoint: the only rule's spelling and domain, if there is only one and it is an
#: ordinary one; and all rules in Werkzeug's order.
_Plan = tuple[Spell | None, str | None, tuple[Spelling, ...]]


class Addresses:
    """What is known of a map in one of its states: true as long as ``map._remap is version``.

    ``spells`` and ``fixed`` are for who knows that a request is on the home domain, ``""``. They give
    the function that spells an endpoint's address, and the address where there are no values. Where
    the method decides too, or an option of ``url_for`` is among the values, it is None; "" means values
    that do not suit. Endpoints come in when `UrlBuilder.build` was first asked for them.
    """

    __slots__ = ("fixed", "map", "plans", "spells", "version")

    def __init__(self, url_map: Any, version: Any) -> None:
        self.map = url_map
        self.version = version
        self.plans: dict[Any, _Plan] = {}
        self.spells: dict[Any, Spell] = {}
        self.fixed: dict[Any, str | None] = {}


class UrlBuilder:
    """Builds addresses as the adapters of ``url_map`` do, without asking them, where that can be proved.

    The map may change at any time, as with `Router`.
    """

    def __init__(self, url_map: Map) -> None:
        self.url_map = url_map
        # A map of an unknown make is never asked anything: each answer is "undecided".
        self._map: Any = url_map if hasattr(url_map, "_remap") else SimpleNamespace(_remap=UNREAD)
        self._known = Addresses(self._map, UNREAD)
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
        known = self._known
        if self._map._remap is not known.version:
            known = self._renew()
        if type(values) is not dict:
            return None
        try:
            plan = known.plans.get(endpoint)
            if plan is None:
                plan = self._compile(known, endpoint)
            spell, home, spellings = plan
            if spell is None or method is not None:
                return self._choose(spellings, values, method, default_method, domain)
            return (spell(values) or None) if home == domain else None
        except Exception:
            # A converter's refusal, or values that cannot be written: Werkzeug meets the same and
            # says so.
            return None

    def known(self) -> Addresses:
        """What is known of the map as it is now; `build` adds to it what it is asked for."""
        known = self._known
        return known if self._map._remap is known.version else self._renew()

    def source(self, endpoint: str) -> list[str]:
        """The generated code for the rules of an endpoint; empty where Werkzeug builds."""
        return [spelling.source for spelling in self._compile(self._renew(), endpoint)[2]]

    def forget(self) -> None:
        """Drop what has been compiled, so that the next address reads the map again.

        What `known` has given is no longer true.
        """
        with self._lock:
            self._known.version = Version()

    def _renew(self) -> Addresses:
        url_map = self._map
        with self._lock:
            version = current_version(url_map) if is_plain(url_map) else url_map._remap
            if version is not self._known.version:
                self._known = Addresses(url_map, version)
            return self._known

    def _compile(self, known: Addresses, endpoint: Any) -> _Plan:
        url_map = self._map
        if not is_plain(url_map):
            return None, None, ()
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
            known.plans[endpoint] = plan
            spell = None if url_map.host_matching else _at_home(spellings)
            # To ask for ".x" means another endpoint than the one of that name.
            if spell is None or type(endpoint) is not str or endpoint[:1] == ".":
                spell = _undecided
            known.spells[endpoint] = spell
            known.fixed[endpoint] = spell({})
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
                if path == UNSUITED:
                    continue
                if spelling.domain is not None and spelling.domain == domain:
                    return None if spelling.rule.websocket else path
                if not hosts:
                    return None
                elsewhere = True
            if elsewhere:
                return None
        return None


def _at_home(spellings: tuple[Spelling, ...]) -> Spell | None:
    """What spells the address on the domain ``""`` for every method; None if there is no such thing."""
    for spelling in spellings:
        rule = spelling.rule
        if spelling.domain != "" or rule.websocket or not OPTIONS.isdisjoint(rule.arguments):
            return None
    if not spellings:
        return None
    if len(spellings) == 1:
        return spellings[0].spell
    spells = tuple(spelling.spell for spelling in spellings)
    rules = tuple(spelling.rule for spelling in spellings)

    def choose(values: dict[str, Any]) -> str | None:
        # Rules for the same methods suit or do not, whichever is asked for.
        methods = rules[0].methods
        for rule in rules:
            if rule.methods != methods:
                return None
        for spell in spells:
            path = spell(values)
            if path != UNSUITED:
                return path
        return UNSUITED

    return choose


def _undecided(values: dict[str, Any]) -> None:
    return None


def _is_ordinary(rule: Rule) -> bool:
    """Whether the rule is built by Werkzeug's own code and its defaults have names."""
    kind = type(rule)
    return all(getattr(kind, name) in _ORDINARY[name] for name in _DECISIVE) and all(
        type(name) is str for name in rule.defaults or ()
    )

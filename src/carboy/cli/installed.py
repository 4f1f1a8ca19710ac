"""Which installed packages are extensions of Flask, what they pin, and who owns a file."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from carboy._alias.face import FLASK_VERSION

_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9._-]+)\s*(?:\[[^\]]*\])?\s*\(?([^;)]*)\)?\s*(?:;(.*))?")
_CLAUSE = re.compile(r"\s*(===|==|~=|!=|<=|>=|<|>)\s*([0-9][0-9.]*)(\.\*)?\s*$")


@dataclass(frozen=True)
class Extension:
    """An installed distribution that requires Flask, and what is known of it."""

    name: str
    version: str
    pin: str
    known: dict[str, Any] | None

    @property
    def pins_another_flask(self) -> bool:
        """Whether its metadata excludes the release whose API Carboy has."""
        return not admits(self.pin, FLASK_VERSION)

    @property
    def regresses(self) -> bool:
        """Whether tests of it pass on Flask and not on Carboy."""
        return self.known is not None and bool(self.known["differing"])

    def state(self) -> str:
        """What the compatibility table says of it, in words."""
        if self.pins_another_flask:
            return (
                f"asks for flask{self.pin}, and Carboy is Flask {FLASK_VERSION}: install a newer"
                " release of it"
            )
        if self.known is None:
            return "not in the table: its tests have not been run on Carboy"
        row = self.known
        tests = "tests" if row["source"] == "own suite" else "scenarios"
        text = f"{row['carboy']} of the {row['flask']} {tests} that pass on Flask pass on Carboy"
        if row["differing"]:
            text += f"; not: {', '.join(row['differing'])}"
        if row["version"] != self.version:
            text += f" (of release {row['version']})"
        return text


def loaded_extensions(besides: str = "") -> list[Extension]:
    """The extensions of which a module is imported now, by name; not the package `besides`."""
    owners = _owners()
    loaded = {name.partition(".")[0] for name in list(sys.modules)} - {besides}
    names = {owner for module in loaded for owner in owners.get(module, ())}
    return sorted(_extensions(names), key=lambda extension: extension.name.lower())


def _extensions(names: set[str]) -> Iterator[Extension]:
    table = compat_table()
    for name in names:
        distribution = metadata.distribution(name)
        pin = flask_pin(distribution)
        if pin is not None:
            yield Extension(
                distribution.name, distribution.version, pin, table.get(_plain(distribution.name))
            )


@cache
def compat_table() -> dict[str, dict[str, Any]]:
    """The rows that `make compat-extensions` has written, by name in lower case."""
    text = Path(__file__).with_name("compat_table.json").read_text(encoding="utf-8")
    return {_plain(name): row for name, row in json.loads(text)["extensions"].items()}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def flask_pin(distribution: metadata.Distribution) -> str | None:
    """What a distribution requires of Flask, such as `">=2.2,<3"`; None if it requires none.

    What it requires for an extra of its own does not count.
    """
    for text in distribution.requires or ():
        parts = _REQUIREMENT.match(text)
        if parts is None or _plain(parts[1]) != "flask" or "extra" in (parts[3] or ""):
            continue
        return parts[2].replace(" ", "")
    return None


def admits(pin: str, version: str) -> bool:
    """Whether a version specifier (PEP 440; numbers only) admits `version`.

    A clause that is not understood admits everything.
    """
    return all(_clause_admits(clause, version) for clause in pin.split(","))


def _clause_admits(clause: str, version: str) -> bool:
    parts = _CLAUSE.match(clause)
    if parts is None:
        return True
    operator, text, wildcard = parts.groups()
    wanted = [int(number) for number in text.strip(".").split(".")]
    have = [int(number) for number in version.split(".")]
    if wildcard or operator == "~=":
        prefix = wanted if wildcard else wanted[:-1]
        same = have[: len(prefix)] == prefix
        if operator == "!=":
            return not same
        return same and (operator == "==" or have >= wanted)
    length = max(len(wanted), len(have))
    wanted += [0] * (length - len(wanted))
    have += [0] * (length - len(have))
    return {
        "===": have == wanted,
        "==": have == wanted,
        "!=": have != wanted,
        "<": have < wanted,
        "<=": have <= wanted,
        ">": have > wanted,
        ">=": have >= wanted,
    }[operator]


def owner_of(module: str) -> metadata.Distribution | None:
    """The distribution that a module comes from; None for the application's own modules."""
    for name in _owners().get(module.partition(".")[0], ()):
        return metadata.distribution(name)
    return None


@cache
def _owners() -> dict[str, list[str]]:
    return dict(metadata.packages_distributions())


def is_installed(file: str) -> bool:
    """Whether a file belongs to an installed package or to Python, not to the application."""
    parts = os.path.normcase(file).split(os.sep)
    return (
        "site-packages" in parts
        or "dist-packages" in parts
        or file.startswith((os.path.dirname(os.__file__) + os.sep, "<"))
    )

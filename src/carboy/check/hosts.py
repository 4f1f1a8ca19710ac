"""Rules on the names that the application answers to and gives as its own."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator

from .rules import Hit, rule

if t.TYPE_CHECKING:
    from .subject import Subject

_LOCAL = ("localhost", "127.", "0.0.0.0", "[::", "example.com")


@rule(
    "hosts-untrusted",
    "Any Host header is believed",
    why="It goes into links, also those of"
    " mails that reset passwords, and into caches; and a page with a name of the attacker's that"
    " resolves to this machine may read it (DNS rebinding).",
    remedy="Set TRUSTED_HOSTS to the names of the site, as in ['example.org', '.example.org'] (a"
    " leading dot takes the subdomains).",
)
def untrusted(subject: Subject) -> Iterator[Hit]:
    if not subject.get("TRUSTED_HOSTS"):
        yield "TRUSTED_HOSTS", "it is not set"


@rule(
    "hosts-wide",
    "TRUSTED_HOSTS trusts more than one site",
    deploy=False,
    why="An entry that is no name of a host is either never met or met by everybody's.",
    remedy="List full names; a leading dot means the name and everything below it.",
)
def wide(subject: Subject) -> Iterator[Hit]:
    hosts = subject.get("TRUSTED_HOSTS")
    if isinstance(hosts, str):
        yield "TRUSTED_HOSTS", "it is one text and not a list, so each character is a host"
        return
    for name in hosts or ():
        if not isinstance(name, str) or "*" in name or "/" in name or name.strip(". ") == "":
            yield "TRUSTED_HOSTS", f"{name!r} is no host name"
        elif name.startswith(".") and "." not in name.strip("."):
            yield "TRUSTED_HOSTS", f"{name!r} takes a whole top-level domain"


@rule(
    "server-name-local",
    "SERVER_NAME is this machine's",
    level="warning",
    why="Links made outside requests, in mails and tasks, lead to the reader's own machine.",
    remedy="Set SERVER_NAME to the public name, or leave it out where no such links are made.",
)
def local_name(subject: Subject) -> Iterator[Hit]:
    name = subject.get("SERVER_NAME")
    if name and str(name).startswith(_LOCAL):
        yield "SERVER_NAME", f"it is {name!r}"


@rule(
    "url-scheme-http",
    "Links made outside requests begin with http",
    level="warning",
    why="They are made with PREFERRED_URL_SCHEME, so whoever follows one sends the first request,"
    " cookies included, in the clear.",
    remedy="Set PREFERRED_URL_SCHEME = 'https'.",
)
def http_links(subject: Subject) -> Iterator[Hit]:
    if subject.get("SERVER_NAME") and subject.get("PREFERRED_URL_SCHEME") != "https":
        yield "PREFERRED_URL_SCHEME", f"it is {subject.get('PREFERRED_URL_SCHEME')!r}"


RULES = (untrusted, wide, local_name, http_links)

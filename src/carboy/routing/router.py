"""The compiled router: a cache of a Werkzeug map that answers the usual request by itself."""

from __future__ import annotations

from threading import Lock
from types import SimpleNamespace
from typing import Any

from werkzeug.routing import Map, Rule

from .tree import Hit, Node, Tree
from .version import UNREAD, Version, current_version, is_plain

Match = tuple[Rule, dict[str, Any]]
_Found = tuple[Hit, tuple[str, ...]]


class Router:
    """Matches requests as ``url_map`` does, without asking it, wherever that can be proved.

    The map stays the authority and may change at any time. A change by ``Map.add`` is noticed by one
    identity check per match, and the tables are made anew for the next request. Whoever changes a
    *bound rule* in place, which Werkzeug does not expect, calls `forget`.
    """

    def __init__(self, url_map: Map) -> None:
        # A map of an unknown make is never asked anything: each answer is "undecided".
        self._map: Any = url_map if hasattr(url_map, "_remap") else SimpleNamespace(_remap=UNREAD)
        self._home: Tree | None = None
        self._trees: dict[str, Tree] = {}
        self._version = UNREAD
        self._lock = Lock()

    def match(self, method: str, path: str, domain: str = "") -> Match | None:
        """The rule and a fresh dict of arguments, or None: undecided, ask Werkzeug.

        ``path`` is the decoded path and begins with one slash; ``domain`` is the subdomain, or the
        server name under host matching. An answer is what ``MapAdapter.match(return_rule=True)`` of
        the map gives for an HTTP request. None stands for anything else: 404, 405, each kind of
        redirect, and what cannot be told here. Raises nothing.
        """
        if self._map._remap is not self._version:
            self._renew()
        tree = self._trees.get(domain) if domain else self._home
        if tree is None and (tree := self._plant(domain)) is None:
            return None
        if (ends := tree.fixed.get(path)) is not None and (hit := ends.get(method)) is not None:
            if hit.fixed:
                defaults = hit.defaults
                return hit.rule, {} if defaults is None else defaults.copy()
            return self._search(tree, method, path)
        head, _, tail = path.rpartition("/")
        if (edges := tree.tails.get(head)) is None:
            front, slash, text = head.rpartition("/")
            if (fork := tree.forks.get(front)) is None or not slash or text in fork.static:
                return self._descend(tree, method, path)
            try:
                for edge in fork.simple:
                    if edge.accepts(text):
                        if (below := edge.node.static.get(tail)) is not None:
                            hit = below.ends.get(method)
                            if hit is not None and hit.single:
                                return hit.rule, {hit.name: hit.convert(text)}
                        break
            except Exception:
                return None
            return self._descend(tree, method, path)
        if not head and path[:1] != "/":
            return None
        try:
            for edge in edges:
                if edge.accepts(tail):
                    hit = edge.node.ends.get(method)
                    if hit is not None and hit.single:
                        return hit.rule, {hit.name: hit.convert(tail)}
                    break
        except Exception:
            # A converter's refusal, or its fault: Werkzeug comes to the same one and says so.
            return None
        return self._search(tree, method, path)

    def is_nowhere(self, path: str, domain: str = "") -> bool:
        """Whether Werkzeug surely finds no rule for ``path``, whatever the method: a 404.

        False leaves it open. Raises nothing.
        """
        if self._map._remap is not self._version:
            self._renew()
        tree = self._trees.get(domain) if domain else self._home
        if tree is None and (tree := self._plant(domain)) is None:
            return False
        if path[:1] != "/" or "//" in path:
            return False  # merged slashes may lead somewhere
        if self._map._matcher._root.dynamic:
            return False  # so may the rules of a variable subdomain
        try:
            return not _may_end(tree, tree.root, path.split("/"), 0)
        except Exception:
            return False

    def forget(self) -> None:
        """Drop what has been compiled, so that the next match reads the map again."""
        self._version = Version()

    def _renew(self) -> None:
        url_map = self._map
        with self._lock:
            version = current_version(url_map) if is_plain(url_map) else url_map._remap
            if version is not self._version:
                # In this order: whoever sees the new version must not see the old trees.
                self._home = None
                self._trees = {}
                self._version = version

    def _plant(self, domain: str) -> Tree | None:
        """Begin the tree of one domain, when the first request for it comes."""
        url_map = self._map
        with self._lock:
            if not is_plain(url_map):
                return None
            state = url_map._matcher._root.static.get(domain)
            if state is None:
                return None
            tree = Tree(url_map, state)
            if domain:
                self._trees[domain] = tree
            else:
                self._home = tree
            return tree

    def _descend(self, tree: Tree, method: str, path: str) -> Match | None:
        """Go down by the first transition that takes each segment: the first way that a search goes.

        If there is a rule at its end, no other way matters; if not, or if the tree has not grown so
        far, the search begins.
        """
        values: list[str] = []
        try:
            segments = path.split("/")
            if not segments[1]:
                return self._search(tree, method, path)
            node = tree.root
            for segment in segments:
                if (child := node.static.get(segment)) is not None:
                    node = child
                    continue
                for edge in node.simple:
                    if judgement := edge.accepts(segment):
                        if edge.whole:
                            values.append(segment)
                        else:
                            values += edge.values(judgement)
                        node = edge.node
                        break
                else:
                    if (last := node.rest) is None:
                        return self._search(tree, method, path)
                    text = path.split("/", last.depth)[-1]
                    if not last.accepts(text):
                        return self._search(tree, method, path)
                    values.append(text)
                    node = last.node
                    break
            hit = node.ends.get(method)
            if hit is None or not hit.plain:
                return self._search(tree, method, path)
            if hit.double:
                (first, second), (one, other), (text, tail) = hit.names, hit.converts, values
                return hit.rule, {first: one(text), second: other(tail)}
            arguments = {}
            for name, convert, text in zip(hit.names, hit.converts, values):  # noqa: B905
                arguments[name] = convert(text)
        except Exception:
            return None
        return hit.rule, arguments

    def _search(self, tree: Tree, method: str, path: str) -> Match | None:
        if path[:1] != "/" or path[1:2] == "/" or not method or method != method.upper():
            return None
        try:
            found = _walk(tree, tree.root, path.split("/"), 0, (), method)
            return None if found is None else self._finish(*found, method)
        except Exception:
            return None

    def _finish(self, hit: Hit, values: tuple[str, ...], method: str) -> Match | None:
        rule = hit.rule
        if rule is None:
            return None
        arguments = {}
        for name, convert, text in zip(hit.names, hit.converts, values, strict=False):
            arguments[name] = convert(text)
        if hit.defaults is not None:
            arguments.update(hit.defaults)
        if (
            hit.checked
            and self._map.redirect_defaults
            and (rule.alias or self._has_canonical(hit, arguments, method))
        ):
            return None
        return rule, arguments

    def _has_canonical(self, hit: Hit, arguments: dict[str, Any], method: str) -> bool:
        """Whether Werkzeug redirects to another rule, whose defaults are these arguments."""
        rule = hit.rule
        if hit.rivals is None:
            rivals = []
            for other in self._map._rules_by_endpoint[rule.endpoint]:
                if other is rule:
                    break
                if other.provides_defaults_for(rule):
                    rivals.append(other)
            hit.rivals = tuple(rivals)
        return any(other.suitable_for(arguments, method) for other in hit.rivals)


def _walk(
    tree: Tree, node: Node, segments: list[str], at: int, values: tuple[str, ...], method: str
) -> _Found | None:
    """Search from ``node`` along ``segments[at:]`` in Werkzeug's order; None when no rule is there."""
    if at == len(segments):
        hit = node.ends.get(method) or node.ends.get(None)
        return None if hit is None else (hit, values)
    segment = segments[at]
    child = tree.step(node, segment)
    if child is not None:
        found = _walk(tree, child, segments, at + 1, values, method)
        if found is not None:
            return found
    for edge in node.edges:
        text = "/".join(segments[at:]) if edge.final else segment
        judgement = edge.accepts(text)
        if not judgement:
            continue
        taken = (*values, text) if edge.whole else (*values, *edge.values(judgement))
        if not edge.final:
            found = _walk(tree, edge.node, segments, at + 1, taken, method)
        else:
            # A slash that the expression has set aside at the end is one more, empty, segment.
            slash = edge.suffixed and judgement.groups()[-1] == "/"
            found = _walk(tree, edge.node, [""] if slash else [], 0, taken, method)
        if found is not None:
            return found
    if not segment and at + 1 == len(segments):
        hit = node.loose.get(method) or node.loose.get(None)
        return None if hit is None else (hit, values)
    return None


def _may_end(tree: Tree, node: Node, segments: list[str], at: int) -> bool:
    """Whether there may be a rule where ``segments[at:]`` lead from ``node``, or a slash further."""
    if at == len(segments):
        if node.held:
            return True
        slashed = tree.step(node, "")
        return slashed is not None and slashed.held
    segment = segments[at]
    child = tree.step(node, segment)
    if child is not None and _may_end(tree, child, segments, at + 1):
        return True
    for edge in node.edges:
        text = "/".join(segments[at:]) if edge.final else segment
        if edge.accepts(text) and (edge.final or _may_end(tree, edge.node, segments, at + 1)):
            return True
    return not segment and at + 1 == len(segments) and node.held

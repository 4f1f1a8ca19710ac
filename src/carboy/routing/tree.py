"""The compiled form of one domain of a map.

Werkzeug's matcher is a state machine over the segments of a path: from each state a *static* transition
is tried first, then the *dynamic* ones by weight; whoever comes first to a state that holds a rule for
the method has found the answer. The nodes keep those states and that order. Three tables on top of them
answer the usual paths without a walk from the root:

- ``fixed``: path → what the state at the end of its static transitions answers;
- ``tails``: path without its last segment → the dynamic transitions there;
- ``forks``: path → the node at the end of its static transitions, if what it tries first are dynamic
  ones that take a segment as their one value.

They look where Werkzeug looks first, so what they find is what Werkzeug finds; when they find nothing,
the walk takes over.

A tree *grows* where paths lead: a node is made when a walk first comes to it, and knows what is below
it when a walk first goes on from there. So the first request does not wait for ten thousand rules that
it does not ask for, and what is never asked for takes no memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from werkzeug.routing import Map, Rule
from werkzeug.routing.matcher import State

from .edges import Edge, Undecided, python_converter

#: A rule without methods answers all. Known names are spelled out so that one look-up finds them.
_USUAL_METHODS = ("GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE")


class Hit:
    """What a state answers to a method: a rule, and how its arguments are made.

    - ``rule`` is None when the answer is no plain success (a redirect);
    - ``fixed``: no variables, nothing to check: the defaults are the arguments;
    - ``single``, ``double``: one or two variables, no defaults, nothing to check;
    - ``plain``: any variables, no defaults, nothing to check;
    - ``checked``: may turn into a redirect, depending on the arguments.
    """

    __slots__ = (
        "checked",
        "convert",
        "converts",
        "defaults",
        "double",
        "fixed",
        "name",
        "names",
        "plain",
        "rivals",
        "rule",
        "single",
    )

    def __init__(self, rule: Rule | None, checked: bool) -> None:
        # Any: the fields below are only read for hits that have a rule.
        self.rule: Any = rule
        self.checked = checked
        #: Rules that may be the canonical address of this one; found out when first needed.
        self.rivals: tuple[Rule, ...] | None = None
        converters = {} if rule is None else rule._converters
        self.names = tuple(map(str, converters))
        self.converts = tuple(map(python_converter, converters.values()))
        self.defaults = dict(rule.defaults) if rule is not None and rule.defaults else None
        settled = rule is not None and not checked
        self.fixed = settled and not converters
        self.plain = settled and self.defaults is None
        self.single = self.plain and len(converters) == 1
        self.double = self.plain and len(converters) == 2
        self.name: str = self.names[0] if self.single else ""
        self.convert: Callable[[str], Any] = self.converts[0] if self.single else str


REDIRECT = Hit(None, checked=True)

#: Method → hit; the key None stands for every method that has no key of its own.
Ends = dict[str | None, Hit]


class Node:
    """One state of the machine.

    - ``bud`` is Werkzeug's state until the node has grown, then None;
    - ``static``: segment → next node; ``edges``: the variable transitions in their order;
    - ``more``: the static transitions whose nodes may not be made yet; empty where there are edges,
      for these come after *all* static ones;
    - ``simple``: the edges before the first that takes more than a segment; ``rest``: the edge behind
      them, if it is the last one and what it takes is its one value;
    - ``ends`` answers where the path ends here, ``loose`` where one slash is left over;
    - ``held`` says whether there is any rule here, of whatever method;
    - ``path`` leads here, if static transitions alone do; ``depth`` is the number of segments in it.
    """

    __slots__ = (
        "bud",
        "depth",
        "edges",
        "ends",
        "held",
        "loose",
        "more",
        "path",
        "rest",
        "simple",
        "static",
    )

    def __init__(
        self, ends: Ends, loose: Ends, bud: State | None, depth: int, path: str | None
    ) -> None:
        self.ends = ends
        self.loose = loose
        self.held = bud is not None and bool(bud.rules)
        self.bud = bud
        self.depth = depth
        self.path = path
        self.static: dict[str, Node] = {}
        self.more: dict[str, State] = {}
        self.edges: tuple[Edge, ...] = ()
        self.simple: tuple[Edge, ...] = ()
        self.rest: Edge | None = None

    def set_edges(self, edges: tuple[Edge, ...]) -> None:
        cut = 0
        while cut < len(edges) and not edges[cut].final:
            cut += 1
        self.edges = edges
        self.simple = edges[:cut]
        if cut == len(edges) - 1 and edges[cut].whole:
            self.rest = edges[cut]

    def takes_nothing(self) -> bool:
        """Whether an empty segment can be the text of a variable here, or nobody can tell."""
        try:
            return any(edge.accepts("") for edge in self.edges)
        except Undecided:
            return True


class Tree:
    """A domain's nodes and tables; see the module for how they come about."""

    __slots__ = ("_canonical", "_hits", "_lock", "fixed", "forks", "root", "tails")

    def __init__(self, url_map: Map, domain: State) -> None:
        self.fixed: dict[str, Ends] = {}
        self.tails: dict[str, tuple[Edge, ...]] = {}
        self.forks: dict[str, Node] = {}
        self._canonical = _CanonicalRules(url_map)
        self._hits: dict[int, Hit] = {}
        # Werkzeug sorts its states in place under this lock.
        self._lock = url_map._remap_lock
        self.root = Node({}, {}, None, 0, None)
        start = domain.static.get("")
        if start is not None:
            self.root.static[""] = self._node(start, 1, "")

    def grow(self, node: Node) -> None:
        """Find out what is below ``node``."""
        with self._lock:
            if node.bud is not None:
                self._grow(node, node.bud)
                # Last: readers without the lock take the node for complete from here on.
                node.bud = None

    def step(self, node: Node, segment: str) -> Node | None:
        """The node behind a static transition, made if it is not yet; ``node`` has grown then."""
        if node.bud is not None:
            self.grow(node)
        child = node.static.get(segment)
        if child is None and segment in node.more:
            with self._lock:
                child = node.static.get(segment)
                if child is None:
                    child = self._child(node, segment, node.more[segment])
        return child

    def _grow(self, node: Node, state: State) -> None:
        path = node.path
        if state.dynamic:
            for segment, below in list(state.static.items()):
                self._child(node, segment, below)
            # Sorted here too, so that the tree does not depend on who sorted the map last.
            dynamic = sorted(state.dynamic, key=lambda entry: entry[0].weight)
            node.set_edges(
                tuple(
                    Edge(part, self._node(below, node.depth + 1, None), node.depth)
                    for part, below in dynamic
                )
            )
        else:
            node.more = state.static
        if path is None:
            return
        nothing = node.takes_nothing()
        if not path and nothing:
            # Adapters strip slashes in front: a path of nothing is never asked for as such.
            node.simple, node.rest = (), None
        if node.loose and not nothing:
            if "" in node.more:
                self._child(node, "", node.more[""])
            slashed = f"{path}/"
            self.fixed[slashed] = _first_of(self.fixed.get(slashed, {}), node.loose)
        if node.simple and all(edge.whole for edge in node.simple):
            self.forks[path] = node
        edges = (*node.simple, node.rest) if node.rest else node.simple
        if edges and all(edge.whole for edge in edges):
            self.tails[path] = edges

    def _child(self, node: Node, segment: str, state: State) -> Node:
        path = None if node.path is None else f"{node.path}/{segment}"
        child = self._node(state, node.depth + 1, path)
        if path is not None and child.ends:
            self.fixed[path] = child.ends
        node.static[segment] = child
        return child

    def _node(self, state: State, depth: int, path: str | None) -> Node:
        return Node(self._ends(state), self._loose(state), state, depth, path)

    def _ends(self, state: State) -> Ends:
        here = [(rule, self._hit(rule)) for rule in state.rules]
        slashed = state.static.get("")
        if slashed is not None:
            # Nothing for the method here, but one slash further: a redirect there, or, for a rule
            # that is not strict about it, as good as the slash.
            here += (
                (rule, REDIRECT if rule.strict_slashes else self._hit(rule))
                for rule in slashed.rules
            )
        return _by_method(here) if here else {}

    def _loose(self, state: State) -> Ends:
        lenient = [(rule, self._hit(rule)) for rule in state.rules if not rule.strict_slashes]
        return _by_method(lenient) if lenient else {}

    def _hit(self, rule: Rule) -> Hit:
        hit = self._hits.get(id(rule))
        if hit is None:
            if rule.redirect_to is not None:
                hit = REDIRECT
            else:
                hit = Hit(rule, checked=rule.alias or self._canonical.may_precede(rule))
            self._hits[id(rule)] = hit
        return hit


class _CanonicalRules:
    """Knows for which rules another one with the same endpoint may be the canonical address."""

    def __init__(self, url_map: Map) -> None:
        self._by_endpoint = url_map._rules_by_endpoint
        self._providers: dict[Any, dict[frozenset[str], int] | None] = {}

    def may_precede(self, rule: Rule) -> bool:
        """False only if no other rule has defaults for just the arguments of this one."""
        endpoint = rule.endpoint
        if endpoint not in self._providers:
            self._providers[endpoint] = self._find_providers(endpoint)
        providers = self._providers[endpoint]
        if providers is None:
            return True
        if not providers:
            return False
        others = providers.get(frozenset(rule.arguments), 0)
        return others > (1 if rule.defaults else 0)

    def _find_providers(self, endpoint: Any) -> dict[frozenset[str], int] | None:
        """Sets of arguments → how many rules have defaults for them; None when that is open."""
        found: dict[frozenset[str], int] = {}
        for rule in self._by_endpoint.get(endpoint, (None,)):
            if rule is None or type(rule).provides_defaults_for is not Rule.provides_defaults_for:
                return None
            if rule.defaults:
                arguments = frozenset(rule.arguments)
                found[arguments] = found.get(arguments, 0) + 1
        return found


def _by_method(answers: Iterable[tuple[Rule, Hit]]) -> Ends:
    """The first answer for each method; rules for WebSocket requests answer none of ours."""
    ends: Ends = {}
    for rule, hit in answers:
        if rule.websocket:
            continue
        if rule.methods is None:
            for method in (*_USUAL_METHODS, None):
                ends.setdefault(method, hit)
            break
        for method in _as_asked(rule.methods):
            ends.setdefault(method, hit)
    return ends


def _as_asked(methods: Iterable[str]) -> Iterator[str]:
    # An adapter asks in capitals only; another spelling in a rule never matches.
    return (method for method in methods if method == method.upper())


def _first_of(first: Ends, later: Ends) -> Ends:
    """``first`` where it answers, ``later`` for the methods that it leaves."""
    if None in first:
        return first
    return {**later, **first}

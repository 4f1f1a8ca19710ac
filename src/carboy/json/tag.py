"""JSON that keeps Python types, as the session cookie carries it.

A value that JSON has no type for is written as an object with one key, a tag: a tuple is
``{" t": [...]}``. The tags and their spelling are those of Flask's cookies, so that either
framework reads what the other wrote. Register a :class:`JSONTag` to add a type::

    class TagFraction(JSONTag):
        key = " f"

        def check(self, value):
            return isinstance(value, Fraction)

        def to_json(self, value):
            return str(value)

        def to_python(self, value):
            return Fraction(value)

    app.session_interface.serializer.register(TagFraction)
"""

from __future__ import annotations

import typing as t
import uuid
from base64 import b64decode, b64encode
from datetime import datetime

from markupsafe import Markup

from carboy.dates import http_date, parse_date
from carboy.json import dumps, loads

#: Types that every tag of the stock set leaves alone.
_PLAIN = frozenset([str, int, float, bool, type(None)])


class JSONTag:
    """How one type is written and read. ``key`` is its tag, empty for a type JSON has."""

    __slots__ = ("serializer",)

    key: str = ""

    def __init__(self, serializer: TaggedJSONSerializer) -> None:
        self.serializer = serializer

    def check(self, value: t.Any) -> bool:
        """Whether this tag is for the value."""
        raise NotImplementedError(f"{type(self).__name__}.check")

    def to_json(self, value: t.Any) -> t.Any:
        """Return a form of the value that JSON has. Values inside it are to be tagged too."""
        raise NotImplementedError(f"{type(self).__name__}.to_json")

    def to_python(self, value: t.Any) -> t.Any:
        """Return the value that :meth:`to_json` got; what is inside is untagged already."""
        raise NotImplementedError(f"{type(self).__name__}.to_python")

    def tag(self, value: t.Any) -> dict[str, t.Any]:
        """Return the JSON form under the tag."""
        return {self.key: self.to_json(value)}


class TagDict(JSONTag):
    """A dict whose only key looks like a tag; ``__`` is put behind the key to tell them apart."""

    __slots__ = ()
    key = " di"

    def check(self, value: t.Any) -> bool:
        if not isinstance(value, dict) or len(value) != 1:
            return False
        [key] = value
        return key in self.serializer.tags

    def to_json(self, value: t.Any) -> t.Any:
        [(key, item)] = value.items()
        return {f"{key}__": self.serializer.tag(item)}

    def to_python(self, value: t.Any) -> t.Any:
        [(key, item)] = value.items()
        return {key.removesuffix("__"): item}


class PassDict(JSONTag):
    """Any other dict: written as it is, its values tagged."""

    __slots__ = ()

    def check(self, value: t.Any) -> bool:
        return isinstance(value, dict)

    def to_json(self, value: t.Any) -> t.Any:
        tag = self.serializer.tag
        return {key: tag(value[key]) for key in value}

    tag = to_json


class PassList(JSONTag):
    """A list: written as it is, its items tagged."""

    __slots__ = ()

    def check(self, value: t.Any) -> bool:
        return isinstance(value, list)

    def to_json(self, value: t.Any) -> t.Any:
        return [*map(self.serializer.tag, value)]

    tag = to_json


class _TypeTag(JSONTag):
    """A tag for the instances of :attr:`python_type`."""

    __slots__ = ()
    python_type: t.ClassVar[type]

    def check(self, value: t.Any) -> bool:
        return isinstance(value, self.python_type)


class TagTuple(_TypeTag):
    """A tuple."""

    __slots__ = ()
    key = " t"
    python_type = tuple

    def to_json(self, value: t.Any) -> t.Any:
        return [*map(self.serializer.tag, value)]

    def to_python(self, value: t.Any) -> t.Any:
        return tuple(value)


class TagUUID(JSONTag):
    """A UUID, as 32 hexadecimal digits."""

    __slots__ = ()
    key = " u"

    def check(self, value: t.Any) -> bool:
        return isinstance(value, uuid.UUID)

    def to_json(self, value: t.Any) -> t.Any:
        return value.hex

    def to_python(self, value: t.Any) -> t.Any:
        return uuid.UUID(hex=value)


class TagDateTime(_TypeTag):
    """A datetime, as an HTTP date: whole seconds, in UTC, and aware when read."""

    __slots__ = ()
    key = " d"
    python_type = datetime

    def to_json(self, value: t.Any) -> t.Any:
        return http_date(value)

    def to_python(self, value: t.Any) -> t.Any:
        return parse_date(value)


class TagBytes(_TypeTag):
    """Bytes, in base 64."""

    __slots__ = ()
    key = " b"
    python_type = bytes

    def to_json(self, value: t.Any) -> t.Any:
        return str(b64encode(value), "ascii")

    def to_python(self, value: t.Any) -> t.Any:
        return b64decode(value)


class TagMarkup(JSONTag):
    """Whatever has an ``__html__`` method; read as :class:`~markupsafe.Markup`."""

    __slots__ = ()
    key = " m"

    def check(self, value: t.Any) -> bool:
        return callable(getattr(value, "__html__", None))

    def to_json(self, value: t.Any) -> t.Any:
        return str(value.__html__())

    def to_python(self, value: t.Any) -> t.Any:
        return Markup(value)


class TaggedJSONSerializer:
    """Writes and reads compact JSON with tags.

    It knows dict, tuple, bytes, Markup, UUID and datetime; :meth:`register` adds to that.
    """

    __slots__ = ("_stock", "order", "tags")

    #: The tags a new serializer has, in the order in which they are asked.
    default_tags: t.ClassVar[list[type[JSONTag]]] = [
        *(TagDict, PassDict, TagTuple, PassList),
        *(TagBytes, TagMarkup, TagUUID, TagDateTime),
    ]

    def __init__(self) -> None:
        self.order: list[JSONTag] = []
        self.tags: dict[str, JSONTag] = {}
        for tag_class in self.default_tags:
            self.register(tag_class)
        # What `order` is while only the stock tags are in it.
        self._stock = self.order[:] if [type(tag) for tag in self.order] == _STOCK else None

    def register(
        self, tag_class: type[JSONTag], force: bool = False, index: int | None = None
    ) -> None:
        """Add a tag, asked last or at ``index``: before another that also accepts its type.

        Raises :exc:`KeyError` when the key is taken, unless ``force`` replaces its reader.
        """
        tag = tag_class(self)
        if tag.key:
            if tag.key in self.tags and not force:
                raise KeyError(f"Tag '{tag.key}' is already registered.")
            self.tags[tag.key] = tag
        self.order.insert(len(self.order) if index is None else index, tag)

    def tag(self, value: t.Any) -> t.Any:
        """Return a form of the value that JSON has, tagged where a type would be lost."""
        for tag in self.order:
            if tag.check(value):
                return tag.tag(value)
        return value

    def untag(self, value: dict[str, t.Any]) -> t.Any:
        """Return what a tagged dict stands for, and any other dict as it is."""
        if len(value) == 1:
            for key in value:
                if key in self.tags:
                    return self.tags[key].to_python(value[key])
        return value

    def _untag_scan(self, value: t.Any) -> t.Any:
        # ``value`` is fresh from the parser and nobody else's, so it is changed in place.
        if isinstance(value, dict):
            for key, item in value.items():
                if isinstance(item, (dict, list)):
                    value[key] = self._untag_scan(item)
            return self.untag(value)
        if isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, (dict, list)):
                    value[index] = self._untag_scan(item)
        return value

    def _needs_no_tag(self, value: t.Any) -> bool:
        # The everyday session: a dict with strings and numbers in it, and only the stock tags,
        # which would copy it and change nothing.
        return (
            type(value) is dict
            and _PLAIN.issuperset(map(type, value.values()))
            and not (len(value) == 1 and next(iter(value)) in self.tags)
            and self.order == getattr(self, "_stock", None)
            and type(self).tag is _STOCK_TAG
        )

    def dumps(self, value: t.Any) -> str:
        """Return the value as compact, tagged JSON."""
        tagged = value if self._needs_no_tag(value) else self.tag(value)
        return dumps(tagged, separators=(",", ":"))

    def loads(self, value: str) -> t.Any:
        """Return the value of tagged JSON."""
        return self._untag_scan(loads(value))


_STOCK = TaggedJSONSerializer.default_tags[:]
_STOCK_TAG = TaggedJSONSerializer.tag

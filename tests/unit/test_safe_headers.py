"""Headers that are checked when they are set, and otherwise Werkzeug's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import Headers as WerkzeugHeaders

from carboy.headers import Headers, is_token, location_of, status_of

NAME = st.sampled_from(["X-A", "x-a", "X-B", "Location", "Vary"])
VALUE = st.sampled_from(["1", "/ü", "", "a b", 5, None])
PAIRS = st.lists(st.tuples(NAME, VALUE), max_size=3)
STEP = st.one_of(
    st.tuples(st.sampled_from(["add", "set", "setdefault", "__setitem__", "add_header"]), NAME, VALUE),
    st.tuples(st.sampled_from(["setlist", "setlistdefault"]), NAME, st.lists(VALUE, max_size=3)),
    st.tuples(st.sampled_from(["update", "extend", "__ior__"]), st.one_of(PAIRS, PAIRS.map(dict))),
    st.tuples(st.sampled_from(["remove", "__delitem__", "pop"]), NAME),
    st.tuples(st.just("__setitem__"), st.just(0), st.tuples(NAME, VALUE)),
    st.tuples(st.just("__setitem__"), st.just(slice(0, 2)), PAIRS),
    st.tuples(st.just("popitem")),
    st.tuples(st.just("clear")),
)  # fmt: skip


def apply(headers: Any, step: tuple[Any, ...]) -> Any:
    try:
        return getattr(headers, step[0])(*step[1:])
    except Exception as error:
        return type(error)


@settings(max_examples=300)
@given(PAIRS, st.lists(STEP, max_size=6))
def test_headers_do_what_werkzeugs_do(pairs: Any, steps: list[tuple[Any, ...]]) -> None:
    ours, theirs = Headers(pairs), WerkzeugHeaders(pairs)
    for step in steps:
        mine, other = apply(ours, step), apply(theirs, step)
        if step[0] != "__ior__":
            assert mine == other, step
        assert list(ours) == list(theirs), step
    assert ours == theirs
    assert theirs == ours
    assert str(ours) == str(theirs)
    assert repr(ours) == repr(theirs)
    assert ours.copy() == ours
    assert ours.copy() is not ours


def test_parameters_are_written_into_the_value() -> None:
    headers = Headers()
    headers.add("X-A", "x", file_name="a b")
    assert headers["X-A"] == 'x; file-name="a b"'


def test_headers_differ_by_their_values_and_not_by_the_case_of_names() -> None:
    assert Headers([("X-A", "1")]) == Headers([("x-a", "1")])
    assert Headers([("X-A", "1")]) != Headers([("X-A", "2")])
    assert Headers([("X-A", "1")]) != [("X-A", "1")]


SETTERS: dict[str, Callable[[Headers, str, str], Any]] = {
    "add": lambda h, n, v: h.add(n, v),
    "set": lambda h, n, v: h.set(n, v),
    "item": lambda h, n, v: h.__setitem__(n, v),
    "place": lambda h, n, v: h.__setitem__(0, (n, v)),
    "places": lambda h, n, v: h.__setitem__(slice(0, 1), [(n, v)]),
    "list": lambda h, n, v: h.setlist(n, [v]),
    "default": lambda h, n, v: h.setdefault(n, v),
    "update": lambda h, n, v: h.update({n: v}),
    "extend": lambda h, n, v: h.extend([(n, v)]),
    "or": lambda h, n, v: h | {n: v},
    "constructor": lambda h, n, v: Headers({n: v}),
}


@pytest.mark.parametrize("way", SETTERS)
@pytest.mark.parametrize(
    ("name", "value"),
    [("X-B", "a\nb"), ("X-B", "a\rb"), ("X-B", "a\0b"), ("X-B", "日本"), ("X B", "v"), ("", "v"), ("X:", "v"),
     ("X-B\n", "v"), ("é", "v"), ("X-B", "\x01"), ("X-B", "\x7f")],
)  # fmt: skip
def test_what_http_cannot_carry_is_refused_and_changes_nothing(
    way: str, name: str, value: str
) -> None:
    headers = Headers([("X-A", "1")])
    with pytest.raises(ValueError, match=r"(?i)header"):
        SETTERS[way](headers, name, value)
    assert list(headers) == [("X-A", "1")]


@pytest.mark.parametrize("value", ["a\tb", "é", "\x80"])
def test_what_it_can_carry_is_not(value: str) -> None:
    assert Headers([("X-A", value)])["X-A"] == value


def test_names_that_are_remembered_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    from carboy import headers

    monkeypatch.setattr(headers, "_good_names", known := set[str]())
    for number in range(3000):
        assert is_token(f"X-{number}")
    assert len(known) <= 1024


# -- redirects ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "sent"),
    [("/a", "/a"), ("/a b", "/a b"), ("/é", "/é"), ("/\t/x", "/%09/x"), ("\t//x", "%09//x"), (" //x", "%20//x"),
     ("/\r\nX: y", "/%0D%0AX: y"), ("/\0", "/%00"), ("/\x7f", "/%7F"), ("/x?next=javascript:y", "/x?next=javascript:y"),
     ("myapp://callback", "myapp://callback"), ("mailto:a@b.c", "mailto:a@b.c"), ("//other.test", "//other.test"),
     ("/data:x", "/data:x"), ("data", "data")],
)  # fmt: skip
def test_an_address_is_sent_as_browsers_will_read_it(address: str, sent: str) -> None:
    assert Headers([("Location", address)])["Location"] == sent
    assert location_of(address) == sent


@pytest.mark.parametrize(
    "address",
    ["javascript:x", "JAVASCRIPT:x", "java\nscript:x", " \x00javascript:x", "data:text/html,x", "vbscript:x",
     "javascript\t:x", "d\rata:x"],
)  # fmt: skip
@pytest.mark.parametrize("name", ["Location", "location"])
def test_an_address_that_runs_a_script_is_refused(name: str, address: str) -> None:
    with pytest.raises(ValueError, match="redirect"):
        Headers([(name, address)])


# -- statuses -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "status"),
    [(200, ("200 OK", 200)), (799, ("799 UNKNOWN", 799)), ("404", ("404 NOT FOUND", 404)),
     ("404 ", ("404 NOT FOUND", 404)), ("418 I'm", ("418 I'm", 418)), ("200 a\tb é", ("200 a\tb é", 200)),
     (100, ("100 CONTINUE", 100)), (999, ("999 UNKNOWN", 999))],
)  # fmt: skip
def test_a_status_has_a_line(value: Any, status: tuple[str, int]) -> None:
    assert status_of(value) == status


@pytest.mark.parametrize(
    "value", [0, 99, 1000, -200, "", " ", "OK", "20", "2000", "200\n", "200 a\nb", "200 a\0", "٢٠٠", "200 日", " 200",
              "200\xa0OK", True]
)  # fmt: skip
def test_what_is_no_status_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"status"):
        status_of(value)


@pytest.mark.parametrize("value", [None, b"200", 200.0, [200]])
def test_another_type_is_no_status(value: Any) -> None:
    with pytest.raises(TypeError, match="number or a text"):
        status_of(value)

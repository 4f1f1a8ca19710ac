"""Passwords: every stored format is checked, old ones are renewed, and nobody learns who exists."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.security import generate_password_hash

from carboy.security import check_password, hash_password, passwords

pytestmark = pytest.mark.beyond

CHEAP = "pbkdf2:sha256:10"


@pytest.fixture(params=["argon2", "werkzeug"], autouse=True)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """With Argon2 installed (at a cost for tests), and without."""
    if request.param == "argon2":
        argon2 = pytest.importorskip("argon2")
        hasher = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
        monkeypatch.setattr(passwords, "_argon2", lambda: hasher)
    else:
        monkeypatch.setattr(passwords, "_argon2", lambda: None)
        cheap = lambda password: generate_password_hash(password, "scrypt:512:8:1")  # noqa: E731
        monkeypatch.setattr(passwords, "generate_password_hash", cheap)
    passwords._hash_of_nobody.cache_clear()
    yield str(request.param)
    passwords._hash_of_nobody.cache_clear()


@pytest.mark.parametrize(
    "password",
    [
        "correct horse",
        "\u043f\u0430\u0440\u043e\u043b\u044c",
        " ",
        "x" * 4096,
        "\U0001f511",
    ],
)
def test_a_password_matches_itself_only(password: str) -> None:
    """Whatever its characters: nothing is cut off, stripped or folded."""
    stored = hash_password(password)
    assert check_password(stored, password) == (True, None)
    for other in (
        password + "x",
        password[:-1],
        password.upper() + "y",
        f" {password}",
        password + "\0",
    ):
        assert not check_password(stored, other)


def test_no_two_hashes_are_alike() -> None:
    """Each has a salt of its own, so equal passwords cannot be seen."""
    assert hash_password("same") != hash_password("same")


@pytest.mark.parametrize("method", [CHEAP, "pbkdf2:sha1:5", "scrypt:256:8:1"])
def test_older_hashes_are_renewed(method: str) -> None:
    """A right password brings a hash of today's kind; a wrong one nothing."""
    old = generate_password_hash("right", method)
    ok, new = check_password(old, "right")
    assert ok
    assert new is not None
    assert check_password(new, "right") == (True, None)
    assert check_password(old, "wrong") == (False, None)


def test_a_hash_of_lower_cost_is_renewed(library: str) -> None:
    """When the cost of new hashes has been raised."""
    if library == "argon2":
        argon2 = pytest.importorskip("argon2")
        old = argon2.PasswordHasher(time_cost=1, memory_cost=32, parallelism=1).hash("right")
    else:
        old = generate_password_hash("right", "scrypt:256:8:1")
    assert check_password(old, "right").new_hash is not None


def test_new_hashes_are_of_the_best_kind(library: str) -> None:
    """Argon2id where it is installed, else scrypt."""
    start = "$argon2id$" if library == "argon2" else "scrypt:"
    assert hash_password("x").startswith(start)


@pytest.mark.parametrize("stored", [None, ""])
def test_a_user_who_does_not_exist_takes_as_long(
    stored: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CVE-2016-2513, CVE-2024-39329, CVE-2021-29621: one hash is computed for anybody.

    CVE-2022-21659.
    """
    asked: list[str] = []
    matches = passwords._matches

    def counted(stored: str, password: str) -> bool:
        asked.append(passwords._method(stored.replace("$argon2", "argon2")))
        return matches(stored, password)

    monkeypatch.setattr(passwords, "_matches", counted)
    known = hash_password("right")
    assert not check_password(stored, "guess")
    assert not check_password(known, "guess")
    assert len(asked) == 2
    assert asked[0] == asked[1]


def test_nobodys_password_is_not_known() -> None:
    """No password signs in a user who does not exist: not even the one that was hashed."""
    for guess in ("", "None", "null", "password"):
        assert not check_password(None, guess)


@pytest.mark.parametrize(
    "stored",
    [
        "x",
        "$",
        "$$",
        "plain",
        "pbkdf2:sha256:x$salt$00",
        "pbkdf2:nothing:1$salt$00",
        "scrypt:x:8:1$salt$00",
        "scrypt:3:8:1$salt$00",
        "md5$salt$00",
        "$argon2id$v=19$m=64,t=1,p=1$broken",
        "right",
        "*",
    ],
)
def test_what_is_no_hash_matches_nothing(stored: str, library: str) -> None:
    """A disabled account's mark, or a damaged row, is a wrong password and not an error."""
    if stored.startswith("$argon2") and library != "argon2":
        pytest.skip("says that the library is missing")
    assert check_password(stored, "right") == (False, None)


def test_argon2_hashes_want_the_library(library: str) -> None:
    """Without it nobody could sign in, and the reason should not be taken for wrong passwords."""
    if library == "argon2":
        pytest.skip("it is there")
    with pytest.raises(RuntimeError, match=r"carboy\[argon2\]"):
        check_password("$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$aGFzaA", "right")


@pytest.mark.parametrize(
    "password", ["", "a\0", "\0", "\ud800", "a\udfff", "x" * 4097, "\u20ac" * 1366]
)
def test_what_cannot_be_hashed_is_wrong_and_cheap(
    password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half characters (JSON can carry them) are no error, and megabytes are not hashed."""
    stored = hash_password("right")
    refuse: Any = None
    monkeypatch.setattr(passwords, "_matches", refuse)
    assert check_password(stored, password) == (False, None)
    with pytest.raises(ValueError, match="cannot be used"):
        hash_password(password)


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=30), st.text(max_size=30))
def test_only_the_same_text_matches(one: str, other: str) -> None:
    """Property: two texts match if they are one."""
    if one and "\0" not in one:
        stored = generate_password_hash(one, "scrypt:256:8:1")
        assert check_password(stored, other).ok is (one == other)


def test_nothing_of_it_is_imported_before_it_is_used() -> None:
    """Argon2's library waits for the first password."""
    code = "import sys, carboy.security; print('argon2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr

"""Passwords: hashed by the best that is installed, checked in any format, renewed at sign-in.

New hashes are Argon2id where ``argon2-cffi`` is installed (``pip install carboy[argon2]``), else
Werkzeug's scrypt. Both are slow on purpose: call them in a sync view, or in a thread.
"""

from __future__ import annotations

import secrets
import typing as t
from functools import lru_cache

from werkzeug.security import check_password_hash, generate_password_hash

#: Longer passwords are refused unhashed, in bytes of UTF-8: hashing megabytes is work for nobody.
LONGEST = 4096

_ARGON2 = "$argon2"


class PasswordCheck(t.NamedTuple):
    """Whether the password is right, and the hash to store instead of an outdated one, or None."""

    ok: bool
    new_hash: str | None

    def __bool__(self) -> bool:
        return self.ok


def hash_password(password: str) -> str:
    """The hash to store for a password; another one each time.

    Raises ValueError for an empty password, one with a NUL, one of more than :data:`LONGEST`
    bytes, and one that is no text of Unicode (lone surrogates, which JSON can carry).
    """
    problem = _problem(password)
    if problem is not None:
        raise ValueError(f"This password cannot be used: {problem}.")
    hasher = _argon2()
    if hasher is not None:
        made: str = hasher.hash(password)
        return made
    return generate_password_hash(password)


def check_password(stored: str | None, password: str) -> PasswordCheck:
    """Check a password against a stored hash of Argon2 or Werkzeug (scrypt, PBKDF2).

    ``stored`` is None for a user who does not exist: that takes as long as a wrong password, so
    that nobody finds out who has an account. When the password is right and the hash is of an
    older kind or cost than new ones, ``new_hash`` is one to store instead::

        check = check_password(user.password_hash if user else None, password)
        if not check:
            abort(401)
        if check.new_hash:
            user.password_hash = check.new_hash

    Never raises for what a client sent; a stored text that is no hash matches nothing.
    """
    if _problem(password) is not None:
        return PasswordCheck(False, None)
    if not stored:
        _matches(_hash_of_nobody(_argon2() is not None), password)
        return PasswordCheck(False, None)
    if not _matches(stored, password):
        return PasswordCheck(False, None)
    return PasswordCheck(True, hash_password(password) if is_outdated(stored) else None)


def is_outdated(stored: str) -> bool:
    """Whether a new hash would be made in another way, or at another cost, than this one."""
    hasher = _argon2()
    if hasher is None:
        return _method(stored) != _method(_hash_of_nobody(False))
    outdated: bool = not stored.startswith(_ARGON2) or hasher.check_needs_rehash(stored)
    return outdated


def _problem(password: t.Any) -> str | None:
    if not isinstance(password, str) or not password:
        return "it is empty"
    if "\0" in password:
        # PBKDF2 and scrypt pad with NUL (RFC 2104 section 2), so "x" and "x\0" would be the same.
        return "it holds a NUL"
    try:
        size = len(password.encode())
    except UnicodeEncodeError:
        return "it holds half of a character"
    return None if size <= LONGEST else f"it is longer than {LONGEST} bytes"


def _matches(stored: str, password: str) -> bool:
    if not stored.startswith(_ARGON2):
        try:
            return check_password_hash(stored, password)
        except (ValueError, TypeError):  # a method that is unknown, or parameters that are none
            return False
    hasher = _argon2()
    if hasher is None:
        raise RuntimeError(
            "A stored password hash is of Argon2, and the library for it is not installed here:"
            " pip install carboy[argon2]."
        )
    from argon2.exceptions import Argon2Error, InvalidHashError

    try:
        matches: bool = hasher.verify(stored, password)
    except (Argon2Error, InvalidHashError):
        return False
    return matches


@lru_cache(maxsize=1)
def _argon2() -> t.Any:
    """Argon2's hasher with its authors' defaults (RFC 9106, low memory), or None without it."""
    try:
        from argon2 import PasswordHasher
    except ImportError:
        return None
    return PasswordHasher()


@lru_cache(maxsize=2)
def _hash_of_nobody(argon2: bool) -> str:
    password = secrets.token_hex()
    return hash_password(password) if argon2 else generate_password_hash(password)


def _method(stored: str) -> str:
    return stored.partition("$")[0]

"""Secret keys: what is refused as one, and where good ones come from."""

from __future__ import annotations

import json
import os
import secrets
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carboy import Config
from carboy.cli import cli
from carboy.security.secrets import new_key, weakness

pytestmark = pytest.mark.beyond

KNOWN = [
    "dev",
    "DEV",
    "secret",
    "super secret key",
    "you-will-never-guess",
    "hard to guess string",
    "change_me!",
    "development key",
    b'_5#y2L"F4Q8z\n\xec]/',
    "A0Zr98j/3yX R~XHH!jmN]LWX/,?RT",
    "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
    "\2\1thisismyscretkey\1\2\\e\\y\\y\\h",
    "temporary_key",
    "c292a0a3aa32397cdb050e233733900f",
    "django-insecure-4$3j!x0",
]


@pytest.mark.parametrize("key", KNOWN, ids=repr)
def test_keys_of_tutorials_are_known(key: Any) -> None:
    """A key that is printed somewhere is no secret, however it is spelt."""
    found = weakness(key)
    assert found is not None
    assert found.kind == "known"


@pytest.mark.parametrize("key", [None, "", b""])
def test_no_key_is_missing(key: Any) -> None:
    """None and an empty text are the same fault."""
    found = weakness(key)
    assert found is not None
    assert found.kind == "missing"


@pytest.mark.parametrize(
    "key",
    [
        "k3!x",
        "8f42a73054b1749f",
        "a" * 64,
        "deadbeef" * 8,
        "0123456789abcdef" * 4,
        "abcdefghijklmnopqrstuvwxyz",
        "correct horse battery staple",
        "PleaseChangeThisKeyBeforeDeploying",
        "flask-blog-application-secret-key-2024",
        "k9!k9!k9!k9!k9!k9!k9!k9!k9!k9!k9!",
    ],
)
def test_guessable_keys_are_weak(key: str) -> None:
    """Length alone does not make a key: repetition, order and words are seen through."""
    found = weakness(key)
    assert found is not None
    assert found.kind in {"short", "weak"}
    assert key not in found.text


@pytest.mark.parametrize(
    "make",
    [
        new_key,
        lambda: new_key(16),
        lambda: secrets.token_hex(16),
        lambda: secrets.token_urlsafe(32),
        lambda: os.urandom(16),
        lambda: os.urandom(32),
        lambda: str(uuid.uuid4()),
    ],
    ids=[
        "new_key",
        "new_key(16)",
        "token_hex(16)",
        "token_urlsafe",
        "urandom16",
        "urandom32",
        "uuid",
    ],
)
def test_random_keys_are_good(make: Any) -> None:
    """Whatever Python offers for making keys passes, but for one in thousands."""
    assert sum(weakness(make()) is not None for _ in range(300)) <= 1


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_any_text_is_judged(key: str | bytes) -> None:
    """No key, however odd, is an error; a short one is never good."""
    found = weakness(key)
    assert found is not None or len(key) >= 14


def test_a_short_order_is_refused() -> None:
    """new_key does not make what weakness would complain of."""
    with pytest.raises(ValueError, match="16 or more"):
        new_key(15)


def test_the_command_prints_a_key(app: Any) -> None:
    """`carboy secret` prints nothing but the key, another each time."""
    runner = app.test_cli_runner()
    one, other = (runner.invoke(cli, ["secret"]).output for _ in range(2))
    assert len(one) == 65
    assert one != other
    assert weakness(one.strip()) is None


@pytest.mark.parametrize(
    ("arguments", "name"),
    [(["--env"], "SECRET_KEY"), (["--env", "FLASK_SECRET_KEY"], "FLASK_SECRET_KEY")],
)
def test_the_command_prints_a_line_for_an_env_file(
    app: Any, arguments: list[str], name: str
) -> None:
    """`carboy secret --env` prints NAME=key."""
    result = app.test_cli_runner().invoke(cli, ["secret", *arguments])
    found, _, key = result.output.strip().partition("=")
    assert found == name
    assert weakness(key) is None


def test_the_key_survives_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """from_prefixed_env reads JSON, and the key stays the text that it is."""
    key = new_key()
    monkeypatch.setenv("FLASK_SECRET_KEY", key)
    config = Config(tmp_path)
    config.from_prefixed_env()
    assert config["SECRET_KEY"] == key
    with pytest.raises(json.JSONDecodeError):
        json.loads(key)

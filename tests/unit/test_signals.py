"""The signals."""

from __future__ import annotations

from blinker import Namespace

from carboy import signals

NAMES = {
    "appcontext_popped",
    "appcontext_pushed",
    "appcontext_tearing_down",
    "before_render_template",
    "got_request_exception",
    "message_flashed",
    "request_finished",
    "request_started",
    "request_tearing_down",
    "template_rendered",
}


def test_there_are_ten_signals_in_one_namespace() -> None:
    assert {name.replace("-", "_") for name in signals._signals} == NAMES
    for name in NAMES:
        assert getattr(signals, name) is signals._signals[name.replace("_", "-")]


def test_an_extension_can_make_signals_of_its_own() -> None:
    assert signals.Namespace is Namespace
    mine = signals.Namespace().signal("mine")

    @mine.connect
    def answer(sender: str) -> str:
        return f"hello {sender}"

    assert mine.send("me") == [(answer, "hello me")]


def test_names_of_old_flask_versions_do_not_exist() -> None:
    assert not hasattr(signals, "signals_available")

"""Configuration: loaders, defaults, profiles."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from carboy import config as configuration
from carboy.config import Config, ConfigAttribute, default_config, use_profile


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(tmp_path)


@pytest.fixture(autouse=True)
def _profile_restored() -> Iterator[None]:
    before = configuration.profile
    yield
    use_profile(before)


def test_from_object_takes_upper_case_attributes_only(config: Config) -> None:
    config.from_object(SimpleNamespace(DEBUG=True, debug=False, Mixed=1))
    assert config == {"DEBUG": True}


def test_from_object_imports_a_name(config: Config) -> None:
    config.from_object("tomllib")
    assert config == {}
    config.from_object("errno")
    assert config["ENOENT"] == 2


def test_from_object_of_a_dict_sets_nothing(config: Config) -> None:
    """D-29: as in Flask; from_mapping is meant."""
    config.from_object({"TESTING": True})
    assert config == {}


def test_from_object_reaches_an_overridden_setitem(tmp_path: Path) -> None:
    class Loud(Config):
        def __setitem__(self, key: str, value: Any) -> None:
            super().__setitem__(key, f"{value}!")

    config = Loud(tmp_path)
    config.from_object(SimpleNamespace(A=1))
    config.from_mapping(B=2)
    assert config == {"A": "1!", "B": "2!"}


def test_from_mapping_merges_mapping_and_keywords_and_skips_lower_case(config: Config) -> None:
    assert config.from_mapping({"A": 1, "b": 2}, A=3, C=4, d=5) is True
    assert config == {"A": 3, "C": 4}


def test_from_pyfile_runs_the_file_relative_to_the_root(config: Config, tmp_path: Path) -> None:
    (tmp_path / "settings.py").write_text("FOLDER = __file__\nhalf = 21\nANSWER = half * 2\n")
    assert config.from_pyfile("settings.py") is True
    assert config == {"FOLDER": str(tmp_path / "settings.py"), "ANSWER": 42}


def test_missing_file_keeps_its_error_and_says_what_was_loaded(config: Config) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        config.from_pyfile("missing.py")
    assert "Unable to load configuration file (No such file or directory)" in str(caught.value)
    assert "silent=True" in caught.value.__notes__[0]


@pytest.mark.parametrize("name", ["missing.py", "."])
def test_silent_forgives_a_missing_file_and_a_folder(config: Config, name: str) -> None:
    assert config.from_pyfile(name, silent=True) is False
    assert config.from_file(name, load=json.load, silent=True) is False


def test_silent_does_not_hide_an_error_inside_the_file(config: Config, tmp_path: Path) -> None:
    (tmp_path / "settings.py").write_text("open('/no/such/thing')\n")
    with pytest.raises(FileNotFoundError):
        config.from_pyfile("settings.py", silent=True)


def test_from_envvar_loads_the_file_it_names(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.py").write_text("A = 1")
    monkeypatch.setenv("MY_SETTINGS", "a.py")
    assert config.from_envvar("MY_SETTINGS") is True
    assert config["A"] == 1


def test_from_envvar_without_the_variable_says_how_to_set_it(config: Config) -> None:
    with pytest.raises(RuntimeError, match=r"'NO_SUCH' is not set.*export NO_SUCH="):
        config.from_envvar("NO_SUCH")
    assert config.from_envvar("NO_SUCH", silent=True) is False


LOADERS: list[tuple[Any, bool]] = [
    (tomllib.load, False),
    (tomllib.loads, False),
    (tomllib.loads, True),
    (partial(tomllib.loads, parse_float=str), False),
]


@pytest.mark.parametrize(("load", "text"), LOADERS)
def test_from_file_takes_load_and_loads_functions(
    config: Config, tmp_path: Path, load: Any, text: bool
) -> None:
    """D-28: tomllib.loads with text=False works too."""
    (tmp_path / "c.toml").write_text('NAME = "Zoë"\nlow = 1\n', encoding="utf-8")
    assert config.from_file("c.toml", load=load, text=text) is True
    assert config == {"NAME": "Zoë"}


def test_prefixed_variables_are_json_or_text(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"A": "1", "B": "x", "C": '{"k": [true]}', "D": "", "E": "NaN1"}.items():
        monkeypatch.setenv(f"MY_{name}", value)
    monkeypatch.setenv("MYA", "not mine")
    assert config.from_prefixed_env("MY") is True
    assert config == {"A": 1, "B": "x", "C": {"k": [True]}, "D": "", "E": "NaN1"}


def test_double_underscores_reach_into_dicts_and_make_them(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    config["DB"] = {"host": "a", "pool": {"size": 1}}
    monkeypatch.setenv("FLASK_DB__pool__size", "5")
    monkeypatch.setenv("FLASK_NEW__a__b", "x")
    config.from_prefixed_env()
    assert config == {"DB": {"host": "a", "pool": {"size": 5}}, "NEW": {"a": {"b": "x"}}}


@pytest.mark.skipif(os.name == "nt", reason="environment variables have no case there")
def test_reaching_into_a_string_is_an_error_that_names_the_variable(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLASK_DB", "text")
    monkeypatch.setenv("FLASK_DB__host", "x")
    with pytest.raises(TypeError, match=r"'FLASK_DB__host' sets an item inside 'DB'.*str"):
        config.from_prefixed_env()


def test_a_loader_of_the_callers_own_reads_prefixed_values(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLASK_A", "10")
    config.from_prefixed_env(loads=lambda text: int(text, 16))
    assert config["A"] == 16


def test_namespace_is_trimmed_and_lowered_unless_told(config: Config) -> None:
    config.update(MAIL_HOST="h", MAIL_PORT=1, OTHER=2)
    assert config.get_namespace("MAIL_") == {"host": "h", "port": 1}
    assert config.get_namespace("MAIL_", lowercase=False) == {"HOST": "h", "PORT": 1}
    assert config.get_namespace("MAIL_", trim_namespace=False) == {"mail_host": "h", "mail_port": 1}


def test_repr_names_the_class(config: Config) -> None:
    config["A"] = 1
    assert repr(config) == "<Config {'A': 1}>"


def test_config_attribute_reads_converts_and_writes() -> None:
    class App:
        size = ConfigAttribute[int]("SIZE", get_converter=int)

        def __init__(self) -> None:
            self.config: dict[str, Any] = {"SIZE": "3"}

    app = App()
    assert app.size == 3
    app.size = 4
    assert app.config == {"SIZE": 4}
    assert isinstance(App.size, ConfigAttribute)


def test_each_call_gives_a_table_of_defaults_of_its_own() -> None:
    default_config()["DEBUG"] = True
    assert default_config()["DEBUG"] is None


def test_the_profile_decides_whose_defaults_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(configuration._PROFILES, "carboy", {"SESSION_COOKIE_SAMESITE": "Lax"})
    use_profile("carboy")
    assert default_config()["SESSION_COOKIE_SAMESITE"] == "Lax"
    assert default_config("flask")["SESSION_COOKIE_SAMESITE"] is None
    use_profile("flask")
    assert default_config()["SESSION_COOKIE_SAMESITE"] is None


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'django'.*'carboy' or 'flask'"):
        use_profile("django")

"""Settings and their environment (EX-19, SEC-23)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from harbor import create_app
from harbor.config import (
    ConfigurationError,
    DevelopmentConfig,
    ProductionConfig,
    from_environment,
)
from harbor.config import (
    TestingConfig as ConfigForTests,
)
from harbor.db import database_url
from werkzeug.middleware.proxy_fix import ProxyFix

GOOD = {
    "SECRET_KEY": "k" * 32,
    "TRACKER_SECRET": "t" * 32,
    "DATABASE_URL": "sqlite:///x.sqlite3",
    "TRUSTED_HOSTS": "fleet.example, www.fleet.example",
}


def test_production_starts_with_everything_in_the_environment():
    config = ProductionConfig(GOOD)
    assert config.SECRET_KEY == "k" * 32
    assert config.TRUSTED_HOSTS == ["fleet.example", "www.fleet.example"]
    assert config.SESSION_COOKIE_SECURE is True
    assert config.SESSION_COOKIE_NAME.startswith("__Host-")


def test_production_names_everything_that_is_missing_at_once():
    """EX-19: Production names everything that is missing at once."""
    with pytest.raises(ConfigurationError) as caught:
        ProductionConfig({})
    for name in GOOD:
        assert f"{name} is not set" in str(caught.value)


@pytest.mark.parametrize("name", ["SECRET_KEY", "TRACKER_SECRET"])
def test_production_refuses_a_short_secret_without_showing_it(name: str):
    with pytest.raises(ConfigurationError, match=f"{name} is shorter than 32") as caught:
        ProductionConfig(GOOD | {name: "hunter2"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", sorted(GOOD))
def test_an_empty_variable_is_a_missing_one(name: str):
    with pytest.raises(ConfigurationError, match=f"{name} is not set"):
        ProductionConfig(GOOD | {name: ""})


def test_development_needs_nothing_and_its_keys_are_not_productions():
    config = DevelopmentConfig({})
    assert config.SECRET_KEY
    assert len(config.SECRET_KEY) < ProductionConfig.SHORTEST_SECRET
    assert config.DATABASE_URL is None


def test_the_test_configuration_ignores_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SECRET_KEY", "from outside")
    monkeypatch.setenv("REDIS_URL", "redis://elsewhere")
    config = ConfigForTests()
    assert (config.SECRET_KEY, config.REDIS_URL) == ("testing-only", None)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("development", DevelopmentConfig), ("testing", ConfigForTests), ("", DevelopmentConfig)],
)
def test_harbor_env_chooses_the_configuration(monkeypatch: Any, name: str, kind: type):
    monkeypatch.setenv("HARBOR_ENV", name)
    assert type(from_environment()) is kind


def test_an_unknown_environment_is_refused(monkeypatch: Any):
    monkeypatch.setenv("HARBOR_ENV", "prod")
    with pytest.raises(ConfigurationError, match="development, testing, production"):
        create_app()


def test_a_number_of_proxies_that_is_none_is_refused():
    with pytest.raises(ConfigurationError, match="TRUSTED_PROXIES"):
        DevelopmentConfig({"TRUSTED_PROXIES": "yes"})


def test_harbor_trusts_proxies_only_when_told(make_app: Any):
    assert not isinstance(make_app().wsgi_app, ProxyFix)
    assert isinstance(make_app(TRUSTED_PROXIES=1).wsgi_app, ProxyFix)


@pytest.mark.parametrize(("proxies", "client"), [(0, "127.0.0.1"), (1, "203.0.113.9")])
def test_the_address_of_a_client_comes_from_trusted_proxies_only(
    make_app: Any, proxies: int, client: str, caplog: Any
):
    app = make_app(TRUSTED_PROXIES=proxies)
    with caplog.at_level("INFO", "harbor"):
        app.test_client().get("/nothing", headers={"X-Forwarded-For": "198.51.100.1, 203.0.113.9"})
    assert caplog.records[-1].client == client


@pytest.mark.parametrize(("host", "status"), [("fleet.example", 200), ("evil.example", 400)])
def test_only_trusted_hosts_are_served(make_app: Any, host: str, status: int):
    app = make_app(TRUSTED_HOSTS=["fleet.example"])
    assert app.test_client().get("/sign-in", base_url=f"http://{host}").status_code == status


@pytest.mark.parametrize(
    ("configured", "driver"),
    [
        ("postgres://u:p@db/harbor", "postgresql+psycopg"),
        ("postgresql://u:p@db/harbor", "postgresql+psycopg"),
        ("postgresql+psycopg2://u:p@db/harbor", "postgresql+psycopg2"),
        ("sqlite:///x.sqlite3", "sqlite"),
    ],
)
def test_database_urls_name_the_right_driver(configured: str, driver: str, tmp_path: Path):
    url = database_url(configured, str(tmp_path))
    assert url.drivername == driver
    assert url.password in {None, "p"}


def test_without_a_database_url_the_instance_folder_holds_the_database(tmp_path: Path):
    url = database_url(None, str(tmp_path / "instance"))
    assert url.database == str(tmp_path / "instance" / "harbor.sqlite3")
    assert (tmp_path / "instance").is_dir()


def test_harbor_imports_neither_flask_nor_the_optional_packages():
    code = (
        "import sys, harbor; "
        "print([name for name in ('flask', 'redis', 'psycopg') if name in sys.modules])"
    )
    folder = Path(__file__).resolve().parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"

"""Harbor as it is deployed, looked at by `carboy check --deploy`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from harbor import create_app
from harbor.config import DevelopmentConfig, ProductionConfig

from carboy.check import check
from carboy.security.secrets import new_key


@pytest.fixture(autouse=True)
def _loggers_as_they_were() -> Iterator[None]:
    """Outside of tests Harbor takes its loggers over, which the next test must not notice."""
    loggers = [logging.getLogger("harbor"), logging.getLogger("werkzeug")]
    kept = [(it.handlers[:], it.filters[:], it.propagate, it.level) for it in loggers]
    yield
    for it, (handlers, filters, propagate, level) in zip(loggers, kept, strict=True):
        it.handlers[:], it.filters[:] = handlers, filters
        it.propagate, it.level = propagate, level


def production(tmp_path: Path) -> ProductionConfig:
    return ProductionConfig(
        {
            "SECRET_KEY": new_key(),
            "TRACKER_SECRET": new_key(),
            "DATABASE_URL": f"sqlite:///{tmp_path}/harbor.sqlite3",
            "TRUSTED_HOSTS": "harbor.example.org",
            "TRUSTED_PROXIES": "1",
        }
    )


def test_the_production_configuration_has_no_finding(tmp_path: Path) -> None:
    """What is deployed passes, headers of a real answer included."""
    app = create_app(production(tmp_path))
    app.testing = False
    assert check(app, deploy=True, probe=True, environ={}) == []
    app.extensions["harbor.database"].engine.dispose()


def test_the_development_configuration_has_findings(tmp_path: Path) -> None:
    """The check would not let Harbor's development settings out."""
    app = create_app(DevelopmentConfig({}), {"DATABASE_URL": f"sqlite:///{tmp_path}/dev.sqlite3"})
    found = {finding.rule.id for finding in check(app, deploy=True, environ={})}
    assert {"secret-key-known", "hosts-untrusted"} <= found
    app.extensions["harbor.database"].engine.dispose()

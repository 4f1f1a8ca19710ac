"""Settings, one class per environment.

Development and tests have safe defaults and need nothing.  Production takes its secrets from the
environment and refuses to start without them, naming everything that is missing at once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any


class ConfigurationError(RuntimeError):
    """The environment does not hold what this configuration needs."""


class Config:
    """What all environments share.  Reads the environment when it is made, not at import."""

    TESTING = False
    SECRET_KEY = ""
    # Trackers sign their pings with this; the previous one stays valid while trackers are rekeyed.
    TRACKER_SECRET = ""
    TRACKER_SECRET_PREVIOUS: str | None = None

    DATABASE_URL: str | None = None  # None: SQLite in the instance folder
    DATABASE_TIMEOUT = 5  # seconds to wait for a connection or a lock
    REDIS_URL: str | None = None  # None: cache and limits live in this process

    SESSION_COOKIE_NAME = "harbor_session"
    PERMANENT_SESSION_LIFETIME = timedelta(hours=12)
    MAX_CONTENT_LENGTH = 64 * 1024
    # Carboy's defaults go without a token where the browser says who asks; Harbor wants both.
    CSRF_TOKEN_REQUIRED = True
    CSRF_TOKEN_MAX_AGE = None  # as long as the session
    SECURITY_HEADERS: Mapping[str, Any] = {
        "Content-Security-Policy": {
            "default-src": "'none'",
            "script-src": "'self'",
            "style-src": "'self'",
            "img-src": "'self' data:",
            "connect-src": "'self'",
            "form-action": "'self'",
            "base-uri": "'none'",
            "frame-ancestors": "'none'",
        },
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    }
    TRUSTED_HOSTS: list[str] | None = None
    # How many proxies in front of Harbor set X-Forwarded-For and -Proto.
    TRUSTED_PROXIES = 0

    MAX_PING_BYTES = 2048
    PARTNER_REQUESTS_PER_MINUTE = 60
    SIGN_IN_ATTEMPTS_PER_MINUTE = 10
    TRACK_HOURS = 24  # how much of a track a vessel's page draws
    LIVE_SECONDS = 300  # how long a map's stream of events lasts before it has to ask again
    LOG_FORMAT = "json"  # or "text"
    LOG_LEVEL = "INFO"

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        env = os.environ if environ is None else environ
        self.SECRET_KEY = env.get("SECRET_KEY") or self.SECRET_KEY
        self.TRACKER_SECRET = env.get("TRACKER_SECRET") or self.TRACKER_SECRET
        self.TRACKER_SECRET_PREVIOUS = env.get("TRACKER_SECRET_PREVIOUS") or None
        self.DATABASE_URL = env.get("DATABASE_URL") or self.DATABASE_URL
        self.REDIS_URL = env.get("REDIS_URL") or self.REDIS_URL
        self.TRUSTED_HOSTS = env.get("TRUSTED_HOSTS", "").replace(",", " ").split() or None
        self.LOG_FORMAT = env.get("LOG_FORMAT") or self.LOG_FORMAT
        self.LOG_LEVEL = (env.get("LOG_LEVEL") or self.LOG_LEVEL).upper()
        try:
            self.TRUSTED_PROXIES = int(env.get("TRUSTED_PROXIES") or 0)
        except ValueError:
            raise ConfigurationError(
                "TRUSTED_PROXIES must be a number: how many proxies stand in front of Harbor."
            ) from None


class DevelopmentConfig(Config):
    """For a laptop: nothing to set, and keys that are worthless anywhere else."""

    SECRET_KEY = "development-only"
    TRACKER_SECRET = "development-tracker-secret"
    LOG_FORMAT = "text"


class TestingConfig(Config):
    """For the test suite: ignores the environment, so that a test means the same everywhere."""

    TESTING = True
    SECRET_KEY = "testing-only"
    TRACKER_SECRET = "testing-tracker-secret"

    def __init__(self) -> None:
        super().__init__({})


class ProductionConfig(Config):
    """For everyone else: secrets come from the environment, cookies travel on HTTPS only."""

    SESSION_COOKIE_NAME = "__Host-harbor"
    SESSION_COOKIE_SECURE = True  # said aloud; by default it depends on who asks
    PREFERRED_URL_SCHEME = "https"
    REQUIRED = ("SECRET_KEY", "TRACKER_SECRET", "DATABASE_URL", "TRUSTED_HOSTS")
    SHORTEST_SECRET = 32

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        super().__init__(environ)
        problems = [f"{name} is not set" for name in self.REQUIRED if not getattr(self, name)]
        for name in ("SECRET_KEY", "TRACKER_SECRET"):
            if 0 < len(getattr(self, name)) < self.SHORTEST_SECRET:
                problems.append(f"{name} is shorter than {self.SHORTEST_SECRET} characters")
        if problems:
            raise ConfigurationError(
                "Harbor cannot start in production: "
                + "; ".join(problems)
                + '. Make a secret with: python -c "import secrets; print(secrets.token_hex(32))"'
            )


CONFIGS: dict[str, type[Config]] = {
    "development": DevelopmentConfig,
    "testing": TestingConfig,
    "production": ProductionConfig,
}


def from_environment() -> Config:
    """The configuration that `HARBOR_ENV` names; development when it is not set."""
    name = os.environ.get("HARBOR_ENV") or "development"
    if name not in CONFIGS:
        raise ConfigurationError(
            f"HARBOR_ENV={name!r} is unknown; use one of {', '.join(CONFIGS)}."
        )
    return CONFIGS[name]()

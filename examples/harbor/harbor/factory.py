"""The application factory: everything a Harbor consists of, put together in one place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import BaseConverter

from carboy import Carboy
from carboy.security import csrf_exempt

from . import commands, display, errors, observability
from .cache import Cache, MemoryCache, RedisCache, connect_redis
from .chat import fleet_chat
from .config import Config, from_environment
from .db import Database
from .fleet_api import fleet_api
from .fleet_web import fleet_web
from .health import health
from .limits import Limiter, MemoryLimiter, RedisLimiter
from .live import LiveFeed
from .services import Services


class IMOConverter(BaseConverter):
    """Seven ASCII digits in a path, as an int."""

    regex = "[0-9]{7}"

    def to_python(self, value: str) -> int:
        return int(value)

    def to_url(self, value: Any) -> str:
        return f"{int(value):07d}"


def create_app(config: Config | None = None, overrides: Mapping[str, Any] | None = None) -> Carboy:
    """A Harbor application.

    `config` is an object of one of the configuration classes; without it HARBOR_ENV chooses.
    `overrides` are single settings on top.  Raises `ConfigurationError` when something that the
    environment must hold is missing.
    """
    app = Carboy("harbor")
    app.config.from_object(config or from_environment())
    app.config.from_mapping(overrides or {})
    if app.config["TRUSTED_PROXIES"]:
        hops = app.config["TRUSTED_PROXIES"]
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]

    observability.init_app(app)
    Database(app)
    app.extensions["harbor.services"] = _services(app)
    errors.init_app(app)
    display.init_app(app)

    app.url_map.converters["imo"] = IMOConverter
    app.register_blueprint(fleet_web)
    app.register_blueprint(fleet_chat)
    app.register_blueprint(fleet_api, url_prefix="/api/v1")
    app.register_blueprint(health)
    for blueprint in (fleet_api, health):  # no cookies there
        csrf_exempt(blueprint)
    commands.init_app(app)
    return app


def _services(app: Carboy) -> Services:
    redis_url = app.config["REDIS_URL"]
    cache: Cache
    limiter: Limiter
    if redis_url:
        client = connect_redis(redis_url)
        cache, limiter = RedisCache(client), RedisLimiter(client)
    else:
        cache, limiter = MemoryCache(), MemoryLimiter()
    return Services(cache, limiter, LiveFeed(app))

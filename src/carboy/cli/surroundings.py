"""Where this process runs and who asks: the facts on which the debugger's safety rests."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Mapping
from typing import Any

#: Variables that only a hosting platform sets -> what their presence means.
_PLATFORMS = {
    "KUBERNETES_SERVICE_HOST": "Kubernetes",
    "AWS_LAMBDA_FUNCTION_NAME": "AWS Lambda",
    "ECS_CONTAINER_METADATA_URI": "Amazon ECS",
    "ECS_CONTAINER_METADATA_URI_V4": "Amazon ECS",
    "DYNO": "Heroku",
    "K_SERVICE": "Google Cloud Run",
    "GAE_APPLICATION": "Google App Engine",
    "FUNCTIONS_WORKER_RUNTIME": "Azure Functions",
    "WEBSITE_INSTANCE_ID": "Azure App Service",
    "FLY_APP_NAME": "Fly.io",
    "RENDER_SERVICE_ID": "Render",
    "RAILWAY_ENVIRONMENT_ID": "Railway",
    "VERCEL": "Vercel",
}

#: Variables that name the kind of environment. FLASK_ENV is not one: it has had no meaning since
#: Flask 2.3, and old projects still set it.
_STAGES = (
    "APP_ENV",
    "APP_ENVIRONMENT",
    "CARBOY_ENV",
    "DEPLOYMENT_ENVIRONMENT",
    "DEPLOY_ENV",
    "ENV",
    "ENVIRONMENT",
    "NODE_ENV",
    "PYTHON_ENV",
    "RAILS_ENV",
    "STAGE",
)
_NOT_DEVELOPMENT = frozenset(("production", "prod", "prd", "live", "staging", "stage", "stg"))

#: Headers that a proxy, tunnel or load balancer adds, as WSGI names them.
_FORWARDED = frozenset(
    f"HTTP_{name}"
    for name in (
        "FORWARDED",
        "VIA",
        "X_REAL_IP",
        "X_REAL_HOST",
        "X_CLIENT_IP",
        "X_CLUSTER_CLIENT_IP",
        "X_ORIGINAL_HOST",
        "X_ORIGINAL_URL",
        "X_ORIGINATING_IP",
        "X_REWRITE_URL",
        "X_REMOTE_IP",
        "X_REMOTE_ADDR",
        "X_HOST",
        "X_REQUEST_START",
        "X_AMZN_TRACE_ID",
        "X_CLOUD_TRACE_CONTEXT",
        "TRUE_CLIENT_IP",
        "FASTLY_CLIENT_IP",
        "CDN_LOOP",
        "CLIENT_IP",
    )
)
_FORWARDED_FAMILIES = (
    "HTTP_CF_",
    "HTTP_FLY_",
    "HTTP_X_APPENGINE_",
    "HTTP_X_ARR_",
    "HTTP_X_AZURE_",
    "HTTP_X_ENVOY_",
    "HTTP_X_FORWARDED",
    "HTTP_X_VERCEL_",
)

# RFC 9110 §7.2: host and optional port, nothing else. An address in brackets is IPv6.
_HOST = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9.-]+))(?::[0-9]{1,5})?")


def production_sign(environment: Mapping[str, str]) -> str | None:
    """Return what in the environment says production or staging, in words; None if nothing."""
    for name, platform in _PLATFORMS.items():
        if environment.get(name):
            return f"the environment variable {name} is set, which means {platform}"
    for name in _STAGES:
        value = environment.get(name, "")
        if value.strip().lower() in _NOT_DEVELOPMENT:
            return f"the environment says {name}={value}"
    return None


def is_loopback_address(text: str) -> bool:
    """Whether `text` is an IP address of the loopback interface (RFC 1122 §3.2.1.3, RFC 4291)."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def is_loopback_bind(host: str) -> bool:
    """Whether a server that listens on `host` can be reached from this machine only.

    A name counts when each address that it stands for does. An empty name, a wildcard and a Unix
    socket (which a proxy may stand before) do not.
    """
    if is_loopback_address(host):
        return True
    if not host or "/" in host:
        return False
    try:
        found = socket.getaddrinfo(host, None)
    except (OSError, UnicodeError):
        return False
    return bool(found) and all(is_loopback_address(str(entry[4][0])) for entry in found)


def is_loopback_host_header(value: str) -> bool:
    """Whether a `Host` header names this machine: `localhost`, 127.0.0.0/8 or `[::1]`.

    Names below `localhost` count too: they are reserved for the same use (RFC 6761 §6.3), so a
    stranger's name server cannot answer for them.
    """
    parts = _HOST.fullmatch(value)
    if parts is None:
        return False
    name = parts["name"]
    if name is None:
        return is_loopback_address(parts["v6"])
    return f".{name.lower()}".endswith(".localhost") or is_loopback_address(name)


def is_local_request(environ: Mapping[str, Any]) -> bool:
    """Whether a WSGI request was made on this machine, for this machine, with nothing between."""
    if not is_loopback_address(environ.get("REMOTE_ADDR") or ""):
        return False
    if not is_loopback_host_header(environ.get("HTTP_HOST") or ""):
        return False
    # No browser speaks HTTP/1.0 any more, while proxies still do by default.
    if environ.get("SERVER_PROTOCOL") in ("HTTP/1.0", "HTTP/0.9"):
        return False
    return not any(key in _FORWARDED or key.startswith(_FORWARDED_FAMILIES) for key in environ)

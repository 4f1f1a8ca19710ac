"""Applications with planted faults. ``# plants: ID`` marks each, and the tests count them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from werkzeug.debug import DebuggedApplication
from werkzeug.middleware.proxy_fix import ProxyFix

from carboy import Carboy
from carboy.config import default_config
from carboy.security import SignIns
from carboy.server_sessions import ServerSessions

KEY_IN_SOURCE = "0f6a1c98b7a44c2d9e1d7c35f0b2a86e55d1"  # plants: secret-key-in-source


def tutorial() -> Carboy:
    """What a beginner deploys after the last page of a tutorial."""
    app = Carboy(__name__)
    app.config.update(default_config("flask"))  # as it has them under the alias
    app.config["SECRET_KEY"] = "you-will-never-guess"  # plants: secret-key-known
    app.debug = True  # plants: debug-on
    # plants: cookie-not-secure, cookie-samesite: neither setting is made
    # plants: hosts-untrusted: TRUSTED_HOSTS is None
    # plants: body-unlimited: MAX_CONTENT_LENGTH is None
    # plants: headers-off: nothing sets them

    @app.post("/transfer")
    def transfer() -> str:  # plants: csrf-off
        return "done"

    if __name__ == "__main__":
        app.run(debug=True)  # plants: run-with-debug
    return app


def keyless() -> Carboy:
    """Everything else wrong that one application can hold, without a key."""
    app = Carboy(__name__)
    # plants: secret-key-missing
    app.config.update(
        TESTING=True,  # plants: testing-on
        TRAP_HTTP_EXCEPTIONS=True,  # plants: errors-trapped
        TEMPLATES_AUTO_RELOAD=True,  # plants: templates-reload
        SESSION_COOKIE_NAME="__Host-session",  # plants: cookie-rejected
        SESSION_COOKIE_SECURE=False,
        SESSION_COOKIE_HTTPONLY=False,  # plants: cookie-readable
        PERMANENT_SESSION_LIFETIME=timedelta(days=4000),  # plants: session-long
        SERVER_NAME="localhost:5000",  # plants: server-name-local, url-scheme-http
        TRUSTED_HOST=["example.org"],  # plants: setting-misspelt
        MAX_FORM_MEMORY_SIZE=None,  # plants: form-unlimited
    )
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=5, x_host=1)  # plants: proxy-hops, proxy-host
    app.wsgi_app = DebuggedApplication(app.wsgi_app)  # plants: debugger-wrapped
    return app


def guessable() -> Carboy:
    """Keys that were made up, and policies that look narrower than they are."""
    app = Carboy(__name__)
    app.config.update(
        SECRET_KEY="correct horse battery staple",  # plants: secret-key-weak
        SECRET_KEY_FALLBACKS=["dev"],  # plants: secret-key-fallback-weak
        TRUSTED_HOSTS=["*"],  # plants: hosts-wide
        CSRF_TRUSTED_ORIGINS=["https://*.example.org"],  # plants: csrf-loose
        SECURITY_HEADERS={"X-Frame-Options": 1},  # plants: headers-invalid
        PROPAGATE_EXCEPTIONS=True,  # plants: exceptions-propagate
    )
    flask_cors(
        app,
        ("/api/*", {"origins": ["https?://.*"], "supports_credentials": True}),
        # plants: cors-wildcard-credentials
        ("/public/*", {"origins": ["*"], "supports_credentials": False}),  # plants: cors-wildcard
        (
            "/partner/*",
            {"origins": [r"https://.*example\.org"], "supports_credentials": True},
        ),  # plants: cors-open-pattern
    )
    return app


def in_source() -> Carboy:
    """A good key, for everybody who can read the repository."""
    app = Carboy(__name__)
    app.secret_key = KEY_IN_SOURCE
    policy = "script-src 'self' 'unsafe-inline'"
    app.config["SECURITY_HEADERS"] = {"Content-Security-Policy": policy}  # plants: csp-unsafe
    return app


def forgetful() -> Carboy:
    """Sessions on the server that are lost, overheard and never end; passwords free to guess."""
    app = Carboy(__name__)
    app.config.update(
        SESSION_STORE="memory:",  # plants: session-store-memory
        SESSION_ABSOLUTE_LIFETIME=None,  # plants: session-endless
        SIGN_IN_PER_ACCOUNT=None,  # plants: sign-in-unlimited
        REQUEST_DECOMPRESSION=True,  # plants: setting-unused
    )
    ServerSessions(app)
    SignIns(app)
    return app


def overheard() -> Carboy:
    """Sessions that travel in the clear."""
    app = Carboy(__name__)
    app.config["SESSION_STORE"] = "redis://store.example.org/0"  # plants: session-store-open
    ServerSessions(app)
    return app


def flask_cors(app: Carboy, *resources: tuple[Any, Any]) -> None:
    """Register what Flask-CORS registers: a function that keeps its resources in its closure."""

    def make(resources: Any) -> Any:
        def cors_after_request(response: Any) -> Any:
            assert resources
            return response

        return cors_after_request

    app.after_request(make(resources))


ALL = (tutorial, keyless, guessable, in_source, forgetful, overheard)

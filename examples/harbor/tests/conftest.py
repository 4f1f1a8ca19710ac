# ruff: noqa: E402 (the path comes before what it finds)
from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

for folder in Path(__file__).resolve().parents[:2]:
    sys.path.insert(0, str(folder))

from harbor import auth, create_app
from harbor.config import TestingConfig
from harbor.models import Base, SignIn, User, Vessel
from harbor_helpers import IMO, PASSWORD, Clock
from sqlalchemy import select
from sqlalchemy.orm import Session

from carboy import Carboy
from carboy.testing import FlaskClient


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_app(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., Carboy]]:
    """Makes applications on an empty database: SQLite, or HARBOR_TEST_DATABASE_URL."""
    made: list[Carboy] = []
    url = os.environ.get("HARBOR_TEST_DATABASE_URL") or f"sqlite:///{tmp_path}/test.sqlite3"

    def make(**overrides: Any) -> Carboy:
        app = create_app(TestingConfig(), {"DATABASE_URL": url} | overrides)
        app.extensions["harbor.services"].now = clock.now
        services = app.extensions["harbor.services"]
        for part in (services.cache, services.limiter):
            if hasattr(part, "_clock"):
                part._clock = clock.monotonic
        made.append(app)
        return app

    yield make
    for app in made:
        app.extensions["harbor.services"].live.close()
        app.extensions["harbor.database"].engine.dispose()


@pytest.fixture
def app(make_app: Callable[..., Carboy]) -> Carboy:
    app = make_app()
    engine = app.extensions["harbor.database"].engine
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Vessel(name="Test Vessel", imo=IMO))
        session.commit()
    return app


@pytest.fixture
def engine(app: Carboy) -> Any:
    return app.extensions["harbor.database"].engine


@pytest.fixture
def client(app: Carboy) -> FlaskClient:
    return app.test_client()


@lru_cache
def hash_of_password() -> str:
    return auth.hash_password(PASSWORD)  # slow by design, so once is enough


@pytest.fixture
def user(app: Carboy) -> str:
    """The name of a dispatcher who can sign in with PASSWORD."""
    with app.app_context():
        session = app.extensions["harbor.database"].session
        session.add(User(name="Ada", password_hash=hash_of_password()))
        session.commit()
    return "Ada"


@pytest.fixture
def dispatcher(app: Carboy, client: FlaskClient, user: str, clock: Clock) -> FlaskClient:
    """A client that is signed in, as `auth.sign_in` leaves it, without the cost of hashing."""
    with app.app_context():
        session = app.extensions["harbor.database"].session
        (found,) = session.scalars(select(User))
        expires_at = clock.now() + app.permanent_session_lifetime
        token = auth.digest_of("a token")
        session.add(SignIn(token_digest=token, user_id=found.id, expires_at=expires_at))
        session.commit()
    with client.session_transaction() as cookie:
        cookie.permanent = True
        cookie["sign_in"] = "a token"
    return client


@pytest.fixture
def api_key(app: Carboy) -> str:
    with app.app_context():
        key, secret = auth.new_api_key("a partner")
        session = app.extensions["harbor.database"].session
        session.add(key)
        session.commit()
    return secret

"""The fixtures that Flask-RESTX's tests name: its source distribution has the tests without them."""

from __future__ import annotations

import json

import flask_restx
import pytest
from flask import Blueprint, Flask
from flask.testing import FlaskClient


class JSONClient(FlaskClient):
    """A client whose answers must be JSON of the expected status."""

    def get_json(self, url, status=200, **options):
        return checked(self.get(url, **options), status)

    def post_json(self, url, data, status=200, **options):
        options.setdefault("content_type", "application/json")
        return checked(self.post(url, data=json.dumps(data), **options), status)

    def get_specs(self, prefix="", status=200, **options):
        return self.get_json(f"{prefix}/swagger.json", status=status, **options)


def checked(response, status):
    assert (response.status_code, response.content_type) == (status, "application/json")
    return json.loads(response.data)


@pytest.fixture
def app():
    made = Flask("tests.conftest")
    made.test_client_class = JSONClient
    return made


@pytest.fixture
def api(request, app):
    """An API on a blueprint; the marker `api` says where, and how it is made."""
    marker = request.node.get_closest_marker("api")
    wanted = dict(marker.kwargs) if marker else {}
    place = {
        argument: wanted.pop(name)
        for name, argument in (("prefix", "url_prefix"), ("subdomain", "subdomain"))
        if name in wanted
    }
    blueprint = Blueprint("api", __name__, **place)
    made = flask_restx.Api(blueprint, **wanted)
    app.register_blueprint(blueprint)
    return made


@pytest.fixture(autouse=True)
def request_of_the_marker(request):
    """A request context as the marker `request_context` describes it."""
    marker = request.node.get_closest_marker("request_context")
    if marker is None:
        yield
        return
    with request.getfixturevalue("app").test_request_context(*marker.args, **marker.kwargs):
        yield

"""Limits on requests, and what users uploaded sent back: nothing outgrows its setting."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carboy import Carboy, request
from carboy.security import RateLimits, RequestLimits, send_upload
from carboy.security.request_limits import check_json

pytestmark = pytest.mark.beyond


def make_app(**settings: Any) -> Carboy:
    app = Carboy("limits_app")
    app.config.update(settings)
    RequestLimits(app)

    @app.route("/", methods=["GET", "POST"])
    def index() -> Any:
        return {"args": len(request.args), "size": len(request.get_data())}

    @app.post("/json")
    def read() -> Any:
        return {"read": request.get_json() is not None}

    @app.post("/form")
    def form() -> Any:
        return request.form.to_dict()

    return app


class TestQueryFields:
    def test_a_thousand_are_enough(self) -> None:
        """MAX_QUERY_FIELDS, however the query is read; a 400 beyond."""
        app = make_app()
        get = app.test_client().get
        assert get("/?" + "&".join(f"a{n}=1" for n in range(1000))).json["args"] == 1000
        assert get("/?" + "&".join(f"a{n}=1" for n in range(1001))).status_code == 400
        app.before_request_funcs.setdefault(None, []).append(lambda: request.query_string and None)
        assert get("/?" + "&" * 1000).status_code == 400

    def test_it_is_a_setting(self) -> None:
        """Any number, or None."""
        assert make_app(MAX_QUERY_FIELDS=2).test_client().get("/?a=1&b=2&c=3").status_code == 400
        client = make_app(MAX_QUERY_FIELDS=None).test_client()
        assert client.get("/?" + "a&" * 3000).status_code == 200


class TestHeaders:
    def test_large_headers_are_a_431(self) -> None:
        """MAX_HEADER_SIZE: bytes of all headers together."""
        get = make_app(MAX_HEADER_SIZE=500).test_client().get
        assert get("/", headers={"X-A": "a" * 300}).status_code == 200
        assert get("/", headers={"X-A": "a" * 600}).status_code == 431
        assert get("/", headers={f"X-{n}": "aaaa" for n in range(100)}).status_code == 431

    def test_without_the_setting_nothing_is_hooked_in(self) -> None:
        """And so nothing is paid."""
        assert make_app().before_request_funcs.get(None, []) == []


class TestJson:
    @pytest.mark.parametrize(
        ("document", "status"),
        [
            ("[" * 5 + "]" * 5, 200),
            ("[" * 6 + "]" * 6, 400),
            ('{"a":' * 6 + "1" + "}" * 6, 400),
            ('"[[[[[[[["', 200),
            (r'"\"[[[[[[[["', 200),
            ("[1, [2], [3], [4], [5], [6], [7]]", 200),
            ("[" * 100_000, 400),
            ("1" * 20, 200),
            ("1" * 21, 400),
            ("-" + "1" * 21, 400),
            ('"' + "1" * 21 + '"', 200),
            ("1" * 100_000, 400),
            ('"' + "\\" * 100_001, 400),
        ],
    )
    def test_depth_and_digits_are_bounded(self, document: str, status: int) -> None:
        """MAX_JSON_DEPTH, MAX_JSON_INTEGER_LENGTH: a 400; strings may hold what they like."""
        client = make_app(MAX_JSON_DEPTH=5, MAX_JSON_INTEGER_LENGTH=20).test_client()
        answer = client.post("/json", data=document, content_type="application/json")
        assert answer.status_code == status

    @given(
        st.recursive(
            st.none() | st.text() | st.integers(-999, 999),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        )
    )
    def test_the_depth_is_the_documents(self, value: Any) -> None:
        """What has the depth passes, and with one less it does not."""

        def depth(value: Any) -> int:
            if isinstance(value, dict):
                value = [*value.values()]
            elif not isinstance(value, list):
                return 0
            return 1 + max(map(depth, value), default=0)

        text = json.dumps(value)
        check_json(text, depth(value), None)
        check_json(json.dumps(value, ensure_ascii=False).encode(), depth(value), None)
        if depth(value):
            with pytest.raises(ValueError, match="deeper"):
                check_json(text, depth(value) - 1, None)


def deflated(data: bytes) -> bytes:
    return zlib.compress(data)


@pytest.mark.parametrize("door", ["wsgi", "asgi", "rsgi"])
class TestDecompression:
    def app(self, **settings: Any) -> Carboy:
        known = {"REQUEST_DECOMPRESSION": True, "MAX_CONTENT_LENGTH": 100_000}
        return make_app(**known | settings)

    @pytest.mark.parametrize(
        ("coding", "pack"),
        [("gzip", gzip.compress), ("deflate", deflated), ("GZIP", gzip.compress)],
    )
    def test_a_compressed_body_is_read_as_it_was(self, door: str, coding: str, pack: Any) -> None:
        """JSON, forms and bytes."""
        client = self.app().test_client(door=door)
        headers = {"Content-Encoding": coding}
        data = pack(b"x" * 100_000)
        assert client.post("/", data=data, headers=headers).json["size"] == 100_000
        form = client.post(
            "/form",
            data=pack(b"a=1&b=2"),
            headers=headers | {"Content-Type": "application/x-www-form-urlencoded"},
        )
        assert form.json == {"a": "1", "b": "2"}
        document = client.post(
            "/json", data=pack(b"[1]"), headers=headers | {"Content-Type": "application/json"}
        )
        assert document.json == {"read": True}

    def test_a_bomb_is_a_413(self, door: str) -> None:
        """HOSTILE-84: what is inflated counts, and no more of it is made than may be read.

        CVE-2025-69223, CVE-2026-54278.
        """
        bomb = gzip.compress(b"\0" * 60_000_000)
        assert len(bomb) < 100_000
        client = self.app().test_client(door=door)
        assert client.post("/", data=bomb, headers={"Content-Encoding": "gzip"}).status_code == 413

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda data: data[:-4],
            lambda data: data[: len(data) // 2],
            lambda data: b"no gzip at all",
            lambda data: data + b"rest",
            lambda data: data[:10] + b"\xff" * 10 + data[20:],
        ],
        ids=["no trailer", "half", "plain", "rest", "spoilt"],
    )
    def test_what_is_broken_is_a_400(self, door: str, spoil: Any) -> None:
        """Never a part of a body that looks whole."""
        data = spoil(gzip.compress(bytes(range(256)) * 50))
        client = self.app().test_client(door=door)
        assert client.post("/", data=data, headers={"Content-Encoding": "gzip"}).status_code == 400

    def test_members_are_joined(self, door: str) -> None:
        """RFC 1952 section 2.2; and an empty body is one."""
        client = self.app().test_client(door=door)
        data = gzip.compress(b"a" * 10) + gzip.compress(b"") + gzip.compress(b"b" * 10)
        headers = {"Content-Encoding": "gzip"}
        assert client.post("/", data=data, headers=headers).json["size"] == 20
        assert client.post("/", data=b"", headers=headers).json["size"] == 0

    @pytest.mark.parametrize("coding", ["br", "gzip, gzip", "compress", "nonsense"])
    def test_other_codings_are_a_415_that_says_which_are_not(self, door: str, coding: str) -> None:
        """RFC 9110 section 12.5.3."""
        client = self.app().test_client(door=door)
        answer = client.post("/", data=b"x", headers={"Content-Encoding": coding})
        assert answer.status_code == 415
        assert answer.headers["Accept-Encoding"] == "gzip, deflate"

    def test_off_the_body_is_left_as_it_is(self, door: str) -> None:
        """It is off by default: the view sees what was sent."""
        data = gzip.compress(b"x" * 100)
        client = make_app().test_client(door=door)
        answer = client.post("/", data=data, headers={"Content-Encoding": "gzip"})
        assert answer.json["size"] == len(data)


def test_decompression_without_a_bound_is_an_error() -> None:
    """At the start."""
    with pytest.raises(ValueError, match="MAX_CONTENT_LENGTH"):
        make_app(REQUEST_DECOMPRESSION=True)


class TestUploads:
    @pytest.fixture
    def client(self, tmp_path: Path) -> Any:
        app = Carboy("uploads_app")
        (tmp_path / "in").mkdir()
        (tmp_path / "secret.txt").write_text("secret")

        @app.get("/u/<path:name>")
        def upload(name: str) -> Any:
            return send_upload(tmp_path / "in", name)

        client = app.test_client()
        client.folder = tmp_path / "in"
        return client

    @pytest.mark.parametrize(
        "name",
        [
            "a.html",
            "a.svg",
            "a.xml",
            "a.pdf",
            "a.js",
            "a",
            "a.png.html",
            "a.svgz",
            "a.swf",
            "A.HTM",
        ],
    )
    def test_what_could_run_is_only_saved(self, client: Any, name: str) -> None:
        """HTML, SVG, PDF, scripts and whatever is unknown."""
        (client.folder / name).write_text("<script>alert(1)</script>")
        with client.get(f"/u/{name}") as answer:
            assert answer.headers["Content-Disposition"].startswith("attachment")
            assert answer.mimetype == "application/octet-stream"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "sandbox" in answer.headers["Content-Security-Policy"]

    @pytest.mark.parametrize("name", ["a.png", "a.JPG", "a.txt", "a.mp4"])
    def test_what_cannot_is_shown(self, client: Any, name: str) -> None:
        """With its type, which browsers must not guess anew."""
        (client.folder / name).write_text("<script>alert(1)</script>")
        with client.get(f"/u/{name}") as answer:
            assert not answer.headers.get("Content-Disposition", "").startswith("attachment")
            assert answer.mimetype != "application/octet-stream"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"

    @pytest.mark.parametrize("name", ["../secret.txt", "..%2fsecret.txt", "%00.png", "none.png"])
    def test_nothing_outside_is_sent(self, client: Any, name: str) -> None:
        """As send_from_directory has it."""
        assert client.get(f"/u/{name}").status_code == 404


@pytest.mark.parametrize("door", ["asgi", "rsgi"])
@pytest.mark.parametrize("colour", ["sync", "async"])
def test_messages_of_a_websocket_are_limited(door: str, colour: str) -> None:
    """Over the limit the conversation is closed with 1008; the next one goes on counting."""
    from carboy import websocket

    app = Carboy("messages_app")
    limits = RateLimits(app)
    if colour == "async":

        @app.websocket("/echo")
        @limits.limit_messages("3 per hour")
        async def echo() -> None:
            while True:
                await websocket.send(await websocket.receive())

    else:

        @app.websocket("/echo")
        @limits.limit_messages("3 per hour")
        def echo() -> None:
            while True:
                websocket.send(websocket.receive())

    client = app.test_client()
    from carboy import WebSocketDisconnect

    with client.websocket_connect("/echo", door=door) as peer:
        for text in "abc":
            peer.send(text)
            assert peer.receive() == text
        peer.send("d")
        with pytest.raises(WebSocketDisconnect) as caught:
            peer.receive()
    # RSGI has no way to send a code.
    assert caught.value.code == (1008 if door == "asgi" else 1005)

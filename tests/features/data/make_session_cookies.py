"""Write session_cookies.json: session cookies as an installed Flask signs them.

Run it with an interpreter that has Flask; Carboy's tests read only the file that it writes.
"""

from __future__ import annotations

import datetime
import json
import pathlib
import time
import uuid

import flask
from markupsafe import Markup

KEY = "golden key"
OLD_KEY = "golden key of last year"

SESSIONS = {
    "plain": {"user": "ada", "count": 3, "ratio": 0.5, "on": True, "none": None},
    "unicode": {"name": "Zoë 東京", "emoji": "⚓"},
    "list": {"cart": [1, [2, {"three": 3}]]},
    "tuple": {"point": (1, "two", (3.0,))},
    "bytes": {"raw": b"\x00\xffabc"},
    "markup": {"html": Markup("<b>bold</b>")},
    "uuid": {"id": uuid.UUID("12345678-1234-5678-1234-567812345678")},
    "datetime": {"at": datetime.datetime(2024, 5, 6, 7, 8, 9, tzinfo=datetime.UTC)},
    "tag-like": {"a": {" t": [1, 2]}, "b": {" t__": "x"}, "c": {" b": "AA=="}},
    "permanent": {"_permanent": True, "user": "ada"},
    "flashes": {"_flashes": [("message", "saved"), ("error", "lost")]},
    "long": {"text": "vessel " * 200},
}


def cookie(key: str, values: dict[str, object]) -> str:
    app = flask.Flask("golden")
    app.secret_key = key

    @app.get("/")
    def index() -> str:
        flask.session.update(values)
        return ""

    client = app.test_client()
    client.get("/")
    found = client.get_cookie("session")
    assert found is not None
    return found.value


def main() -> None:
    # One fixed, past moment: a reader whose clock is behind must not find a cookie of the future.
    moment = datetime.datetime(2024, 5, 6, tzinfo=datetime.UTC).timestamp()
    time.time = lambda: moment
    data = {
        "made_by": f"Flask {flask.__version__}",
        "key": KEY,
        "old_key": OLD_KEY,
        "cookies": {name: cookie(KEY, values) for name, values in SESSIONS.items()},
        "cookie_of_old_key": cookie(OLD_KEY, SESSIONS["plain"]),
    }
    target = pathlib.Path(__file__).with_name("session_cookies.json")
    target.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

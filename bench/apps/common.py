"""What the applications of several frameworks share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
from itsdangerous import BadSignature, URLSafeTimedSerializer

from bench import cases

HERE = Path(__file__).parent
TITLE = "People & more"


def people_page() -> Any:
    """The template of the case `template`, loaded as a framework's own environment would load it."""
    loader = jinja2.FileSystemLoader(HERE / "templates")
    return jinja2.Environment(loader=loader, autoescape=True, auto_reload=False).get_template(
        "people.html"
    )


class Sessions:
    """Signed cookies, for frameworks whose documentation leaves sessions to libraries."""

    def __init__(self) -> None:
        self.serializer = URLSafeTimedSerializer(cases.SECRET_KEY, salt=cases.SALT)

    def visit(self, cookie: str) -> tuple[str, str]:
        """The name that the session holds, and the next cookie."""
        try:
            session = self.serializer.loads(cookie)
        except BadSignature:
            session = {}
        name = session.get("name", "Ada")
        session["name"] = name
        return name, self.serializer.dumps(session)


def chunks() -> list[bytes]:
    return [f"{number},Vessel {number},48.5\n".encode() for number in range(cases.CHUNKS)]

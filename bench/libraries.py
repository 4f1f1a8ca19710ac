"""What the libraries under a framework cost alone: the part of a case that no framework can save."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

from bench import cases

HERE = Path(__file__).parent


def multipart() -> Callable[[], object]:
    """Werkzeug's form parser on the same body."""
    from werkzeug.formparser import FormDataParser

    case = cases.BY_NAME["multipart"]
    base = case.environ()
    parser = FormDataParser()

    def run() -> object:
        environ = base.copy()
        environ["wsgi.input"] = BytesIO(case.body)
        _, form, files = parser.parse_from_environ(environ)
        return form["title"], len(files["chart"].read())

    return run


def session() -> Callable[[], object]:
    """ItsDangerous: check one cookie value and sign the next."""
    import hashlib

    from itsdangerous import URLSafeTimedSerializer

    serializer = URLSafeTimedSerializer(
        cases.SECRET_KEY,
        salt=cases.SALT,
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha1},
    )
    value = serializer.dumps({"name": "Ada"})

    def run() -> object:
        return serializer.dumps(serializer.loads(value, max_age=3600))

    return run


def template() -> Callable[[], object]:
    """Jinja: render the same template, with escaping."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "apps" / "templates"), autoescape=True
    )
    page = environment.get_template("people.html")
    return lambda: page.render(title="People & more", people=cases.PEOPLE).encode()


def rows() -> Callable[[], object]:
    """The standard library's JSON encoder, asked for the same answer: compact, keys sorted.

    Sorting is the encoder's work too, a fifth of it: Flask's default, and part of every byte of its
    answer. (The frameworks that do not sort do less.)
    """
    encoder = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
    return lambda: f"{encoder.encode(cases.ROWS)}\n".encode()


def static() -> Callable[[], object]:
    """Werkzeug: make the response for the same file and read it to its end."""
    from werkzeug.utils import send_file

    base = cases.BY_NAME["static"].environ()
    path = HERE / "apps" / "static" / "style.css"

    def start_response(status: str, headers: list[tuple[str, str]], *more: Any) -> None:
        return None

    def run() -> object:
        environ = base.copy()
        response = send_file(path, environ, conditional=True)
        iterable = response(environ, start_response)
        size = sum(len(chunk) for chunk in iterable)
        iterable.close()  # type: ignore[attr-defined]
        return size

    return run

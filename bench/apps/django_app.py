"""The same applications on Django, with the middleware that each needs and no other.

Django has one configuration a process; `activate` makes a case's URLs the current ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import path, reverse

from bench import cases
from bench.apps.common import HERE, TITLE

settings.configure(
    DEBUG=False,
    SECRET_KEY=cases.SECRET_KEY * 2,
    ALLOWED_HOSTS=["localhost", "127.0.0.1"],
    ROOT_URLCONF="",
    MIDDLEWARE=[],
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    SESSION_COOKIE_NAME="session",
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.jinja2.Jinja2",
            "DIRS": [HERE / "templates"],
            "OPTIONS": {"auto_reload": False},
        }
    ],
    USE_I18N=False,
    LOGGING_CONFIG=None,
    LOGGING={},
)
django.setup()
_urls_of: dict[str, ModuleType] = {}


def build(name: str) -> Any:
    module = ModuleType(f"bench_urls_{name}")
    settings.MIDDLEWARE = []
    if name == "session":
        settings.MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware"]
    elif name == "hooks":
        steps = ("first", "fifth", "fourth", "third", "second")
        settings.MIDDLEWARE = [f"bench.apps.django_app.{step}" for step in steps]
    module.urlpatterns = BUILDERS[name]()  # type: ignore[attr-defined]
    _urls_of[name] = module
    activate(name)
    return WSGIHandler()


def activate(name: str) -> None:
    settings.ROOT_URLCONF = _urls_of[name]


def _text() -> list[Any]:
    return [path("text", lambda request: HttpResponse("Hello, World!"))]


def _json() -> list[Any]:
    return [path("json", lambda request: JsonResponse({"message": "Hello, World!", "id": 17}))]


def _path() -> list[Any]:
    def track(request: Any, number: int) -> HttpResponse:
        since = request.GET["since"]
        limit = int(request.GET.get("limit", 10))
        return HttpResponse(f"{number + 1} {since} {limit + 1}")

    return [path("vessels/<int:number>/track", track)]


def _echo() -> list[Any]:
    import json

    return [path("echo", lambda request: JsonResponse(json.loads(request.body)))]


def _form() -> list[Any]:
    def form(request: Any) -> HttpResponse:
        fields = request.POST
        return HttpResponse(f"{fields['name']} {fields['email']} {fields['topic']} {fields['age']}")

    return [path("form", form)]


def _multipart() -> list[Any]:
    def upload(request: Any) -> HttpResponse:
        chart = request.FILES["chart"]
        return HttpResponse(f"{request.POST['title']} {chart.name} {len(chart.read())}")

    return [path("upload", upload)]


def _session() -> list[Any]:
    def visit(request: Any) -> HttpResponse:
        name = request.session.get("name", "Ada")
        request.session["name"] = name
        return HttpResponse(f"Hello, {name}")

    return [path("session", visit)]


def _template() -> list[Any]:
    def people(request: Any) -> HttpResponse:
        return render(request, "people.html", {"title": TITLE, "people": cases.PEOPLE})

    return [path("people", people)]


def _rows() -> list[Any]:
    return [path("rows", lambda request: JsonResponse(cases.ROWS, safe=False))]


def _stream() -> list[Any]:
    def stream(request: Any) -> StreamingHttpResponse:
        def lines() -> Iterator[str]:
            for number in range(cases.CHUNKS):
                yield f"{number},Vessel {number},48.5\n"

        return StreamingHttpResponse(lines(), content_type="text/csv; charset=utf-8")

    return [path("stream", stream)]


def _urls() -> list[Any]:
    def nothing(request: Any, **values: Any) -> HttpResponse:
        return HttpResponse()

    def urls(request: Any) -> HttpResponse:
        found = [reverse(f"page{number}") for number in range(4)]
        found += [
            reverse(f"item{number}", kwargs={"id": number, "name": "a b"}) for number in range(4)
        ]
        found.append(reverse("page1", query={"q": "sail & oar", "page": 2}))
        found.append(reverse("static", kwargs={"filename": "style.css"}))
        return HttpResponse("\n".join(found))

    pages = [path(f"page{number}", nothing, name=f"page{number}") for number in range(4)]
    pages += [
        path(f"item{number}/<int:id>/<str:name>", nothing, name=f"item{number}")
        for number in range(4)
    ]
    return [*pages, path("static/<path:filename>", nothing, name="static"), path("urls", urls)]


def _cookies() -> list[Any]:
    def cookies(request: Any) -> HttpResponse:
        theme = request.COOKIES.get("theme", "light")
        response = HttpResponse(f"{theme} {request.COOKIES['token']}")
        response["X-Request-ID"] = request.headers["X-Request-ID"]
        response["X-Theme"] = theme
        response["Cache-Control"] = "no-store"
        response.set_cookie("theme", "light", max_age=3600, httponly=True, samesite="Lax")
        response.set_cookie("seen", "1", path="/cookies")
        return response

    return [path("cookies", cookies)]


Handler = Callable[[Any], Any]


def first(get_response: Handler) -> Handler:
    def middleware(request: Any) -> Any:
        request.steps = ["first"]
        return get_response(request)

    return middleware


def second(get_response: Handler) -> Handler:
    def middleware(request: Any) -> Any:
        request.steps.append("second")
        return get_response(request)

    return middleware


def third(get_response: Handler) -> Handler:
    def middleware(request: Any) -> Any:
        response = get_response(request)
        request.steps.append("third")
        return response

    return middleware


def fourth(get_response: Handler) -> Handler:
    def middleware(request: Any) -> Any:
        response = get_response(request)
        response["X-Steps"] = " ".join(request.steps)
        return response

    return middleware


def fifth(get_response: Handler) -> Handler:
    def middleware(request: Any) -> Any:
        response = get_response(request)
        del request.steps
        return response

    return middleware


def _hooks() -> list[Any]:
    return [path("part/hooked", lambda request: HttpResponse("hooked"))]


def _area(request: Any, number: int = 0) -> HttpResponse:
    return HttpResponse(f"area {number}")


def _routes() -> list[Any]:
    patterns = []
    for number in range(cases.ROUTES // 2):
        patterns.append(path(f"area{number + 500}/<int:number>/end", _area))
        patterns.append(path(f"page{number}", _area))
    return patterns


def _one_route() -> list[Any]:
    return [path("area743/<int:number>/end", _area)]


BUILDERS: dict[str, Callable[[], list[Any]]] = {
    "text": _text,
    "json": _json,
    "path": _path,
    "echo": _echo,
    "form": _form,
    "multipart": _multipart,
    "session": _session,
    "template": _template,
    "rows": _rows,
    "stream": _stream,
    "urls": _urls,
    "cookies": _cookies,
    "hooks": _hooks,
    "routes": _routes,
    "one_route": _one_route,
    "missing": _text,
}

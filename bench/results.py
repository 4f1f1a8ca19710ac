"""What the runs found, kept as JSON beside the bench, so that the page can be written from all of them."""

from __future__ import annotations

import datetime
import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent / "results"
PACKAGES = [
    "carboy",
    "flask",
    "werkzeug",
    "jinja2",
    "itsdangerous",
    "falcon",
    "bottle",
    "django",
    "starlette",
    "fastapi",
    "litestar",
    "blacksheep",
    "quart",
    "msgspec",
    "granian",
    "gunicorn",
    "uvicorn",
    "uvloop",
    "httptools",
    "hypercorn",
]


def save(name: str, found: dict[str, Any]) -> None:
    HERE.mkdir(exist_ok=True)
    text = json.dumps({"facts": facts(), **found}, indent=1)
    (HERE / f"{name}.json").write_text(text + "\n")


def load(name: str) -> dict[str, Any] | None:
    """What the last run of that name found; None before the first."""
    try:
        found: dict[str, Any] = json.loads((HERE / f"{name}.json").read_text())
    except FileNotFoundError:
        return None
    return found


def facts() -> dict[str, Any]:
    """Date, machine and versions."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "date": datetime.date.today().isoformat(),
        "machine": f"{_processor()}, {os.cpu_count()} cores, {platform.system()}",
        "python": platform.python_version(),
        "versions": found,
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            names = [line.split(":", 1)[1].strip() for line in file if "model name" in line]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()

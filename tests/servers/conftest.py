"""`carboy serve` with a test module's ``APP``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def serve(start_server: Any, request: pytest.FixtureRequest) -> Callable[..., Any]:
    """``serve(*options)``: the module's application, or another ``source``, up and answering."""

    def start(*options: str, source: str | None = None, workers: int = 1, **env: str) -> Any:
        command = ["serve", "app:app", "--port", "0", "--workers", str(workers), *options]
        server = start_server(source or request.module.APP, *command, **env)
        for _ in range(workers):
            server.wait_for("Started worker-")
        return server

    return start


@pytest.fixture
def ends(start_server: Any) -> Callable[..., tuple[int, str]]:
    """``ends(source, *options)``: exit code and output of a server that ends by itself."""

    def run(source: str, *options: str, **env: str) -> tuple[int, str]:
        command = ["serve", "app:app", "--port", "0", "--workers", "1", *options]
        server = start_server(source, *command, wait=False, **env)
        return server.wait_until_ended(), server.output

    return run

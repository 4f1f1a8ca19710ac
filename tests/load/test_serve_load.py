"""A small run of the load harness: nothing is lost that a graceful stop should keep."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.beyond]

if importlib.util.find_spec("granian") is None:
    pytest.skip("granian is not installed; `make setup` installs it", allow_module_level=True)
if not Path("/proc/self/smaps_rollup").exists():
    pytest.skip("needs Linux's /proc", allow_module_level=True)

sys.path.insert(0, str(Path(__file__).parent))

import serve_load  # noqa: E402


@pytest.mark.parametrize("what", ["SIGTERM", "SIGHUP"])
def test_no_request_is_lost(tmp_path: Path, what: str) -> None:
    """Carried out and answered are the same, each once; the exit code is 0.

    HOSTILE-212, HOSTILE-225.
    """
    _, outcome = asyncio.run(serve_load.under(what, tmp_path, 400))
    assert "**0 lost**, 0 done twice, 0 answered but not done" in outcome
    assert outcome.endswith("exit code 0")


def test_a_killed_worker_loses_only_its_own(tmp_path: Path) -> None:
    """HOSTILE-213: no more than one request of each client; nothing twice, nothing false."""
    _, outcome = asyncio.run(serve_load.under("SIGKILL of a worker", tmp_path, 400))
    assert "0 done twice, 0 answered but not done" in outcome
    assert "not connected" not in outcome


@pytest.mark.parametrize("kind", ["event streams", "WebSockets"])
def test_idle_connections_are_told(tmp_path: Path, kind: str) -> None:
    """Fifty of them, when the server stops."""
    _, outcome = asyncio.run(serve_load.idle(tmp_path, kind, 50))
    assert "50 told, exit code 0" in outcome

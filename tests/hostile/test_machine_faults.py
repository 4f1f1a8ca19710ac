"""Faults of the machine: no disk, no descriptors, no memory; and what an import leaves behind."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from carboy import abort

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limits are Linux's")

HERE = Path(__file__).parent


def run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=HERE.parent.parent,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def under(fault: str) -> dict[str, object]:
    figures: dict[str, object] = json.loads(run(str(HERE / "machine.py"), fault))
    return figures


@pytest.mark.beyond
def test_a_full_disk_fails_the_upload_that_meets_it_and_no_other_request():
    """HOSTILE-205: a 5xx through each door, plain views go on, nothing is left in the folder."""
    assert under("full disk") == {
        "before": 200,
        "during": 500,
        "doors": [500, 500],
        "plain": 200,
        "after": 200,
        "left": [],
    }


def test_a_full_device_is_never_reported_as_saved():
    """HOSTILE-206: the view that saves to it fails."""
    assert under("full device") == {"before": 200, "during": 500, "after": 200}


def test_a_process_without_descriptors_serves_what_needs_none_and_recovers():
    """HOSTILE-207: the upload that needs a file fails, plain views go on."""
    figures = under("no descriptors")
    assert figures == {"before": 200, "during": 500, "plain": 200, "after": 200}


def test_a_view_that_asks_for_too_much_memory_fails_alone():
    """HOSTILE-208: a 500, and the process lives."""
    assert under("no memory") == {"before": 200, "during": 500, "plain": 200, "after": 200}


OUTCOMES = """
import json, sys
sys.path.insert(0, "tests")
from fuzz.seeds import SEEDS
from fuzz.targets import TARGETS
print(json.dumps({n: [TARGETS[n](data) for data in SEEDS[n]] for n in SEEDS}))
"""


@pytest.mark.beyond
def test_every_check_is_still_there_without_assertions():
    """HOSTILE-209, CVE-2025-69227: ``python -O`` gives each bad input the same answer."""
    with_asserts, without = (json.loads(run(*flag, "-c", OUTCOMES)) for flag in ((), ("-O",)))
    assert with_asserts == without
    assert {"400", "404", "405", "415"} <= set(with_asserts["wsgi-request"])


IMPORT = """
import logging, signal, sys, threading, warnings
def state():
    handlers = {number: repr(signal.getsignal(number)) for number in signal.valid_signals()}
    return handlers, threading.enumerate(), logging.root.handlers, logging.root.level, warnings.filters
before = repr(state())
import carboy
from carboy import Carboy
app = Carboy("quiet")
assert repr(state()) == before, (state(), before)
assert "asyncio" not in sys.modules
"""


def test_an_import_starts_no_thread_and_takes_no_signal_or_log():
    """HOSTILE-210: nor does making an application."""
    run("-c", IMPORT)


def test_good_requests_are_not_touched_by_bad_ones_beside_them(app):
    """HOSTILE-219, CVE-2024-52303: 404s, 500s and good ones from eight threads at once."""
    app.logger.disabled = True

    @app.get("/good/<int:number>")
    def good(number):
        return str(number)

    @app.get("/bad/<int:code>")
    def bad(code):
        if code == 500:
            raise RuntimeError("on purpose")
        abort(code)

    wrong = []

    def visit(worker):
        client = app.test_client()
        for number in range(150):
            mine = worker * 1000 + number
            answers = [
                client.get(f"/bad/{(404, 500, 403)[number % 3]}").status_code,
                client.get(f"/none/{mine}").status_code,
                client.get(f"/good/{mine}").text,
            ]
            if answers != [(404, 500, 403)[number % 3], 404, str(mine)]:
                wrong.append(answers)

    threads = [threading.Thread(target=visit, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert wrong == []

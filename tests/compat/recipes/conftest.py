"""What the recipes share: a real Redis where the machine has one, and child processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def redis_socket():
    """The path of the socket on which a Redis of this run's own listens."""
    server = shutil.which("redis-server") or shutil.which("valkey-server")
    if server is None:
        pytest.skip("no redis-server on this machine")
    # Not pytest's folder: the name of a socket must stay under 108 bytes.
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        path = os.path.join(folder, "socket")
        command = [server, "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            for line in process.stdout:
                if "eady to accept connections" in line:
                    break
            else:
                pytest.fail("redis-server ended before it was ready")
            yield path
        finally:
            process.terminate()
            process.communicate(timeout=10)


@pytest.fixture
def run_child(tmp_path):
    """`run_child(source, *arguments)`: output of a Python process; of a module with `-m`.

    Its `flask` is that of this run: `PYTHONPATH` holds the alias, or does not.
    """

    def run(source: str, *arguments: str, **env: str) -> str:
        (tmp_path / "program.py").write_text(source)
        done = subprocess.run(
            [sys.executable, *(arguments or ["program.py"])],
            cwd=tmp_path,
            env=os.environ | env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=50,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture
def here() -> Path:
    return Path(__file__).parent

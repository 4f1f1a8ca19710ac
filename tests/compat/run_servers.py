"""Run `tests/servers` with every WSGI server installed.

    python tests/compat/run_servers.py [ARGUMENTS OF PYTEST]

The servers are installed in a virtual environment under `.build/`; a missing one fails.
"""

from __future__ import annotations

import os
import subprocess
import sys

from suites import ROOT, SetupError, environment

PACKAGES = (
    *("werkzeug", "jinja2", "click", "itsdangerous", "blinker", "pytest>=8.3", "hypothesis"),
    *("gunicorn", "gevent", "waitress", "pyuwsgi"),
)


def main() -> int:
    try:
        python = environment("servers", PACKAGES)
    except SetupError as error:
        print(error)
        return 2
    command = [str(python), "-m", "pytest", "tests/servers", *sys.argv[1:]]
    return subprocess.run(command, cwd=ROOT, env=os.environ | {"CARBOY_SERVERS": "all"}).returncode


if __name__ == "__main__":
    sys.exit(main())

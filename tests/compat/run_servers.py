"""Run `tests/servers` with every WSGI server installed.

    python tests/compat/run_servers.py [ARGUMENTS OF PYTEST]

The servers are installed in a virtual environment under `.build/`; a missing one fails. mod_wsgi
is compiled for the system's Apache and Python, and its tests are skipped where they are missing:
`apt-get install apache2 apache2-dev python3-dev gcc` brings them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from suites import ROOT, SetupError, environment

LIBRARIES = ("werkzeug", "jinja2", "click", "itsdangerous", "blinker")
PACKAGES = (
    *LIBRARIES,
    *("pytest>=8.3", "hypothesis"),
    *("gunicorn", "gevent", "waitress", "pyuwsgi"),
)
SYSTEM_PYTHON = "/usr/bin/python3"


def with_mod_wsgi(folder: Path) -> dict[str, str]:
    """What tells the tests where mod_wsgi-express is; nothing when it cannot be had.

    Apache's workers run as another user, who may read neither the home folder of the one that
    runs the tests (and so perhaps not the interpreter) nor this checkout; `folder` anybody may.
    """
    folder.chmod(0o755)
    before = os.umask(0o022)
    try:
        packages = (*LIBRARIES, "mod_wsgi")
        python = environment("mod_wsgi", packages, base=SYSTEM_PYTHON, within=folder)
    except (SetupError, OSError, subprocess.CalledProcessError) as error:
        print(f"mod_wsgi cannot be installed, its tests will be skipped:\n{error}", flush=True)
        return {}
    finally:
        os.umask(before)
    return {"CARBOY_MOD_WSGI": str(python.with_name("mod_wsgi-express"))}


def main() -> int:
    try:
        python = environment("servers", PACKAGES)
    except SetupError as error:
        print(error)
        return 2
    command = [str(python), "-m", "pytest", "tests/servers", *sys.argv[1:]]
    with tempfile.TemporaryDirectory(prefix="carboy-servers-") as folder:
        env = {**os.environ, "CARBOY_SERVERS": "all", **with_mod_wsgi(Path(folder))}
        return subprocess.run(command, cwd=ROOT, env=env).returncode


if __name__ == "__main__":
    sys.exit(main())

"""Start whole Flask programs, unmodified, under `flask run` and `carboy run`, and use their pages.

    python tests/compat/run_programs.py [--only NAME]... [--no-report]

`programs.toml` lists them with what is asked and what must come back. Each gets a virtual
environment under `.build/` and, for each run, a scratch folder of its own. Writes
`docs/compat-programs.md`; with `--only`, nothing is written.

Exit status: 0; 1 when Carboy fails a step that Flask passes; 2 when a program did not start.
"""

from __future__ import annotations

import argparse
import datetime
import http.client
import http.cookies
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import tomllib
from pathlib import Path
from typing import Any

from suites import (
    BUILD,
    FLASK,
    HERE,
    ROOT,
    WERKZEUG,
    SetupError,
    environment,
    unpacked_sdist,
    versions,
)

PROGRAMS = HERE / "programs.toml"
REPORT = ROOT / "docs" / "compat-programs.md"
START_SECONDS = 60
STEP_SECONDS = 30


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", metavar="NAME", action="append", help="this program only")
    parser.add_argument("--no-report", action="store_true", help="leave docs/ as it is")
    options = parser.parse_args()
    programs = tomllib.loads(PROGRAMS.read_text())
    if unknown := set(options.only or ()) - set(programs):
        sys.exit(f"programs.toml has no {', '.join(unknown)}; it has {', '.join(programs)}.")
    status, rows, found = 0, [], {}
    for name in options.only or programs:
        row, code, found = examine(name, programs[name])
        rows.append(row)
        status = max(status, code)
    if not options.only and not options.no_report and status != 2:
        write_report(rows, found)
    return status


def examine(name: str, program: dict[str, Any]) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Run one program on both; its row of the page, the exit status, and the versions."""
    packages = [FLASK, WERKZEUG, *program["packages"]]
    row = {"name": name, "about": program["about"], "steps": len(program["steps"])}
    row["version"] = (program["packages"] or [FLASK])[0].partition("==")[2]
    try:
        python = environment(f"program-{name}", packages)
        source = unpacked_sdist(FLASK) / program["sdist"] if "sdist" in program else None
    except SetupError as error:
        print(f"{name}: {error}")
        return row, 2, {}
    failed = {}
    for subject in ("flask", "carboy"):
        wrong = run(Run(name, program, python, subject, source))
        if wrong is None:
            return row, 2, {}
        failed[subject] = wrong
        row[subject] = row["steps"] - len(wrong)
    lost = [step for step in failed["carboy"] if step not in failed["flask"]]
    print(f"{name}: of {row['steps']} steps {row['flask']} on Flask, {row['carboy']} on Carboy")
    return row, 1 if lost else 0, versions(python, ("flask", "werkzeug"))


class Run:
    """One program on one of the two: its scratch folder and its command."""

    def __init__(
        self, name: str, program: dict[str, Any], python: Path, subject: str, source: Path | None
    ) -> None:
        self.name, self.program, self.subject = name, program, subject
        self.here = BUILD / "programs" / f"{name}-{subject}"
        shutil.rmtree(self.here, ignore_errors=True)
        if source is None:
            self.here.mkdir(parents=True)
        else:
            shutil.copytree(source, self.here)
        for file, text in program.get("files", {}).items():
            (self.here / file).write_text(text)
        of_the_shell = ("FLASK_", "CARBOY_", "WERKZEUG_", "PYTHON")
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(of_the_shell)}
        self.env |= {"PYTHONUNBUFFERED": "1", "HOME": str(self.here)}
        for key, value in program.get("environ", {}).items():
            self.env[key] = value.format(here=self.here)
        self.python = str(python)
        self.command = [self.python, "-m", subject, "--app", program["app"]]

    def prepare(self) -> None:
        """The script and the commands that an administrator would run first."""
        if "setup" in self.program:
            self._call([self.python, "-c", self.program["setup"]])
        for arguments in self.program.get("commands", []):
            self._call([*self.command, *arguments])

    def _call(self, command: list[str]) -> None:
        subprocess.run(command, cwd=self.here, env=self.env, check=True, timeout=START_SECONDS)


def run(program: Run) -> list[str] | None:
    """The steps that gave something else than wanted; None when the program did not start."""
    print(f"{program.name}: running on {program.subject} …", flush=True)
    try:
        program.prepare()
    except subprocess.SubprocessError as error:
        print(f"  {error}")
        return None
    server = Server([*program.command, "run", "--port", "0"], program)
    try:
        port = server.port()
        if port is None:
            print("  did not start:\n" + "\n".join(server.lines[-20:]))
            return None
        visitor = Visitor(port)
        wrong = []
        for ask, status, text in program.program["steps"]:
            complaint = visitor.step(ask, status, text)
            if complaint:
                wrong.append(ask)
                print(f"  {ask}: {complaint}")
        return wrong
    finally:
        server.stop()
        server.log(BUILD / f"program-{program.name}-{program.subject}.log")


class Server:
    """The program as a process of its own; its output is read line by line."""

    def __init__(self, command: list[str], program: Run) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=program.here,
            env=program.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._queue: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            self._queue.put(line)
        self._queue.put(None)

    def port(self) -> int | None:
        """The port that the banner names; None when the process ends or says nothing."""
        while True:
            try:
                line = self._queue.get(timeout=START_SECONDS)
            except queue.Empty:
                return None
            if line is None:
                return None
            if found := re.search(r"Running on http://127\.0\.0\.1:(\d+)", line):
                return int(found[1])

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join()

    def log(self, file: Path) -> None:
        file.write_text("\n".join(self.lines) + "\n")


class Visitor:
    """A browser without redirects: it keeps cookies."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.cookies: dict[str, str] = {}
        self.token = ""

    def step(self, ask: str, status: int, text: str) -> str | None:
        """Make one request; what is wrong with the answer, or None."""
        method, path, *rest = ask.replace("{csrf}", self.token).split(" ", 2)
        body = rest[0] if rest else ""
        headers = {"Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items())}
        if method == "JSON":
            method, headers["Content-Type"] = "POST", "application/json"
        elif method == "POST":
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=STEP_SECONDS)
        try:
            connection.request(method, path, body.encode(), headers)
            answer = connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException) as error:
            return repr(error)
        finally:
            connection.close()
        for line in answer.headers.get_all("Set-Cookie", []):
            for name, morsel in http.cookies.SimpleCookie(line).items():
                self.cookies[name] = morsel.value
        seen = data.decode("utf-8", "replace") + (answer.headers["Location"] or "")
        if found := re.search(r'name="?csrf_token"?[^>]*value="?([^">\s]+)', seen):
            self.token = found[1]
        if answer.status != status:
            return f"status {answer.status}, not {status}: {seen[:200]!r}"
        return None if text in seen else f"{text!r} is not in {seen[:300]!r}"


def write_report(rows: list[dict[str, Any]], found: dict[str, str]) -> None:
    lines = [
        "# Flask programs on Carboy",
        "",
        "`make compat-programs` installs whole programs from the package registry, starts each one",
        "unmodified under `flask run` and under `carboy run`, and uses its pages: forms, sessions,",
        "uploads, redirects, errors, static files. This page is its report.",
        "",
        f"- date: {datetime.date.today().isoformat()}",
        f"- versions: {', '.join(f'{name} {version}' for name, version in found.items())}",
        "",
        "| program | version | what it is | steps | right on Flask | right on Carboy |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['name']} | {row['version']} | {row['about']} | {row['steps']} | {row['flask']} "
        f"| {row['carboy']} |"
        for row in rows
    ]
    REPORT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())

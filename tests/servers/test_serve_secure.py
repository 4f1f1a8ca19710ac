"""`carboy serve`: versions of HTTP, certificates on both sides, and the file with its number."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.server, pytest.mark.beyond]

if importlib.util.find_spec("granian") is None:
    pytest.skip("granian is not installed; `make setup` installs it", allow_module_level=True)

APP = """\
from carboy import Carboy, request, websocket

app = Carboy(__name__)

@app.get("/")
def index():
    return f"{request.environ['SERVER_PROTOCOL']} {request.host} {request.scheme}"

@app.post("/length")
def length():
    print("<viewed>", flush=True)
    return str(len(request.get_data()))

@app.websocket("/echo")
async def echo():
    await websocket.send(await websocket.receive())
"""

Serve = Callable[..., Any]
Ends = Callable[..., tuple[int, str]]
ONE = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.fixture
def openssl(tmp_path: Path) -> Callable[[str], None]:
    """``openssl("req ...")`` in ``tmp_path``."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command to make certificates")

    def run(command: str) -> None:
        done = subprocess.run(
            ["openssl", *command.split()], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr

    return run


@pytest.fixture
def certify(openssl: Callable[[str], None], tmp_path: Path) -> Callable[..., None]:
    """``certify(name, by=authority)`` makes ``name.pem`` and ``name.key``; without ``by`` its own."""

    def make(name: str, by: str | None = None) -> None:
        curve = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
        out = f"-keyout {name}.key -subj /CN={name}"
        if by is None:
            own = "-addext subjectAltName=IP:127.0.0.1"
            openssl(f"req -x509 {curve} {out} -out {name}.pem -days 2 {own}")
            return
        openssl(f"req -new {curve} {out} -out {name}.csr")
        sign = f"-CA {by}.pem -CAkey {by}.key -CAcreateserial -days 2"
        # The extension makes it a certificate of version 3; those of version 1 are not taken.
        (tmp_path / "ext").write_text("basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n")
        openssl(f"x509 -req -in {name}.csr -out {name}.pem -extfile ext {sign}")

    return make


def connect(server: Any) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), 20)


def over_tls(server: Any, context: ssl.SSLContext) -> ssl.SSLSocket:
    return context.wrap_socket(connect(server), server_hostname="127.0.0.1")


def read(connection: socket.socket) -> bytes:
    """All that comes until the server closes, in whatever way."""
    answer = b""
    try:
        while data := connection.recv(65536):
            answer += data
    except (ConnectionResetError, ssl.SSLEOFError):
        pass
    return answer


# -- versions of HTTP ------------------------------------------------------------------------------

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS = 0, 1, 3, 4
END_STREAM, END_HEADERS = 1, 4


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame of HTTP/2 (RFC 9113 section 4.1)."""
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def literal(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


def get(flags: int = END_STREAM) -> bytes:
    """GET /: entries of HPACK's static table (RFC 7541 appendix A), and the authority."""
    return frame(HEADERS, flags | END_HEADERS, 1, b"\x82\x84\x86\x41" + literal("localhost"))


def post(length: int) -> bytes:
    head = b"\x83\x86\x44" + literal("/length") + b"\x41" + literal("localhost")
    return frame(HEADERS, END_HEADERS, 1, head + b"\x0f\x0d" + literal(str(length)))


def answer_of(connection: socket.socket) -> tuple[int, bytes]:
    """The first octet of the head, which names a frequent status, and the body of stream 1."""
    first, body = -1, b""
    with connection.makefile("rb") as stream:
        while len(head := stream.read(9)) == 9:
            size, kind, flags, number = struct.unpack("!I", b"\0" + head[:3]) + struct.unpack(
                "!BBI", head[3:]
            )
            payload = stream.read(size)
            if number == 1 and kind == HEADERS:
                first = payload[0]
            elif number == 1 and kind == DATA:
                body += payload
            if number == 1 and (kind == RESET or flags & END_STREAM):
                break
    return first, body


#: Entry 8 of the static table is `:status: 200`.
OK = 0x88


def test_plain_connections_speak_what_they_begin_with(serve: Serve) -> None:
    """With `--http auto`, the default: HTTP/2 with prior knowledge (RFC 9113 section 3.3)."""
    server = serve()
    with connect(server) as connection:
        connection.sendall(PREFACE + frame(SETTINGS, 0, 0) + get())
        assert answer_of(connection) == (OK, b"HTTP/2 localhost http")
    with connect(server) as connection:
        connection.sendall(ONE)
        assert read(connection).endswith(b"HTTP/1.1 localhost http")


def test_http_1_only(serve: Serve) -> None:
    """HTTP/2's preface is no request."""
    server = serve("--http", "1")
    with connect(server) as connection:
        connection.sendall(PREFACE + frame(SETTINGS, 0, 0) + get())
        assert b" 200 " not in read(connection)
    with connect(server) as connection:
        connection.sendall(ONE)
        assert read(connection).endswith(b"HTTP/1.1 localhost http")


def test_http_2_only(serve: Serve) -> None:
    """WebSockets are not to be had over it, and the start lines say so."""
    server = serve("--http", "2")
    assert "WebSockets need HTTP/1.1" in server.output
    with connect(server) as connection:
        connection.sendall(ONE)
        assert not read(connection).startswith(b"HTTP/1")
    with connect(server) as connection:
        connection.sendall(PREFACE + frame(SETTINGS, 0, 0) + get())
        assert answer_of(connection) == (OK, b"HTTP/2 localhost http")


def test_bodies_over_http_2(serve: Serve) -> None:
    """A whole one arrives, a cut one never reaches a view, a slow one is a 408."""
    server = serve("--timeout", "1")
    start = PREFACE + frame(SETTINGS, 0, 0) + post(8)
    with connect(server) as connection:
        connection.sendall(start + frame(DATA, 0, 1, b"half") + frame(DATA, END_STREAM, 1, b"half"))
        assert answer_of(connection) == (OK, b"8")
    server.wait_for("<viewed>")
    with connect(server) as connection:
        connection.sendall(start + frame(DATA, 0, 1, b"half") + frame(RESET, 0, 1, bytes(4)))
    with connect(server) as connection:
        connection.sendall(start + frame(DATA, 0, 1, b"half"))
        assert b"did not come in time" in answer_of(connection)[1]
    server.process.send_signal(signal.SIGTERM)
    assert server.wait_until_ended() == 0
    assert server.output.count("<viewed>") == 1


@pytest.mark.parametrize(
    ("version", "offered", "agreed"),
    [
        ("auto", ["h2", "http/1.1"], "h2"),
        ("auto", ["http/1.1"], "http/1.1"),
        ("1", ["h2", "http/1.1"], "http/1.1"),
        ("2", ["h2", "http/1.1"], "h2"),
        ("2", ["http/1.1"], None),
    ],
)
def test_tls_agrees_on_a_version(
    serve: Serve, certify: Any, tmp_path: Path, version: str, offered: Any, agreed: str | None
) -> None:
    """The server's choice among what a client offers (RFC 7301)."""
    certify("server")
    server = serve("--cert", "server.pem", "--key", "server.key", "--http", version)
    context = ssl.create_default_context(cafile=str(tmp_path / "server.pem"))
    context.set_alpn_protocols(offered)
    if agreed is None:
        with pytest.raises(ssl.SSLError, match="no application protocol"):
            over_tls(server, context)
        return
    with over_tls(server, context) as connection:
        assert connection.selected_alpn_protocol() == agreed
        if agreed == "h2":
            connection.sendall(PREFACE + frame(SETTINGS, 0, 0) + get().replace(b"\x86", b"\x87"))
            assert answer_of(connection) == (OK, b"HTTP/2 localhost https")
        else:
            connection.sendall(ONE)
            assert read(connection).endswith(b"HTTP/1.1 localhost https")


# -- certificates ----------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_clients_with_certificates(
    serve: Serve, certify: Any, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    """`--client-ca` lets in whom that authority knows, and nobody else."""
    certify("server")
    certify("ours")
    certify("theirs")
    certify("friend", by="ours")
    certify("stranger", by="theirs")
    server = serve("--cert", "server.pem", "--key", "server.key", "--client-ca", "ours.pem")

    def ask(client: str | None) -> bytes:
        context = ssl.create_default_context(cafile=str(tmp_path / "server.pem"))
        context.minimum_version = context.maximum_version = version
        if client is not None:
            context.load_cert_chain(tmp_path / f"{client}.pem", tmp_path / f"{client}.key")
        with over_tls(server, context) as connection:
            connection.sendall(ONE)
            return read(connection)

    assert ask("friend").endswith(b"HTTP/1.1 localhost https")
    for nobody in (None, "stranger", "theirs"):
        # Under TLS 1.3 a client hears of it with its first read (RFC 8446 appendix E.1).
        with pytest.raises((ssl.SSLError, ConnectionError)):
            ask(nobody)
    assert ask("friend").endswith(b"HTTP/1.1 localhost https")


def test_keys_that_cannot_be_used(ends: Ends, certify: Any, openssl: Any, tmp_path: Path) -> None:
    """Each is told what is wrong, before a worker starts."""
    certify("one")
    certify("other")
    openssl("pkcs8 -topk8 -v2 aes-256-cbc -in one.key -out locked.key -passout pass:word")
    (tmp_path / "text").write_text("no certificate\n")
    for options, words in (
        (["--cert", "one.pem"], "--cert needs --key"),
        (["--key", "one.key"], "--key needs --cert"),
        (["--client-ca", "one.pem"], "--client-ca needs --cert"),
        (["--cert", "text", "--key", "text"], "no certificate and private key in PEM"),
        (["--cert", "one.pem", "--key", "other.key"], "is not that of the certificate"),
        (["--cert", "one.pem", "--key", "locked.key"], "password is missing"),
        (["--cert", "one.pem", "--key", "locked.key", "--key-password", "x"], "password is wrong"),
        (["--cert", "one.pem", "--key", "one.key", "--client-ca", "text"], "has no certificate"),
    ):
        code, output = ends(APP, *options)
        assert (code, words in output) == (1, True), output
        assert "Traceback" not in output
        assert "worker" not in output


def test_a_password_for_a_key_that_needs_none(serve: Serve, certify: Any) -> None:
    """As elsewhere it does no harm."""
    certify("server")
    serve("--cert", "server.pem", "--key", "server.key", CARBOY_SERVE_KEY_PASSWORD="word")


def test_encrypted_keys(start_server: Any, certify: Any, openssl: Any) -> None:
    """Served where Granian can read them, else refused with the way out."""
    certify("one")
    openssl("pkcs8 -topk8 -v2 aes-256-cbc -in one.key -out locked.key -passout pass:word")
    options = ["--cert", "one.pem", "--key", "locked.key", "--port", "0", "--workers", "1"]
    server = start_server(
        APP, "serve", "app:app", *options, wait=False, CARBOY_SERVE_KEY_PASSWORD="word"
    )
    found = server.wait_for("Started worker-1|cannot read such keys")
    assert (found[0] == "Started worker-1") == (not granian_refuses())
    if granian_refuses():
        assert server.wait_until_ended() == 1
        assert "openssl pkey -in locked.key" in server.output


def granian_refuses() -> bool:
    import granian

    return tuple(int(part) for part in granian.__version__.split(".")[:2]) >= (2, 8)


@pytest.mark.skipif(not granian_refuses(), reason="this Granian reads encrypted keys")
def test_granian_still_cannot_read_encrypted_keys(
    certify: Any, openssl: Any, tmp_path: Path
) -> None:
    """Why they are refused. A Granian that mends it fails here."""
    certify("one")
    openssl("pkcs8 -topk8 -v2 aes-256-cbc -in one.key -out locked.key -passout pass:word")
    code = (
        "from pathlib import Path\n"
        "from granian import Granian\n"
        "if __name__ == '__main__':\n"
        "    Granian('app:app', port=0, interface='asgi', ssl_cert=Path('one.pem'),\n"
        "            ssl_key=Path('locked.key'), ssl_key_password='word').serve()\n"
    )
    (tmp_path / "app.py").write_text("async def app(scope, receive, send): ...\n")
    (tmp_path / "bare.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "bare.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "Invalid key" in done.stderr


# -- the file with the number ----------------------------------------------------------------------


def test_the_pid_file(serve: Serve, ends: Ends, tmp_path: Path) -> None:
    """Of the process that takes signals, gone with it; a second server does not take it over."""
    path = tmp_path / "pid"
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    path.write_text(str(dead.pid))  # of a server that was killed
    server = serve("--pid-file", "pid")
    assert int(path.read_text()) == server.process.pid
    code, output = ends(APP, "--pid-file", "pid")
    assert (code, "of a process that runs" in output) == (1, True), output
    assert int(path.read_text()) == server.process.pid
    os.kill(int(path.read_text()), signal.SIGHUP)
    server.wait_for("Started worker-1")
    assert int(path.read_text()) == server.process.pid
    os.kill(int(path.read_text()), signal.SIGTERM)
    assert server.wait_until_ended() == 0
    assert not path.exists()


@pytest.mark.parametrize(("name", "content"), [("pid", "junk"), ("missing/pid", None)])
def test_a_pid_file_that_cannot_be(
    ends: Ends, tmp_path: Path, name: str, content: str | None
) -> None:
    """What is no number is not overwritten, and no folder is made."""
    if content is not None:
        (tmp_path / name).write_text(content)
    code, output = ends(APP, "--pid-file", name)
    assert (code, f"--pid-file {name} cannot be written" in output) == (1, True), output
    assert "Traceback" not in output
    assert not (tmp_path / "missing").exists()
    assert content is None or (tmp_path / name).read_text() == content

"""Bad request bodies, and bodies that end too early."""

from __future__ import annotations

import io
import json
import stat
from pathlib import Path

import pytest

from carboy import request

URLENCODED = "application/x-www-form-urlencoded"
JSON = "application/json"
MULTIPART = "multipart/form-data; boundary=b"
DISPOSITION = b'Content-Disposition: form-data; name="f"'
FILE = b'Content-Disposition: form-data; name="f"; filename="f.txt"'


def part(content, headers=DISPOSITION):
    return b"--b\r\n" + headers + b"\r\n\r\n" + content + b"\r\n"


def multipart(*parts):
    return b"".join(parts) + b"--b--\r\n"


@pytest.fixture
def site(app):
    """Views that read the body in each way; all say what they got."""

    @app.post("/json")
    def as_json():
        request.get_json()
        return "parsed"

    @app.post("/echo")
    def echo():
        return {"got": request.get_json()}

    @app.post("/form")
    def as_form():
        return {
            "form": {repr(k): [len(v) for v in vs] for k, vs in request.form.lists()},
            "files": [[repr(k), repr(f.filename), len(f.read())] for k, f in request.files.items()],
        }

    @app.post("/data")
    def as_data():
        return str(len(request.get_data()))

    @app.post("/stream")
    def as_stream():
        return str(len(request.stream.read()))

    @app.post("/unread")
    def unread():
        return "unread"

    return app


@pytest.fixture
def post(site, call):
    """One raw POST; afterwards a good one must still be answered."""

    def send(path, body=b"", kind=JSON, **options):
        headers = {"Content-Type": kind} | options.pop("headers", {})
        reply = call(site, path, "POST", body=body, headers=headers, **options)
        after = call(site, "/json", "POST", body=b"{}", headers={"Content-Type": JSON})
        assert after.body == b"parsed"
        return reply

    return send


MALFORMED = [
    b"", b" ", b"{", b"}", b"[", b"]", b"{]", b'{"a"}', b'{"a":}', b'{"a":1,}', b"[1,]", b"[,1]",
    b"{'a':1}", b"{a:1}", b'"', b'"\x00"', b'"\\x"', b'"\\u12"', b"01", b"1.", b".5", b"+1", b"0x1",
    b"tru", b"nul", b"1 2", b"\xff\xfe\x00", b'{"a":1}}', b"\xef\xbb\xbf{", b'"\xff"', b"//", b"--1",
]  # fmt: skip


@pytest.mark.parametrize("body", MALFORMED)
def test_malformed_json_is_a_400_without_the_body(post, body):
    """HOSTILE-46: nothing of it is echoed."""
    reply = post("/json", b"MARKER" + body if len(body) > 1 else body)
    assert reply.code == 400
    assert b"MARKER" not in reply.body
    assert post("/json", body).code == 400


@pytest.mark.beyond
@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"a":' * 100_000, b"[" * 99_999 + b"]" * 99_999]
)
def test_very_deep_json_is_a_400(post, body):
    """HOSTILE-47: no RecursionError for the view."""
    assert post("/json", body).code == 400


@pytest.mark.beyond
@pytest.mark.parametrize(
    "body", [b"NaN", b"[Infinity]", b'{"a":-Infinity}', b"[1, NaN]", "NaN".encode("utf-16-be")]
)
def test_nan_and_infinity_are_no_json(post, body):
    """HOSTILE-48: RFC 8259 section 6."""
    assert post("/json", body).code == 400


@pytest.mark.beyond
@pytest.mark.parametrize("value", [float("nan"), float("inf"), [float("-inf")]])
def test_nan_and_infinity_are_never_emitted(app, raw, value):
    """HOSTILE-48: what is sent is JSON, or it is a 500."""
    app.add_url_rule("/", "view", lambda: {"v": value})
    reply = raw("/")
    assert reply.code in (200, 500)
    assert b"NaN" not in reply.body
    assert b"Infinity" not in reply.body


def test_an_integer_of_5000_digits_is_a_400(post):
    """HOSTILE-49: more than Python converts."""
    assert post("/json", b"9" * 5000).code == 400


@pytest.mark.parametrize(
    "body",
    [
        b"1e999",
        b"-1e999",
        b'{"a":1,"a":2}',
        b'{"__proto__":{"x":1},"constructor":1}',
        b'{" t":[1]," b":"YQ=="}',
        b'{"":null}',
        b'"\\u0000"',
    ],
)
def test_odd_but_valid_json_is_no_500(post, body):
    """HOSTILE-50: huge exponents, repeated keys, look-alikes of the session's tags."""
    assert post("/json", body).code in (200, 400)


@pytest.mark.beyond
def test_a_lone_surrogate_can_be_answered(app, raw, post):
    """HOSTILE-51: as JSON and as text."""
    app.add_url_rule("/text", "text", lambda: request.get_json(), methods=["POST"])
    assert post("/echo", b'"\\ud800"').code in (200, 400)
    reply = raw("/text", "POST", body=b'"a\\ud800b"', headers={"Content-Type": JSON})
    assert reply.code in (200, 400)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-be", "utf-32-le"])
def test_wide_json_needs_little_memory(post, peak_memory, encoding):
    """HOSTILE-52, CVE-2018-1000656, CVE-2019-1010083: 200 kB."""
    body = json.dumps(["x" * 50_000]).encode(encoding)
    with peak_memory() as peak:
        assert post("/json", body).code in (200, 400)
    assert peak.bytes < 12_000_000


def test_many_and_colliding_keys(post, within_cpu_seconds):
    """HOSTILE-53: 50 000 keys; numbers that hash alike."""
    with within_cpu_seconds():
        many = json.dumps({f"k{n}": n for n in range(50_000)}).encode()
        assert post("/json", many).code == 200
        alike = json.dumps({str(n * (2**61 - 1)): 1 for n in range(50_000)}).encode()
        assert post("/json", alike).code == 200


@pytest.mark.beyond
@pytest.mark.parametrize(
    "length", ["-1", "abc", "1e3", "+3", "1_0", "0x10", "\xb2", " ", "3,3", "3 4", "9" * 5000]
)
@pytest.mark.parametrize("path", ["/data", "/form", "/json", "/stream"])
def test_a_bad_content_length_is_a_400(post, path, length):
    """HOSTILE-54, GHSA-v9pg-7xvm-68hf: never an empty body with 200, never a hang."""
    kind = {"/json": JSON, "/form": URLENCODED}.get(path, "text/plain")
    assert post(path, b"a=1", kind, CONTENT_LENGTH=length).code in (400, 413)


@pytest.mark.parametrize("path", ["/data", "/form", "/json"])
def test_a_body_shorter_than_its_length_is_a_400(post, path):
    """HOSTILE-55: the client has gone."""
    kind = URLENCODED if path == "/form" else JSON
    assert post(path, b'"a=1"', kind, CONTENT_LENGTH="50").code == 400


@pytest.mark.beyond
@pytest.mark.parametrize("path", ["/data", "/form", "/json", "/stream"])
def test_a_short_body_is_noticed_where_the_server_ends_it_too(post, path):
    """HOSTILE-56: ``wsgi.input_terminated`` does not make it complete."""
    kind = URLENCODED if path == "/form" else JSON
    options = {"CONTENT_LENGTH": "50", "wsgi.input_terminated": True}
    assert post(path, b'"a=1"', kind, **options).code == 400


def chunked(body):
    """The environ of a chunked body as servers pass it on."""
    return {
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        "HTTP_TRANSFER_ENCODING": "chunked",
    }


@pytest.mark.beyond
@pytest.mark.parametrize("path", ["/data", "/form", "/json", "/stream"])
def test_a_chunked_body_over_the_limit_is_a_413(app, post, path):
    """HOSTILE-58: never cut and handed over."""
    app.config["MAX_CONTENT_LENGTH"] = 100
    kind = URLENCODED if path == "/form" else JSON
    body = b"a=" + b"1" * 200 if path == "/form" else b'"' + b"a" * 200 + b'"'
    assert post(path, kind=kind, **chunked(body)).code == 413


class Untouchable:
    def read(self, *args):
        raise AssertionError("read")

    readline = readlines = __iter__ = readinto = read


@pytest.mark.parametrize("path", ["/data", "/form", "/json", "/stream"])
def test_a_declared_length_over_the_limit_is_not_read(app, post, path):
    """HOSTILE-59: 413 by the header alone."""
    app.config["MAX_CONTENT_LENGTH"] = 100
    kind = URLENCODED if path == "/form" else JSON
    options = {"CONTENT_LENGTH": "101", "wsgi.input": Untouchable()}
    assert post(path, kind=kind, **options).code == 413


def test_octets_after_the_length_are_not_read(post):
    """HOSTILE-60: they belong to the next request."""
    stream = io.BytesIO(b"12345GET / HTTP/1.1")
    options = {"CONTENT_LENGTH": "5", "wsgi.input": stream}
    assert post("/data", kind="text/plain", **options).body == b"5"
    assert stream.read() == b"GET / HTTP/1.1"


class Broken(io.RawIOBase):
    """A connection that fails after the first octets."""

    def __init__(self, start, error):
        self.start, self.error = start, error

    def readable(self):
        return True

    def readinto(self, target):
        if not self.start:
            raise self.error
        taken, self.start = self.start[: len(target)], self.start[len(target) :]
        target[: len(taken)] = taken
        return len(taken)


@pytest.mark.parametrize("error", [ConnectionResetError(), BrokenPipeError(), TimeoutError()])
@pytest.mark.parametrize(
    ("path", "kind", "start"),
    [
        ("/data", "text/plain", b"abc"),
        ("/json", JSON, b'{"a":'),
        ("/form", URLENCODED, b"a=1"),
        ("/form", MULTIPART, part(b"x" * 100, FILE)),
    ],
)
def test_a_connection_that_breaks_is_a_400(post, error, path, kind, start):
    """HOSTILE-61: in each kind of body."""
    stream = io.BufferedReader(Broken(start, error))
    assert post(path, kind=kind, **{"wsgi.input": stream, "CONTENT_LENGTH": "5000"}).code == 400


@pytest.mark.beyond
def test_form_limits_hold_for_urlencoded_bodies(post):
    """HOSTILE-62, HOSTILE-64, CVE-2026-54283: one field of 600 kB, 160 000 fields."""
    assert post("/form", b"a=" + b"x" * 600_000, URLENCODED).code == 413
    assert post("/form", b"&".join([b"a=1"] * 160_000), URLENCODED).code == 413
    assert post("/form", b"&".join([b"a=1"] * 1001), URLENCODED).code == 413
    assert post("/form", b"&".join([b"a=1"] * 1000), URLENCODED).code == 200


@pytest.mark.beyond
def test_form_limits_hold_for_chunked_urlencoded_bodies(post):
    """HOSTILE-63, CVE-2026-33034: 2 MB without a length."""
    assert post("/form", kind=URLENCODED, **chunked(b"a=" + b"x" * 2_000_000)).code == 413


@pytest.mark.beyond
@pytest.mark.parametrize("octet", [b"\xff", b"\xc3", b"\xed\xa0\x80"])
def test_one_raw_octet_does_not_empty_a_form(post, octet):
    """HOSTILE-65: 400, or the other fields are there."""
    reply = post("/form", b"ok=1&bad=" + octet + b"&also=2", URLENCODED)
    assert reply.code in (200, 400)
    if reply.code == 200:
        assert b"'ok'" in reply.body
        assert b"'also'" in reply.body


@pytest.mark.parametrize("unit", [b"&", b";", b"%", b"=", b"+", b"%f", b"&&=", b"%00"])
def test_450_kilobytes_of_separators(post, within_cpu_seconds, unit):
    """HOSTILE-66: no quadratic parser."""
    with within_cpu_seconds():
        reply = post("/form", unit * (450_000 // len(unit)), URLENCODED)
    assert reply.code in (200, 400, 413)


def test_1001_parts_are_a_413(post):
    """HOSTILE-67, CVE-2023-25577: 1000 are allowed.

    CVE-2023-30798, KNOWN-cookie-attributes-inject.
    """
    assert post("/form", multipart(*[part(b"x")] * 1001), MULTIPART).code == 413
    assert post("/form", multipart(*[part(b"x")] * 1000), MULTIPART).code == 200


@pytest.mark.beyond
def test_1001_files_are_a_413_and_all_are_closed(post):
    """HOSTILE-67, HOSTILE-82, CVE-2023-24580: no spool is left to the collector."""
    assert post("/form", multipart(*[part(b"x", FILE)] * 1001), MULTIPART).code == 413


@pytest.mark.parametrize("size", [600_000, 20_000_000])
def test_one_big_multipart_field_is_a_413(site, call, peak_memory, size):
    """HOSTILE-68, CVE-2024-49767, CVE-2024-47874, CVE-2026-34517: noticed while reading."""
    body = multipart(part(b"x" * size))
    headers = {"Content-Type": MULTIPART}
    stream = {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    call(site, "/form", "POST", body=b"", headers=headers)
    with peak_memory() as peak:
        assert call(site, "/form", "POST", headers=headers, **stream).code == 413
    assert peak.bytes < 4_000_000


@pytest.mark.beyond
def test_many_fields_together_are_limited(post):
    """HOSTILE-69: the sum counts, in both encodings."""
    fields = multipart(*[part(b"x" * 10_000)] * 100)
    assert post("/form", fields, MULTIPART).code == 413
    assert post("/form", b"&".join([b"a=" + b"x" * 10_000] * 100), URLENCODED).code == 413


@pytest.mark.beyond
@pytest.mark.parametrize(
    "headers",
    [
        DISPOSITION + b"\r\nX-A: b" * 50_000,
        DISPOSITION + b"\r\nX-A: " + b"b" * 400_000,
        b'Content-Disposition: form-data; name="' + b"n" * 400_000 + b'"',
    ],
    ids=["many", "long", "long name"],
)
def test_headers_of_a_part_are_limited(post, within_cpu_seconds, headers):
    """HOSTILE-70, CVE-2026-42561, CVE-2026-34516: number and size."""
    with within_cpu_seconds():
        assert post("/form", multipart(part(b"x", headers)), MULTIPART).code in (400, 413, 431)


WHOLE = multipart(part(b"value"), part(b"content", FILE))


@pytest.mark.beyond
@pytest.mark.parametrize(
    "body",
    [
        b"--b",
        b"--b\r\n",
        b"--b\r\n" + DISPOSITION,
        b"--b\r\n" + DISPOSITION + b"\r\n\r\n",
        part(b"value"),
        part(b"value")[:-2],
        WHOLE[:-8],
        b"no boundary at all",
    ],
)
def test_truncated_multipart_is_a_400(post, body):
    """HOSTILE-71: never an empty form with 200."""
    assert post("/form", body, MULTIPART).code == 400


@pytest.mark.beyond
@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary=" + "b" * 300,
        'multipart/form-data; boundary="b b "',
    ],
)
def test_a_missing_or_bad_boundary_is_a_400(post, kind):
    """HOSTILE-72: RFC 2046 section 5.1.1."""
    assert post("/form", WHOLE, kind).code == 400


ODD_HEADERS = [
    b"Content-Disposition: form-data",
    b"Content-Disposition: form-data; name",
    b"Content-Disposition: form-data; name=",
    b'Content-Disposition: form-data; name=""',
    b"Content-Disposition: form-data; name=\xff",
    b"Content-Disposition: attachment; name=f",
    b"Content-Disposition: ; name=f",
    b"Content-Disposition:",
    b"Content-Disposition: form-data; name*99999999999999=x",
    b"Content-Disposition: form-data; name*0=x; name*1=y",
    b"Content-Disposition: form-data; name*=utf-8''f",
    b"Content-Disposition: form-data; name*=nope''f",
    b"Content-Disposition: form-data; name*=utf-8''%ff",
    b'Content-Disposition: form-data; name="f',
    b'Content-Disposition: form-data; name="f\\"',
    b'Content-Disposition: form-data; name="f"; name="g"',
    b'Content-Disposition: form-data; name="f"; filename=',
    b"Content-Disposition: form-data; name=\"f\"; filename*=utf-8''%ff",
    DISPOSITION + b"\r\nContent-Type:",
    DISPOSITION + b"\r\nContent-Type: text/plain; charset=nope",
    DISPOSITION + b"\r\nContent-Type: text/plain; charset=",
    DISPOSITION + b"\r\nContent-Type: \xff",
    DISPOSITION + b"\r\n folded",
    DISPOSITION + b"\r\n" + DISPOSITION,
    DISPOSITION + b"\r\nNo colon here",
    DISPOSITION + b"\r\n: empty",
    DISPOSITION + b"\r\nContent-Transfer-Encoding: base64",
    DISPOSITION + b"\r\nContent-Length: 999999",
    b"X-Other: x",
    b"",
]


@pytest.mark.parametrize("headers", ODD_HEADERS)
def test_odd_headers_of_a_part_are_no_500(post, headers):
    """HOSTILE-73: parts and their names may be lost only with a 400."""
    good = part(b"good", b'Content-Disposition: form-data; name="good"')
    reply = post("/form", multipart(part(b"x", headers), good), MULTIPART)
    assert reply.code in (200, 400)


@pytest.mark.beyond
@pytest.mark.parametrize("headers", [ODD_HEADERS[0], ODD_HEADERS[1], b"X-Other: x", b""])
def test_a_part_without_a_name_never_has_the_name_none(post, headers):
    """HOSTILE-74: 400 or ignored."""
    reply = post("/form", multipart(part(b"x", headers), part(b"good")), MULTIPART)
    assert reply.code in (200, 400)
    assert b'"None"' not in reply.body


NAMES = [
    "../../etc/passwd", "/etc/passwd", "a/b.txt", "..\\..\\a", "C:\\a\\b.txt", "a\0b", "\u202egpj.exe",
    "n" * 10_000, "CON", "nul.txt", "COM1", "..", ".", " ", "a\tb", "\\\\host\\share\\a", "a;b", "a%2fb",
]  # fmt: skip


def with_filename(name):
    quoted = name.replace("\\", "\\\\").replace('"', '\\"').encode()
    return multipart(
        part(b"x", b'Content-Disposition: form-data; name="f"; filename="' + quoted + b'"')
    )


@pytest.mark.parametrize("name", NAMES)
def test_odd_file_names_are_no_500(post, name):
    """HOSTILE-75: traversal, NUL, bidi, 10 kB, device names."""
    assert post("/form", with_filename(name), MULTIPART).code in (200, 400, 413, 431)


@pytest.mark.beyond
@pytest.mark.parametrize("name", NAMES)
def test_a_file_name_has_no_directory(app, raw, name):
    """HOSTILE-76, CVE-2026-24486, CVE-2021-28658: the last part of it at most.

    CVE-2021-31542, CVE-2021-45452, CVE-2024-39330.
    """
    seen = []
    app.add_url_rule(
        "/",
        "view",
        lambda: seen.extend(f.filename for f in request.files.values()) or "",
        methods=["POST"],
    )
    assert (
        raw("/", "POST", body=with_filename(name), headers={"Content-Type": MULTIPART}).code < 500
    )
    for found in seen:
        assert not set(found) & set("/\\"), found
        assert found not in ("..", ".")


BLOBS = {
    "cr": b"\r" * 1_000_000,
    "lf": b"\n" * 1_000_000,
    "crlf": b"\r\n" * 500_000,
    "near boundary": b"\r\n--" * 250_000,
    "nearer boundary": b"\r\n--a" * 200_000,
    "dashes": b"-" * 1_000_000,
    "crlf first": b"\r\n" + b"x" * 1_000_000,
    "cr last": b"x" * 1_000_000 + b"\r",
    "look-alikes": b"\r\n--bb\r\n\r\n--b-\r\n --b\r\n" * 100,
}


@pytest.mark.parametrize("name", BLOBS)
def test_content_that_looks_like_boundaries_is_intact(app, raw, within_cpu_seconds, name):
    """HOSTILE-77, HOSTILE-80, CVE-2023-46136: a megabyte of it, bit for bit."""
    content = BLOBS[name]
    if name == "look-alikes":
        content = content.replace(b"--b", b"--ab")
    same = []

    @app.post("/")
    def view():
        same.append(request.files["f"].read() == content)
        return ""

    with within_cpu_seconds():
        reply = raw(
            "/", "POST", body=multipart(part(content, FILE)), headers={"Content-Type": MULTIPART}
        )
    assert (reply.code, same) == (200, [True])


@pytest.mark.parametrize("unit", [b"x", b"\r\n", b"\r", b"-", b"\r\n--"])
def test_a_long_preamble_or_epilogue_is_linear(post, within_cpu_seconds, unit):
    """HOSTILE-78, CVE-2026-40347: 2 MB."""
    junk = unit * (2_000_000 // len(unit))
    with within_cpu_seconds():
        assert post("/form", junk + b"\r\n" + WHOLE, MULTIPART).code in (200, 400, 413)
        assert post("/form", WHOLE + junk, MULTIPART).code in (200, 400, 413)


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Disposition: form-data; name=f" + b"; a=b" * 30_000,
        b"Content-Disposition: form-data; name=f"
        + b"".join(b"; filename*%d=x" % n for n in range(10_000)),
        b'Content-Disposition: form-data; name="' + b"\\" * 100_000 + b'"',
        b'Content-Disposition: form-data; name="' + b'\\"' * 50_000 + b'"',
        b"Content-Disposition: form-data; name=f" + b";" * 100_000,
    ],
    ids=["parameters", "continuations", "backslashes", "quotes", "semicolons"],
)
def test_a_hostile_content_disposition_is_linear(post, within_cpu_seconds, header):
    """HOSTILE-79, CVE-2022-23833, CVE-2024-30251: of one part."""
    with within_cpu_seconds():
        reply = post("/form", multipart(part(b"x", header)), MULTIPART)
    assert reply.code in (200, 400, 413, 431)


def test_a_big_upload_is_spooled_to_a_private_file(app, call, peak_memory):
    """HOSTILE-81: 8 MB need little memory; the file is private, closed and gone afterwards.

    CVE-2020-24583.
    """
    body = multipart(part(b"0123456789abcdef" * 524_288, FILE))
    seen = {}

    @app.post("/")
    def view():
        stream = request.files["f"].stream
        seen["stream"] = stream
        seen["mode"] = stat.S_IMODE(Path(f"/proc/self/fd/{stream.fileno()}").stat().st_mode)
        seen["size"] = stream.seek(0, 2)
        return ""

    headers = {"Content-Type": MULTIPART}
    options = {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    call(app, "/", "POST", body=multipart(part(b"x")), headers=headers)
    with peak_memory() as peak:
        assert call(app, "/", "POST", headers=headers, **options).code == 200
    assert seen["size"] == 8_388_608
    assert seen["mode"] == 0o600
    assert seen["stream"].closed
    assert peak.bytes < 3_000_000


@pytest.fixture
def spools(monkeypatch):
    """The temporary files that uploads are written to."""
    import tempfile

    made = []

    class Spool(tempfile.SpooledTemporaryFile):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            made.append(self)

    real = tempfile.TemporaryFile

    def temporary(*args, **kwargs):
        made.append(real(*args, **kwargs))
        return made[-1]

    for module in ("tempfile", "werkzeug.formparser", "carboy.formparsing"):
        monkeypatch.setattr(f"{module}.SpooledTemporaryFile", Spool, raising=False)
        monkeypatch.setattr(f"{module}.TemporaryFile", temporary, raising=False)
    return made


@pytest.mark.beyond
def test_files_of_a_refused_upload_are_closed_at_once(app, call, spools):
    """HOSTILE-82: a 413 after the first file; nothing waits for the collector."""
    app.config["MAX_FORM_PARTS"] = 1

    @app.post("/")
    def view():
        return str(len(request.files))

    body = multipart(part(b"x" * 700_000, FILE), part(b"x" * 700_000, FILE))
    assert call(app, "/", "POST", body=body, headers={"Content-Type": MULTIPART}).code == 413
    assert spools
    assert all(spool.closed for spool in spools)


@pytest.mark.parametrize("ending", ["returns", "raises"])
def test_files_are_closed_after_the_request(app, call, ending):
    """HOSTILE-83: also when the view raises."""
    streams = []

    @app.post("/")
    def view():
        streams.append(request.files["f"].stream)
        if ending == "raises":
            raise ValueError
        return ""

    body = multipart(part(b"x" * 700_000, FILE))
    reply = call(app, "/", "POST", body=body, headers={"Content-Type": MULTIPART})
    assert reply.code == (200 if ending == "returns" else 500)
    assert streams[0].closed


def test_a_view_may_leave_the_body_unread(post):
    """HOSTILE-83: of any kind and size."""
    assert post("/unread", WHOLE, MULTIPART).body == b"unread"
    assert post("/unread", b"{", JSON).body == b"unread"

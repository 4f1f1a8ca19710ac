"""The first inputs of each target; the corpus that is kept grows from them."""

from __future__ import annotations

from pathlib import Path

_MULTIPART = (
    b'--b\r\nContent-Disposition: form-data; name="n"\r\n\r\nvalue\r\n'
    b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n'
    b"Content-Type: text/plain\r\n\r\nfile\r\n--b--\r\n"
)

REQUESTS = (
    b"GET / HTTP/1.1\nHost: localhost\n\n",
    b"GET /i/-7?a=1&b=%20 HTTP/1.1\nHost: localhost\nAccept: text/html;q=0.9\n\n",
    b"GET /any/one/end HTTP/1.1\nHost: localhost\n\n",
    b"GET /s/x HTTP/1.1\nHost: localhost\n\n",
    b"POST /form HTTP/1.1\nHost: localhost\nContent-Type: application/x-www-form-urlencoded\n"
    b"Content-Length: 7\n\na=1&b=2",
    b"POST /form HTTP/1.1\nHost: localhost\nContent-Type: multipart/form-data; boundary=b\n"
    b"Content-Length: %d\n\n%s" % (len(_MULTIPART), _MULTIPART),
    b"POST /json HTTP/1.1\nHost: localhost\nContent-Type: application/json\nContent-Length: 9\n\n"
    b'{"a":[1]}',
    b"POST /silent HTTP/1.1\nHost: localhost\nContent-Length: 3\n\n[1]",
    b"POST /key HTTP/1.1\nHost: localhost\nContent-Length: 0\n\n",
    b"GET /session?v=1 HTTP/1.1\nHost: localhost\nCookie: session=e30.x.y; a=b\n\n",
    b"GET /away?next=//evil.example HTTP/1.1\nHost: localhost\n\n",
    b"GET /raw-away?x=%0a HTTP/1.1\nHost: localhost\n\n",
    b"GET /signed?q=1 HTTP/1.1\nHost: localhost\n\n",
    b"GET /cookie?v=%0d%0a HTTP/1.1\nHost: localhost\n\n",
    b"GET /file/..%2fsecret.txt HTTP/1.1\nHost: localhost\nRange: bytes=0-1,3-\n\n",
    b'GET /static/a.txt HTTP/1.1\nHost: localhost\nIf-None-Match: "x"\n\n',
    b"GET /stream?v=1 HTTP/1.1\nHost: localhost\n\n",
    b"GET /astream?x HTTP/1.1\nHost: localhost\n\n",
    b"OPTIONS /json HTTP/1.1\nHost: localhost\nOrigin: https://app.example\n"
    b"Access-Control-Request-Method: PUT\n\n",
    b"HEAD /data HTTP/1.0\n\n",
    b"POST /stream HTTP/1.1\nHost: localhost\nContent-Length: 0\n\n",
    b"POST /json HTTP/1.1\nHost: localhost\nContent-Type: text/plain\nContent-Length: 2\n\n{}",
)

SEEDS: dict[str, tuple[bytes, ...]] = {
    "wsgi-request": REQUESTS,
    "asgi-request": REQUESTS,
    "rsgi-request": REQUESTS,
    "doors-agree": REQUESTS,
    "query": (b"a=1&b=2&a=3", b"%ff=%e9&=&a", b"a+b=%20", b"&&"),
    "cookies": (b'a=b; c="d\\073e"; session=x.y.z', b"=x; a", b";;"),
    "urlencoded-form": (b"a=1&b=%e9", b"a=" + b"x" * 5000),
    "multipart-form": (_MULTIPART, _MULTIPART.replace(b"\r\n", b"\n"), b"--b--"),
    "multipart-content": (b"text", b"\r\n--\r\n-", b"\r" * 50),
    "json-body": (b'{"a": [1, 2.5, null, "\\u00e9"]}', b"NaN", "é".encode("utf-16")),
    "header-values": (
        b"if_none_match:W/\"a\", \"b\"",
        b"range:bytes=0-1,-5",
        b"authorization:Digest username=\"a\", nonce=b",
        b"cookie:a=b; c=d",
        b"date:Thu, 01 Jan 1970 00:00:00 GMT",
        b"accept:text/html;q=0.5;level=1, */*",
    ),
    "route": (b"a/5/b", b"f/-1.5", b"one/z", b"en/007", b"x-1-2/c", b"a/b/c/end", b"q/last/", b"no/such"),
    "session-cookie": (b"e30.aaaa.bbbb", b".eJyrVkrLz1eyUkpKLFKqBQAhOgSH.Zx.y"),
    "tagged-json": (b'{" t": [1, 2]}', b'{" di": {" t__": 1}}', b'["a", {"b": null}]'),
    "redirect-target": (b"/a", b"//evil.example", b"http:example.com", b"\\\\evil.example"),
    "origin-header": (b"https://example.com", b"https://example.com:443", b"null"),
    "forwarded-header": (b'for=192.0.2.1;proto=https;host="a:1"', b'for="[2001:db8::1]:1", for=_x', b";;"),
    "signed-url": (b"signed?expires=1&_carboy_signature=x", b"a"),
}  # fmt: skip


def plant(folder: Path) -> None:
    """Write the seeds of each target into its folder of the corpus."""
    for name, inputs in SEEDS.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(inputs):
            (folder / name / f"seed-{number:02}").write_bytes(data)

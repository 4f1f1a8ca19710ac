"""ASGI 3, for applications: HTTP, WebSocket and lifespan."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from .rules import AnswerChecker, Checker

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

HTTP = "ASGI 3, HTTP: '{}'"
WEBSOCKET = "ASGI 3, WebSocket: '{}'"
LIFESPAN = "ASGI 3, Lifespan: '{}'"


def asgi(app: App) -> App:
    """`app`, held to ASGI 3: what breaks a rule raises `LintError`."""

    async def linted(scope: Message, receive: Receive, send: Send) -> None:
        make = _KINDS.get(scope["type"])
        if make is None:
            await app(scope, receive, send)
            return
        check = make(scope)

        async def receiving() -> Message:
            message = await receive()
            check.received(message)
            return message

        async def sending(message: Message) -> None:
            check.check_form(message)
            check.sending(message)
            try:
                await send(message)
            except OSError:
                check.gone = True
                raise

        called = app(scope, receiving, sending)
        if not hasattr(called, "__await__"):
            check.fail(
                "ASGI 3, 'Applications'",
                f"The application returned {called!r}.",
                "It is an async function of scope, receive and send.",
            )
        await called
        check.again()
        if not check.gone:
            check.end()

    return linted


class _Connection(Checker):
    """What all three kinds of connection have."""

    rule = ""

    def __init__(self, scope: Message) -> None:
        super().__init__()
        self.gone = False

    def check_form(self, message: Any) -> None:
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            self.fail(
                "ASGI 3, 'Events'",
                f"The application sent {message!r}.",
                'Send a dict with a "type".',
            )

    def received(self, message: Message) -> None:
        if message["type"].endswith(".disconnect"):
            self.gone = True

    def sending(self, message: Message) -> None:
        raise NotImplementedError

    def end(self) -> None:
        pass

    def unknown(self, message: Message, known: str) -> None:
        self.fail(
            self.rule.format("Send event"),
            f"The application sent {message['type']!r}.",
            f"It may send {known}.",
        )


class _Answering(_Connection, AnswerChecker):
    """An answer in messages whose types begin with `prefix`."""

    prefix = "http.response"
    rule = HTTP

    def __init__(self, scope: Message) -> None:
        AnswerChecker.__init__(self, scope.get("method", "GET"))
        self.gone = False
        self.state = "waiting"

    def sending(self, message: Message) -> None:
        kind = message["type"]
        if self.state == "complete":
            self.fail(
                self.rule.format("Response Body - send event"),
                f"{kind} was sent after the last part of the body.",
                'The body ends with the first message without "more_body": True.',
            )
        if kind == f"{self.prefix}.start":
            self._start(message)
        elif kind == f"{self.prefix}.body":
            self._body(message)
        else:
            self.unknown(message, f"{self.prefix}.start and {self.prefix}.body")

    def _start(self, message: Message) -> None:
        rule = self.rule.format("Response Start - send event")
        if self.state != "waiting":
            self.fail(rule, "The answer was begun twice.", "Send the start once.")
        self.check_status(message.get("status"), rule)
        check_pairs(self, message.get("headers", ()), rule)
        self.check_head()
        self.state = "begun"

    def _body(self, message: Message) -> None:
        rule = self.rule.format("Response Body - send event")
        if self.state == "waiting":
            self.fail(rule, "A body came before the start.", f"Send {self.prefix}.start first.")
        body = message.get("body", b"")
        if not isinstance(body, bytes | bytearray | memoryview):
            self.fail(rule, f"A part of the body is {body!r}.", "It is bytes: encode text.")
        self.count(len(body))
        if not message.get("more_body", False):
            self.check_whole()
            self.state = "complete"

    def end(self) -> None:
        if self.state == "waiting":
            self.fail(
                self.rule.format("Response Start - send event"),
                "The application ended without an answer.",
                "Send a start and a body, or raise an exception.",
            )
        if self.state == "begun":
            self.fail(
                self.rule.format("Response Body - send event"),
                "The application ended in the middle of its answer.",
                'End the body with a message without "more_body": True.',
            )


def check_pairs(check: AnswerChecker, headers: Any, rule: str) -> None:
    """The headers of an answer."""
    for pair in headers:
        if len(pair) != 2 or not all(isinstance(part, bytes) for part in pair):
            check.fail(rule, f"{pair!r} is no header.", "Send pairs of bytes: [b'name', b'value'].")
        name, value = pair
        if name != name.lower():
            check.fail(rule, f"The header {name!r} has capitals.", "Names are in lower case.")
        check.check_header(name.decode("latin-1"), value.decode("latin-1"), rule)


class _WebSocket(_Connection):
    rule = WEBSOCKET

    def __init__(self, scope: Message) -> None:
        super().__init__(scope)
        self.state = "connecting"
        self._protocols = scope.get("subprotocols", ())
        self._may_answer = "websocket.http.response" in (scope.get("extensions") or {})
        self._denial = _Denial(scope)

    def sending(self, message: Message) -> None:
        kind = message["type"]
        if kind.startswith("websocket.http.response."):
            self._deny(message)
        elif kind == "websocket.accept":
            self._accept(message)
        elif kind == "websocket.send":
            self._send(message)
        elif kind == "websocket.close":
            self._close(message)
        else:
            self.unknown(message, "websocket.accept, websocket.send and websocket.close")

    def _deny(self, message: Message) -> None:
        if not self._may_answer or self.state not in ("connecting", "denying"):
            self.fail(
                self.rule.format("Websocket Denial Response"),
                "A WebSocket was answered with HTTP where that cannot be.",
                "Do so before it is accepted, and if the scope's extensions have"
                ' "websocket.http.response".',
            )
        self.state = "denying"
        self._denial.sending(message)
        if self._denial.state == "complete":
            self.state = "closed"

    def _accept(self, message: Message) -> None:
        rule = self.rule.format("Accept - send event")
        if self.state != "connecting":
            self.fail(rule, f"A WebSocket was accepted when it was {self.state}.", "Accept once.")
        protocol = message.get("subprotocol")
        if protocol is not None and protocol not in self._protocols:
            self.fail(
                rule,
                f"The subprotocol {protocol!r} is none of the client's, {self._protocols!r}.",
                "Choose one of scope['subprotocols'], or None.",
            )
        headers = AnswerChecker("GET")
        check_pairs(headers, message.get("headers", ()), rule)
        if any(name == b"sec-websocket-protocol" for name, _ in message.get("headers", ())):
            self.fail(rule, "The subprotocol is a header.", "Send it as subprotocol.")
        self.state = "open"

    def _send(self, message: Message) -> None:
        rule = self.rule.format("Send - send event")
        if self.state != "open":
            self.fail(rule, f"Data was sent when the WebSocket was {self.state}.", "Accept first.")
        data, text = message.get("bytes"), message.get("text")
        if (data is None) == (text is None):
            self.fail(rule, f"The message {message!r} is not one of both.", "Send bytes or text.")
        if not isinstance(data, bytes | None) or not isinstance(text, str | None):
            self.fail(rule, f"The message {message!r} mixes types.", "bytes is bytes, text is str.")

    def _close(self, message: Message) -> None:
        rule = self.rule.format("Close - send event")
        if self.state == "closed":
            self.fail(rule, "The WebSocket was closed twice.", "Close once.")
        code = message.get("code", 1000)
        if type(code) is not int or not _is_close_code(code):
            self.fail(
                f"{rule}; RFC 6455 section 7.4",
                f"The close code is {code!r}.",
                "Use 1000, 1001 to 1014 as registered, or 3000 to 4999.",
            )
        if len((message.get("reason") or "").encode()) > 123:
            self.fail(
                f"{rule}; RFC 6455 section 5.5",
                "The reason is longer than 123 bytes.",
                "Shorten it: a control frame holds 125 bytes.",
            )
        self.state = "closed"

    def end(self) -> None:
        if self.state == "connecting":
            self.fail(
                self.rule.format("Connect - receive event"),
                "The application ended and left a WebSocket unanswered.",
                "Accept or close it.",
            )


def _is_close_code(code: int) -> bool:
    return 3000 <= code <= 4999 or (1000 <= code <= 1014 and code not in (1004, 1005, 1006))


class _Denial(_Answering):
    prefix = "websocket.http.response"
    rule = WEBSOCKET


class _Lifespan(_Connection):
    rule = LIFESPAN

    def __init__(self, scope: Message) -> None:
        super().__init__(scope)
        self._asked: list[str] = []
        self._told: list[str] = []

    def received(self, message: Message) -> None:
        self._asked.append(message["type"].partition(".")[2])

    def sending(self, message: Message) -> None:
        kind = message["type"]
        stage, _, how = kind.removeprefix("lifespan.").partition(".")
        if stage not in ("startup", "shutdown") or how not in ("complete", "failed"):
            self.unknown(message, "lifespan.startup.complete, .failed and those of shutdown")
        rule = self.rule.format(f"{stage.title()} {how.title()} - send event")
        if stage not in self._asked:
            self.fail(rule, f"{kind} came before lifespan.{stage}.", "Wait for receive().")
        if stage in self._told:
            self.fail(rule, f"The {stage} was told of twice.", "Send one message for each.")
        self._told.append(stage)


_KINDS: dict[str, Callable[[Message], Any]] = {
    "http": _Answering,
    "websocket": _WebSocket,
    "lifespan": _Lifespan,
}

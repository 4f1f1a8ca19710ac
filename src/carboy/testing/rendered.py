"""Which templates an answer was made of: the list behind `response.templates`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from carboy.globals import _cv_request
from carboy.signals import template_rendered

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment
    from jinja2 import Template

#: The environ key under which a request of the test client carries its list of names.
MARK = "carboy.testing.templates"


class TemplateRecorder:
    """Listens to `template_rendered` while one request of the test client is answered.

    The signal reaches every listener of the application, so a rendering counts only when the
    current request carries this recorder's own list: requests of other threads, and requests
    that a view makes with a second client, keep theirs apart.
    """

    def __init__(self, environ: WSGIEnvironment) -> None:
        self.names: list[str] = environ.setdefault(MARK, [])

    def note(self, sender: object, template: Template, **context: Any) -> None:
        """Receive one signal. A template made from a string has no name and is left out."""
        current = _cv_request.get(None)
        if current is None or template.name is None:
            return
        if current.request.environ.get(MARK) is self.names:
            self.names.append(template.name)

    def start(self, app: object) -> None:
        template_rendered.connect(self.note, sender=app)

    def stop(self) -> None:
        template_rendered.disconnect(self.note)


class RecordedBody(Iterator[bytes]):
    """A body that keeps its recorder listening until the last block: streams render late.

    The signal holds receivers weakly, so a body that is dropped half-way takes the recorder
    with it.
    """

    def __init__(self, body: Iterable[bytes], recorder: TemplateRecorder) -> None:
        self._body = body
        self._blocks = iter(body)
        self._recorder = recorder

    def __next__(self) -> bytes:
        try:
            return next(self._blocks)
        except BaseException:  # the end as well as a failure
            self._recorder.stop()
            raise

    def close(self) -> None:
        self._recorder.stop()
        close = getattr(self._body, "close", None)
        if close is not None:
            close()

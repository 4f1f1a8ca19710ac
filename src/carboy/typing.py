"""Names for the types that applications hand to Carboy and get back from it.

These aliases are real objects at run time, so an application may combine them
(``ResponseReturnValue | MyThing``) and inspect them. Classes they mention stay forward
references: importing this module imports nothing but the standard library.
"""

from __future__ import annotations

import collections.abc as cabc
import typing as t

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication
    from werkzeug.datastructures import Headers
    from werkzeug.sansio.response import Response

_Variables = dict[str, t.Any]
_Texts = t.Iterator[str] | cabc.AsyncIterable[str]
_Chunks = t.Iterator[bytes] | cabc.AsyncIterable[bytes]

# -- what a view returns ------------------------------------------------------------------------

#: One header's value, or the values of a header that is repeated.
HeaderValue = str | tuple[str, ...] | list[str]

#: The headers of a ``(value, headers)`` return.
HeadersValue = t.Union[t.Sequence[tuple[str, HeaderValue]], t.Mapping[str, HeaderValue], "Headers"]

#: A response, or a value that :meth:`~carboy.Carboy.make_response` makes one of. At run time the
#: mapping must be a ``dict``; ``Mapping`` stands here so that a ``TypedDict`` passes the checker.
ResponseValue = t.Union[bytes, str, t.Mapping[str, t.Any], list[t.Any], _Texts, _Chunks, "Response"]

#: Everything a view function may return.
ResponseReturnValue = t.Union[
    "WSGIApplication",
    ResponseValue,
    tuple[ResponseValue, int, HeadersValue],
    tuple[ResponseValue, HeadersValue],
    tuple[ResponseValue, int],
]

#: A response class of the application's own, which an ``after_request`` function gets and returns.
ResponseClass = t.TypeVar("ResponseClass", bound="Response")

# -- the functions that an application registers ------------------------------------------------

_Return = ResponseReturnValue
_Nothing = t.Callable[[], None]

RouteCallable = t.Callable[..., _Return] | t.Callable[..., t.Awaitable[_Return]]

#: Takes the exception. ``Any``, since one handler may serve several classes of exception.
ErrorHandlerCallable = t.Callable[[t.Any], _Return] | t.Callable[[t.Any], t.Awaitable[_Return]]

BeforeFirstRequestCallable = _Nothing | t.Callable[[], t.Awaitable[None]]
BeforeRequestCallable = t.Callable[[], _Return | None] | t.Callable[[], t.Awaitable[_Return | None]]
AfterRequestCallable = (
    t.Callable[[ResponseClass], ResponseClass]
    | t.Callable[[ResponseClass], t.Awaitable[ResponseClass]]
)
TeardownCallable = (
    t.Callable[[BaseException | None], None] | t.Callable[[BaseException | None], t.Awaitable[None]]
)

URLValuePreprocessorCallable = t.Callable[[str | None, _Variables | None], None]
#: Takes the error, the endpoint and the values of ``url_for``; returns a URL or raises.
URLBuildErrorCallable = t.Callable[[Exception, str, _Variables], str]
URLDefaultCallable = t.Callable[[str, _Variables], None]

TemplateContextProcessorCallable = (
    t.Callable[[], _Variables] | t.Callable[[], t.Awaitable[_Variables]]
)
TemplateFilterCallable = t.Callable[..., t.Any]
TemplateTestCallable = t.Callable[..., bool]
TemplateGlobalCallable = t.Callable[..., t.Any]

ShellContextProcessorCallable = t.Callable[[], _Variables]

#: The key of an application's or blueprint's tables: None for the application, else the name.
AppOrBlueprintKey = str | None

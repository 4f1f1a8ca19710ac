"""The configuration: a dict of upper-case keys, the ways to fill it, and its default values.

Two tables of defaults exist, one a profile. ``carboy`` is for new applications, ``flask`` holds
the values of Flask 3.1 and is chosen by the ``flask`` alias before an application is made. A
profile decides values only; what a value means is the same in both.
"""

from __future__ import annotations

import errno
import json
import os
import typing as t
from collections.abc import MutableMapping
from datetime import timedelta
from functools import partial
from types import ModuleType

from werkzeug.utils import import_string

if t.TYPE_CHECKING:
    import typing_extensions as te

T = t.TypeVar("T")

_DEFAULTS: dict[str, t.Any] = {
    # running
    "DEBUG": None,
    "TESTING": False,
    "EXPLAIN_TEMPLATE_LOADING": False,
    "TEMPLATES_AUTO_RELOAD": None,
    "PROPAGATE_EXCEPTIONS": None,
    "TRAP_HTTP_EXCEPTIONS": False,
    "TRAP_BAD_REQUEST_ERRORS": None,
    # keys, oldest last
    "SECRET_KEY": None,
    "SECRET_KEY_FALLBACKS": None,
    # addresses
    "SERVER_NAME": None,
    "TRUSTED_HOSTS": None,
    "TRUSTED_PROXIES": None,
    "PREFERRED_URL_SCHEME": "http",
    "APPLICATION_ROOT": "/",
    "PROVIDE_AUTOMATIC_OPTIONS": True,
    # request bodies: bytes, bytes, parts
    "MAX_CONTENT_LENGTH": None,
    "MAX_FORM_MEMORY_SIZE": 500_000,
    "MAX_FORM_PARTS": 1000,
    # fields of a query string
    "MAX_QUERY_FIELDS": 1000,
    # WebSockets: sites beside the own one, or "*"; bytes; seconds, None for ever; seconds until a
    # view is cancelled whose client has gone, 0 at once, None never; how many sync views run
    "WEBSOCKET_ORIGINS": None,
    "WEBSOCKET_MAX_MESSAGE_SIZE": 1_048_576,
    "WEBSOCKET_IDLE_TIMEOUT": None,
    "WEBSOCKET_DISCONNECT_GRACE": 10,
    "WEBSOCKET_MAX_THREADS": 200,
    # files: seconds, or None to let the browser ask each time
    "SEND_FILE_MAX_AGE_DEFAULT": None,
    "USE_X_SENDFILE": False,
    # files of a folder: links that lead out of it, names that begin with a dot
    "SEND_FILE_LINKS": False,
    "SEND_FILE_HIDDEN": False,
    # the session and its cookie; the size is in bytes
    "PERMANENT_SESSION_LIFETIME": timedelta(days=31),
    "SESSION_REFRESH_EACH_REQUEST": True,
    "MAX_COOKIE_SIZE": 4093,
    # of answers for which the session was looked at and that say nothing themselves
    "SESSION_CACHE_CONTROL": "private",
    # forged requests: None means on if `CSRF(app)` was called; the age is in seconds
    "CSRF_PROTECT": True,
    "CSRF_TRUSTED_ORIGINS": (),
    "CSRF_ALLOWED_SITES": ("same-origin", "none"),
    "CSRF_EXEMPT_SCHEMES": (),
    "CSRF_TOKEN_REQUIRED": False,
    "CSRF_TOKEN_MAX_AGE": 86_400,
    "CSRF_ALLOW_BARE": True,
    # how often a client may ask: a list such as ["300 per minute"]; False is off, None leaves it
    # to `RateLimits(app)`; a store for several workers; "memory" or "refuse" when it is away
    "RATE_LIMITS": None,
    "RATE_LIMIT_STORAGE": "memory://",
    "RATE_LIMIT_ON_ERROR": "memory",
    "RATE_LIMIT_MAX_KEYS": 100_000,
    # headers for browsers: True, False, or a dict of changes; None means on if
    # `SecurityHeaders(app)` was called
    "SECURITY_HEADERS": True,
    # what `carboy check` is not to report: ids of rules
    "CHECK_IGNORE": (),
}
_SESSION_COOKIE = {
    "NAME": "session",
    "PATH": None,
    "DOMAIN": None,
    # None: unless the request came to this very machine by plain http, or in debug mode
    "SECURE": None,
    "HTTPONLY": True,
    "SAMESITE": "Lax",
    "PARTITIONED": False,
}
_DEFAULTS |= {f"SESSION_COOKIE_{part}": value for part, value in _SESSION_COOKIE.items()}

#: What differs from the table above, by profile.
_PROFILES: dict[str, dict[str, t.Any]] = {
    "carboy": {},
    "flask": {
        "SEND_FILE_LINKS": True,
        "SEND_FILE_HIDDEN": True,
        "SESSION_COOKIE_SECURE": False,
        "SESSION_COOKIE_SAMESITE": None,
        "SESSION_CACHE_CONTROL": None,
        "CSRF_PROTECT": None,
        "CSRF_ALLOW_BARE": False,
        "SECURITY_HEADERS": None,
        "MAX_QUERY_FIELDS": None,
    },
}

#: The profile that applications made from now on get. Change it with :func:`use_profile`.
profile: str = "carboy"


def use_profile(name: str) -> None:
    """Choose the defaults, ``"carboy"`` or ``"flask"``, of the applications made after this call.

    Raises :exc:`ValueError` for another name.
    """
    global profile
    if name not in _PROFILES:
        known = " or ".join(map(repr, _PROFILES))
        raise ValueError(f"There is no profile {name!r} of default settings; use {known}.")
    profile = name


def default_config(name: str | None = None) -> dict[str, t.Any]:
    """Return a new dict of every built-in key and its default in the profile ``name``.

    None means the profile chosen for this process.
    """
    return _DEFAULTS | _PROFILES[profile if name is None else name]


class ConfigAttribute(t.Generic[T]):
    """An attribute of the application that reads and writes one key of its configuration.

    ``get_converter`` is applied to the value on each read.
    """

    def __init__(self, name: str, get_converter: t.Callable[[t.Any], T] | None = None) -> None:
        self.__name__ = name
        self.get_converter = get_converter

    @t.overload
    def __get__(self, obj: None, owner: t.Any = None) -> te.Self: ...

    @t.overload
    def __get__(self, obj: object, owner: t.Any = None) -> T: ...

    def __get__(self, obj: t.Any, owner: t.Any = None) -> T | te.Self:
        if obj is None:
            return self
        value: T = obj.config[self.__name__]
        convert = self.get_converter
        return value if convert is None else convert(value)

    def __set__(self, obj: t.Any, value: t.Any) -> None:
        obj.config[self.__name__] = value


class Config(dict[str, t.Any]):
    """A dict with loaders. File names are relative to ``root_path``.

    Loaders of files, objects and mappings take the upper-case names and pass over the rest, so a
    configuration file may use lower-case names for itself. What is loaded later wins.
    """

    def __init__(
        self, root_path: str | os.PathLike[str], defaults: dict[str, t.Any] | None = None
    ) -> None:
        super().__init__(defaults or ())
        self.root_path = root_path

    def from_envvar(self, variable_name: str, silent: bool = False) -> bool:
        """Load the Python file that the environment variable names.

        Returns whether something was loaded. Raises :exc:`RuntimeError` when the variable is not
        set or empty, and :exc:`OSError` when the file cannot be read; ``silent`` returns False
        for a missing variable or file.
        """
        path = os.environ.get(variable_name)
        if path:
            return self.from_pyfile(path, silent=silent)
        if silent:
            return False
        raise RuntimeError(
            f"The environment variable {variable_name!r} is not set, so there is no configuration"
            f" file to load. Set it to the path of a Python file, as in"
            f" `export {variable_name}=/srv/app/settings.py`, or pass silent=True if the file"
            " is optional."
        )

    def from_prefixed_env(
        self, prefix: str = "FLASK", *, loads: t.Callable[[str], t.Any] = json.loads
    ) -> bool:
        """Take every environment variable ``PREFIX_KEY`` as the key ``KEY``, in sorted order.

        A value goes through ``loads`` (JSON by default) and stays a string where that fails.
        ``PREFIX_A__b__c`` sets ``config["A"]["b"]["c"]``, making dicts on the way. Returns True.
        Raises :exc:`TypeError` when a part of such a path is there and is not a dict.
        """
        start = f"{prefix}_"
        found = sorted(item for item in os.environ.items() if item[0].startswith(start))
        for variable, text in found:
            value: t.Any
            try:
                value = loads(text)
            except Exception:
                value = text  # not in the loader's language: meant as text
            *parents, last = variable[len(start) :].split("__")
            self._inner_dict(parents, variable)[last] = value
        return True

    def _inner_dict(self, path: list[str], variable: str) -> MutableMapping[str, t.Any]:
        here: MutableMapping[str, t.Any] = self
        for part in path:
            here = here.setdefault(part, {})
            if not isinstance(here, MutableMapping):
                raise TypeError(
                    f"The environment variable {variable!r} sets an item inside {part!r}, which"
                    f" has a {type(here).__name__} as its value. Remove one of the two settings,"
                    f" or make {part!r} a dict (in the environment, a JSON object)."
                )
        return here

    def from_pyfile(self, filename: str | os.PathLike[str], silent: bool = False) -> bool:
        """Run a Python file and load the upper-case names it defines.

        Returns whether it was loaded. Raises :exc:`OSError` when it cannot be read; ``silent``
        returns False when it does not exist or is a directory.
        """
        path = os.path.join(self.root_path, filename)
        module = ModuleType("config")
        module.__file__ = path
        try:
            with open(path, "rb") as file:
                source = file.read()
        except OSError as error:
            if silent and error.errno in {errno.ENOENT, errno.EISDIR, errno.ENOTDIR}:
                return False
            _say_how(error)
            raise
        exec(compile(source, path, "exec"), vars(module))
        self.from_object(module)
        return True

    def from_object(self, obj: object | str) -> None:
        """Load the upper-case attributes of an object, or of what an import name stands for.

        Usually a module or a class; a class whose settings are properties must be passed as an
        instance. A dict has no such attributes, so it sets nothing: use :meth:`from_mapping`.
        """
        source = import_string(obj) if isinstance(obj, str) else obj
        for name in filter(str.isupper, dir(source)):
            self[name] = getattr(source, name)

    def from_file(
        self,
        filename: str | os.PathLike[str],
        load: t.Callable[[t.IO[t.Any]], t.Mapping[str, t.Any]],
        silent: bool = False,
        text: bool = True,
    ) -> bool:
        """Load the mapping that ``load`` makes of an open file.

        ``load=json.load``; ``load=tomllib.load, text=False`` for a loader that reads bytes. A
        function of strings (one whose name ends in ``loads``, as ``tomllib.loads``) is given the
        contents as UTF-8 text. Returns whether it was loaded; errors as in :meth:`from_pyfile`.
        """
        path = os.path.join(self.root_path, filename)
        try:
            if _takes_string(load):
                with open(path, encoding="utf-8") as file:
                    mapping = t.cast("t.Callable[[str], t.Any]", load)(file.read())
            else:
                with open(path, "r" if text else "rb") as file:
                    mapping = load(file)
        except OSError as error:
            if silent and error.errno in {errno.ENOENT, errno.EISDIR}:
                return False
            _say_how(error)
            raise
        return self.from_mapping(mapping)

    def from_mapping(self, mapping: t.Mapping[str, t.Any] | None = None, **kwargs: t.Any) -> bool:
        """Load the items of a mapping and of the keyword arguments that have upper-case keys.

        Returns True.
        """
        for key, value in dict(mapping or (), **kwargs).items():
            if key.isupper():
                self[key] = value
        return True

    def get_namespace(
        self, namespace: str, lowercase: bool = True, trim_namespace: bool = True
    ) -> dict[str, t.Any]:
        """Return the items whose keys begin with ``namespace``, as a new dict.

        With ``MAIL_HOST`` and ``MAIL_PORT`` set, ``get_namespace("MAIL_")`` has the keys ``host``
        and ``port``. ``lowercase`` and ``trim_namespace`` say how keys are changed.
        """
        cut = len(namespace) if trim_namespace else 0
        change = str.lower if lowercase else str
        return {change(key[cut:]): self[key] for key in self if key.startswith(namespace)}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {super().__repr__()}>"


def _say_how(error: OSError) -> None:
    error.strerror = f"Unable to load configuration file ({error.strerror})"
    error.add_note(
        "A relative name is looked up from the root_path of the configuration, which is the"
        " application's folder. Check the name, or pass silent=True if the file is optional."
    )


def _takes_string(load: t.Callable[..., t.Any]) -> bool:
    while isinstance(load, partial):
        load = load.func
    return getattr(load, "__name__", "").endswith("loads")

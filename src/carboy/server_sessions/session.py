"""The session of one request, and what is told of the sessions of a user."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from datetime import datetime

from werkzeug.exceptions import ServiceUnavailable

from carboy.sessions import SecureCookieSession

if t.TYPE_CHECKING:
    from .stores import Record

_RETRY = 5  # seconds


class SessionStoreUnavailable(ServiceUnavailable):
    """The 503 of a request that needs its session while the store does not answer."""

    def __init__(self) -> None:
        super().__init__(
            "The sessions cannot be reached at the moment. Try again in a few seconds.",
            retry_after=_RETRY,
        )


class SessionInfo(t.NamedTuple):
    """One session of a user, as :meth:`ServerSessions.sessions_of` lists it.

    ``handle`` names it for :meth:`ServerSessions.revoke`, and signs nobody in.
    """

    handle: str
    created: datetime
    last_used: datetime
    address: str | None
    user_agent: str | None
    is_current: bool


class ServerSession(SecureCookieSession):
    """A session whose items lie in a store.

    Changes inside of items are noticed, too: items are compared as they are saved. A new user and
    :meth:`clear` give it a new id, so that signing in as Flask's documentation has it is safe.
    """

    def __init__(
        self,
        items: Mapping[str, t.Any] | None = None,
        *,
        session_id: str | None = None,
        record: Record | None = None,
    ) -> None:
        super().__init__(items)
        #: The id in the cookie, None while the session is new. Never tell it to anybody.
        self.id = session_id
        self.new = session_id is None
        self._record = record
        self._user = None if record is None else record.user
        self._regenerates = False

    @property
    def user(self) -> str | None:
        """Whose session it is, for the list of a user's sessions: set it at sign-in. The session
        gets a new id then."""
        return self._user

    @user.setter
    def user(self, value: str | int | None) -> None:
        new = None if value is None else str(value)
        if new != self._user:
            self._user = new
            self.regenerate()

    def regenerate(self) -> None:
        """Give the session a new id when it is saved, and forget the old one.

        To be called when somebody signs in or gets more rights: who knew the id before, because
        they had planted it, must not share what comes.
        """
        self._regenerates = True
        self.modified = True

    def clear(self) -> None:
        """Remove all items, and whose session it is; what is set after that has a new id."""
        super().clear()
        self._user = None
        self.regenerate()


class UnavailableSession(ServerSession):
    """Stands in while the store is away: whoever looks at it gets a 503."""

    def _refuse(self, *args: t.Any, **kwargs: t.Any) -> t.NoReturn:
        raise SessionStoreUnavailable

    __getitem__ = __iter__ = __len__ = __contains__ = get = keys = items = values = _refuse
    __setitem__ = __delitem__ = setdefault = update = pop = popitem = clear = _refuse
    del _refuse

    def __bool__(self) -> bool:
        return False

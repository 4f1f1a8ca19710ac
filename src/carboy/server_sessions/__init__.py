"""Sessions that lie on the server: the cookie holds nothing but a random id.

``ServerSessions(app)`` puts them in place of the signed cookie, with the same ``session``. They can
be revoked, listed for a user, and hold more than a cookie does; requests that run at the same time
and change different keys do not undo each other.
"""

from __future__ import annotations

from .interface import ServerSessions as ServerSessions
from .session import ServerSession as ServerSession
from .session import SessionInfo as SessionInfo
from .session import SessionStoreUnavailable as SessionStoreUnavailable
from .stores import Record as Record
from .stores import Store as Store
from .stores import store_from as store_from

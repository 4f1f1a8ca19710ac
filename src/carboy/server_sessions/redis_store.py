"""Sessions in Redis or Valkey: one hash a session, which the store itself ends."""

from __future__ import annotations

import hashlib
import typing as t

import redis

from .stores import Change, Record

_TIMEOUT = 2  # seconds: a store that hangs must not hang the application

#: Changes a session in one step, if it is there. KEYS: the session. ARGV: the moment it ends (ms),
#: how many fields to set, these as name and value, then names to remove.
_MERGE = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local many = tonumber(ARGV[2])
for i = 3, 2 + many * 2, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
for i = 3 + many * 2, #ARGV do redis.call('HDEL', KEYS[1], ARGV[i]) end
redis.call('PEXPIREAT', KEYS[1], ARGV[1])
return 1
"""


class RedisStore:
    """Sessions in the database of a client of ``redis``, below ``prefix``."""

    def __init__(self, client: t.Any, prefix: str = "carboy:session:") -> None:
        self._client = client
        self._prefix = prefix
        self._merge = client.register_script(_MERGE)

    @classmethod
    def from_uri(cls, uri: str) -> t.Self:
        """A client of its own, which waits two seconds for an answer and not longer."""
        return cls(
            redis.Redis.from_url(
                uri,
                decode_responses=True,
                socket_timeout=_TIMEOUT,
                socket_connect_timeout=_TIMEOUT,
            )
        )

    def load(self, key: str) -> Record | None:
        fields = self._client.hgetall(self._prefix + key)
        return _record(fields) if fields else None

    def create(self, key: str, record: Record) -> None:
        fields = {f"i:{name}": value for name, value in record.items.items()}
        fields |= {"created": repr(record.created), "used": repr(record.used)}
        fields["expires"] = repr(record.expires)
        known = {"user": record.user, "address": record.address, "agent": record.agent}
        fields |= {name: value for name, value in known.items() if value is not None}
        pipe = self._client.pipeline(transaction=True)
        pipe.hset(self._prefix + key, mapping=fields)
        pipe.pexpireat(self._prefix + key, int(record.expires * 1000))
        pipe.execute()
        if record.user is not None:
            self._client.sadd(self._owner(record.user), key)

    def merge(self, key: str, change: Change) -> bool:
        fields = {f"i:{name}": value for name, value in change.items.items()}
        fields |= {"used": repr(change.used), "expires": repr(change.expires)}
        removed = [f"i:{name}" for name in change.removed]
        if change.user is None:
            removed.append("user")
        else:
            fields["user"] = change.user
        flat = [part for pair in fields.items() for part in pair]
        arguments = [int(change.expires * 1000), len(fields), *flat, *removed]
        done = self._merge(keys=[self._prefix + key], args=arguments)
        if done and change.user is not None:
            self._client.sadd(self._owner(change.user), key)
        return bool(done)

    def delete(self, key: str) -> bool:
        return bool(self._client.delete(self._prefix + key))

    def of_user(self, user: str) -> dict[str, Record]:
        found = {}
        for key in self._client.smembers(self._owner(user)):
            record = self.load(key)
            if record is not None and record.user == user:
                found[key] = record
            else:
                self._client.srem(self._owner(user), key)
        return found

    def sweep(self, now: float) -> int:
        return 0  # Redis ends them by itself

    def _owner(self, user: str) -> str:
        digest = hashlib.sha256(user.encode("utf-8", "surrogatepass")).hexdigest()
        return f"{self._prefix}of:{digest}"


def _record(fields: t.Mapping[str, str]) -> Record:
    items = {name[2:]: value for name, value in fields.items() if name.startswith("i:")}
    created, used, expires = (float(fields.get(name, 0)) for name in ("created", "used", "expires"))
    return Record(
        items,
        created,
        used,
        expires,
        fields.get("user"),
        fields.get("address"),
        fields.get("agent"),
    )

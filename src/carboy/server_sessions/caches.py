"""Sessions in files or in memory, by ``cachelib``; written as JSON, where that library pickles."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import typing as t
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cachelib import FileSystemCache, SimpleCache
from cachelib.serializers import BaseSerializer

from .stores import Change, Record

try:
    from fcntl import LOCK_EX, flock
except ImportError:  # Windows: workers of one process are kept apart, processes are not
    flock = None  # type: ignore[assignment]

_MOST = 1_000_000
_LOCKS = 64


class _Json(BaseSerializer):
    """Reads and writes JSON; a file that holds something else is no session."""

    def dump(self, value: t.Any, f: t.IO[bytes], protocol: int = 0) -> None:
        f.write(json.dumps(value).encode())

    def load(self, f: t.Any) -> t.Any:
        return self.loads(f.read())

    def dumps(self, value: t.Any, protocol: int = 0) -> bytes:
        return json.dumps(value).encode()

    def loads(self, bvalue: bytes) -> t.Any:
        with suppress(ValueError):
            return json.loads(bvalue)
        return None


class CacheStore:
    """Sessions in a cache of ``cachelib``. ``folder`` is where a file cache keeps its files."""

    def __init__(self, cache: t.Any, folder: Path | None = None) -> None:
        cache.serializer = _Json()
        self._cache = cache
        self._folder = folder
        self._locks = [threading.Lock() for _ in range(_LOCKS)]

    @classmethod
    def from_uri(cls, uri: str) -> t.Self:
        """``memory:`` or ``file:///folder``; the folder is made, for this user only."""
        if uri.startswith("memory:"):
            return cls(SimpleCache(threshold=_MOST, default_timeout=0))
        folder = Path(unquote(urlsplit(uri).path))
        if not folder.is_absolute():
            raise ValueError(f"SESSION_STORE {uri!r} needs a whole path: file:///var/lib/…")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / "locks").mkdir(mode=0o700, exist_ok=True)
        files = folder / "files"
        files.mkdir(mode=0o700, exist_ok=True)
        return cls(FileSystemCache(str(files), threshold=0, default_timeout=0), folder)

    def load(self, key: str) -> Record | None:
        found = self._get(f"s:{key}")
        return Record(**found) if isinstance(found, dict) else None

    def create(self, key: str, record: Record) -> None:
        with self._locked(key):
            self._put(key, record)
        if record.user is not None:
            self._index(record.user, key)

    def merge(self, key: str, change: Change) -> bool:
        with self._locked(key):
            record = self.load(key)
            if record is None:
                return False
            record.items |= change.items
            for name in change.removed:
                record.items.pop(name, None)
            had, record.user = record.user, change.user
            record.used, record.expires = change.used, change.expires
            self._put(key, record)
        if change.user is not None and change.user != had:
            self._index(change.user, key)
        return True

    def delete(self, key: str) -> bool:
        with self._locked(key):
            there = self._get(f"s:{key}") is not None
            if not self._cache.delete(f"s:{key}") and there:
                raise OSError("The cache could not delete a session.")
            return there

    def of_user(self, user: str) -> dict[str, Record]:
        found = {key: self.load(key) for key in self._get(_owner(user)) or ()}
        return {key: one for key, one in found.items() if one is not None and one.user == user}

    def sweep(self, now: float) -> int:
        if self._folder is None:
            before = len(self._cache._cache)
            self._cache._remove_expired(now)
            return before - len(self._cache._cache)
        before = sum(1 for _ in self._cache._list_dir())
        self._cache._remove_expired(now)
        return before - sum(1 for _ in self._cache._list_dir())

    def _index(self, user: str, key: str) -> None:
        """Note that a session is a user's, and forget those of theirs that are over."""
        with self._locked(_owner(user)):
            known = [one for one in self._get(_owner(user)) or () if self._get(f"s:{one}")]
            if key not in known:
                known.append(key)
            if not self._cache.set(_owner(user), known, 0):
                raise OSError("The cache could not store whose a session is.")

    def _get(self, name: str) -> t.Any:
        found = self._cache.get(name)
        if found is None and self._folder is not None:
            # The cache takes a folder that is away for one without this file.
            os.stat(self._folder / "files")
            if os.path.exists(self._cache._get_filename(name)):
                with open(self._cache._get_filename(name), "rb"):
                    pass
        return found

    def _put(self, key: str, record: Record) -> None:
        seconds = max(int(record.expires - record.used) + 1, 1)
        if not self._cache.set(f"s:{key}", asdict(record), seconds):
            raise OSError("The cache could not store a session; is the disk full?")

    @contextmanager
    def _locked(self, key: str) -> t.Iterator[None]:
        """Alone with a session, among the threads of this process and among processes."""
        number = hashlib.sha256(key.encode()).digest()[0] % _LOCKS
        with self._locks[number]:
            if self._folder is None or flock is None:
                yield
                return
            with open(self._folder / "locks" / f"{number}", "ab") as file:
                flock(file, LOCK_EX)
                yield


def _owner(user: str) -> str:
    return "u:" + hashlib.sha256(user.encode("utf-8", "surrogatepass")).hexdigest()

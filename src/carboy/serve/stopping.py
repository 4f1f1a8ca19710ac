"""The end of a worker: streams and WebSockets first, then Granian.

Once Granian stops, it waits for requests, but drops WebSockets, and tells streams nothing.
"""

from __future__ import annotations

import asyncio
import signal
import threading
import typing as t

from .listening import give_up, identity

if t.TYPE_CHECKING:
    from carboy.app import Carboy

    from .options import Options

#: Seconds between two looks whether all have gone.
_TICK = 0.02
#: Seconds that streams and WebSockets have for their end. Requests are still accepted meanwhile.
_GOODBYE = 5.0
#: Seconds for last bytes to leave, and for Granian to do as it was told.
_FLUSH = 0.1


def stop_gently(
    app: Carboy, cut: t.Callable[[], None] | None, options: Options, listening: int
) -> None:
    """Have this worker, about to be run by Granian, end in good order on SIGTERM.

    ``cut`` ends what is left when the graceful time is over, ``listening`` is the descriptor of the
    listening socket.
    """
    import granian._signals as signals

    # Its own way of asking for signals, in the one process that this is; no public one is left.
    names: dict[str, t.Any] = vars(signals)
    set_loop_signals: t.Any = names["set_loop_signals"]
    set_main_signals: t.Any = names["set_main_signals"]

    def on_loop(loop: asyncio.AbstractEventLoop) -> t.Any:
        event = set_loop_signals(loop)
        end = _End(app, cut, options.graceful_timeout, event.set, listening)
        try:
            loop.add_signal_handler(signal.SIGTERM, end.begin, loop)
            # Ctrl-C reaches all the processes; the one that watches over this one passes it on.
            loop.remove_signal_handler(signal.SIGINT)
            signal.signal(signal.SIGINT, lambda *_: None)
        except NotImplementedError:  # Windows
            pass
        return event

    def in_threads(handler: t.Any, reload_handler: t.Any = None) -> None:
        def told(number: int, frame: t.Any) -> None:
            threading.Thread(target=app._serving.close_connections, daemon=True).start()
            handler(number, frame)

        set_main_signals(told, reload_handler)

    names["set_loop_signals"] = on_loop
    names["set_main_signals"] = in_threads


class _End:
    """What happens between the signal and the end of a worker with an event loop."""

    def __init__(
        self,
        app: Carboy,
        cut: t.Callable[[], None] | None,
        patience: float,
        stop: t.Callable[[], None],
        listening: int,
    ) -> None:
        self._app = app
        self._cut = cut
        self._patience = patience
        self._stop = stop
        self._listening = listening
        self._socket = identity(listening)
        self._task: asyncio.Task[None] | None = None

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """The signal has come; only the first one counts."""
        if self._task is None:
            self._task = loop.create_task(self._go(loop))

    async def _go(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._cut is not None:
            loop.call_later(self._patience, self._cut)
        serving = self._app._serving
        serving.close_connections()
        until = loop.time() + min(self._patience, _GOODBYE)
        some = bool(serving._to_close)
        # They come and go in threads, too, and it happens once: looking again is enough.
        while serving._to_close and loop.time() < until:  # noqa: ASYNC110
            await asyncio.sleep(_TICK)
        if some:
            await asyncio.sleep(_FLUSH)
        self._stop()
        await asyncio.sleep(_FLUSH)
        give_up(self._listening, self._socket)

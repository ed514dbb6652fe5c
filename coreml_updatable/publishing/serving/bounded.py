"""A connection that is left when its client is too slow: to ask, or to take what it asked for."""

from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

WAIT = 20.0  # seconds for a request to come, the first and every later one
PATIENCE = 60.0  # seconds in which a client has to take something
TICK = 1.0  # seconds between two looks


class Bounded(H11Protocol):
    """uvicorn's protocol, which alone would wait for ever; and whose closing waits until all is taken."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._since, self._untaken = self.loop.time(), 0
        self._look = self.loop.call_later(TICK, self._check)

    def connection_lost(self, exc: Exception | None) -> None:
        self._look.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        self._since = self.loop.time()
        super().on_response_complete()

    def _check(self) -> None:
        now, untaken = self.loop.time(), self.transport.get_write_buffer_size()
        if untaken != self._untaken:
            self._since, self._untaken = now, untaken
        cycle: Any = self.cycle  # the last request whose headers are complete, None before the first
        asking = cycle is None or cycle.response_complete
        patience = PATIENCE if untaken else WAIT if asking else None
        if patience is not None and now - self._since > patience:
            self.transport.abort()
            return
        self._look = self.loop.call_later(TICK, self._check)

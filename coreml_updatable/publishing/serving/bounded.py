"""A connection that is left when its client is too slow: to ask, or to take what it asked for."""

import sys
from socket import SOL_SOCKET
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

WAIT = 20.0  # seconds for a request to come, the first and every later one
PATIENCE = 60.0  # seconds in which a client has to take something
TICK = 1.0  # seconds between two looks
_PLATFORM: str = sys.platform
_SO_NWRITE = 0x1024  # of macOS


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
        now, untaken = self.loop.time(), self.transport.get_write_buffer_size() + _in_the_system(self.transport)
        if untaken != self._untaken:
            self._since, self._untaken = now, untaken
        cycle: Any = self.cycle  # the last request whose headers are complete, None before the first
        asking = cycle is None or cycle.response_complete
        patience = PATIENCE if untaken else WAIT if asking else None
        if patience is not None and now - self._since > patience:
            self.transport.abort()
            return
        self._look = self.loop.call_later(TICK, self._check)


def _in_the_system(transport: Any) -> int:
    """Bytes that the system holds for the client, megabytes of them: it asks for more only when many are gone, so that
    a slow line seems to take nothing for minutes. 0 where the system does not say."""
    held = transport.get_extra_info("socket")
    try:
        if _PLATFORM == "linux":
            from fcntl import ioctl
            from termios import TIOCOUTQ

            return int.from_bytes(ioctl(held.fileno(), TIOCOUTQ, bytes(4)), sys.byteorder)
        return int(held.getsockopt(SOL_SOCKET, _SO_NWRITE)) if _PLATFORM == "darwin" else 0
    except OSError:  # closed
        return 0

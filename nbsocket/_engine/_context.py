"""What the carriers of streams and datagrams may use of the engine."""

from __future__ import annotations

from typing import Protocol

from nbsocket._driver import Driver
from nbsocket._engine._loop import Handler
from nbsocket._engine._stats import Accounts

__all__ = ["EngineContext"]


class EngineContext(Protocol):
    """The engine, seen from its connections. Thread: the engine's."""

    @property
    def driver(self) -> Driver:
        """The present driver."""

    @property
    def has_port(self) -> bool:
        """Whether the port is open."""

    def require_port(self) -> None:
        """Open the port if it is not open; OSError when that cannot be."""

    def require_service(self) -> None:
        """The same for something new, which is refused while the modem is being closed."""

    def watch(self, fd: int, handler: Handler, *, read: bool, write: bool = False) -> None:
        """See :meth:`Loop.watch`."""

    def forget(self, fd: int) -> None:
        """See :meth:`Loop.forget`."""

    @property
    def accounts(self) -> Accounts:
        """The accounts of all connections."""

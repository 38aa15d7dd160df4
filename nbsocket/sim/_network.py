"""What the simulated module's radio leads to: the contract between the module and a network.

Handles are numbers the module chooses; a handle is used once. Nothing blocks, nothing raises for what a peer does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from .._dataclass import dataclass
from ._hosts import Target


@dataclass(frozen=True, slots=True)
class Opened:
    """Outcome of :meth:`Network.open`."""

    handle: int
    #: 0, 566 refused, 569 timed out, 556 local port taken, 554 no socket
    result: int


@dataclass(frozen=True, slots=True)
class Arrived:
    """Bytes of a stream, or exactly one datagram (which may be empty)."""

    handle: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Ended:
    """The peer ended a TCP connection; everything it sent before has arrived."""

    handle: int
    is_reset: bool


NetworkEvent = Opened | Arrived | Ended


class Network(ABC):
    """The far side of the radio."""

    @abstractmethod
    def open(self, handle: int, service: str, target: Target | str, local_port: int, now: float) -> None:
        """Begin to connect; ``Opened`` tells the outcome (never, when ``target`` is "timeout").

        Args:
            handle: not used before.
            service: "TCP" or "UDP".
            target: where to, or "refused" or "timeout".
            local_port: 0 for any.
        """

    @abstractmethod
    def send(self, handle: int, data: bytes, now: float) -> None:
        """Take all of ``data``: bytes of a stream or one datagram. The caller bounds what is unacknowledged."""

    @abstractmethod
    def unacknowledged(self, handle: int) -> int:
        """Return how many bytes of a stream the peer has not acknowledged."""

    @abstractmethod
    def finish(self, handle: int) -> None:
        """Close in order: what was sent arrives, then FIN. The handle is gone."""

    @abstractmethod
    def vanish(self, handle: int) -> None:
        """Lose the connection without telling the peer; RST only if it ever says something. The handle is gone."""

    @abstractmethod
    def set_receiving(self, handle: int, is_on: bool) -> None:
        """Stop or resume taking data from the peer (TCP: its window closes)."""

    @abstractmethod
    def poll(self, now: float) -> list[NetworkEvent]:
        """Return what has happened, in order."""

    @abstractmethod
    def next_deadline(self) -> float | None:
        """Return when :meth:`poll` has something, file descriptors aside; a time in the past means now."""

    def fileno(self) -> int | None:
        """Return a file descriptor that is readable when :meth:`poll` has something, or None."""
        return None

    def close(self) -> None:  # noqa: B027  # nothing to close is the usual case
        """Let go of everything."""

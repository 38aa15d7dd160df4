"""What a connection is at: the face that every phase has, and which may follow which.

    Queued -> Opening -> Open -> Verifying -> Closing -> Gone

A phase holds what is known only while it lasts, says which command is next, takes what the modem and the application
say meanwhile, and has deadlines of its own. It changes to another one through :class:`Transitions` alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from nbsocket._driver._connection import Connection
from nbsocket._driver._dispatch import Dispatch

if TYPE_CHECKING:
    from nbsocket._driver._transitions import Transitions

__all__ = ["Phase"]


class Phase:
    """One phase of one connection. Methods that do nothing here mean that the phase has nothing to do with that."""

    #: Names of the phases that may follow.
    NEXT: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, link: Connection, to: Transitions) -> None:
        """Begin; ``to`` leads to the other phases, and holds what all connections share."""
        self.link = link
        self.to = to

    @property
    def is_ending(self) -> bool:
        """The peer has closed it: its socket becomes free without the application's doing."""
        return False

    # -- time

    def next_command(self, now: float) -> Dispatch | None:
        """The command that is due and must not wait behind other connections' segments."""
        return None

    def add_deadlines(self, moments: list[float | None], is_line_free: bool) -> None:
        """Add when anything of this phase is due; without ``is_line_free`` commands may be left out: see the driver."""

    def handle_timeout(self, now: float, is_attached: bool, why_not: Callable[[], str]) -> None:
        """Do what time demands; ``why_not``: why the network cannot be used, where ``is_attached`` is False."""

    # -- what the application says

    def end_of_data(self, linger: float, now: float) -> None:
        """It closed: flush, wait for acknowledgement within ``linger`` seconds, close."""

    def half_close(self, linger: float, now: float) -> None:
        """It will write no more but still reads."""

    def abort(self, now: float) -> None:
        """Close at once; what was not sent is dropped."""

    # -- what the modem says

    def received(self, data: bytes, now: float) -> None:
        """Payload came."""

    def peer_closed(self, now: float) -> None:
        """``+QIURC: "closed"`` came."""

    def put_off_end(self, now: float, moment: float) -> None:
        """Something came after "closed": what else the modem has to push may follow until ``moment``."""

    # -- faults

    def reset(self, error: OSError) -> None:
        """Cut a stream off: there may be a gap in it, or nothing can come of it any more."""

    def network_gone(self) -> None:
        """Registration or context are lost: a "closed" about now is no end that a peer has made."""

    def damaged(self, is_contained: bool, reason: str) -> None:
        """Bytes from the modem were lost; ``is_contained``: certainly this connection's."""

    def lost(self, error: OSError, now: float) -> None:
        """The modem has no socket for it any more."""
        self.to.gone(self.link, now)

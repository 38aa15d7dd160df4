"""Tells of datagrams that were dropped: each burst once, however many they are."""

from __future__ import annotations

import logging

from nbsocket._engine._log import EngineLog
from nbsocket._engine._peers import DatagramSocket, Peer
from nbsocket._runtime._clock import monotonic

__all__ = ["DropLog"]

logger = EngineLog("nbsocket")

#: Seconds from the first message of a burst to its summary; doubled while more are dropped, up to the longest.
FIRST_INTERVAL, LONGEST_INTERVAL = 5.0, 60.0


class DropLog:
    """The first of a burst is told at once, the others in a summary. Thread: the engine's."""

    def __init__(self) -> None:
        """Start with no burst."""
        self._interval = FIRST_INTERVAL
        #: When :meth:`handle_timeout` is due; None: there is no burst.
        self.due: float | None = None
        self._untold = 0
        self._last = ""
        #: All that were dropped in the engine, on either way.
        self.total = 0

    def drop(self, number: int, peer: Peer, reason: str) -> None:
        """Count datagrams to a peer that were given up, and tell of them."""
        if not number:
            return
        self.total += number
        peer.socket.channel.dropped += number
        peer.socket.dropped_before += number
        self.note(number, f"to {peer.host} port {peer.port}: {reason}", monotonic())

    def count_channel(self, item: DatagramSocket) -> None:
        """Count what the channel lost: received datagrams that nobody read, and frames that make no sense."""
        number = item.channel.dropped - item.dropped_before
        if number:
            item.dropped_before += number
            self.total += number
            self.note(number, "of a socket whose application does not read", monotonic())

    def note(self, number: int, what: str, now: float) -> None:
        """Tell that datagrams were dropped.

        Args:
            number: how many.
            what: which ones, and why.
            now: seconds on the engine's clock.
        """
        if self.due is None:
            logger.log(logging.WARNING, "dropped %s", f"{_datagrams(number)} {what}")
            self.due = now + self._interval
        else:
            self._untold += number
            self._last = what

    def handle_timeout(self, now: float) -> None:
        """Tell the summary, if it is due."""
        if self.due is None or now < self.due:
            return
        if not self._untold:
            self.due, self._interval = None, FIRST_INTERVAL
            return
        logger.log(logging.WARNING, "dropped %s more, the last one %s", _datagrams(self._untold), self._last)
        self._untold = 0
        self._interval = min(2 * self._interval, LONGEST_INTERVAL)
        self.due = now + self._interval


def _datagrams(number: int) -> str:
    return f"{number} datagram{'s' if number != 1 else ''}"

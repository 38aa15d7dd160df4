"""Where in the stream text may still belong to received data whose frame was lost."""

from __future__ import annotations

from typing import TypeVar

from nbsocket._at._damage import has_tail_of_hex, has_tail_of_payload
from nbsocket._at._events import Damaged, Received, UnknownLine
from nbsocket._at._framing import MAX_PAYLOAD_SIZE, Framer

__all__ = ["DamageWatch"]

E = TypeVar("E")


class DamageWatch:
    """Distrusts what comes in the same breath as text whose frame is lost."""

    def __init__(self, framer: Framer) -> None:
        self._framer = framer
        #: Where such text ends at the latest, as an offset of the framer; 0 once the modem has paused.
        self.end = 0

    def checked(self, frame: Received | Damaged) -> Received | Damaged:
        """Distrust what looks like received data among text whose frame is lost: it may be part of it.

        A peer can write whatever it likes into its text, reports of other peers' data included.
        """
        if isinstance(frame, Received) and self._framer.offset <= self.end:
            return Damaged("received data among damaged data", frame.socket_id, is_contained=True)
        return self.noted(frame)

    def noted(self, event: E) -> E:
        """Take note of damage that may have freed text of its frame."""
        if isinstance(event, Damaged) and not (event.is_contained or self._framer.receives_hex):
            self.end = self._framer.offset + MAX_PAYLOAD_SIZE
        return event

    def read_bare(self, line: str) -> Damaged | UnknownLine:
        """Tell what a line without a prefix is that nobody knows."""
        is_hex = self._framer.receives_hex is True
        if has_tail_of_hex(line) if is_hex else has_tail_of_payload(line):
            return Damaged(f"a line that may have been received data: {len(line)} characters")
        return UnknownLine(line)

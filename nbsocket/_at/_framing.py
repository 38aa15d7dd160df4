"""Bytes level of the AT syntax: cuts what arrives into lines, prompts and counted payloads.

Theory of operation
-------------------
The modem's bytes are lines, which end at CR or LF, with two exceptions. A prompt is a lone ``>``. And the payload of

    +QIURC: "recv",<connectID>,<current_recv_length>,<data>          BC260Y-CN TCP/IP guide 1.1 §2.4.2

may hold any byte in text format, so it is framed by its length, never by line. What it looks like is not settled: text
or two hex digits a byte, within quotes or without, the next URC glued on or not. It describes itself, though: where a
text payload would end, a hex payload has another digit. And it checks itself: a terminator that is not where the length
says means that bytes were lost on the serial line, which happens (an overrun loses a few bytes without a word), and
must not become a silent gap in a stream.

Siblings of the BC260Y put a line end in place of the last comma: BC66, BC26 and BC25 with viewmode 0, their default,
BC660K-GL with viewmode 1.

    +QIURC: "recv",<connectID>,<current_recv_length><CR><LF><data>

It is framed by its length as well. On any other modem a header that ends with its line has lost its payload, so this
form counts only where the modem may have it: :attr:`Framer.allows_next_line`.

Rules of this file: a reader consumes bytes and returns a frame, or consumes nothing and returns None ("need more"), or
switches to another reader and returns _AGAIN. What it returns may not depend on how the bytes were split; ``_scanned``
marks what has been searched already.
"""

from __future__ import annotations

import re
from binascii import Error as _NotHex
from binascii import unhexlify
from enum import Enum
from typing import Final, Literal

from nbsocket._at._commands_network import MAX_SOCKET_ID
from nbsocket._at._events import Damaged, Received

__all__ = ["MAX_LINE_SIZE", "MAX_PAYLOAD_SIZE", "PROMPT", "Frame", "Framer", "Mark"]

#: Longest line without its end, in bytes: an echo of the longest command, and some room.
MAX_LINE_SIZE = 2560

#: Longest payload of one recv URC in bytes. §2.4 says 1024; clones of the command set go higher.
MAX_PAYLOAD_SIZE = 4096

# What may follow the digits of a damaged hex payload before the search for the line's end is given up.
_HEX_SLACK = 256

# Damaged texts in a row after which what was learned of the modem's quotes may be wrong.
_MOST_DOUBTS = 2

# Consumed bytes are thrown away when there are as many: del on a bytearray moves what is left.
_COMPACT_SIZE = 65536

_QUOTE, _CR, _LF, _PLUS, _PROMPT = b'"\r\n+>'
_TEXT_ENDS = frozenset(b"\r\n+")
_LINE_ENDS = frozenset(b"\r\n")
_CAPITALS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_HEX_ENDS = frozenset(b'"\r\n+')
_HEX_DIGITS = frozenset(b"0123456789abcdefABCDEF")

# NUL is what a starting UART often makes up.
_BLANKS_RE = re.compile(rb"[\r\n \t\0]*")
_HEADER_RE = re.compile(rb'\+QIURC: {0,4}"?recv"? {0,4},([^,\r\n]{0,10}),([^,\r\n]{0,10})(,|(?=[\r\n]))')
_HEX_RE = re.compile(rb"[0-9A-Fa-f]*")
_HEX_WRECK_RE = re.compile(rb'"?[^",:]*"?')
_LINE_END_RE = re.compile(rb"[\r\n]")
_HEX_LINE_END_RE = re.compile(rb"[\r\n+]")


class Mark(Enum):
    """Type of :data:`PROMPT`."""

    PROMPT = "PROMPT"
    AGAIN = "AGAIN"


#: Frame of the modem's ``>``.
PROMPT: Final[Literal[Mark.PROMPT]] = Mark.PROMPT
_AGAIN: Final[Literal[Mark.AGAIN]] = Mark.AGAIN

#: A line without its end, or PROMPT, or a payload, or a report of lost bytes.
Frame = bytes | Mark | Received | Damaged


class _Reader(Enum):
    LINE = "LINE"
    PAYLOAD = "PAYLOAD"
    REST_OF_LINE = "REST_OF_LINE"


class Framer:
    """Cuts bytes into frames; knows nothing of commands."""

    __slots__ = (
        "_buffer",
        "_doubts",
        "_dropped",
        "_is_quoted",
        "_position",
        "_reader",
        "_scanned",
        "_size",
        "_socket_id",
        "allows_next_line",
        "has_more",
        "learns_from",
        "receives_hex",
    )

    def __init__(self) -> None:
        #: The modem's <recv_data_format> where it is known; None: told from the bytes.
        self.receives_hex: bool | None = None
        #: Payload may follow on the line after its header, as on the BC66 and its relatives.
        self.allows_next_line = False
        #: Stream offset (:attr:`offset`) from which quoting may be learned again; data before it is damaged.
        self.learns_from = 0
        #: Bytes are held that have not been looked at; without any, :meth:`next_frame` gives None.
        self.has_more = False
        self.clear()

    def clear(self) -> None:
        """Forget all bytes and the learned dialect."""
        self._buffer = bytearray()
        self.has_more = False
        self._dropped = 0
        self._position = 0
        self._scanned = 0
        self._reader = _Reader.LINE
        # Whether this modem puts text payloads in quotes; None until a payload has shown it without doubt.
        self._is_quoted: bool | None = None
        # Damaged texts since the last sound one.
        self._doubts = 0
        self._socket_id: int | None = None
        self._size = 0

    @property
    def is_mid_frame(self) -> bool:
        """A line or a counted payload has begun, and not enough of it has come. Ask when there is no further frame."""
        return self._reader is _Reader.PAYLOAD or (self._reader is _Reader.LINE and self._position < len(self._buffer))

    @property
    def is_mid_payload(self) -> bool:
        """A counted payload has begun, and not enough of it has come."""
        return self._reader is _Reader.PAYLOAD

    @property
    def is_mid_line(self) -> bool:
        """A line has begun, and its end has not come. Ask when there is no further frame."""
        return self._reader is _Reader.LINE and self._position < len(self._buffer)

    @property
    def payload_due(self) -> int:
        """Bytes that a counted payload still wants at the least; 0 outside of one."""
        if self._reader is not _Reader.PAYLOAD:
            return 0
        return max(0, (2 if self.receives_hex else 1) * self._size - (len(self._buffer) - self._position))

    @property
    def buffered_size(self) -> int:
        """Bytes that are held, those of earlier frames that were not yet thrown away included."""
        return len(self._buffer)

    @property
    def offset(self) -> int:
        """Bytes of all that have come that are behind us."""
        return self._dropped + self._position

    def feed(self, data: bytes) -> None:
        """Store bytes."""
        if self._position == len(self._buffer):
            self._dropped += self._position
            self._buffer.clear()
            self._scanned = self._position = 0
        elif self._position > _COMPACT_SIZE:
            self._dropped += self._position
            del self._buffer[: self._position]
            self._scanned -= self._position
            self._position = 0
        self._buffer += data
        self.has_more = True

    def next_frame(self, expects_prompt: bool) -> Frame | None:
        """Give the next frame, or None when more bytes are needed."""
        while True:
            if self._reader is _Reader.LINE:
                frame = self._read_line(expects_prompt)
            elif self._reader is _Reader.PAYLOAD:
                frame = self._read_payload()
            else:
                frame = self._skip_rest_of_line()
            if frame is not _AGAIN:
                return frame

    def drop_prompt(self) -> None:
        """Forget a ``>`` that is still there: what came before a command cannot be the prompt for it."""
        rest = bytes(self._buffer[self._position : self._position + MAX_LINE_SIZE])
        if self._reader is _Reader.LINE and rest.strip(b"\r\n \t\0") == b">":
            self._resume_at(len(self._buffer))

    def give_up_payload(self) -> Received | Damaged:
        """End a counted payload that does not go on: legal while :attr:`is_mid_payload`."""
        start, size = self._position, self._size
        rest = bytes(self._buffer[start:])
        is_quoted = rest[:1] == b'"'
        if self.receives_hex is not False and size and len(rest) == is_quoted + 2 * size and _is_hex(rest[is_quoted:]):
            return self._finish(unhexlify(rest[is_quoted:]), len(rest))
        if self.receives_hex:
            return self._end_damaged_hex(len(self._buffer), "received hex data stopped short")
        body = rest.removesuffix(b"\r")
        if is_quoted and self._is_quoted is not False and len(body) == size + 2 and body[-1] == _QUOTE:
            return self._finish(body[1:-1], len(rest))
        if self._is_quoted is False and body is not rest and len(body) == size:
            return self._finish(body, len(rest))
        return self._end_damaged_text(len(rest), "received data stopped short")

    # -- lines

    def _read_line(self, expects_prompt: bool) -> Frame | None:
        buffer = self._buffer
        start = _BLANKS_RE.match(buffer, self._position).end()  # type: ignore[union-attr]  # it matches nothing, too
        self._position = start
        if start == len(buffer):
            self.has_more = False
            return None
        if expects_prompt and buffer[start] == _PROMPT:
            self._position = start + 1
            return PROMPT
        if buffer[start] == _PLUS:
            header = _HEADER_RE.match(buffer, start)
            if header is not None:
                if self.allows_next_line and not header[3] and header.end() + 1 == len(buffer):
                    return None  # whether the line end has a second byte is not known yet
                return self._begin_payload(header)
        limit = start + MAX_LINE_SIZE + 1
        scanned = max(self._scanned, start)
        end = buffer.find(b"\r", scanned, limit)
        line_feed = buffer.find(b"\n", scanned, end if end >= 0 else limit)
        if line_feed >= 0:
            end = line_feed
        if end >= 0:
            # CR LF is one end: where it is the last that has come, nothing is left to look at.
            self._position = end + 2 if buffer.startswith(b"\r\n", end) else end + 1
            self.has_more = self._position < len(buffer)
            return bytes(buffer[start:end])
        if len(buffer) >= limit:
            self._position = limit
            self._reader = _Reader.REST_OF_LINE
            return Damaged(f"a line of more than {MAX_LINE_SIZE} bytes")
        self._scanned = len(buffer)
        return None

    def _skip_rest_of_line(self) -> Literal[Mark.AGAIN] | None:
        end = _LINE_END_RE.search(self._buffer, self._position)
        self._resume_at(len(self._buffer) if end is None else end.start())
        if end is None:
            self._reader = _Reader.REST_OF_LINE
            return None
        return _AGAIN

    def _resume_at(self, position: int) -> None:
        self._position = position
        self._reader = _Reader.LINE

    # -- counted payloads

    def _begin_payload(self, header: re.Match[bytes]) -> Damaged | Literal[Mark.AGAIN]:
        id_digits, size_digits, comma = header.groups()
        socket_id = _read_number(id_digits, MAX_SOCKET_ID)
        size = _read_number(size_digits, MAX_PAYLOAD_SIZE)
        self._position = header.end()
        if self.allows_next_line and size and not comma:
            # CR LF; what a single CR or LF is followed by belongs to the payload.
            self._position += 2 if self._buffer.startswith(b"\r\n", header.end()) else 1
        elif size is None or (size and not comma):
            self._reader = _Reader.REST_OF_LINE
            # Where a field is missing, what stands in the id's place may be the length.
            is_complete = size_digits.strip(b" ").isdigit() and bool(comma)
            is_contained = is_complete and socket_id is not None and self.receives_hex is True
            return Damaged("received data without a sound length", socket_id if is_contained else None, is_contained)
        self._socket_id, self._size = socket_id, size
        self._scanned = self._position
        self._reader = _Reader.PAYLOAD
        return _AGAIN

    def _read_payload(self) -> Received | Damaged | None:
        buffer, start, size = self._buffer, self._position, self._size
        available = len(buffer) - start
        if not available:
            return None
        quotes = 1 if buffer[start] == _QUOTE else 0
        if not size:
            return self._read_empty(quotes, available)
        is_hex = self.receives_hex
        if is_hex is None:
            if available <= size + quotes:
                return None
            is_hex = buffer[start + size + quotes] in _HEX_DIGITS
            if is_hex:
                if available <= 2 * size + quotes:
                    return None
                is_hex = _is_hex(buffer[start + quotes : start + quotes + 2 * size])
        if is_hex:
            return self._read_hex(quotes, available)
        return self._read_text(quotes, available)

    def _read_empty(self, quotes: int, available: int) -> Received | Damaged | None:
        if quotes and available < 2:
            return None
        if quotes and self._buffer[self._position + 1] == _QUOTE:
            return self._finish(b"", 2)
        if self._buffer[self._position + quotes] in _TEXT_ENDS:
            return self._finish(b"", quotes)
        if self.receives_hex:
            return self._read_damaged_hex(0)
        return self._end_damaged_text(quotes + 1, "received data where none was announced")

    def _read_hex(self, quotes: int, available: int) -> Received | Damaged | None:
        buffer, start = self._buffer, self._position
        digits_end = quotes + 2 * self._size
        if available > digits_end:
            end = buffer[start + digits_end]
            if end in _HEX_ENDS:
                try:
                    data = unhexlify(buffer[start + quotes : start + digits_end])
                except _NotHex:
                    pass
                else:
                    return self._finish(data, digits_end + (end == _QUOTE))
        return self._read_damaged_hex(digits_end)

    def _read_damaged_hex(self, digits_end: int) -> Damaged | None:
        """Hex digits hold neither line ends nor plus signs: one of them ends a damaged payload."""
        limit = self._position + digits_end + _HEX_SLACK + 1
        end = _HEX_LINE_END_RE.search(self._buffer, self._scanned, limit)
        if end is not None:
            return self._end_damaged_hex(end.start(), "received hex data with missing or garbled digits")
        self._scanned = min(len(self._buffer), limit)
        if self._scanned == limit:
            self._reader = _Reader.REST_OF_LINE
            return Damaged("received hex data that does not end")
        return None

    def _end_damaged_hex(self, end: int, reason: str) -> Damaged:
        rest = bytes(self._buffer[self._position : end])
        # More digits than announced, or parts of a header: another URC has been lost in it.
        is_alone = len(rest.strip(b'"')) <= 2 * self._size and _HEX_WRECK_RE.fullmatch(rest) is not None
        is_contained = is_alone and self._socket_id is not None
        is_cut_off = end == len(self._buffer)
        self._resume_at(end)
        if is_cut_off:
            self._reader = _Reader.REST_OF_LINE
        return Damaged(reason, self._socket_id if is_contained else None, is_contained)

    def _read_text(self, quotes: int, available: int) -> Received | Damaged | None:
        if self._is_quoted is False or (self._is_quoted is None and not quotes):
            return self._read_bare_text(quotes)
        buffer, start, size = self._buffer, self._position, self._size
        if available < size + 2:
            return None
        end = buffer[start + size + 1]
        if quotes and end == _QUOTE:
            is_end = self._is_text_end(start + size + 2)
            if is_end is None:
                return None
            if is_end:
                self._learn(is_quoted=True)
                return self._finish(bytes(buffer[start + 1 : start + 1 + size]), size + 2)
            return self._end_damaged_text(size + 3, "received data with missing bytes")
        if self._is_quoted is None:
            return self._read_doubtful_text(end)
        return self._end_damaged_text(size + 2, "received data with missing bytes")

    def _read_doubtful_text(self, end: int) -> Received | Damaged:
        """A first payload that begins with a quote, and has no quote where the closing one should be."""
        start, size = self._position, self._size
        body = bytes(self._buffer[start : start + size + 1])
        # No closing quote: fine, unless it stands where one or three lost bytes would have moved it.
        if end == _CR and not body.endswith((b'"', b'"\r\n')):
            return self._finish(body[1:], size + 1)
        # The quote is the payload's own first byte, unless two lost bytes would look the same.
        if end == _LF and body.endswith(b"\r") and not body.endswith(b'"\r'):
            return self._finish(body[:-1], size)
        return self._end_damaged_text(size + 2, "received data with missing bytes")

    def _is_text_end(self, position: int) -> bool | None:
        """Whether a line ends at ``position``, or the next URC begins; None: the bytes so far do not tell."""
        buffer = self._buffer
        if position >= len(buffer):
            return None
        end = buffer[position]
        if end == _LF or end not in _TEXT_ENDS:
            return end == _LF
        if position + 1 >= len(buffer):
            return None
        # A payload that lost, made-up or garbled bytes have moved may well have a CR or a plus sign there by chance.
        following = buffer[position + 1]
        return following in _LINE_ENDS if end == _CR else following in _CAPITALS

    def _read_bare_text(self, quotes: int) -> Received | Damaged | None:
        buffer, start, size = self._buffer, self._position, self._size
        is_end = self._is_text_end(start + size)
        if is_end is None:
            return None
        # LF after CR: one byte is missing, and the payload has swallowed the CR.
        if is_end and not (buffer[start + size] == _LF and buffer[start + size - 1] == _CR):
            # With a quote at one end it may be one that has lost its other, and as many bytes as it got.
            if not quotes and buffer[start + size - 1] != _QUOTE:
                self._learn(is_quoted=False)
            return self._finish(bytes(buffer[start : start + size]), size)
        return self._end_damaged_text(size + 1, "received data with missing bytes")

    def _end_damaged_text(self, seen: int, reason: str) -> Damaged:
        """Go on behind the last thing among the ``seen`` bytes that looks like the payload's end.

        The last, so that as little as possible of a payload is taken for traffic.
        """
        start = self._position
        self._doubts += 1
        end_mark = b"\r" if self._is_quoted is False else b'"\r'
        end = self._buffer.rfind(end_mark, start, start + seen)
        if end >= 0:
            self._resume_at(end + len(end_mark))
        else:
            self._position = start + max(seen - 1, 0)
            self._reader = _Reader.REST_OF_LINE
        if self._doubts >= _MOST_DOUBTS:
            self._is_quoted = None
        return Damaged(reason)

    def _learn(self, is_quoted: bool) -> None:
        self._doubts = 0
        if self.offset >= self.learns_from:
            self._is_quoted = is_quoted

    def _finish(self, data: bytes, consumed: int) -> Received | Damaged:
        self._resume_at(self._position + consumed)
        if self._socket_id is None:
            return Damaged("received data without a sound socket id")
        return Received(self._socket_id, data)


def _is_hex(digits: bytes | bytearray) -> bool:
    return _HEX_RE.fullmatch(digits) is not None


def _read_number(digits: bytes, highest: int) -> int | None:
    digits = digits.strip(b" ")
    if not digits.isdigit():
        return None
    number = int(digits)
    return number if number <= highest else None

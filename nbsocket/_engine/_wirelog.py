"""The log of the serial line: every line as it was written or read, payload as its length only.

A line that is being read is logged when its end has come: a secret in it (see ``_privacy``) can be seen only then.
Payload may be the application's secrets; ``log_payload`` shows it all the same. It is found by the lengths that the
lines themselves state (BC260Y-CN TCP/IP guide 1.1 §2.3.5, §2.4.2), over several chunks, in every form that the codec
takes: text or hex digits, quoted or not, and echoed commands.
"""

from __future__ import annotations

import logging
import re

from nbsocket._engine._log import EngineLog
from nbsocket._privacy import mask_secrets

__all__ = ["WireLog", "without_payload"]

logger = EngineLog("nbsocket.at")

#: Digits of the longest length that is believed; with more the rest of the line is hidden.
_MOST_DIGITS = 4

#: A send in command mode: AT+QISEND=0,3,"313233" and what may follow the payload.
_SEND_RE = re.compile(rb'(AT\+QISEND=[^,\r]*,\s*(\d+)\s*,\s*"?)(.*?)("?(?:,\s*\d)?\s*\r)', re.DOTALL | re.IGNORECASE)
#: A send in data mode, with the length of the payload that follows unless it is refused; none: it ends with Ctrl-Z.
_DATA_MODE_RE = re.compile(rb"AT\+QISEND=\s*\d+\s*(?:,\s*(\d+)\s*)?\r", re.IGNORECASE)
_COMMAND_RE = re.compile(rb"AT[ -~]*\r", re.IGNORECASE)

#: +QIURC: "recv",0,3, or an echoed AT+QISEND=0,3, up to where the payload begins; its first byte must be there to tell
#: whether it is quoted.
_RECEIVE_RE = re.compile(
    rb'\+(?:QIURC: {0,4}"?recv"? {0,4},[^,\r\n]{0,10}|QISEND=[^,\r\n]{0,10}),([^,\r\n]{0,10}),(?:"|(?=[^"]))'
)
#: A beginning of such a line that the next chunk may complete is held back up to this length.
_BEGINNING_RE = re.compile(rb"\+(?:Q(?:I(?:U(?:R(?:C(?::[^\r\n]*)?)?)?|S(?:E(?:N(?:D(?:=[^\r\n]*)?)?)?)?)?)?)?\Z")
_LONGEST_BEGINNING = 64

#: Longest line that is waited for: more than any with payload in hex digits.
_LONGEST_LINE = 5000

_HEX_DIGITS = frozenset(b"0123456789abcdefABCDEF")
_LINE_END_RE = re.compile(rb"[\r\n]")

#: The same within a sentence of the log.
_SENTENCE_RE = re.compile(r'("?recv"?\s*,[^,]*,[^,]*,|AT\+QISEND=[^,]*,[^,]*,).*', re.DOTALL | re.IGNORECASE)


def without_payload(sentence: str) -> str:
    """Cut off a sentence where a line that it quotes comes to its payload."""
    return _SENTENCE_RE.sub(r"\1<payload>", sentence)


def _shown(line: bytes) -> str:
    """A line as text without its end, other than printable characters as escapes, and without secrets."""
    text = mask_secrets(line.decode("latin-1").rstrip())
    return text if text.isascii() and text.isprintable() else repr(text.encode("latin-1"))[2:-1]


class WireLog:
    """Writes the logger ``nbsocket.at`` at DEBUG: ``>>`` what the host sent, ``<<`` what the modem sent."""

    def __init__(self, *, log_payload: bool = False) -> None:
        """Note whether payload is to be shown."""
        self.log_payload = log_payload
        self.clear()

    @property
    def is_on(self) -> bool:
        """Whether anybody wants it."""
        return logger.is_on(logging.DEBUG)

    def clear(self) -> None:
        """Start afresh: the port was reopened."""
        self._tail = b""
        #: What was read of a line whose end has not come, payload left out.
        self._line = b""
        #: Bytes of a received payload that are still to come, and as many again if it turns out to be hex digits.
        self._hidden = self._doubled = 0
        #: The rest of the line is hidden.
        self._is_line_hidden = False
        #: Length of the payload that the modem was told of; 0: without saying how long, None: none.
        self._announced: int | None = None

    # -- what the host sends

    def sent(self, data: bytes) -> None:
        """Log what was written."""
        if not self.is_on:
            return
        if self.log_payload:
            logger.log(logging.DEBUG, ">> %s", _shown(data))
        elif self._is_payload(data):
            logger.log(logging.DEBUG, ">> <%d bytes>", len(data))
        else:
            logger.log(logging.DEBUG, ">> %s", _shown(_SEND_RE.sub(rb"\1<\2 bytes>\4", data)))

    def _is_payload(self, data: bytes) -> bool:
        """Whether this is no command line; payload may look like one."""
        announced, self._announced = self._announced, None
        if _COMMAND_RE.match(data) is None or (announced is not None and len(data) == announced):
            return True
        if announced is not None and _COMMAND_RE.fullmatch(data) is None:
            return True
        found = _DATA_MODE_RE.fullmatch(data)
        if found is not None:
            self._announced = int(found[1] or 0)
        return False

    # -- what the modem sends

    def received(self, data: bytes) -> None:
        """Log what was read."""
        if not self.is_on:
            return
        self._line += data if self.log_payload else self._masked_receive(data)
        *lines, self._line = _LINE_END_RE.split(self._line)
        if self._line in (b">", b"> ") or len(self._line) > _LONGEST_LINE:
            lines.append(self._line)  # the prompt has no end
            self._line = b""
        for line in lines:
            if line:
                logger.log(logging.DEBUG, "<< %s", _shown(line))

    def _masked_receive(self, data: bytes) -> bytes:
        shown = bytearray()
        data, self._tail = self._tail + data, b""
        while data := self._without_hidden(data):
            found = _RECEIVE_RE.search(data)
            if found is None:
                shown += self._without_beginning(data)
                break
            shown += data[: found.end()]
            shown += self._begin_hiding(found[1].strip(b" "))
            data = data[found.end() :]
        return bytes(shown)

    def _begin_hiding(self, digits: bytes) -> bytes:
        self._is_line_hidden = not digits.isdigit() or len(digits) > _MOST_DIGITS
        if self._is_line_hidden:
            return b"<payload>"
        self._hidden = self._doubled = int(digits)
        return b"<%d bytes>" % self._hidden

    def _without_hidden(self, data: bytes) -> bytes:
        """Cut off what belongs to a payload."""
        while data and (self._hidden or self._doubled or self._is_line_hidden):
            if self._hidden:
                skipped = min(self._hidden, len(data))
                self._hidden -= skipped
                data = data[skipped:]
            elif self._doubled:
                # A text payload is followed by a quote or the line's end, half of the digits by a digit.
                self._hidden = self._doubled if data[0] in _HEX_DIGITS else 0
                self._doubled = 0
            else:
                end = _LINE_END_RE.search(data)
                self._is_line_hidden = end is None
                data = b"" if end is None else data[end.start() :]
        return data

    def _without_beginning(self, data: bytes) -> bytes:
        """Keep back what may be the beginning of a line with payload, until the rest is there."""
        start = data.rfind(b"+", max(0, len(data) - _LONGEST_BEGINNING))
        if start < 0 or _BEGINNING_RE.match(data, start) is None:
            return data
        self._tail = data[start:]
        return data[:start]

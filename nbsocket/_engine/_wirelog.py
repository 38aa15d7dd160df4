"""The log of the serial line: every chunk as it was written or read, payload as its length only.

Payload is found by the lengths that the lines themselves state (BC260Y-CN TCP/IP guide 1.1 §2.3.5, §2.4.2), also over
several chunks. It may be the application's secrets; ``log_payload`` shows it all the same.
"""

from __future__ import annotations

import logging
import re

from nbsocket._engine._log import Log

__all__ = ["WireLog"]

logger = Log("nbsocket.at")

#: AT+QISEND=0,3,"313233" with the digits, or the data-mode form without.
_SEND_RE = re.compile(rb'AT\+QISEND=\d,(\d+),"')
#: +QIURC: "recv",0,3, up to where the payload begins; its first byte must be there to tell whether it is quoted.
_RECEIVE_RE = re.compile(rb'\+QIURC: ?"recv", ?\d, ?(\d+),(?:"|(?=.))', re.DOTALL)

#: A line that begins like one but is none.
_NOT_RECEIVE_RE = re.compile(rb"(?!\+(Q(I(U(R(C.*)?)?)?)?)?$)|.*[\r\n]")

#: A beginning of a receive line that the next chunk may complete is held back up to this length.
_LONGEST_PREFIX = len(b'+QIURC: "recv", 0, 4096,"')


class WireLog:
    """Writes the logger ``nbsocket.at`` at DEBUG: ``>>`` what the host sent, ``<<`` what the module sent."""

    def __init__(self, *, is_hex: bool, log_payload: bool = False) -> None:
        """Note how payload is written: as digits, two a byte, or as it is."""
        self._digits = 2 if is_hex else 1
        self._log_payload = log_payload
        self._tail = b""
        #: Bytes of a received payload that are still to come.
        self._hidden = 0

    @property
    def is_on(self) -> bool:
        """Whether anybody wants it."""
        return logger.is_on(logging.DEBUG)

    def sent(self, data: bytes) -> None:
        """Log what was written."""
        if not self.is_on:
            return
        if self._log_payload:
            logger.log(logging.DEBUG, ">> %r", data)
        elif data[:2].upper() != b"AT":
            logger.log(logging.DEBUG, ">> <%d bytes>", len(data))
        else:
            logger.log(logging.DEBUG, ">> %r", self._masked_send(data))

    def received(self, data: bytes) -> None:
        """Log what was read."""
        if not self.is_on:
            return
        if self._log_payload:
            logger.log(logging.DEBUG, "<< %r", data)
        elif shown := self._masked_receive(data):
            logger.log(logging.DEBUG, "<< %r", shown)

    def clear(self) -> None:
        """Start afresh: the port was reopened."""
        self._tail, self._hidden = b"", 0

    @staticmethod
    def _masked_send(data: bytes) -> bytes:
        found = _SEND_RE.match(data)
        if found is None:
            return data
        size = int(found[1])
        return found[0] + b"<%d bytes>" % size + data[found.end() + 2 * size :]

    def _masked_receive(self, data: bytes) -> bytes:
        shown = bytearray()
        data = self._tail + data
        self._tail = b""
        while data:
            if self._hidden:
                skipped = min(self._hidden, len(data))
                self._hidden -= skipped
                data = data[skipped:]
                continue
            found = _RECEIVE_RE.search(data)
            if found is None:
                shown += self._without_beginning(data)
                break
            size = int(found[1])
            shown += data[: found.end()] + b"<%d bytes>" % size
            self._hidden = size * self._digits
            data = data[found.end() :]
        return bytes(shown)

    def _without_beginning(self, data: bytes) -> bytes:
        """Keep back what may be the beginning of a receive line, until the rest is there."""
        start = data.rfind(b"+", max(0, len(data) - _LONGEST_PREFIX))
        if start < 0 or _NOT_RECEIVE_RE.match(data, start):
            return data
        self._tail = data[start:]
        return data[:start]

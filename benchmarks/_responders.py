"""Responders for peers that speak another module's dialect: ``python -m benchmarks._responders esp`` or ``sim800``.

Each speaks just what its peer says, on a pseudo-terminal, answers at once and has no network: data that came up is
counted, and a line ``<N>`` that came up makes it send N bytes down, :data:`REPLY_DELAY` later. The first line on stdout
is JSON: the port.

Sources: Espressif, ESP-AT User Guide 3.x, TCP/IP AT commands; SIMCom, SIM800 Series AT Command Manual 1.12, chapter 8.
"""

from __future__ import annotations

import json
import os
import pty
import re
import select
import sys
import time
import tty
from abc import ABC, abstractmethod
from collections.abc import Callable

from benchmarks._servers import pattern

#: What a network takes at least; the esp peer throws away what follows SEND OK at once.
REPLY_DELAY = 0.05

#: Bytes that one report of the ESP carries (a TCP segment), and that the SIM800 gives out at a time.
MAX_REPORT = 1460


class Responder(ABC):
    """Commands in, answers out."""

    def __init__(self) -> None:
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        self._input = b""
        self._payload_size = 0
        self._push_at: float | None = None
        #: What is to go down.
        self.downward = b""

    def run(self) -> None:
        """Serve until the process is ended."""
        print(json.dumps({"port": self.path}), flush=True)
        while True:
            timeout = None if self._push_at is None else max(0.0, self._push_at - time.monotonic())
            if select.select([self._master], [], [], timeout)[0]:
                self._input += os.read(self._master, 65536)
                while self._step():
                    pass
            elif self._push_at is not None:
                self._push_at = None
                self.push()

    def say(self, data: bytes) -> None:
        """Write all of it."""
        while data:
            data = data[os.write(self._master, data) :]

    def _step(self) -> bool:
        if self._payload_size:
            if len(self._input) < self._payload_size:
                return False
            payload = self._input[: self._payload_size]
            self._input = self._input[self._payload_size :]
            self._payload_size = 0
            self._take(payload)
            return True
        line, end, rest = self._input.partition(b"\r")
        if not end:
            return False
        self._input = rest.removeprefix(b"\n")
        if line.strip():
            self.command(line.strip().decode("latin-1"))
        return True

    def _take(self, payload: bytes) -> None:
        self.sent(len(payload))
        if re.fullmatch(rb"\d+\n", payload):
            self.downward = pattern(int(payload))
            self._push_at = time.monotonic() + REPLY_DELAY

    def want_payload(self, size: int) -> None:
        """Take so many bytes as payload."""
        self._payload_size = size

    @abstractmethod
    def command(self, line: str) -> None:
        """Answer a command."""

    @abstractmethod
    def sent(self, size: int) -> None:
        """Say that payload was sent."""

    @abstractmethod
    def push(self) -> None:
        """Tell the host about what is to go down."""


class Esp(Responder):
    """An ESP32 with ESP-AT: single connection, data is pushed as +IPD."""

    _is_connected = False

    def command(self, line: str) -> None:
        """See :class:`Responder`."""
        if line.startswith("AT+CIPSEND="):
            self.want_payload(int(line.partition("=")[2]))
            self.say(b"\r\nOK\r\n\r\n>")
            return
        lines = ""
        if line == "AT+CWSTATE?":
            lines = '+CWSTATE:2,"network"\r\n'
        elif line == "AT+CIPSTATE?" and self._is_connected:
            lines = '+CIPSTATE:0,"TCP","192.0.2.1",7,4000,0\r\n'
        elif line.startswith("AT+CIPSTART="):
            self._is_connected = True
            lines = "CONNECT\r\n"
        elif line == "AT+CIPCLOSE":
            self._is_connected = False
            lines = "CLOSED\r\n"
        self.say(f"{lines}\r\nOK\r\n".encode())

    def sent(self, size: int) -> None:
        """See :class:`Responder`."""
        self.say(b"\r\nRecv %d bytes\r\n\r\nSEND OK\r\n" % size)

    def push(self) -> None:
        """See :class:`Responder`."""
        while self.downward:
            report, self.downward = self.downward[:MAX_REPORT], self.downward[MAX_REPORT:]
            self.say(b"\r\n+IPD,%d:" % len(report) + report)


class Sim800(Responder):
    """A SIM800: several connections, data is fetched by AT+CIPRXGET."""

    def command(self, line: str) -> None:
        """See :class:`Responder`."""
        answers: dict[str, Callable[[], bytes]] = {
            "ATI": lambda: b"\r\nSIM800 R14.18\r\n\r\nOK\r\n",
            "AT+GMM": lambda: b"\r\nSIMCOM_SIM800L\r\n\r\nOK\r\n",
            "AT+CIFSR": lambda: b"\r\n10.18.237.42\r\n",
            "AT+CIPSTART": lambda: b"\r\nOK\r\n\r\n0, CONNECT OK\r\n",
            "AT+CIPCLOSE": lambda: b"\r\n0, CLOSE OK\r\n",
            "AT+CIPSEND": lambda: self._prompt(int(line.rpartition(",")[2])),
            "AT+CIPRXGET": lambda: self._fetch([int(text) for text in line.partition("=")[2].split(",")]),
        }
        self.say(answers.get(line.partition("=")[0], lambda: b"\r\nOK\r\n")())

    def _prompt(self, size: int) -> bytes:
        self.want_payload(size)
        return b"\r\n> "

    def _fetch(self, numbers: list[int]) -> bytes:
        if numbers[0] == 4:
            return b"\r\n+CIPRXGET: 4,%d,%d\r\n\r\nOK\r\n" % (numbers[1], len(self.downward))
        size = min(numbers[2], MAX_REPORT, len(self.downward))
        data, self.downward = self.downward[:size], self.downward[size:]
        return b"\r\n+CIPRXGET: 2,%d,%d,%d\r\n%s\r\nOK\r\n" % (numbers[1], size, len(self.downward), data)

    def sent(self, size: int) -> None:
        """See :class:`Responder`."""
        self.say(b"\r\n0, SEND OK\r\n")

    def push(self) -> None:
        """See :class:`Responder`."""
        self.say(b"\r\n+CIPRXGET: 1,0\r\n")


if __name__ == "__main__":
    {"esp": Esp, "sim800": Sim800}[sys.argv[1]]().run()

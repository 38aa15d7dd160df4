"""Echo: commands that come back, whole or in pieces."""

from __future__ import annotations

from collections import deque
from typing import Any

from nbsocket._at._command import Command

__all__ = ["EchoFilter"]

#: Commands whose echo is known: it may come late, when the next command is out already.
REMEMBERED_COMMANDS = 8

#: What is written to end a data mode that somebody left open comes back, too, where echo is on.
_ESCAPE = "\x1b"


class EchoFilter:
    """Knows the last commands, and tells their echo from other lines."""

    def __init__(self) -> None:
        self._sent_lines: deque[str] = deque(maxlen=REMEMBERED_COMMANDS)
        #: What is missing of an echo that a report has come into, whose command it is of, and for how long it is
        #: waited for: until the next command's result, because the report may have been taken for the command's own.
        self._rest = ""
        self._echoed: Command[Any] | None = None

    def sent(self, command: Command[Any]) -> None:
        """A command went out: its echo may come from now on."""
        self._sent_lines.append(command.line.rstrip())

    def forget(self, pending: Command[Any] | None) -> None:
        """The pending command is over; what is missing of its own echo is waited for no more."""
        if pending is None or pending is not self._echoed:
            self._rest = ""

    def is_echo(self, line: str, pending: Command[Any] | None) -> bool:
        """Whether a command comes back, or a part of the pending one: a URC may have come into the middle of it."""
        if self._rest:
            begins = self._rest.startswith(line)
            self._rest = self._rest[len(line) :] if begins else self._rest
            if begins:
                return True
        if line == _ESCAPE:
            return True
        if line[:2] not in ("AT", "at", "At", "aT"):
            return False
        command = pending.line.rstrip() if pending is not None else ""
        if command.startswith(line):
            self._rest, self._echoed = command[len(line) :], pending
            return True
        return line in self._sent_lines

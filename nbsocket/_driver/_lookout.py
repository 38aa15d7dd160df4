"""What the modem may have lost without a word: the signs of it, and the look at what it still has.

A restart without ``RDY`` (it was garbled, or the modem does not say it), a data context that went and came back, a
report that was lost on the line: a program that only reads would never learn of it. So each sign has the modem asked
what sockets it has; what it has no more is reset, or opened again where it is UDP. SO_KEEPALIVE is a sign that comes by
itself. A sign proves nothing: where the sockets are there, nothing happens.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from errno import ECONNRESET

from nbsocket._at import FinalResult, QISTATERead, SocketStatus
from nbsocket._driver._answers import read_rows
from nbsocket._driver._connection import Connection
from nbsocket._driver._connection_table import ConnectionTable
from nbsocket._driver._dispatch import Dispatch
from nbsocket._driver._open import Open
from nbsocket._errors import make_error

__all__ = ["Lookout", "bearer_sign", "restart_sign"]

#: What a modem says when it boots, besides RDY: URCs of TS 27.007 §8.2 and §8.3, the boot log of the chip's ROM
#: ("F1: 0000 0000", "V0: 0000 0000 [0001]", "Leaving the BROM"), and words of other firmware.
_RESTART_RE = re.compile(
    r"\+CFUN: ?\d|\+CPIN: ?READY|[FTUV]\d: [0-9A-F]{4} [0-9A-F]{4}( \[[0-9A-F]{4}\])?|.*\b(BROM|RDY|REBOOT\w*)\b.*"
)
#: What it says when the data context ends: TS 27.007 §10.1.19, and the URC of the vendor's other modules.
_BEARER_RE = re.compile(r'\+CGEV: ?.*\b(DEACT|DETACH)\b.*|\+QIURC: ?"pdpdeact".*')

#: Times that the question is asked in vain until the sign is forgotten, and seconds between them: longer than a boot,
#: in which all is answered with ERROR.
LOOK_TRIES, LOOK_PAUSE = 8, 2.0

#: States in which a stream that was open has been closed, and the report of it lost. BC260Y-CN TCP/IP guide 1.1 §2.3.4.
CLOSED_STATES = frozenset({0, 4})


def restart_sign(line: str) -> bool:
    """Whether a line that nothing waits for is one that a modem says when it boots."""
    return _RESTART_RE.fullmatch(line) is not None


def bearer_sign(line: str) -> bool:
    """Whether a line says that the data context is gone, or that it may be another one."""
    return _BEARER_RE.fullmatch(line) is not None


class Lookout:
    """Asks after a sign, and by SO_KEEPALIVE, which sockets the modem has."""

    def __init__(self, table: ConnectionTable, restarted: Callable[[str, float], None]) -> None:
        """Take the connections, and what is to be done when none of them is left after a sign of a restart."""
        self._table = table
        self._restarted = restarted
        #: What was seen, in words, while the modem is still to be asked.
        self.sign: str | None = None
        self._may_be_restart = False
        self._tries = 0
        self._look_at = 0.0
        #: Those that the last answer did not have, and those that it said were closed.
        self._missing: frozenset[int] = frozenset()
        self._ended: frozenset[int] = frozenset()

    def clear(self) -> None:
        """The modem begins anew: it has no sockets."""
        self.sign, self._may_be_restart, self._tries = None, False, 0
        self._missing = self._ended = frozenset()

    def suspect(self, why: str, now: float, may_be_restart: bool = False) -> bool:
        """Take a sign; return whether there is any connection to look for."""
        if not self._table.open_socket_ids:
            return False
        if self.sign is None:
            self._tries, self._look_at = 0, now
            self._missing = self._ended = frozenset()
        self.sign = self.sign or why
        self._may_be_restart |= may_be_restart
        return True

    def deadline(self) -> float | None:
        """When the next look is due."""
        if self.sign is not None:
            return self._look_at
        first: float | None = None
        for link in self._table.order:
            if link.keepalive and type(link.phase) is Open and (due := link.keepalive_due) is not None:
                first = due if first is None else min(first, due)
        return first

    def next_keepalive(self, now: float) -> Dispatch | None:
        """The question by SO_KEEPALIVE, if it is due: it can wait until there is nothing else to do."""
        due = self.deadline() if self.sign is None else None
        if due is not None and now >= due:
            self.suspect("SO_KEEPALIVE", now)
        return self.next_command(now) if self.sign is not None else None

    def next_command(self, now: float) -> Dispatch | None:
        """The question after a sign, if it is due."""
        if self.sign is None or now < self._look_at:
            return None
        asked = tuple(self._table.open_links())
        if not asked:
            self.clear()
            return None
        return Dispatch(QISTATERead(), lambda result, at: self._looked(asked, result, at))

    def _looked(self, asked: tuple[Connection, ...], result: FinalResult | None, now: float) -> None:
        rows = read_rows(result)
        for link in asked:
            link.alive_at = now
        asked = tuple(link for link in asked if isinstance(link.phase, Open))
        if self.sign is None:
            return  # the modem has begun anew meanwhile
        if rows is None:
            self._tries += 1
            self._look_at = now + LOOK_PAUSE
            if self._tries >= LOOK_TRIES:
                self.clear()
            return
        present = {row.socket_id: row for row in rows}
        missing = frozenset(link.key for link in asked if not _is_listed(link, present))
        ended = frozenset(link.key for link in asked if link.key not in missing and _has_ended(link, present))
        if (missing - self._missing) | (ended - self._ended):
            self._missing, self._ended = missing, ended
            return  # once more, for a row may have been hurt on the line
        why, may_be_restart = self.sign, self._may_be_restart
        self.clear()
        if may_be_restart and asked and len(missing) == len(asked):
            self._restarted(why, now)
            return
        for link in asked:
            if not isinstance(link.phase, Open):
                continue
            if link.key in missing:
                error = make_error(ECONNRESET, f"the module has no such connection any more ({why})", result=567)
                link.phase.missing(error, now)
            elif link.key in ended and link.opening_error is not None:
                link.phase.missing(link.opening_error, now)
            elif link.key in ended:
                link.phase.peer_closed(now)


def _is_listed(link: Connection, rows: dict[int, SocketStatus]) -> bool:
    """Whether the modem has it: what it has under its number may be a socket of the user's, opened since."""
    assert link.socket_id is not None
    row = rows.get(link.socket_id)
    if row is None or row.service not in ("TCP", "UDP"):
        return row is not None  # a row in another form, of which only the id is certain
    return row.service == link.service and (not row.remote_port or link.port in (row.remote_port, row.local_port))


def _has_ended(link: Connection, rows: dict[int, SocketStatus]) -> bool:
    """Whether the modem says of a stream that is open that it was closed."""
    assert link.socket_id is not None
    return link.is_tcp and rows[link.socket_id].state in CLOSED_STATES

"""``nbsocket run --bill``: prints to stderr, at the program's end, how many bytes it sent and received, by host."""

from __future__ import annotations

import sys
import textwrap
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from nbsocket._runtime import _exit

if TYPE_CHECKING:
    from nbsocket import Modem

__all__ = ["print_at_end"]

#: Characters of a line.
WIDTH = 60


def print_at_end(modem: Modem) -> None:
    """Print the bill at exit, after unsent data was flushed, however the program ends."""
    _exit.at_end(partial(_print, modem), _exit.LOG)


def _print(modem: Modem) -> None:
    with suppress(OSError, ValueError):  # stderr may be closed by then
        print(describe(modem), file=sys.stderr, flush=True)


def describe(modem: Modem) -> str:
    """Return the table: payload bytes by host, then bytes on the serial line, commands and segments."""
    stats = modem.stats()
    lines = ["", *_row("host", "opened", "bytes up", "bytes down")]
    for total in modem.engine.accounts.totals():
        name = f"{total.service} {total.name or total.host}:{total.port}"
        lines += _row(name, f"{total.connections:,}", f"{total.bytes_up:,}", f"{total.bytes_down:,}")
    lines += _row("serial line", "", f"{stats.bytes_up:,}", f"{stats.bytes_down:,}")
    counters = stats.counters
    lines += textwrap.wrap(
        f"{stats.commands:,} commands, {counters.get('segments', 0):,} segments, "
        f"{counters.get('resent', 0):,} sent again, {counters.get('restarts', 0):,} restarts",
        WIDTH,
    )
    return "\n".join(lines)


def _row(name: str, opened: str, up: str, down: str) -> list[str]:
    """Return a row as one line, or as two where the name is too long for one."""
    figures = f"{opened:>8}{up:>13}{down:>13}"
    room = WIDTH - len(figures)
    return [f"{name:<{room}}{figures}"] if len(name) < room else [name, f"{'':<{room}}{figures}"]

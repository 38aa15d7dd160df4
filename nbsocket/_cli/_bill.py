"""``nbsocket run --bill``: what a program moved, by host, printed to stderr at its end."""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from nbsocket import _exit

if TYPE_CHECKING:
    from nbsocket import Modem

__all__ = ["print_at_end"]


def print_at_end(modem: Modem) -> None:
    """Print the bill when the program is over and the rest is flushed, however it ends."""
    _exit.at_end(partial(_print, modem), _exit.LOG)


def _print(modem: Modem) -> None:
    with suppress(OSError, ValueError):  # stderr may be closed by then
        print(describe(modem), file=sys.stderr, flush=True)


def describe(modem: Modem) -> str:
    """Return the table: payload of each host's connections, and what the serial line and the module did for it."""
    stats = modem.stats()
    lines = [f"\n{'host':<34}{'connections':>12}{'bytes up':>12}{'bytes down':>12}"]
    for total in modem.engine.accounts.totals():
        name = f"{total.service} {total.name or total.host}:{total.port}"
        if len(name) > 33:
            name = f"{name[:30]}..."
        lines.append(f"{name:<34}{total.connections:>12,}{total.bytes_up:>12,}{total.bytes_down:>12,}")
    lines.append(f"{'serial line':<34}{'':>12}{stats.bytes_up:>12,}{stats.bytes_down:>12,}")
    counters = stats.counters
    lines.append(
        f"{stats.commands:,} commands, {counters.get('segments', 0):,} segments, "
        f"{counters.get('resent', 0):,} sent again, {counters.get('restarts', 0):,} restarts"
    )
    return "\n".join(lines)

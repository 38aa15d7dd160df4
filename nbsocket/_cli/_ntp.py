"""``nbsocket ntp``: the time, from a time server."""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from datetime import datetime, timezone

from nbsocket._cli._exit import ExitCode
from nbsocket._cli._options import LOOK_ONLY, configure_modem


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the server and ``--set``."""
    parser.add_argument("server", help="name or address of a time server")
    parser.add_argument("--server-port", type=int, default=123, metavar="PORT", help="its UDP port (default: 123)")
    parser.add_argument("--set", action="store_true", dest="is_set", help="set the module's clock by the answer")


def main(options: argparse.Namespace) -> int:
    """Print the server's time in UTC, and how far this machine's clock is from it."""
    with closing(configure_modem(options, **LOOK_ONLY)) as modem:
        moment = modem.ntp(options.server, options.server_port, set_clock=options.is_set)
        offset = (moment - datetime.now(timezone.utc)).total_seconds()
        clock = modem.clock() if options.is_set else None
    if options.json:
        values = {"server": options.server, "time": moment.isoformat(), "is_clock_set": options.is_set}
        print(json.dumps(values | {"clock": None if clock is None else clock.isoformat()}))
        return ExitCode.SUCCESS
    print(f"{moment:%Y-%m-%d %H:%M:%S} UTC (this machine's clock is {_shown(offset)})")
    if clock is not None:
        print(f"the module's clock is set: {clock:%Y-%m-%d %H:%M:%S} UTC")
    return ExitCode.SUCCESS


def _shown(offset: float) -> str:
    # The modem's time is in whole seconds, and it took a moment to come.
    if abs(offset) < 2:
        return "right within 2 s"
    quarters = round(offset / 900)
    if abs(offset - 900 * quarters) < 3:
        # A clock that was set to local time, or a server that tells it: no other error is so round.
        return f"{_hours(quarters)} {'behind' if offset > 0 else 'ahead'}: is its time zone right?"
    return f"{abs(offset):.0f} s {'behind' if offset > 0 else 'ahead'}"


def _hours(quarters: int) -> str:
    hours = abs(quarters) / 4
    return f"{hours:g} hour{'' if hours == 1 else 's'}"

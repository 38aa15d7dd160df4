"""``nbsocket sockets``: what is open in the modem, left by whatever program."""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from dataclasses import asdict

from nbsocket._cli._exit import ExitCode
from nbsocket._cli._options import LOOK_ONLY, configure_modem

#: Source: BC260Y-CN TCP/IP guide 1.1 §2.3.4, <socket_state>.
STATES = {0: "initial", 1: "connecting", 2: "connected", 3: "closing", 4: "closed by the peer"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the choice of one socket or context."""
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--id", type=int, metavar="N", help="only this socket, 0 to 4")
    choice.add_argument("--context", type=int, metavar="N", help="only those of this context; the module has one, 0")


def main(options: argparse.Namespace) -> int:
    """Print one socket a line; none is closed by looking."""
    with closing(configure_modem(options, **LOOK_ONLY)) as modem:
        rows = modem.sockets(context_id=options.context, socket_id=options.id)
    if options.json:
        print(json.dumps([asdict(row) for row in rows]))
        return ExitCode.SUCCESS
    if not rows:
        print("no socket is open")
        return ExitCode.SUCCESS
    print(f"{'id':<4}{'kind':<6}{'peer':<40}{'local port':<12}state")
    for row in rows:
        peer = f"{row.host} port {row.remote_port}"
        local = row.local_port or "automatic"
        state = STATES.get(row.state, f"state {row.state}")
        print(f"{row.socket_id:<4}{row.service:<6}{peer:<40}{local!s:<12}{state}")
    return ExitCode.SUCCESS

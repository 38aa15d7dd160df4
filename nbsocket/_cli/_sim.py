"""``nbsocket sim``: a simulated module on a pseudo-terminal, for any program that can open a serial port."""

from __future__ import annotations

import argparse
import json
import signal
import threading

from nbsocket._cli._exit import ExitCode
from nbsocket.sim import Options, Simulator


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the link and every option of the simulated module."""
    parser.usage = "nbsocket sim [--link PATH] [simulator options]"
    parser.description = (
        "Simulate a module on a pseudo-terminal until Ctrl-C; the first line on stdout is the device to open. "
        "Its network leads to servers on this machine's loopback only: by default every name and address to the same "
        "port of 127.0.0.1, other ways by --host."
    )
    parser.add_argument("--link", metavar="PATH", help="make this symbolic link to the device, removed at the end")
    Options.add_arguments(parser)


def main(options: argparse.Namespace) -> int:
    """Simulate until SIGINT or SIGTERM."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with Simulator(Options.from_namespace(options), link=options.link) as simulator:
        print(json.dumps({"port": simulator.path}) if options.json else simulator.path, flush=True)
        stopped.wait()
    return ExitCode.SUCCESS

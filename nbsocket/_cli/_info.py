"""``nbsocket info``: who the module is, and whether it has a network."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from nbsocket._cli._exit import ExitCode
from nbsocket._cli._options import configure_modem


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``info`` has no options of its own."""


def main(options: argparse.Namespace) -> int:
    """Print identity, signal and registration; the exit code tells whether the module is registered."""
    with configure_modem(options) as modem:
        info, status = modem.info(), modem.status()
    if options.json:
        print(json.dumps({"port": modem.port, **asdict(info), **asdict(status)}))
    else:
        rows = {
            "port": modem.port,
            "module": f"{info.manufacturer} {info.model}",
            "firmware": info.revision,
            "IMEI": info.imei or "not given",
            "network": status.registration,
            "signal": "unknown" if status.rssi is None else f"{status.rssi} dBm",
            "address": status.address or "none",
        }
        for name, value in rows.items():
            print(f"{name:<10}{value}")
    return ExitCode.SUCCESS if status.registered else ExitCode.NOT_REGISTERED

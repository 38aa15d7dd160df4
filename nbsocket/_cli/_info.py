"""``nbsocket info``: who the module is, and whether it has a network."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from nbsocket._cli._exit import ExitCode
from nbsocket._cli._options import configure_modem

#: Source: BC260Y-CN TCP/IP guide 1.1 §4.1, AT+QSCLK.
SLEEP_MODES = {None: "not told", 0: "stays awake", 1: "deep sleep when idle", 2: "light sleep when idle"}

#: Source: TS 27.007 §7.38, AT+CPSMS.
RADIO_MODES = {
    None: "not told",
    False: "stays reachable",
    True: "saves power: the network cannot reach it when idle",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``info`` has no options of its own."""


def main(options: argparse.Namespace) -> int:
    """Print identity, signal, registration and settings; the exit code tells whether the module is registered."""
    with configure_modem(options, close_orphans=False, restore_sleep=True) as modem:
        info, status, settings = modem.info(), modem.status(), modem.settings()
    if options.json:
        print(json.dumps({"port": modem.port, **asdict(info), **asdict(status), **asdict(settings)}))
    else:
        rows = {
            "port": modem.port,
            "module": f"{info.manufacturer} {info.model}",
            "firmware": info.revision,
            "IMEI": info.imei or "not given",
            "network": status.registration,
            "signal": "unknown" if status.rssi is None else f"{status.rssi} dBm",
            "address": status.address or "none",
            "data": f"sent as {settings.send_format}, received as {settings.receive_format}",
            "sleep": SLEEP_MODES.get(settings.sleep_mode, f"mode {settings.sleep_mode}"),
            "radio": RADIO_MODES[settings.saves_power],
            "speed": f"{settings.baudrate} baud" if settings.baudrate else "not known: the line is behind the port",
        }
        for name, value in rows.items():
            print(f"{name:<10}{value}")
    return ExitCode.SUCCESS if status.registered else ExitCode.NOT_REGISTERED

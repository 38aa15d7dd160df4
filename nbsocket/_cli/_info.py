"""``nbsocket info``: identity, network, signal and settings of the modem.

It changes nothing but what every command needs: echo, error numbers, data format, and the radio on.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NoReturn

from nbsocket._cli._exit import ExitCode
from nbsocket._cli._options import LOOK_ONLY, configure_modem

if TYPE_CHECKING:
    from nbsocket import Modem, ModuleDetails

#: Overrides of options that would change settings of the modem, whatever the environment or a file says.
LEAVE_ALONE: dict[str, Any] = {
    **LOOK_ONLY,
    "apn": None,
    "apn_user": None,
    "apn_password": None,
    "pdp_type": None,
    "dns": (),
}

#: Source: BC260Y-CN TCP/IP guide 1.1 §4.1, AT+QSCLK.
SLEEP_MODES = {0: "stays awake", 1: "deep sleep when idle", 2: "light sleep when idle"}

SIM_WORDS = {
    "ready": "ready",
    "missing": "no SIM card is inserted",
    "pin": "wants its PIN (--pin-file)",
    "puk": "blocked, wants its PUK",
    "pin2": "wants its PIN2",
    "puk2": "wants its PUK2",
    "busy": "busy: it has just been switched on",
    "failure": "does not work",
    "wrong": "of the wrong kind",
    "not ready": "not ready",
}

#: Coverage enhancement levels. TS 36.321 §5.1.1: each has its own number of repetitions.
COVERAGE = {0: "0, normal", 1: "1, robust: repeats", 2: "2, extreme: repeats often"}

#: Shortest wait between two looks of --watch.
SHORTEST_WATCH = 0.1

#: Columns of the names of groups and rows, and the narrowest that a value is wrapped to.
GROUP_WIDTH, NAME_WIDTH, LEAST_WIDTH = 9, 13, 24

#: Groups whose missing values are not reported as unknown to the firmware: without a network, or without a SIM card
#: that is ready, no firmware knows them.
_OF_NETWORK, _OF_SIM = ("network", "signal"), ("SIM",)

Row = tuple[str, "str | None"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add how often to look."""
    parser.add_argument(
        "--watch",
        type=_read_interval,
        metavar="SECONDS",
        help="look again and again, until Ctrl-C: a line each time where the output is no terminal",
    )


def _read_interval(text: str) -> float:
    seconds = float(text)
    if not SHORTEST_WATCH <= seconds <= 86400:
        raise argparse.ArgumentTypeError(f"must be {SHORTEST_WATCH} to 86400 seconds")
    return seconds


def main(options: argparse.Namespace) -> int:
    """Print what the modem tells; the exit code tells whether it is registered."""
    with configure_modem(options, **LEAVE_ALONE) as modem:
        if options.watch is not None:
            _watch(modem, options)
        details = modem.details()
        # Before the port is closed, so that nobody waits for that.
        print(_as_json(modem.port, details) if options.json else "\n".join(_page(modem.port, details)), flush=True)
    return ExitCode.SUCCESS if details.registered else ExitCode.NOT_REGISTERED


def _watch(modem: Modem, options: argparse.Namespace) -> NoReturn:
    """Ask and print repeatedly; ends by Ctrl-C, or when the modem or the reader of stdout is gone."""
    shown = 0
    while True:
        began = time.monotonic()
        details, moment = modem.details(), datetime.now(timezone.utc)
        if options.json:
            print(_as_json(modem.port, details, moment), flush=True)
        elif not sys.stdout.isatty():
            print(_line(details, moment), flush=True)
        else:
            page = [*_page(modem.port, details), f"{moment.astimezone():%H:%M:%S}, Ctrl-C to end"]
            print(_back(shown) + "\n".join(page), flush=True)
            shown = len(page)
        time.sleep(max(0.0, began + options.watch - time.monotonic()))


def _back(lines: int) -> str:
    """Return the escape sequence that erases the last ``lines`` lines, or the whole screen if they did not fit."""
    if not lines:
        return ""
    return "\x1b[H\x1b[2J" if lines >= shutil.get_terminal_size().lines else f"\x1b[{lines}A\x1b[J"


# -- for programs


def _as_json(port: str, details: ModuleDetails, moment: datetime | None = None) -> str:
    import json
    from dataclasses import asdict

    values = {"port": port, **asdict(details)}
    if moment is not None:
        values = {"time": moment.isoformat(timespec="seconds"), **values}
    # Keys that --json had before ModuleDetails existed; scripts rely on them.
    values["saves_power"] = None if details.psm is None else details.psm.is_on
    for name in ("manufacturer", "model", "revision", "imei"):
        values[name] = values[name] or ""
    return json.dumps(values)


def _line(details: ModuleDetails, moment: datetime) -> str:
    """Return one line of ``name=value`` with the values that change over time."""
    radio = {None: None, True: "connected", False: "idle"}[details.radio_connected]
    values = {
        "rssi": details.rssi,
        "rsrp": details.rsrp,
        "rsrq": details.rsrq,
        "sinr": details.sinr,
        "ecl": details.ecl,
        "band": details.band,
        "cell": details.cell,
        "radio": radio,
        "address": details.address,
    }
    told = " ".join(f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
                    for name, value in values.items() if value is not None)  # fmt: skip
    return f"{moment:%Y-%m-%dT%H:%M:%SZ} {details.registration}" + (f" {told}" if told else "")


# -- for people


def _groups(port: str, details: ModuleDetails) -> dict[str, list[Row]]:
    """Return the rows of each group; a value of None means that the firmware does not tell it."""
    state, _, cause = details.registration.partition(", cause ")
    names = " ".join(filter(None, (details.manufacturer, details.model))) or None
    return {
        "hardware": [
            ("module", names),
            ("firmware", details.revision),
            ("IMEI", details.imei),
            ("supply", None if details.voltage is None else f"{details.voltage:g} V"),
        ],
        "SIM": [
            ("state", None if details.sim is None else SIM_WORDS[details.sim]),
            ("ICCID", details.iccid),
            ("IMSI", details.imsi),
        ],
        "network": [
            ("registration", state),
            *([("cause", cause)] if cause else []),
            ("operator", details.operator),
            ("cell", _cell(details)),
            ("band", _band(details)),
            ("radio", {None: None, True: "connected", False: "idle"}[details.radio_connected]),
        ],
        "signal": [
            ("RSRP", _with_unit(details.rsrp, "dBm")),
            ("RSRQ", _with_unit(details.rsrq, "dB")),
            ("SINR", _with_unit(details.sinr, "dB")),
            ("RSSI", _with_unit(details.rssi, "dBm")),
            ("coverage", None if details.ecl is None else COVERAGE[details.ecl]),
        ],
        "data": [
            ("address", details.address or "none"),
            ("APN", None if details.apn is None else details.apn or "none set: the network chooses"),
            ("type", details.pdp_type),
            ("name servers", _servers(details)),
        ],
        "power": [
            ("sleep", None if details.sleep_mode is None else _sleep(details.sleep_mode)),
            *_saving(details),
            *_reception(details),
        ],
        "line": [
            ("port", port),
            ("speed", f"{details.baudrate} baud" if details.baudrate else "not known: the line is behind the port"),
            *_stored(details),
            ("format", _format(details)),
        ],
    }


def _with_unit(value: float | None, unit: str) -> str | None:
    return None if value is None else f"{value:g} {unit}"


def _cell(details: ModuleDetails) -> str | None:
    if details.cell is None:
        return None
    parts = [details.cell]
    if details.tac is not None:
        parts.append(f"area {details.tac}")
    if details.pci is not None:
        parts.append(f"PCI {details.pci}")
    return ", ".join(parts)


def _band(details: ModuleDetails) -> str | None:
    allowed = ", ".join(map(str, details.bands or ()))
    if details.band is None:
        return f"any of {allowed}" if allowed else None
    channel = f", EARFCN {details.earfcn}" if details.earfcn is not None else ""
    return f"{details.band}{channel}" + (f" (may use {allowed})" if allowed else "")


def _servers(details: ModuleDetails) -> str | None:
    if details.dns is None:
        return None if details.address is not None else "not known without an address"
    return ", ".join(details.dns) or "none: set one (nbsocket dns set)"


def _sleep(mode: int) -> str:
    return SLEEP_MODES.get(mode, f"mode {mode}")


def _saving(details: ModuleDetails) -> list[Row]:
    psm = details.psm
    if psm is None or not psm.is_on:
        return [("PSM", None if psm is None else "off")]
    rows: list[Row] = [("PSM asked", _timers(psm.active_time, psm.periodic_time))]
    if psm.is_granted is None:
        return [*rows, ("PSM granted", "not told (needs AT+CEREG=4 or 5)" if details.registered else "no network")]
    granted = _timers(psm.granted_active_time, psm.granted_periodic_time) if psm.is_granted else "no"
    return [*rows, ("PSM granted", granted)]


def _timers(active: float | None, periodic: float | None) -> str:
    listens = "on" if active is None else f"listens {duration(active)} after traffic"
    return listens if periodic is None else f"{listens}, reports every {duration(periodic)}"


def _reception(details: ModuleDetails) -> list[Row]:
    edrx = details.edrx
    if edrx is None or not edrx.is_on:
        return [("eDRX", None if edrx is None else "off")]
    asked = "on" if edrx.cycle is None else f"listens every {duration(edrx.cycle)}"
    if edrx.is_granted is None:
        return [("eDRX asked", asked)]
    granted = "no"
    if edrx.is_granted:
        granted = "yes" if edrx.granted_cycle is None else f"listens every {duration(edrx.granted_cycle)}"
        granted += "" if edrx.paging_window is None else f" for {duration(edrx.paging_window)}"
    return [("eDRX asked", asked), ("eDRX granted", granted)]


def _stored(details: ModuleDetails) -> list[Row]:
    if details.stored_baudrate in (None, details.baudrate):
        return []
    return [("stored", "found by itself" if not details.stored_baudrate else f"{details.stored_baudrate} baud")]


def _format(details: ModuleDetails) -> str | None:
    if details.send_format is None:
        return None
    return f"sent as {details.send_format}, received as {details.receive_format}"


def duration(seconds: float) -> str:
    """Format seconds in a unit of their size: ``"20.48 s"``, ``"90 s"``, ``"2 min"``, ``"6 h"``, ``"13 d 8 h"``."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            count = int(seconds // size)
            if unit == "h" and count > 48:
                return f"{count // 24} d" + (f" {count % 24} h" if count % 24 else "")
            return f"{count} {unit}"
    return f"{seconds:g} s"


def _page(port: str, details: ModuleDetails) -> list[str]:
    """Return the groups as lines; the last line names what the firmware does not tell."""
    is_terminal = sys.stdout.isatty()
    width = max(LEAST_WIDTH, shutil.get_terminal_size().columns - GROUP_WIDTH - NAME_WIDTH - 3) if is_terminal else 0
    has_colour = is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    lines: list[str] = []
    untold: list[str] = []
    for group, rows in _groups(port, details).items():
        told = [(name, value) for name, value in rows if value is not None]
        is_moot = (group in _OF_NETWORK and not details.registered) or (group in _OF_SIM and details.sim != "ready")
        untold += [] if is_moot else [name for name, value in rows if value is None]
        pieces = [(name if not index else "", piece) for name, value in told
                  for index, piece in enumerate(_wrapped(value, width))]  # fmt: skip
        if pieces and lines:
            lines.append("")
        for index, (name, piece) in enumerate(pieces):
            title = f"{'' if index else group:<{GROUP_WIDTH}}"
            lines.append(f"{_bold(title) if has_colour and not index else title}| {name:<{NAME_WIDTH}}{piece}")
    if untold:
        text = "not told by this firmware: " + ", ".join(untold)
        lines += ["", *_wrapped(text, width and width + GROUP_WIDTH + NAME_WIDTH + 2)]
    return lines


def _wrapped(text: str, width: int) -> list[str]:
    """Cut at blanks into lines of at most ``width`` characters; 0: leave it whole, for programs that search lines."""
    if not width:
        return [text]
    import textwrap

    return textwrap.wrap(text, width, break_on_hyphens=False) or [""]


def _bold(text: str) -> str:
    return f"\x1b[1m{text}\x1b[0m"

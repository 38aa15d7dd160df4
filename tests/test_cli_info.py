"""``nbsocket info``: its page, its JSON, and the look again and again of --watch."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from typing import Any

import pytest

from nbsocket._cli._exit import ExitCode
from nbsocket._cli._info import duration
from tests.helpers import PATIENCE, sim_url
from tests.test_cli import Sim, environment, fails, nbsocket

#: Everything on, so that every row is there.
RICH = {"psm": True, "active_time": 60.0, "edrx": "0101", "cereg": 5}

Rows = dict[tuple[str, str], str]


def read_page(text: str) -> Rows:
    """The rows by group and name; a value that was wrapped is put together again."""
    rows: Rows = {}
    group = name = ""
    for line in text.splitlines():
        title, bar, rest = line.partition("| ")
        if bar:
            group = title.strip() or group
            name = rest[:13].strip() or name
            rows[group, name] = f"{rows.get((group, name), '')} {rest[13:].strip()}".strip()
    return rows


def info(*words: str, **options: Any) -> tuple[int, Rows, str]:
    """Run it on a simulated module; return exit code, rows and the whole text."""
    code, output, error = nbsocket("--port", sim_url(**options), "info", *words)
    assert error == ""
    return code, read_page(output), output


def info_json(**options: Any) -> dict[str, Any]:
    value = json.loads(nbsocket("--json", "--port", sim_url(**options), "info")[1])
    assert isinstance(value, dict)
    return value


def test_page() -> None:
    code, rows, output = info(**RICH)
    assert code == ExitCode.SUCCESS
    assert rows == {
        ("hardware", "module"): "Quectel_Ltd Quectel_BC260Y-CN",
        ("hardware", "firmware"): "BC260YCNAAR01A03",
        ("hardware", "IMEI"): "869000000000001",
        ("hardware", "supply"): "3.6 V",
        ("SIM", "state"): "ready",
        ("SIM", "ICCID"): "89860400000000000001",
        ("SIM", "IMSI"): "460040000000001",
        ("network", "registration"): "registered, home network",
        ("network", "operator"): "46004",
        ("network", "cell"): "0A1B2C3D, area 3C5E, PCI 95",
        ("network", "band"): "8, EARFCN 3736 (may use 3, 5, 8)",
        ("network", "radio"): "idle",
        ("signal", "RSRP"): "-84 dBm",
        ("signal", "RSRQ"): "-11 dB",
        ("signal", "SINR"): "9 dB",
        ("signal", "RSSI"): "-73 dBm",
        ("signal", "coverage"): "0, normal",
        ("data", "address"): "10.18.237.42",
        ("data", "APN"): "cmnbiot",
        ("data", "type"): "IP",
        ("data", "name servers"): "218.2.2.2, 8.8.8.8",
        ("power", "sleep"): "stays awake",
        ("power", "PSM asked"): "listens 1 min after traffic, reports every 10 h",
        ("power", "PSM granted"): "listens 1 min after traffic, reports every 6 h",
        ("power", "eDRX asked"): "listens every 81.92 s",
        ("power", "eDRX granted"): "listens every 81.92 s for 10.24 s",
        ("line", "port"): sim_url(**RICH),
        ("line", "speed"): "115200 baud",
        ("line", "format"): "sent as hex, received as hex",
    }
    assert "\x1b" not in output and "not told" not in output


def test_through_a_real_line() -> None:
    sim = Sim()
    code, output, _ = nbsocket("--port", sim.port, "info")
    rows = read_page(output)
    assert (code, rows["line", "port"], rows["network", "operator"]) == (0, sim.port, "46004")
    assert sim.stop() == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"registration": "searching"}, {("network", "registration"): "not registered, searching"}),
        (
            {"registration": "denied", "reject_cause": 11},
            {
                ("network", "registration"): "registration denied",
                ("network", "cause"): "11: this operator's network is not allowed",
                ("data", "address"): "none",
            },
        ),
        ({"sim_card": "none"}, {("SIM", "state"): "no SIM card is inserted"}),
        (
            {"sim_card": "pin"},
            {("SIM", "state"): "wants its PIN (--pin-file)", ("SIM", "ICCID"): "89860400000000000001"},
        ),
        ({"sim_card": "puk"}, {("SIM", "state"): "blocked, wants its PUK"}),
    ],
)
def test_without_a_network(options: dict[str, Any], told: Rows) -> None:
    """It says so, does not wait for the network, and takes nothing that needs one for a lack of the firmware."""
    code, rows, output = info(**options)
    assert code == ExitCode.NOT_REGISTERED
    assert told.items() <= rows.items()
    assert not any(group == "signal" for group, _ in rows)
    assert "not told" not in output


def test_what_the_firmware_lacks_is_one_line() -> None:
    lacking = "CESQ,QENG,QBAND,COPS,CPSMS,CEDRXS,CEDRXRDP,CSCON,CBC,QCCID"
    code, rows, output = info(unknown_commands=lacking, unknown_answer="error")
    assert code == ExitCode.SUCCESS and ("signal", "RSSI") in rows and ("signal", "RSRP") not in rows
    assert output.splitlines()[-1] == (
        "not told by this firmware: supply, ICCID, operator, cell, band, radio, RSRP, RSRQ, SINR, coverage, PSM, eDRX"
    )


def test_rate_and_format_as_they_are() -> None:
    code, output, _ = nbsocket("--data-format", "raw", "--port", sim_url(psm=True), "info")
    rows = read_page(output)
    assert (code, rows["line", "format"]) == (0, "sent as text, received as text")
    assert rows["power", "PSM granted"] == "not told (needs AT+CEREG=4 or 5)"


#: Every key, in order. They are part of the command line: programs read them.
KEYS = [
    "port", "manufacturer", "model", "revision", "imei", "sim", "iccid", "imsi", "registered", "registration",
    "reject_cause", "operator", "rssi", "rsrp", "rsrq", "sinr", "ecl", "band", "bands", "earfcn", "pci", "cell", "tac",
    "radio_connected", "address", "apn", "pdp_type", "dns", "psm", "edrx", "voltage", "send_format", "receive_format",
    "sleep_mode", "baudrate", "stored_baudrate", "corrected", "lacking_commands", "saves_power",
]  # fmt: skip


def test_json() -> None:
    value = info_json(rssi=20, imei="869000000000017", **RICH)
    assert list(value) == KEYS
    assert (value["imei"], value["registered"], value["rssi"], value["rsrp"]) == ("869000000000017", True, -73, -84)
    assert (value["send_format"], value["sleep_mode"], value["stored_baudrate"]) == ("hex", 0, 115200)
    assert (value["saves_power"], value["dns"], value["sim"]) == (True, ["218.2.2.2", "8.8.8.8"], "ready")
    assert value["psm"] == {
        "is_on": True, "active_time": 60.0, "periodic_time": 36000.0, "is_granted": True, "granted_active_time": 60.0,
        "granted_periodic_time": 21600.0,
    }  # fmt: skip
    assert value["edrx"] == {
        "is_on": True, "cycle": 81.92, "is_granted": True, "granted_cycle": 81.92, "paging_window": 10.24,
    }  # fmt: skip


def test_json_of_a_firmware_that_tells_little() -> None:
    lacking = "CESQ,QENG,QBAND,COPS,CPSMS,CEDRXS,CEDRXRDP,CSCON,CBC,QCCID,CGSN"
    value = info_json(unknown_commands=lacking)
    assert list(value) == KEYS
    null = [name for name in KEYS if value[name] is None]
    assert null == [
        "iccid", "reject_cause", "operator", "rsrp", "rsrq", "sinr", "ecl", "band", "bands", "earfcn", "pci", "cell",
        "tac", "radio_connected", "psm", "edrx", "voltage", "saves_power",
    ]  # fmt: skip
    assert value["imei"] == "" and "AT+CESQ" in value["lacking_commands"]


def test_keys_are_documented() -> None:
    text = environment()["PYTHONPATH"] + "/docs/command-line.md"
    with open(text, encoding="utf-8") as file:
        documented = re.findall(r"`([a-z_]+)`", file.read().partition("## `info`")[2].partition("\n## ")[0])
    assert [name for name in KEYS if name not in documented] == []


def test_options_of_the_environment_change_nothing() -> None:
    """An access point and name servers that programs are to use are not set by looking."""
    variables = {"NBSOCKET_APN": "other.example", "NBSOCKET_DNS": "1.1.1.1"}
    code, output, error = nbsocket("-vv", "--port", sim_url(), "info", **variables)
    rows = read_page(output)
    assert (code, rows["data", "APN"], rows["data", "name servers"]) == (0, "cmnbiot", "218.2.2.2, 8.8.8.8")
    assert "AT+CEREG?" in error and "CGDCONT=" not in error and "QIDNSCFG=0," not in error


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2.0, "2 s"), (20.48, "20.48 s"), (60, "1 min"), (90, "90 s"), (5400, "90 min"), (21600, "6 h"),
     (180000, "2 d 2 h"), (1152000, "13 d 8 h"), (0.0, "0 s")],
)  # fmt: skip
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


# -- again and again


class Watch:
    """The command with --watch, its output a pipe or a terminal of some size."""

    def __init__(self, *words: str, terminal: tuple[int, int] | None = None, **variables: str) -> None:
        if terminal is None:
            self.fd, theirs = os.pipe()
        else:
            self.fd, theirs = pty.openpty()
            fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *terminal, 0, 0))
        kept = {name: value for name, value in environment().items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "nbsocket", *words],
            env={**kept, "TERM": "xterm", **variables},
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=subprocess.PIPE,
        )
        os.close(theirs)
        self.text = ""

    def read(self, pattern: str) -> str:
        """Wait until what was printed has this in it."""
        end = time.monotonic() + PATIENCE
        while not re.search(pattern, self.text, re.DOTALL):
            assert select.select([self.fd], [], [], end - time.monotonic())[0], self.text
            self.text += os.read(self.fd, 65536).decode()
        return self.text

    def stop(self) -> tuple[int, bytes]:
        """Ctrl-C; return exit code and what was said on stderr."""
        self.process.send_signal(signal.SIGINT)
        _, error = self.process.communicate(timeout=PATIENCE)
        os.close(self.fd)
        return self.process.returncode, error


def test_watch_in_a_pipe_is_a_line_each_time() -> None:
    watch = Watch("--port", sim_url(), "info", "--watch", "0.1")
    lines = watch.read(r"(?:[^\n]+\n){3}").splitlines()
    assert watch.stop() == (ExitCode.INTERRUPTED, b"")
    for line in lines[:3]:
        assert re.fullmatch(
            r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ registered, home network rssi=-73 rsrp=-84 rsrq=-11 sinr=9 ecl=0 band=8"
            r" cell=0A1B2C3D radio=idle address=10\.18\.237\.42",
            line,
        )


def test_watch_as_json_is_an_object_a_line() -> None:
    watch = Watch("--json", "--port", sim_url(registration="denied"), "info", "--watch", "0.1")
    lines = watch.read(r"(?:[^\n]+\n){3}").splitlines()
    assert watch.stop() == (ExitCode.INTERRUPTED, b"")
    for line in lines[:3]:
        value = json.loads(line)
        assert list(value) == ["time", *KEYS] and value["time"].endswith("+00:00") and value["reject_cause"] == 13


def test_watch_asks_a_firmware_only_once_for_what_it_lacks() -> None:
    words = ("-vv", "--port", sim_url(unknown_commands="CESQ,QENG"), "info", "--watch", "0.1")
    watch = Watch(*words)
    watch.read(r"(?:[^\n]+\n){3}")
    code, error = watch.stop()
    assert code == ExitCode.INTERRUPTED
    assert error.count(b">> AT+CSQ\n") >= 3 and error.count(b">> AT+CESQ\n") == error.count(b">> AT+QENG=0\n") == 1


@pytest.mark.parametrize(("height", "back"), [(60, r"\x1b\[\d+A\x1b\[J"), (20, r"\x1b\[H\x1b\[2J")])
def test_watch_on_a_terminal_is_drawn_in_place(height: int, back: str) -> None:
    watch = Watch("--port", sim_url(**RICH), "info", "--watch", "0.1", terminal=(height, 60))
    text = watch.read(rf"{back}.*{back}.*Ctrl-C to end")
    assert watch.stop() == (ExitCode.INTERRUPTED, b"")
    page = re.split(back, text)[1].replace("\r", "")
    assert max(len(line) for line in re.sub(r"\x1b\[\d*m", "", page).splitlines()) <= 60
    assert read_page(re.sub(r"\x1b\[\d*m", "", page))["power", "eDRX granted"] == "listens every 81.92 s for 10.24 s"
    assert "\x1b[1msignal" in page
    if height == 60:
        [up] = set(re.findall(r"\x1b\[(\d+)A", text))
        assert int(up) == page.count("\n"), "the cursor goes back to the first line"


def test_no_colour_where_that_is_wanted() -> None:
    watch = Watch("--port", sim_url(), "info", "--watch", "0.1", terminal=(60, 80), NO_COLOR="1")
    assert "\x1b[1m" not in watch.read("Ctrl-C to end")
    assert watch.stop()[0] == ExitCode.INTERRUPTED


def test_watch_ends_with_its_reader() -> None:
    watch = Watch("--port", sim_url(), "info", "--watch", "0.1")
    watch.read("\n")
    os.close(watch.fd)
    _, error = watch.process.communicate(timeout=PATIENCE)
    assert (watch.process.returncode, error) == (ExitCode.FAILURE, b"")


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "soon", "1e9"])
def test_watch_refuses(seconds: str) -> None:
    assert "--watch" in fails(ExitCode.USAGE, "--port", sim_url(), "info", f"--watch={seconds}")

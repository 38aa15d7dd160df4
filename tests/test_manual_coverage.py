"""docs/manual-coverage.md: its names exist, no form of the manual is missing, and its lines are answered."""

from __future__ import annotations

import argparse
import importlib
import inspect
import re
import shlex
from pathlib import Path
from typing import NamedTuple

import pytest

import nbsocket
from nbsocket._cli import SUBCOMMANDS
from nbsocket._cli._options import add_common_options
from nbsocket._driver import RawCommand, Settings
from nbsocket._errors import RESULT_CODES
from tests.rig import Rig

ROOT = Path(__file__).parents[1]

#: Every command of BC260Y-CN TCP/IP guide 1.1 §2.3 and its forms, as the first words of the table's second column.
MANUAL = {
    "QICFG": ["test", "query", "set"],
    "QIOPEN": ["test", "set, TCP, name", "set, UDP, IPv4", "set, IPv6", "set, local port, access mode"],
    "QICLOSE": ["test", "set"],
    "QISTATE": ["test", "read", "set, a context", "set, a socket"],
    "QISEND": [
        "test",
        "set, command mode, hex",
        "set, command mode, RAI 1",
        "set, command mode, RAI 2",
        "set, command mode, text",
        "set, data mode, open length, Ctrl-Z",
        "set, data mode, open length, Esc",
        "set, data mode, open length, automatic",
        "set, data mode, fixed length",
        "set, acknowledgement",
    ],
    "QIDNSGIP": ["test", "set"],
    "QDNSGIP": ["set, as §4.4 spells it"],
    "QIDNSCFG": ["test", "set, primary", "set, both", "query, four addresses"],
    "QPING": ["test", "set, defaults", "set, time-out, number, size", "set, RAI"],
    "QNTP": ["test", "set, defaults", "set, port, clock left alone", "set, port, clock set"],
    "QNTPT": ["test, as the heading spells it", "set, as the heading spells it"],
}

#: Lines that come unasked or late.
LINES = {
    '+QIURC: "recv"', '+QIURC: "closed"', "+QIOPEN", "+QIDNSGIP", "+QPING", "+QNTP", "+QNTTP", "+QNTPT", "CLOSE OK",
    "+QNBIOEVENT", "+QNBIOTEVENT", "+IP", "+CEREG", "RDY",
}  # fmt: skip

#: Commands of other documents that the library needs.
OTHERS = {
    "AT", "ATE0", "ATI", "ATQ0", "ATV1", "CGMR", "CGSN", "CMEE", "CFUN", "CPIN", "CSQ", "CEREG", "CGATT", "CGPADDR",
    "QSCLK", "CCLK", "CPSMS", "CEDRXS", "CGDCONT", "IPR", "QRST", "QNBIOTEVENT",
    "CEDRXRDP", "COPS", "CESQ", "QENG", "QBAND", "CSCON", "CBC", "QCCID", "CIMI",
}  # fmt: skip


class Row(NamedTuple):
    """One row of the document."""

    subject: str
    form: str
    manual: str
    python: str
    command_line: str
    test: str

    @property
    def line(self) -> str:
        """The AT command, or another line of the module's."""
        match = re.match(r"`([^`]+)`", self.subject)
        return match[1] if match else ""

    @property
    def name(self) -> str:
        """The command's name."""
        return re.split(r"[=?]", self.line.removeprefix("AT+"))[0]

    @property
    def payload(self) -> bytes | None:
        """What goes out after the prompt."""
        if "1024 bytes" in self.subject:
            return b"x" * 1024
        match = re.search(r"` \+ `([^`]+)`", self.subject)
        return match[1].encode().decode("unicode_escape").encode("latin-1") if match else None


def read() -> list[Row]:
    """Read the rows of all tables."""
    lines = (ROOT / "docs" / "manual-coverage.md").read_text("utf-8").splitlines()
    cells = [[cell.strip() for cell in line[1:-1].split("|")] for line in lines if line.startswith("| ")]
    return [Row(*row) for row in cells if row[1] != "Form"]


ROWS = read()
COMMANDS = [row for row in ROWS if row.line.startswith("AT")]


def code(cell: str) -> list[str]:
    """The code spans of a cell."""
    return re.findall(r"`([^`]+)`", cell)


def test_every_form_of_the_manual_has_its_row() -> None:
    forms: dict[str, list[str]] = {}
    for row in COMMANDS:
        if row.name in MANUAL:
            forms.setdefault(row.name, []).append(row.form)
    assert forms == MANUAL
    assert {row.name for row in COMMANDS} == set(MANUAL) | OTHERS
    assert {row.line for row in ROWS if row.line and not row.line.startswith("AT")} == LINES


def test_every_section_of_the_manual_is_named() -> None:
    named = {section for row in ROWS for section in re.findall(r"§([\d.]+)", row.manual)}
    wanted = {f"2.3.{n}" for n in range(1, 10)} | {"2.4.1", "2.4.2", "3", "4.1", "4.4", "4.5", "4.6", "4.7"}
    # §4.2.2 and §4.2.3, §4.3.2 and §4.3.3 set the data format, as §2.3.1 does.
    wanted |= {f"4.2.{n}" for n in (1, 4, 5, 6, 7, 8, 9, 10)} | {f"4.3.{n}" for n in (1, 4, 5, 6, 7, 8, 9)}
    assert wanted - named == set()


def test_every_result_code_is_in_it() -> None:
    assert set(RESULT_CODES) == {0, *range(550, 575)}
    assert any(row.subject == "0, 550 to 574" for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.subject} {row.form}")
def test_names_exist(row: Row) -> None:
    assert row.manual and row.python and row.command_line
    check_python(row)
    for command in code(row.command_line):
        check_command_line(command)
    [test] = code(row.test)
    path, _, name = test.partition("::")
    assert re.search(rf"^def {name}\(", (ROOT / path).read_text("utf-8"), re.MULTILINE), test


def check_python(row: Row) -> None:
    target, *parameters = code(row.python)
    value: object = nbsocket
    for part in target.split("."):
        value = getattr(value, part)
    for parameter in parameters:
        assert callable(value) and parameter in inspect.signature(value).parameters, parameter


def check_command_line(text: str) -> None:
    words = shlex.split(text)
    assert words[0] == "nbsocket"
    common = argparse.ArgumentParser()
    add_common_options(common)
    options, rest = common.parse_known_args([*words[1:]]) if words[1].startswith("--data") else (None, words[1:])
    assert options is None or options.data_format
    module = importlib.import_module(f"nbsocket._cli.{SUBCOMMANDS[rest[0]].module}")
    parser = argparse.ArgumentParser(exit_on_error=False)
    module.add_arguments(parser)
    parser.parse_args(rest[1:])


@pytest.mark.parametrize("row", COMMANDS, ids=lambda row: f"{row.subject} {row.form}")
def test_line_is_answered(row: Row) -> None:
    """By the simulated module, with a TCP connection at 0, as the form needs the data format."""
    rig = Rig(Settings(baudrate=115200, data_format="raw" if row.form.endswith(", text") else "hex")).start()
    rig.ask(RawCommand('AT+QIOPEN=0,0,"TCP","10.0.0.9",80', wants_outcome=True))
    request = RawCommand(row.line, row.payload, wants_outcome=True)
    if row.payload == b"\x1b":
        with pytest.raises(OSError) as caught:
            rig.ask(request)
        assert caught.value.result == 571  # type: ignore[attr-defined]  # of our errors
        return
    lines = rig.ask(request)
    # Not the last one where it sets how the module is spoken to: that is looked at afterwards.
    assert row.line in rig.module.commands
    if "test" in row.form:
        assert lines and lines[0].startswith("+" + row.name.replace("QDNSGIP", "QIDNSGIP"))
    if row.payload:
        assert bytes(rig.peer.received) == row.payload
    elif row.name == "QISEND" and "," in row.line and "command mode" in row.form:
        assert bytes(rig.peer.received) == (b"1234567890" if "text" in row.form else b"123")

"""Secrets are shown nowhere; what names a person or a device is masked in what leaves the desk."""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from nbsocket import Modem, ModemError
from nbsocket._engine._wirelog import WireLog
from nbsocket._privacy import mask_identities, mask_secrets
from tests.helpers import logs_delivered, sim_url

#: A line with a secret, and what is shown of it.
LINES = [
    ('AT+CPIN="8642"', "AT+CPIN=****"),
    ("AT+CPIN=8642", "AT+CPIN=****"),
    ('at+cpin="12345678","8642"', "at+cpin=****"),
    ('AT+CLCK="SC",1,"8642"', 'AT+CLCK="SC",1,****'),
    ('AT+CPWD="SC","8642","1111"', 'AT+CPWD="SC",****'),
    ('AT+CGAUTH=1,1,"me","geheim"', 'AT+CGAUTH=1,1,"me",****'),
    ('+CGAUTH: 1,1,"me","geheim"', '+CGAUTH: 1,1,"me",****'),
    ('AT+QICSGP=1,1,"iot","me","geheim",1', 'AT+QICSGP=1,1,"iot","me",****'),
    ('AT+QCGDEFCONT="IP","iot","me","geheim"', 'AT+QCGDEFCONT="IP","iot","me",****'),
    ('AT+QMTCONN=0,"id","me","geheim"', 'AT+QMTCONN=0,"id","me",****'),
    ('AT+CGAUTH=1,1,"a,b","ge,heim"', 'AT+CGAUTH=1,1,"a,b",****'),
    ("no answer to 'AT+CPIN=\"8642\"'", "no answer to 'AT+CPIN=****'"),
    ('(AT+CPIN="8642") was refused', "(AT+CPIN=****) was refused"),
    ("""AT+CGAUTH=1,1,"me","ge'he\\nim\"""", 'AT+CGAUTH=1,1,"me",****'),
    ("AT+CGAUTH=1,1,me,ge'he\\im", "AT+CGAUTH=1,1,me,****"),
    ("AT+CGAUTH=1,1,me,ge heim", "AT+CGAUTH=1,1,me,****"),
    ('AT+CPWD="SC", "8642",1111', 'AT+CPWD="SC", ****'),
    ('AT+QICSGP=1,1,"iot","me",geheim,', 'AT+QICSGP=1,1,"iot","me",****'),
    ('AT+CPIN="86', "AT+CPIN=****"),
]


@pytest.mark.parametrize(("line", "shown"), LINES)
def test_secrets(line: str, shown: str) -> None:
    assert mask_secrets(line) == shown
    assert mask_secrets(f"{line}\r\n".encode()) == f"{shown}\r\n".encode()
    assert mask_secrets(shown) == shown


@pytest.mark.parametrize(
    "line",
    [
        "+CPIN: READY", "+CPIN: SIM PIN", "AT+CPIN?", "AT+CPIN=?", "AT+CPIN= ?", "AT+CPIN=",
        'AT+CLCK="SC",2', "+CLCK: 0", "AT+CGAUTH?",
        "+CGAUTH: 1,0", "AT+CGAUTH=1,0", 'AT+QIOPEN=0,0,"TCP","10.0.0.1",80', "+CPINR: SIM PIN,3,3", "OK", "",
    ],
)  # fmt: skip
def test_what_is_no_secret(line: str) -> None:
    assert mask_secrets(line) == line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("+CGSN: 869000000000001", "+CGSN: ***********0001"),
        ("460040000000007", "***********0007"),
        ("+QCCID: 89860400000000000001", "+QCCID: ****************0001"),
        ('+CNUM: ,"+8613912345678",145', '+CNUM: ,"**********5678",145'),
        ("+QCCID: 8986040000000000001F", "+QCCID: ****************001F"),
        ("the module is 869000000000001.", "the module is ***********0001."),
        ("its address is 10.18.237.42.", "its address is *.*.*.42."),
        ('+CGPADDR: 1,"36.8.132.1.0.0.0.0.0.0.0.0.0.0.0.23"', '+CGPADDR: 1,"*.*.*.23"'),
        ("+IP: 10.18.237.42", "+IP: *.*.*.42"),
        ('AT+QIOPEN=0,0,"TCP","192.0.2.1",80', 'AT+QIOPEN=0,0,"TCP","*.*.*.1",80'),
        ("address 2001:db8::17 is", "address *:17 is"),
        ("TCP api.example:80 connected", "TCP api.example:80 connected"),
        ("at 12:30:45 on 127.0.0.1 and ::1", "at 12:30:45 on 127.0.0.1 and ::1"),
        ("Revision: BC260YCNAAR01A03, 512 bytes, +CSQ: 20,0", "Revision: BC260YCNAAR01A03, 512 bytes, +CSQ: 20,0"),
        ("version 1.2.3 of 5.4.3.2.1", "version 1.2.3 of 5.4.3.2.1"),
    ],
)
def test_identities(text: str, shown: str) -> None:
    assert mask_identities(text) == shown


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.DEBUG)

    def lines() -> list[str]:
        logs_delivered()
        return [record.getMessage() for record in caplog.records]

    return lines


@pytest.mark.parametrize("log_payload", [False, True])
def test_wire_log_shows_no_secret_however_its_echo_is_cut(log: Callable[[], list[str]], log_payload: bool) -> None:
    command = b'AT+CGAUTH=1,1,"me","geheim"\r'
    traffic = command + b'\r\nOK\r\nAT+CPIN="8642"\r\r\n+CME ERROR: 16\r\n\r\n+CGAUTH: 1,1,"me","geheim"\r\n'
    for seed in range(60):
        wire, random = WireLog(log_payload=log_payload), Random(seed)
        wire.sent(command)
        cuts = sorted(random.choices(range(len(traffic) + 1), k=random.choice((0, 1, 3, 20))))
        for start, stop in pairwise([0, *cuts, len(traffic)]):
            wire.received(traffic[start:stop])
            wire.sent(b"AT\r")
    text = "\n".join(log())
    assert "+CME ERROR: 16" in text and "CGAUTH=1,1" in text
    assert not any(piece in text for piece in ("864", "642", "geh", "eim", "ehe"))


def test_nothing_tells_a_secret(log: Callable[[], list[str]]) -> None:
    """Not the log of a modem that is given it, nor an error of the user's own command."""
    options = {"pin": "8642", "apn_user": "me", "apn_password": "geheim"}
    with Modem(sim_url(sim_card="pin", pin="8642"), **options) as modem:  # type: ignore[arg-type]  # texts all
        modem.wait_attached()
        with pytest.raises(ModemError) as caught:
            modem.command('AT+CPIN="8642"')
    assert "8642" not in f"{caught.value} {caught.value.command}"
    text = "\n".join(log())
    assert "CPIN=****" in text and 'CGAUTH=1,1,"me",****' in text
    assert "8642" not in text and "geheim" not in text


def test_wire_log_has_one_line_a_line(log: Callable[[], list[str]]) -> None:
    wire = WireLog()
    wire.sent(b"AT+CSQ\r")
    for piece in (b"\r\n+CS", b"Q: 20,0\r", b"\n\r\nOK\r\n\r\n> "):
        wire.received(piece)
    wire.sent(b"\x1b")
    wire.received(b"\xfe\r\n")
    assert log() == [">> AT+CSQ", "<< +CSQ: 20,0", "<< OK", "<< >", ">> <1 bytes>", "<< \\xfe"]


def test_log_file_of_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from nbsocket._cli import main

    path, whole = tmp_path / "all.log", tmp_path / "whole.log"
    assert main(["info", "--port", sim_url(), "--log", str(path)]) == 0
    assert main(["info", "--port", sim_url(), "--log", str(whole), "--show-identities"]) == 0
    assert main(["info", "--port", sim_url(), "--log", str(tmp_path / "no" / "folder")]) == 2
    assert "869000000000001" in capsys.readouterr().out, "the terminal shows what was asked for"
    text = path.read_text()
    assert ">> AT+CGSN" in text and "network: registered" in text
    assert "869000000000001" not in text and "10.18.237.42" not in text and "*.*.*.42" in text
    assert "869000000000001" in whole.read_text() and "10.18.237.42" in whole.read_text()
    assert path.stat().st_mode & 0o077 == 0

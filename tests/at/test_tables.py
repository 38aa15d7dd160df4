"""What single lines mean when nothing is pending: outcomes, URCs, notices, damage, curiosities."""

from __future__ import annotations

import pytest

from nbsocket._at import (
    Chat,
    ClosedUrc,
    CloseOk,
    Damaged,
    DnsAddress,
    DnsResult,
    Event,
    IpAssigned,
    Notice,
    NtpResult,
    OpenResult,
    PingLine,
    PingSummary,
    Rdy,
    Registration,
    Sleep,
    UnknownLine,
)
from nbsocket._at._damage import distance
from nbsocket._at._tables import error_code, is_error
from tests.at.feeding import drain

LINES: list[tuple[str, Event]] = [
    ("RDY", Rdy()),
    ("CLOSE OK", CloseOk()),
    ("+QIOPEN: 0,0", OpenResult(0, 0)),
    ("+QIOPEN:4,566", OpenResult(4, 566)),
    ("+QIOPEN: 0, 563", OpenResult(0, 563)),
    ('+QIURC: "closed",0', ClosedUrc(0)),
    ('+QIURC:"closed", 4', ClosedUrc(4)),
    ("+QIURC: closed,4", ClosedUrc(4)),
    ("+QIDNSGIP: 0,1,0", DnsResult(0, 1)),
    ("+QIDNSGIP: 565", DnsResult(565, 0)),
    ("+QIDNSGIP: 39.156.69.79", DnsAddress("39.156.69.79")),
    ('+QIDNSGIP: "39.156.69.79"', DnsAddress("39.156.69.79")),
    ('+QIDNSGIP: "240E:5A::6666"', DnsAddress("240E:5A::6666")),
    ("+QPING: 0,47.100.63.174,32,369", PingLine(0, "47.100.63.174", 32, 369, None)),
    ('+QPING: 0,"47.100.63.174",32,369,55', PingLine(0, "47.100.63.174", 32, 369, 55)),
    ("+QPING: 569", PingLine(569, None, None, None, None)),
    ("+QPING: 569,47.100.63.174,32", PingLine(569, "47.100.63.174", 32, None, None)),
    ("+QPING: 0,4,4,0,260,484,398", PingSummary(0, 4, 4, 0, 260, 484, 398)),
    ("+QPING: 569,4,0,4", PingSummary(569, 4, 0, 4, 0, 0, 0)),
    ("+QPING: 1", PingLine(569)),
    ("+QPING: 2,4,3,1,260,484,398", PingSummary(0, 4, 3, 1, 260, 484, 398)),
    ("+QPING: 4", PingLine(550)),
    ('+QIURC: "dnsgip",0,1,300', DnsResult(0, 1)),
    ('+QIURC: "dnsgip",565', DnsResult(565, 0)),
    ('+QIURC: "dnsgip","192.0.2.7"', DnsAddress("192.0.2.7")),
    ('+QIURC: "dnsgip","192.0.2.7,192.0.2.8"', DnsAddress("192.0.2.7")),
    ('+QIURC: "dnsgip",192.0.2.7', DnsAddress("192.0.2.7")),
    ("Leaving the BROM", UnknownLine("Leaving the BROM")),
    ("+QATWAKEUP", Notice("+QATWAKEUP")),
    ('+QNTP: 0,"19/06/11,11:08:20+32"', NtpResult(0, "19/06/11,11:08:20+32")),
    ('+QNTTP: 0,"19/06/11,11:08:20:35+32"', NtpResult(0, "19/06/11,11:08:20:35+32")),
    ("+QNTPT: 0,2019/06/11,11:08:20+32", NtpResult(0, "2019/06/11,11:08:20+32")),
    ("+QNTP: 569", NtpResult(569, None)),
    ("+IP: 10.18.237.42", IpAssigned("10.18.237.42")),
    ('+IP:"10.18.237.42"', IpAssigned("10.18.237.42")),
    ("+IP: 2001:DB8::1", IpAssigned("2001:DB8::1")),
    ("+CEREG: 1", Registration(1)),
    ("+CEREG:5", Registration(5)),
    ('+CEREG: 1,"1A2B","01234567",9', Registration(1)),
    ('+CEREG: 1,"1A2B","01234567",9,,,"00000000","00111000"', Registration(1)),
    ("+CEREG: 0,5", Registration(5)),
    ('+QNBIOEVENT: "ENTER DEEPSLEEP"', Sleep(True)),
    ('+QNBIOTEVENT:"EXIT DEEPSLEEP"', Sleep(False)),
    ("+QNBIOTEVENT: ENTER DEEPSLEEP", Sleep(True)),
    ('+QNBIOTEVENT: "ENTER PSM"', Notice('+QNBIOTEVENT: "ENTER PSM"')),
    *(
        (line, Notice(line))
        for line in ("+CFUN: 1", "+CPIN: READY", "+CSCON: 1", "+QNEW: 1", '+QNEW: "abc",1', "+QNEW:")
    ),
    *(
        (line, Notice(line))
        for line in ('+QIND: "abc",1', "+QISEND: 1,1,0", '+QIURC: "pdpdeact",1', '+QIURC: "dnsgip",0')
    ),
    ('+CGPADDR: 5,"10.177.135.245"', Notice('+CGPADDR: 5,"10.177.135.245"')),
    ('+QISTATE: 0,"TCP","h",80,0,2,0,1', Notice('+QISTATE: 0,"TCP","h",80,0,2,0,1')),
    *((line, UnknownLine(line)) for line in ("+QIOPEN: 5,0", "+QIOPEN: 0", "+QIOPEN: x,0", "+QIOPEN: 0,0,0", "+IP: x")),
    *((line, UnknownLine(line)) for line in ("+CEREG: x", "+QPING: x", "+QPING: 0,1,2", "+QNTP: x", "+QIDNSGIP: x")),
    *(
        (line, UnknownLine(line))
        for line in ("Quectel", "APP RDY", "+", "OKAY", "AT+QICLOSE=0", "rdy", "12", "+cfun: 1")
    ),
]


@pytest.mark.parametrize(("line", "event"), LINES, ids=lambda value: value if isinstance(value, str) else "")
def test_line(line: str, event: Event) -> None:
    assert drain(Chat(), [b"\r\n" + line.encode() + b"\r\n"]) == [event]


WRECKS = [
    b'+QIURv",1,1,,',
    b'+QIURC: "closed",5',
    b'+QIURC: "closed"',
    b'+QIURC: "closd",0',
    b'+QIURC: "recv"',
    b'+QIURC: "rec",0,5,"hello"',
    b"+QIURC:",
    b"+QIURC",
    b'QIURC: "recv",0,5,"hello"',
    b'IURC: "recv",0,5,"hello"',
    b'"recv",0,5,"hello"',
    b'cv",0,5,"68656c6c6f"',
    b'+QIUC: "rcv",0,5,"hello"',
    b'+QIRC "recv,0,5,"hello"',
    b'+QI"recv",0,5,"hello"',
    b'+QNBIOTEVENT: "EN+QIURC: "recv",0,5,"',
    b'+QIOPEN: 0,0+QIURC: "recv",0,5,"',
    b'OK+QIURC: "recv",0,5,"',
    b"hel\x80lo",
    b"\x01",
    b'6c6f"',
    b'"6c6f"',
    b'c"',
    b'the end of a text"',
    b'"',
    b"68656c6c6f",
]


@pytest.mark.parametrize("line", WRECKS)
def test_wreck(line: bytes) -> None:
    (event,) = drain(Chat(), [b"\r\n" + line + b"\r\n"])
    assert isinstance(event, Damaged)
    assert (event.socket_id, event.is_contained) == (None, False)


@pytest.mark.parametrize("position", range(15))
@pytest.mark.parametrize("replacement", [b"", b"~", b"0"])
def test_every_single_error_in_the_header_is_noticed(position: int, replacement: bytes) -> None:
    header = b'+QIURC: "recv",'
    wreck = header[:position] + replacement + header[position + 1 :] + b'2,5,"hello"\r\n'
    (event,) = drain(Chat(), [b"\r\n" + wreck])
    # Some errors leave what the header says beyond doubt.
    assert type(event).__name__ in ("Damaged", "Received")


@pytest.mark.parametrize("line", ["+CME ERROR: 50", "+CME ERROR:50", "+CMS ERROR: 50"])
def test_error_with_a_number(line: str) -> None:
    assert is_error(line)
    assert error_code(line) == 50


@pytest.mark.parametrize("line", ["+CME ERROR: phone failure", "+CME ERROR: ", "+CME ERROR: -1", "+CME ERROR: ٣"])
def test_error_without_a_number(line: str) -> None:
    assert is_error(line)
    assert error_code(line) is None


@pytest.mark.parametrize("line", ["ERROR", "+CME", "+CMEE: 1", "OK"])
def test_no_extended_error(line: str) -> None:
    assert not is_error(line)


@pytest.mark.parametrize(
    ("pattern", "text", "edits"),
    [("abc", "abc", 0), ("abc", "abcdef", 0), ("abc", "abd", 1), ("abc", "ab", 1), ("abc", "xabc", 1), ("abc", "", 3)],
)
def test_distance(pattern: str, text: str, edits: int) -> None:
    assert distance(pattern, text) == edits

"""Every command: its line, the fields it refuses, and what it makes of answers."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from nbsocket import _at
from nbsocket._at import (
    AT,
    ATE0,
    ATI,
    ATQ0,
    ATV1,
    BAUDRATES,
    CCLK,
    CEREG,
    CFUN,
    CGAUTH,
    CGDCONT,
    CGMR,
    CGPADDR,
    CGSN,
    CMEE,
    CPIN,
    CPSMS,
    CSQ,
    IPR,
    MAX_COMMAND_SIZE,
    QICFG,
    QICLOSE,
    QIDNSCFG,
    QIDNSGIP,
    QIGETERROR,
    QIOPEN,
    QISTATE,
    QNTP,
    QPING,
    QSCLK,
    Acknowledgement,
    CCLKRead,
    CEREGRead,
    CFUNRead,
    CGAUTHRead,
    CGDCONTRead,
    CMEERead,
    Command,
    CPINRead,
    CPINRRead,
    CPSMSRead,
    DataFormat,
    DnsConfig,
    InfoResponse,
    IPRRead,
    PdpAddress,
    PdpContext,
    QICFGRead,
    QICFGView,
    QICFGViewRead,
    QIDNSCFGRead,
    QISENDData,
    QISENDHex,
    QISENDQuery,
    QISTATEContext,
    QISTATERead,
    QPINCRead,
    QSCLKRead,
    Raw,
    RegistrationStatus,
    RemoteProtocolError,
    SignalQuality,
    SocketStatus,
)

UTC = timezone.utc
NAME_150 = "a" * 150

LINES: list[tuple[Command[Any], str]] = [
    (AT(), "AT"),
    (ATE0(), "ATE0"),
    (ATQ0(), "ATQ0"),
    (ATV1(), "ATV1"),
    (ATI(), "ATI"),
    (CGMR(), "AT+CGMR"),
    (CGSN(), "AT+CGSN=1"),
    (CMEE(), "AT+CMEE=1"),
    (CMEE(0), "AT+CMEE=0"),
    (CMEERead(), "AT+CMEE?"),
    (CPSMS(0), "AT+CPSMS=0"),
    (CPSMSRead(), "AT+CPSMS?"),
    (CFUN(1), "AT+CFUN=1"),
    (CFUNRead(), "AT+CFUN?"),
    (CPINRead(), "AT+CPIN?"),
    (CSQ(), "AT+CSQ"),
    (CEREG(5), "AT+CEREG=5"),
    (CEREGRead(), "AT+CEREG?"),
    (CGPADDR(), "AT+CGPADDR"),
    (QSCLK(0), "AT+QSCLK=0"),
    (QSCLK(2), "AT+QSCLK=2"),
    (QSCLKRead(), "AT+QSCLK?"),
    (CCLK(datetime(2026, 1, 2, 3, 4, 5, 999999, UTC)), 'AT+CCLK="26/01/02,03:04:05+00"'),
    (CCLK(datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=8)))), 'AT+CCLK="26/01/01,16:00:00+00"'),
    (CCLKRead(), "AT+CCLK?"),
    (CGDCONT(1, "IP", "my.apn"), 'AT+CGDCONT=1,"IP","my.apn"'),
    (CGDCONT(0, "IPV4V6", ""), 'AT+CGDCONT=0,"IPV4V6",""'),
    (CGDCONTRead(), "AT+CGDCONT?"),
    (CPIN("1234"), 'AT+CPIN="1234"'),
    (CPINRRead(), 'AT+CPINR="SIM PIN"'),
    (QPINCRead(), "AT+QPINC?"),
    (CGAUTH(1, "me", "secret"), 'AT+CGAUTH=1,1,"me","secret"'),
    (CGAUTHRead(), "AT+CGAUTH?"),
    (IPR(115200), "AT+IPR=115200"),
    (IPRRead(), "AT+IPR?"),
    (QICFG(True, False), 'AT+QICFG="dataformat",1,0'),
    (QICFG(False, True), 'AT+QICFG="dataformat",0,1'),
    (QICFGRead(), 'AT+QICFG="dataformat"'),
    (QIOPEN(0, "TCP", "10.0.0.1", 80), 'AT+QIOPEN=0,0,"TCP","10.0.0.1",80'),
    (QICFGView("viewmode", 1), 'AT+QICFG="viewmode",1'),
    (QICFGView("showlength", 0), 'AT+QICFG="showlength",0'),
    (QICFGViewRead("viewmode"), 'AT+QICFG="viewmode"'),
    (QIOPEN(0, "TCP", "h", 80, context_id=1, states_access_mode=True), 'AT+QIOPEN=1,0,"TCP","h",80,0,1'),
    (QIOPEN(4, "UDP", "2001:db8::1", 65535, 50000), 'AT+QIOPEN=0,4,"UDP","2001:db8::1",65535,50000,1'),
    (QIOPEN(0, "TCP", NAME_150, 1), f'AT+QIOPEN=0,0,"TCP","{NAME_150}",1'),
    (QICLOSE(3), "AT+QICLOSE=3"),
    (QIGETERROR(), "AT+QIGETERROR"),
    (QISTATERead(), "AT+QISTATE?"),
    (QISTATEContext(), "AT+QISTATE=0,0"),
    (QISTATE(2), "AT+QISTATE=1,2"),
    (QISENDHex(0, b"\x00\xab"), 'AT+QISEND=0,2,"00AB"'),
    (QISENDHex(0, b"123", 1), 'AT+QISEND=0,3,"313233",1'),
    (QISENDHex(4, b"z" * 512, 2), 'AT+QISEND=4,512,"' + "7A" * 512 + '",2'),
    (QISENDHex(0, b"\x00\xab", is_extended=True), "AT+QISENDEX=0,2,00AB"),
    (QISENDHex(0, b"\x00\xab", 2, is_extended=True), "AT+QISENDEX=0,2,00AB,2"),
    (QISENDData(1, b"x"), "AT+QISEND=1,1"),
    (QISENDData(1, bytes(1024)), "AT+QISEND=1,1024"),
    (QISENDQuery(4), "AT+QISEND=4,0"),
    (QIDNSGIP("example.com"), 'AT+QIDNSGIP=0,"example.com"'),
    (QIDNSGIP("example.com", 1), 'AT+QIDNSGIP=1,"example.com"'),
    (QIDNSCFG("8.8.8.8", context_id=1), 'AT+QIDNSCFG=1,"8.8.8.8"'),
    (QIDNSCFGRead(1), "AT+QIDNSCFG=1"),
    (QPING("h", context_id=1), 'AT+QPING=1,"h"'),
    (QNTP("h", context_id=1), 'AT+QNTP=1,"h"'),
    (QIDNSCFG("8.8.8.8"), 'AT+QIDNSCFG=0,"8.8.8.8"'),
    (QIDNSCFG("8.8.8.8", "1.1.1.1"), 'AT+QIDNSCFG=0,"8.8.8.8","1.1.1.1"'),
    (QIDNSCFGRead(), "AT+QIDNSCFG=0"),
    (QPING("h"), 'AT+QPING=0,"h"'),
    (QPING("h", 20, 10, 1500, 1), 'AT+QPING=0,"h",20,10,1500,1'),
    (QPING("h", 20, 10, 1500, 0), 'AT+QPING=0,"h",20,10,1500'),
    (QPING("h", 1), 'AT+QPING=0,"h",1'),
    (QPING("h", count=2), 'AT+QPING=0,"h",4,2'),
    (QPING("h", rai=1), 'AT+QPING=0,"h",4,4,32,1'),
    (QNTP("h"), 'AT+QNTP=0,"h"'),
    (QNTP("h", 124), 'AT+QNTP=0,"h",124'),
    (QNTP("h", 123, True), 'AT+QNTP=0,"h",123,1'),
    (QNTP("h", None, False, spelling="QNTPT"), 'AT+QNTPT=0,"h",123,0'),
    (Raw("AT+CSQ"), "AT+CSQ"),
    (Raw("at"), "at"),
    (Raw('AT+QISEND=0,3,"313233"'), 'AT+QISEND=0,3,"313233"'),
    (Raw("AT+QISEND=0,0"), "AT+QISEND=0,0"),
    (Raw("AT+QISEND=?"), "AT+QISEND=?"),
    (Raw("AT+QISEND=1", b"x" * 1023), "AT+QISEND=1"),
]


@pytest.mark.parametrize(("command", "line"), LINES, ids=lambda value: value[:40] if isinstance(value, str) else "")
def test_line(command: Command[Any], line: str) -> None:
    assert command.line == line
    assert command.encode() == line.encode("ascii") + b"\r"
    assert len(line) <= MAX_COMMAND_SIZE


def test_every_command_is_here() -> None:
    exported = {value for value in vars(_at).values() if isinstance(value, type) and issubclass(value, Command)}
    assert {type(command) for command, _ in LINES} == exported - {Command}


BAD_NAMES = ["", "x" * 151, 'x",1', "x\r", "x\n", "x\0", "x\x7f", "x\x1b", "é", "x\\", "\udc80"]

REFUSED: list[Any] = [
    *(lambda name=name: QIOPEN(0, "TCP", name, 80) for name in BAD_NAMES),
    *(lambda name=name: QIDNSGIP(name) for name in BAD_NAMES),
    *(lambda name=name: QPING(name) for name in BAD_NAMES),
    *(lambda name=name: QNTP(name) for name in BAD_NAMES),
    *(lambda name=name: QIDNSCFG(name) for name in [*BAD_NAMES, "1" * 65]),
    *(lambda name=name: QIDNSCFG("8.8.8.8", name) for name in [*BAD_NAMES, "1" * 65]),
    *(lambda apn=apn: CGDCONT(1, "IP", apn) for apn in [*BAD_NAMES[1:], "x" * 101]),
    *(lambda text=text: Raw(text) for text in ["", "A", "X", "BAT", "AT\r", "AT\n", "AT\0", "AT\x1a", "AT é", "\rAT"]),
    lambda: Raw("AT" + "x" * MAX_COMMAND_SIZE),
    lambda: Raw("AT+QISEND=0"),
    lambda: Raw("at+qisend=0,5"),
    lambda: Raw("AT+QISEND = 0 , 05"),
    lambda: Raw("AT+QISEND=0,5;+CSQ"),
    *(lambda data=data: Raw("AT+QISEND=0", data) for data in (b"", bytes(1025), b"a\x1ab", b"a\x1bb")),
    *(lambda number=number: QIOPEN(number, "TCP", "h", 80) for number in (-1, 5)),
    *(lambda port=port: QIOPEN(0, "TCP", "h", port) for port in (-1, 0, 65536)),
    *(lambda port=port: QIOPEN(0, "TCP", "h", 80, port) for port in (-1, 65536)),
    *(lambda service=service: QIOPEN(0, service, "h", 80) for service in ("tcp", "", "TCP LISTENER")),
    *(lambda kind=kind, number=number: kind(number) for kind in (QICLOSE, QISTATE, QISENDQuery) for number in (-1, 5)),
    lambda: QISTATEContext(1),
    lambda: QICFGView("dataformat", 1),
    lambda: QICFGView("viewmode", 2),
    lambda: QICFGViewRead("dataformat"),
    *(lambda context=context: QIOPEN(0, "TCP", "h", 80, context_id=context) for context in (-1, 12)),
    *(
        lambda kind=kind, context=context: kind("h", context_id=context)
        for kind in (QIDNSGIP, QIDNSCFG, QPING, QNTP)
        for context in (-1, 12)
    ),
    lambda: QIDNSCFGRead(12),
    *(lambda size=size: QISENDHex(0, bytes(size)) for size in (0, 513)),
    *(lambda rai=rai: QISENDHex(0, b"x", rai) for rai in (-1, 3)),
    *(lambda size=size: QISENDData(0, bytes(size)) for size in (0, 1025)),
    *(lambda kind=kind, number=number: kind(number, b"x") for kind in (QISENDHex, QISENDData) for number in (-1, 5)),
    *(lambda value=value: QPING("h", value) for value in (-1, 0, 256, 1.5)),
    *(lambda value=value: QPING("h", 4, value) for value in (0, 11)),
    *(lambda value=value: QPING("h", 4, 4, value) for value in (31, 1501)),
    *(lambda value=value: QPING("h", 4, 4, 32, value) for value in (-1, 2)),
    *(lambda port=port: QNTP("h", port) for port in (0, 65536)),
    lambda: QNTP("h", spelling="CFUN"),
    *(lambda value=value: CMEE(value) for value in (-1, 3)),
    *(lambda value=value: CPSMS(value) for value in (-1, 3)),
    *(lambda value=value: CFUN(value) for value in (-1, 5)),
    *(lambda value=value: CEREG(value) for value in (-1, 6)),
    *(lambda value=value: QSCLK(value) for value in (-1, 3)),
    *(lambda value=value: IPR(value) for value in (0, 300, 921600)),
    lambda: CGDCONT(-1, "IP", "x"),
    *(lambda pin=pin: CPIN(pin) for pin in ["", "123", "123456789", "12a4", '1"34', "1234\r"]),
    *(lambda word=word: CGAUTH(1, word, "x") for word in [*BAD_NAMES[1:], "x" * 65]),
    *(lambda word=word: CGAUTH(1, "x", word) for word in [*BAD_NAMES[1:], "x" * 65]),
    lambda: CGAUTH(16, "x", "x"),
    lambda: CGDCONT(1, "PPP", "x"),
    lambda: CCLK(datetime(2026, 1, 1)),
    lambda: CCLK(datetime(1999, 12, 31, 23, tzinfo=UTC)),
    lambda: CCLK(datetime(2100, 1, 1, tzinfo=UTC)),
]


@pytest.mark.parametrize("make", REFUSED)
def test_refused(make: Any) -> None:
    with pytest.raises(ValueError):
        make()


@pytest.mark.parametrize("rate", BAUDRATES)
def test_baudrates(rate: int) -> None:
    assert IPR(rate).line == f"AT+IPR={rate}"


def info(*lines: str) -> list[InfoResponse]:
    split = (line.partition(": ") for line in lines)
    return [InfoResponse(prefix, text) if colon else InfoResponse("", prefix) for prefix, colon, text in split]


STATUS = '+QISTATE: 0,"TCP","hf.quectel.com",2020,0,2,0,1'

PARSED: list[tuple[Command[Any], list[InfoResponse], Any]] = [
    (AT(), [], None),
    (ATI(), info("Quectel", "BC260Y"), ["Quectel", "BC260Y"]),
    (CGMR(), info("BC260YCNAAR01A03"), "BC260YCNAAR01A03"),
    (CGMR(), info("Revision: BC260YCNAAR01A03"), "BC260YCNAAR01A03"),
    (CGMR(), [InfoResponse("", "Revision: BC260YCNAAR01A03")], "BC260YCNAAR01A03"),
    (CGSN(), info("+CGSN: 867724030000000"), "867724030000000"),
    (Raw("AT+QICLOSE=?"), info("+QICLOSE: (0-4)"), ["+QICLOSE: (0-4)"]),
    (QIGETERROR(), [], None),
    (QIGETERROR(), info("+QIGETERROR: 563"), 563),
    (QIGETERROR(), info('+QIGETERROR: 566,"Socket connection failed"'), 566),
    (CGSN(), info('+CGSN: "867724030000000"'), "867724030000000"),
    (CGSN(), info("867724030000000"), "867724030000000"),
    (CFUNRead(), info("+CFUN: 1"), 1),
    (CPINRead(), info("+CPIN: READY"), "READY"),
    (CPINRead(), info("+CPIN: SIM PIN"), "SIM PIN"),
    (CSQ(), info("+CSQ: 20,99"), SignalQuality(20, 99)),
    (CEREGRead(), info("+CEREG: 0,1"), RegistrationStatus(0, 1)),
    (CEREGRead(), info('+CEREG: 2,5,"1A2B","01234567",9'), RegistrationStatus(2, 5)),
    (CEREGRead(), info("+CEREG: 3,0,,,,0,17"), RegistrationStatus(3, 0, 0, 17)),
    (CEREGRead(), info("+CEREG: 5,3,,,,0,15,,"), RegistrationStatus(5, 3, 0, 15)),
    (CEREGRead(), info("+CEREG: 3,3,,,,1,x"), RegistrationStatus(3, 3, 1, None)),
    (CMEERead(), info("+CMEE: 2"), 2),
    (CMEERead(), [], None),
    (CPSMSRead(), info('+CPSMS: 1,,,"01000001","00000000"'), 1),
    (CPSMSRead(), info("+CPSMS: 0"), 0),
    (CPSMSRead(), [], None),
    (CGPADDR(), [], []),
    (CGPADDR(), info("+CGPADDR: 0"), [PdpAddress(0, None)]),
    (CGPADDR(), info('+CGPADDR: 5,"10.177.135.245"'), [PdpAddress(5, "10.177.135.245")]),
    (CGPADDR(), info("+CGPADDR: 1,10.0.0.1"), [PdpAddress(1, "10.0.0.1")]),
    (CGPADDR(), info('+CGPADDR: 0,""', '+CGPADDR: 1,"::1"'), [PdpAddress(0, None), PdpAddress(1, "::1")]),
    (CGPADDR(), info('+CGPADDR: 0,"2001:db8::1","10.0.0.1"'), [PdpAddress(0, "10.0.0.1")]),
    (CGPADDR(), info('+CGPADDR: 5,"0.0.0.0"', '+CGPADDR: 6,"no"'), [PdpAddress(5, None), PdpAddress(6, None)]),
    (CGPADDR(), info('+CGPADDR: 5,"32.1.13.184.0.0.0.0.0.0.0.0.0.0.0.1"'), [PdpAddress(5, "2001:db8::1")]),
    (QSCLKRead(), info("+QSCLK: 1"), 1),
    (CCLKRead(), info('+CCLK: "26/01/02,03:04:05+32"'), datetime(2026, 1, 1, 19, 4, 5, tzinfo=UTC)),
    (CCLKRead(), info("+CCLK: 26/01/02,03:04:05+00"), datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
    (CPINRRead(), info("+CPINR: SIM PIN,3,3"), 3),
    (CPINRRead(), info("+CPINR: SIM PUK,10,10", '+CPINR: "SIM PIN",2,3'), 2),
    (QPINCRead(), info('+QPINC: "SC",1,10', '+QPINC: "P2",3,10'), 1),
    (CGAUTHRead(), [], {}),
    (CGAUTHRead(), info('+CGAUTH: 1,1,"me","secret"', "+CGAUTH: 2,0"), {1: ("me", "secret"), 2: ("", "")}),
    (CGDCONTRead(), [], []),
    (CGDCONTRead(), info('+CGDCONT: 1,"IP","my.apn","",0,0'), [PdpContext(1, "IP", "my.apn")]),
    (IPRRead(), info("+IPR: 115200"), 115200),
    (QICFGRead(), info('+QICFG: "dataformat",1,0'), DataFormat(True, False)),
    (QICFGRead(), info('+QICFG: "dataformat", 0, 1'), DataFormat(False, True)),
    (QISTATERead(), [], []),
    (QISTATE(0), info(STATUS), [SocketStatus(0, "TCP", "hf.quectel.com", 2020, 0, 2, 0, 1)]),
    (QISTATERead(), info(STATUS, STATUS), [SocketStatus(0, "TCP", "hf.quectel.com", 2020, 0, 2, 0, 1)] * 2),
    (QISTATERead(), info("+QISTATE: 3"), [SocketStatus(3, "", "", 0, 0, -1, 0, 1)]),
    (QISTATERead(), info("+QISTATE: 2,TCP,h,80,x,2,0"), [SocketStatus(2, "TCP", "h", 80, 0, 2, 0, 1)]),
    (
        QISTATERead(),
        info('+QISTATE: 0,"TCP","10.0.0.1",80,5000,2,1,0,0,"uart1"'),
        [SocketStatus(0, "TCP", "10.0.0.1", 80, 5000, 2, 1, 0)],
    ),
    (QISENDQuery(0), info("+QISEND: 94,90,4"), Acknowledgement(94, 90, 4)),
    (QISENDQuery(0), info("+QISEND: 1,1,0", "+QISEND: 94,90,4"), Acknowledgement(94, 90, 4)),
    (QIDNSCFGRead(), [], DnsConfig()),
    (QIDNSCFGRead(), info('+QIDNSCFG: 0,"8.8.8.8","","",""'), DnsConfig("8.8.8.8")),
    (QIDNSCFGRead(), info('+QIDNSCFG: 0,"8.8.8.8"'), DnsConfig("8.8.8.8", "", "", "")),
    (
        QIDNSCFGRead(),
        info("+QIDNSCFG: 0,8.8.8.8,1.1.1.1,a::1,b::1"),
        DnsConfig("8.8.8.8", "1.1.1.1", "a::1", "b::1"),
    ),
    (Raw("AT+CSQ"), info("+CSQ: 20,99"), ["+CSQ: 20,99"]),
    (Raw("ATI"), info("Quectel"), ["Quectel"]),
]


@pytest.mark.parametrize(("command", "responses", "value"), PARSED)
def test_parse(command: Command[Any], responses: list[InfoResponse], value: Any) -> None:
    assert command.parse(responses) == value


MALFORMED: list[tuple[Command[Any], list[InfoResponse]]] = [
    *(
        (command, [])
        for command in (
            CGMR(),
            CGSN(),
            CFUNRead(),
            CPINRead(),
            CSQ(),
            CEREGRead(),
            QSCLKRead(),
            CCLKRead(),
            IPRRead(),
            QICFGRead(),
            QISENDQuery(0),
        )
    ),
    (CGSN(), info("no number")),
    (CFUNRead(), info("+CFUN: on")),
    (CSQ(), info("+CSQ: 20")),
    (CSQ(), info("+CSQ: ,99")),
    (CSQ(), info("+CSQ: -5,99")),
    (CSQ(), info("+CSQ: ٣,99")),
    (CSQ(), info("+CSQ: " + "9" * 20 + ",99")),
    (CEREGRead(), info("+CEREG: 1")),
    (CGPADDR(), info("+CGPADDR: x")),
    (CCLKRead(), info("+CCLK: soon")),
    (CCLKRead(), info('+CCLK: "26/13/02,03:04:05+00"')),
    (CGDCONTRead(), info("+CGDCONT: 1")),
    (QICFGRead(), info('+QICFG: "dataformat",2,0')),
    (QICFGRead(), info('+QICFG: "other",0,0')),
    (QICFGRead(), info('+QICFG: "dataformat"')),
    (QISTATERead(), info('+QISTATE: ,"TCP","h",80,0,2,0,1')),
    (QISTATERead(), info('+QISTATE: 7,"TCP","h",80,0,2,0,1')),
    (QISENDQuery(0), info("+QISEND: 94,90")),
    (QIDNSCFGRead(), info('+QIDNSCFG: "8.8.8.8"')),
]


@pytest.mark.parametrize(("command", "responses"), MALFORMED)
def test_malformed(command: Command[Any], responses: list[InfoResponse]) -> None:
    with pytest.raises(RemoteProtocolError):
        command.parse(responses)


@pytest.mark.parametrize("command", [command for command, _ in LINES], ids=lambda command: command.line[:40])
def test_needs_info_means_that_nothing_cannot_be_parsed(command: Command[Any]) -> None:
    if not command.needs_info:
        assert command.parse([]) in (None, [], {}, DnsConfig())
    elif not isinstance(command, ATI):
        with pytest.raises(RemoteProtocolError):
            command.parse([])


def test_sends_are_given_time_for_the_slowest_line() -> None:
    assert QISENDHex(0, b"x" * 512).timeout == pytest.approx(5 + 1024 / 240)
    assert QISENDData(0, b"x" * 1024).timeout == pytest.approx(5.5 + 1024 / 240)
    assert QIOPEN(0, "TCP", "h", 80).timeout == 5.0
    assert CFUN(1).timeout == 90.0, "85 s were seen on a sibling"


def test_commands_are_values() -> None:
    assert QICLOSE(0) == QICLOSE(0)
    assert hash(QISENDHex(0, b"x")) == hash(QISENDHex(0, b"x"))
    with pytest.raises(AttributeError):
        QICLOSE(0).socket_id = 1  # type: ignore[misc]  # frozen is what is tested


@pytest.mark.parametrize(
    ("text", "prefixes", "awaits_outcome"),
    [
        ("ATI", (), False),
        ("AT+CSQ", ("+CSQ",), False),
        ("at+cereg?", ("+CEREG",), False),
        ("AT+CSQ;+CGATT?", ("+CSQ", "+CGATT"), False),
        ('AT+QIOPEN=0,0,"TCP","h",80', (), False),
        ("AT+QIOPEN=?", ("+QIOPEN",), False),
        ('AT+QPING=0,"h"', (), False),
        ("AT+QISEND=0,0", ("+QISEND",), False),
        ('AT+QISEND=0,1,"A"', ("+QISEND",), True),
    ],
)
def test_raw_knows_its_answer(text: str, prefixes: tuple[str, ...], awaits_outcome: bool) -> None:
    assert Raw(text).prefixes == prefixes
    assert Raw(text).awaits_outcome is awaits_outcome


def test_signal_in_dbm() -> None:
    assert SignalQuality(0, 99).dbm == -113
    assert SignalQuality(31, 99).dbm == -51
    assert SignalQuality(99, 99).dbm is None


def test_late_answer_to_a_data_mode_send_is_waited_for() -> None:
    """The module has 5 s for it, and then it has yet to come through the line."""
    assert QISENDData(0, b"x").timeout >= 5.5

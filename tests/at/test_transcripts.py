"""Every example of the manual's chapter 4 through the codec: our commands give its lines, its bytes give our events."""

from __future__ import annotations

from typing import Any

import pytest

from nbsocket._at import (
    CGPADDR,
    QICFG,
    QICLOSE,
    QIDNSCFG,
    QIOPEN,
    QISTATE,
    QNTP,
    QPING,
    QSCLK,
    Acknowledgement,
    CEREGRead,
    Chat,
    ClosedUrc,
    CloseOk,
    Command,
    DataFormat,
    DnsAddress,
    DnsConfig,
    DnsResult,
    Echo,
    Event,
    FinalResult,
    NtpResult,
    OpenResult,
    PdpAddress,
    PingLine,
    PingSummary,
    QICFGRead,
    QIDNSCFGRead,
    QISENDHex,
    QISENDQuery,
    Raw,
    Received,
    RegistrationStatus,
    Sleep,
    SocketStatus,
)
from tests import transcripts
from tests.at.feeding import chunkings, drain

#: A command of the transcript with its final result and what parse() makes of its answer.
Done = tuple[Command[Any], str, Any]

OK = "OK"
SENT = "SEND OK"


def _sets(send: bool, receive: bool) -> list[Done | Event]:
    return [(QICFG(send, receive), OK, None), (QICFGRead(), OK, DataFormat(send, receive))]


def _opens(service: str) -> list[Done | Event]:
    status = SocketStatus(0, service, "hf.quectel.com", 2020, 0, 2, 0, 1)
    return [(QIOPEN(0, service, "hf.quectel.com", 2020), OK, None), OpenResult(0, 0), (QISTATE(0), OK, [status])]


# We never send text in command mode, so these lines are not ours.
_TEXT: Done = (Raw('AT+QISEND=0,10,"1234567890"'), SENT, [])
_ESCAPED: Done = (Raw(r'AT+QISEND=0,17,"{\"a\":\"b\",\"b\":\"b\"}"'), SENT, [])
_UNESCAPED: Done = (Raw('AT+QISEND=0,17,"{"a":"b","b":"b"}"'), SENT, [])
_ACK: Done = (Raw('AT+QISEND=0,3,"ACK"'), SENT, [])
_UNACKED: Done = (QISENDQuery(0), OK, Acknowledgement(3, 0, 3))
_HEX: list[Done | Event] = [(QICFGRead(), OK, DataFormat(True, False)), (QISENDHex(0, b"123"), SENT, None)]
_CLOSE: list[Done | Event] = [(QICLOSE(0), OK, None), CloseOk()]

EXPECTED: dict[str, list[Done | Event]] = {
    "4.1-initialise": [
        (QSCLK(0), OK, None),
        (CEREGRead(), OK, RegistrationStatus(0, 1)),
        (CGPADDR("?"), OK, [PdpAddress(5, "10.177.135.245")]),
    ],
    "4.2.1-open-tcp": _opens("TCP"),
    "4.2.2-send-format-text": _sets(False, False),
    "4.2.3-send-format-hex": _sets(True, False),
    "4.2.4-send-text": [_TEXT, _ESCAPED],
    "4.2.5-send-hex": _HEX,
    "4.2.6-acknowledged": [(QISENDQuery(0), OK, Acknowledgement(94, 94, 0))],
    "4.2.7-receive-text": [*_sets(False, False), Received(0, b"hi,quectel")],
    "4.2.8-receive-hex": [*_sets(False, True), Received(0, b"1234567890")],
    "4.2.9-close": [*_CLOSE, (QSCLK(1), OK, None)],
    "4.2.10-dead-connection-closed": [_ACK, _UNACKED, ClosedUrc(0)],
    "4.2.10-dead-connection-silent": [_ACK, _UNACKED, _UNACKED, *_CLOSE],
    "4.3.1-open-udp": _opens("UDP"),
    "4.3.2-send-format-text": _sets(False, False),
    "4.3.3-send-format-hex": _sets(True, False),
    "4.3.4-send-text": [_TEXT, _UNESCAPED],
    "4.3.5-send-hex": _HEX,
    "4.3.6-receive-text": [*_sets(False, False), Received(0, b"hi,quectel")],
    "4.3.7-receive-hex": [*_sets(False, True), Received(0, b"1234567890")],
    "4.3.8-close": [*_CLOSE, (QSCLK(1), OK, None)],
    "4.3.9-udp-over-sleep": [
        (QSCLK(0), OK, None),
        *_opens("UDP"),
        _TEXT,
        (QSCLK(1), OK, None),
        Sleep(True),
        Sleep(False),
        (QSCLK(0), OK, None),
        _TEXT,
    ],
    # We send AT+QIDNSGIP, as everywhere else in the manual.
    "4.4-resolve": [
        (Raw('AT+QDNSGIP=0,"baidu.com"'), OK, []),
        DnsResult(0, 1),
        DnsAddress("39.156.69.79"),
    ],
    "4.5-dns-servers": [
        (QIDNSCFG("218.2.2.2", "8.8.8.8"), OK, None),
        (QIDNSCFGRead(), OK, DnsConfig("218.2.2.2", "8.8.8.8", "240E:5A::6666", "240E:5B::6666")),
    ],
    "4.6-ping": [
        (QPING("iot.quectel.com"), OK, None),
        *(PingLine(0, "47.100.63.174", 32, time_ms, None) for time_ms in (369, 479, 484, 260)),
        PingSummary(0, 4, 4, 0, 260, 484, 398),
    ],
    "4.7-time": [(QNTP("ntp5.aliyun.com"), OK, None), NtpResult(0, "19/06/11,11:08:20:35+32")],
}


def test_every_transcript_has_its_expectation() -> None:
    assert list(EXPECTED) == transcripts.NAMES


def _replay(name: str, style: str, echo: bool, receives_hex: bool | None) -> list[Done | Event]:
    chat = Chat()
    chat.receives_hex = receives_hex
    commands = [item[0] for item in EXPECTED[name] if isinstance(item, tuple)]
    seen: list[Done | Event] = []
    for step in transcripts.load(name):
        if step.kind == "host":
            command = commands.pop(0)
            assert chat.send(command, now=0.0) == step.data
            if echo:
                assert drain(chat, [step.data]) == [Echo(command.line)]
        for chunks in [chunkings(step.data)[style]] if step.kind == "module" else []:
            for event in drain(chat, chunks):
                if isinstance(event, FinalResult):
                    assert event.ok
                    seen.append((event.command, event.text, event.command.parse(event.responses)))
                else:
                    seen.append(event)
    assert not commands
    assert chat.is_idle
    return seen


@pytest.mark.parametrize("echo", [False, True], ids=["quiet", "echo"])
@pytest.mark.parametrize("style", ["whole", "bytes", "halves"])
@pytest.mark.parametrize("name", transcripts.NAMES)
def test_transcript(name: str, style: str, echo: bool) -> None:
    assert _replay(name, style, echo, receives_hex=None) == EXPECTED[name]


@pytest.mark.parametrize(
    ("name", "receives_hex"),
    [(name, name.endswith("hex")) for name in transcripts.NAMES if "receive" in name],
)
def test_transcript_in_the_format_that_is_set(name: str, receives_hex: bool) -> None:
    assert _replay(name, "whole", False, receives_hex) == EXPECTED[name]


def test_notes_and_bytes_are_read() -> None:
    steps = transcripts.load("4.2.4-send-text")
    assert steps[0].kind == "note"
    assert steps[0].text == "before: socket 0 is connected, TCP; dataformat 0,0"
    assert steps[4].data == rb'AT+QISEND=0,17,"{\"a\":\"b\",\"b\":\"b\"}"' + b"\r"
    assert steps[5].data == b"\r\nOK\r\n"

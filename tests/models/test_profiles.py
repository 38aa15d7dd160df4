"""The profiles: whose they are, the lines that they make, and that the codec reads what they say."""

from __future__ import annotations

from typing import Any

import pytest

from nbsocket._at import (
    Chat,
    Command,
    DataFormat,
    DnsAddress,
    DnsResult,
    FinalResult,
    OpenResult,
    PingLine,
    PingSummary,
    Received,
)
from nbsocket._models import BC66, BC260Y, BC660K, PROFILES, Profile, profile_for
from tests import transcripts
from tests.at.feeding import chunkings, drain, every_chunking

IDENTITIES: list[tuple[list[str], Profile | None]] = [
    (["Quectel_Ltd", "Quectel_BC260Y-CN", "Revision: BC260YCNAAR01A03"], BC260Y),
    (["Quectel", "BC260Y"], BC260Y),
    (["Revision: BC260YCNAAR01A03"], BC260Y),
    (["Quectel_Ltd", "Quectel_BC660K-GL", "Revision: BC660KGLAAR01A05"], BC660K),
    (["Quectel_Ltd", "Quectel_BC950K-GL", "Revision: BC950KGLAAR01A01"], BC660K),
    (["Revision: BC660KGLAAR01A05"], BC660K),
    (["Quectel_Ltd", "Quectel_BC66", "Revision: BC66NBR01A10"], BC66),
    (["Quectel_Ltd", "Quectel_BC66NA", "Revision: BC66NAR01A03"], BC66),
    (["Quectel_Ltd", "Quectel_BC66-NA"], BC66),
    (["Quectel_Ltd", "Quectel_BC26", "Revision: BC26NBR01A05"], BC66),
    (["Quectel_Ltd", "BC25"], BC66),
    (["quectel_bc66"], BC66),
    (["Quectel", "BC95-G"], None),
    (["Quectel", "BC28"], None),
    (["Quectel", "BC260X"], None),
    (["Quectel", "BC660"], None),
    (["Quectel", "BG95-M3"], None),
    (["someone else's BC66"], None),
    ([], None),
]


def test_every_model_takes_sends_of_the_same_size() -> None:
    """The engine's limit of a datagram is known before the model is."""
    sizes = {(profile.send_size(is_hex=True), profile.send_size(is_hex=False)) for profile in PROFILES.values()}
    assert len(sizes) == 1


@pytest.mark.parametrize(("lines", "profile"), IDENTITIES, ids=lambda value: str(value)[:40])
def test_model_by_its_identity(lines: list[str], profile: Profile | None) -> None:
    assert profile_for(lines) is profile


@pytest.mark.parametrize("name", [name for name in transcripts.MODEL_NAMES if "identity" in name])
def test_model_by_the_identity_of_its_manual(name: str) -> None:
    data = next(step.data for step in transcripts.load(name) if step.kind == "module")
    assert profile_for(data.decode().split()) is PROFILES[name.partition("/")[0]]


def test_every_profile_stands_under_its_name() -> None:
    assert [(name, profile.name) for name, profile in PROFILES.items()] == [
        (name, name) for name in ("bc260y", "bc660k", "bc66")
    ]


LINES: list[tuple[Command[Any], str]] = [
    (BC260Y.open(0, "TCP", "h", 80), 'AT+QIOPEN=0,0,"TCP","h",80'),
    (BC660K.open(0, "TCP", "h", 80), 'AT+QIOPEN=0,0,"TCP","h",80,0,1'),
    (BC66.open(0, "UDP", "192.0.2.7", 80, 5000), 'AT+QIOPEN=1,0,"UDP","192.0.2.7",80,5000,1'),
    (BC260Y.send(0, b"\x01\x02", True, 1), 'AT+QISEND=0,2,"0102",1'),
    (BC660K.send(0, b"\x01\x02", True), 'AT+QISEND=0,2,"0102"'),
    (BC66.send(0, b"\x01\x02", True), "AT+QISENDEX=0,2,0102"),
    (BC66.send(0, b"\x01\x02", False), "AT+QISEND=0,2"),
    (BC66.count(1), "AT+QISEND=1,0"),
    (BC66.close(1), "AT+QICLOSE=1"),
    (BC66.state(1), "AT+QISTATE=1,1"),
    (BC260Y.resolve("h"), 'AT+QIDNSGIP=0,"h"'),
    (BC66.resolve("h"), 'AT+QIDNSGIP=1,"h"'),
    (BC66.set_name_servers("8.8.8.8"), 'AT+QIDNSCFG=1,"8.8.8.8"'),
    (BC660K.set_name_servers("8.8.8.8", "1.1.1.1"), 'AT+QIDNSCFG=0,"8.8.8.8","1.1.1.1"'),
    (BC66.ask_name_servers(), "AT+QIDNSCFG=1"),
    (BC260Y.ping("h", 20, 4, 1500, 1), 'AT+QPING=0,"h",20,4,1500,1'),
    (BC66.ping("h", 20, 4, 200), 'AT+QPING=1,"h",20,4,200'),
    (BC260Y.ask_time("h", 123, True), 'AT+QNTP=0,"h",123,1'),
    (BC66.ask_time("h"), 'AT+QNTP=1,"h"'),
    (BC66.sleep(0), "AT+QSCLK=0"),
    *((setting.read, f'AT+QICFG="{setting.setting}"') for setting in BC66.view_settings),
    *((setting.write, f'AT+QICFG="{setting.setting}",1') for setting in BC66.view_settings),
]


@pytest.mark.parametrize(("command", "line"), LINES, ids=lambda value: value if isinstance(value, str) else "")
def test_line(command: Command[Any], line: str) -> None:
    assert command.line == line


def test_formats_that_bring_up_sets() -> None:
    assert BC260Y.data_format(True) == BC660K.data_format(True) == DataFormat(True, True)
    assert BC66.data_format(True) == DataFormat(False, True)
    assert {profile.data_format(False) for profile in PROFILES.values()} == {DataFormat(False, False)}


def test_the_view_is_set_only_where_one_value_is_needed() -> None:
    assert BC260Y.view_settings == BC660K.view_settings == ()
    assert BC66.view_settings == (("showlength", 1), ("viewmode", 1))


def test_too_large_a_ping_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 200"):
        BC66.ping("h", 20, 4, 201)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
@pytest.mark.parametrize("is_hex", [True, False])
def test_largest_send(profile: Profile, is_hex: bool) -> None:
    size = profile.send_size(is_hex)
    assert profile.send(0, bytes(size), is_hex).line
    with pytest.raises(ValueError, match="size of data"):
        profile.send(0, bytes(size + 1), is_hex)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_codec_reads_the_ping_codes(profile: Profile) -> None:
    for code, result in profile.ping_codes:
        expected = PingSummary(result, 4, 3, 1, 2, 3, 4) if not result else PingLine(result)
        line = f"+QPING: {code},4,3,1,2,3,4" if not result else f"+QPING: {code}"
        assert drain(Chat(), [f"\r\n{line}\r\n".encode()]) == [expected]


#: What a modem of each profile pushes: the five bytes "hello" and then "ok".
PUSHES: list[tuple[Profile, bool, bytes]] = [
    (BC260Y, False, b'\r\n+QIURC: "recv",0,5,"hello"\r\n\r\n+QIURC: "recv",0,2,"ok"\r\n'),
    (BC260Y, True, b'\r\n+QIURC: "recv",0,5,"68656c6c6f"\r\n\r\n+QIURC: "recv",0,2,"6f6b"\r\n'),
    (BC660K, True, b'\r\n+QIURC: "recv",0,5,"68656c6c6f"\r\n\r\n+QIURC: "recv",0,2,"6f6b"\r\n'),
    (BC660K, True, b'\r\n+QIURC: "recv",0,5\r\n"68656c6c6f"\r\n\r\n+QIURC: "recv",0,2\r\n"6f6b"\r\n'),
    (BC66, False, b'\r\n+QIURC: "recv",0,5\r\nhello\r\n\r\n+QIURC: "recv",0,2\r\nok\r\n'),
    (BC66, True, b'\r\n+QIURC: "recv",0,5\r\n68656c6c6f\r\n\r\n+QIURC: "recv",0,2\r\n6f6b\r\n'),
    (BC66, True, b'\r\n+QIURC: "recv",0,5,68656c6c6f\r\n\r\n+QIURC: "recv",0,2,6f6b\r\n'),
]


@pytest.mark.parametrize("is_known", [True, False], ids=["known", "unknown"])
@pytest.mark.parametrize(("profile", "is_hex", "data"), PUSHES)
def test_push(profile: Profile, is_hex: bool, data: bytes, is_known: bool) -> None:
    for chunks in every_chunking(data):
        chat = Chat()
        # While the model is not known, every form that any of them has is taken, and nothing is known of the format.
        chat.allows_next_line = profile.allows_next_line if is_known else True
        chat.receives_hex = is_hex if is_known else None
        assert drain(chat, chunks) == [Received(0, b"hello"), Received(0, b"ok")]


#: A BC25's lines, put together from the formats of its firmware, with showlength 1, viewmode 1 and hex.
BC25_SESSION: list[tuple[Command[Any], bytes, list[Any]]] = [
    (BC66.view_settings[0].write, b"\r\nOK\r\n", []),
    (
        BC66.resolve("example.org"),
        b'\r\nOK\r\n\r\n+QIURC: "dnsgip",0,1,0\r\n+QIURC: "dnsgip","192.0.2.7"\r\n',
        [DnsResult(0, 1), DnsAddress("192.0.2.7")],
    ),
    (BC66.open(0, "TCP", "192.0.2.7", 80), b"\r\nOK\r\n\r\n+QIOPEN: 0,0\r\n", [OpenResult(0, 0)]),
    (
        BC66.send(0, b"\x01\x02\x03\x04", True),
        b'\r\nOK\r\n\r\nSEND OK\r\n\r\n+QIURC: "recv",0,5,68656c6c6f\r\n',
        [Received(0, b"hello")],
    ),
    (BC66.state(0), b'\r\n+QISTATE: 0,"TCP","192.0.2.7",80,0,2,1,1\r\n\r\nOK\r\n', []),
]


@pytest.mark.parametrize("style", ["whole", "bytes", "halves"])
def test_session_of_a_bc25(style: str) -> None:
    chat = Chat()
    chat.allows_next_line = BC66.allows_next_line
    chat.receives_hex = True
    for command, data, events in BC25_SESSION:
        chat.send(command, 0.0)
        result, *rest = drain(chat, chunkings(data)[style])
        assert isinstance(result, FinalResult)
        assert result.ok
        result.command.parse(result.responses)
        assert rest == events

"""The table of questions: what each answer tells, in every form that firmware was seen to give it."""

from __future__ import annotations

from typing import Any

import pytest

from nbsocket._at import Chat, FinalResult, RemoteProtocolError
from nbsocket._at._queries import (
    QUERIES,
    Query,
    is_deactivated,
    read_active_time,
    read_drx_cycle,
    read_paging_window,
    read_periodic_time,
)
from tests.at.feeding import drain, every_chunking

CELL = {
    "earfcn": 2504, "pci": 21, "cell": "069AF001", "rsrp": -62, "rsrq": -11.0, "sinr": 3, "band": 5, "tac": "DE10",
    "ecl": 0,
}  # fmt: skip

TOLD: list[tuple[str, list[str], dict[str, Any]]] = [
    ("CPIN", ["+CPIN: READY"], {"sim_state": "READY"}),
    ("CPIN", ['+CPIN:"sim pin"'], {"sim_state": "SIM PIN"}),
    ("QCCID", ["+QCCID: 89860400000000000001"], {"iccid": "89860400000000000001"}),
    ("QCCID", ['+QCCID: "8986040000000000001F"'], {"iccid": "8986040000000000001"}),
    ("QCCID", ["+CCID: 8986040000000000001f"], {"iccid": "8986040000000000001"}),
    ("QCCID", ["898604000000000000A"], {"iccid": "898604000000000000A"}),
    ("CIMI", ["460040000000001"], {"imsi": "460040000000001"}),
    ("CIMI", ['"460040000000001"'], {"imsi": "460040000000001"}),
    ("CIMI", ["+CIMI: 460040000000001"], {"imsi": "460040000000001"}),
    ("CEREG", ["+CEREG: 0,2"], {"registration_level": 0, "stat": 2}),
    ("CEREG", ["+CEREG:3,3,,,,0,11"], {"registration_level": 3, "stat": 3, "cause_type": 0, "reject_cause": 11}),
    (
        "CEREG",
        ['+CEREG: 5,1,"3C5E","0a1b2c3d",9,,,"00100010","00100110"'],
        {
            "registration_level": 5,
            "stat": 1,
            "tac": "3C5E",
            "cell": "0A1B2C3D",
            "granted_active_bits": "00100010",
            "granted_periodic_bits": "00100110",
        },
    ),
    (
        "CEREG",
        ["+CEREG: 4,5,3C5E,0x0A1B2C3D,9,,,11100000,11100000"],
        {
            "registration_level": 4,
            "stat": 5,
            "tac": "3C5E",
            "cell": "0A1B2C3D",
            "granted_active_bits": "11100000",
            "granted_periodic_bits": "11100000",
        },
    ),
    ("COPS", ["+COPS: 0"], {}),
    ("COPS", ['+COPS: 0,2,"46004",9'], {"operator": "46004"}),
    ("COPS", ["+COPS: 0,2,46000"], {"operator": "46000"}),
    ("COPS", ['+COPS: 1,0,"CHINA MOBILE, IoT",9'], {"operator": "CHINA MOBILE, IoT"}),
    ("CSQ", ["+CSQ: 20,99"], {"rssi": -73}),
    ("CSQ", ["+CSQ: 99,99"], {}),
    ("CESQ", ["+CESQ: 99,99,255,255,18,57"], {"rsrq": -11.0, "rsrp": -84}),
    ("CESQ", ["+CESQ: 63,99,255,255,0,0"], {"rsrq": -20.0, "rsrp": -141}),
    ("CESQ", ["+CESQ: 99,99,255,255,34,97"], {"rsrq": -3.0, "rsrp": -44}),
    ("CESQ", ["+CESQ: 99,99,255,255,255,255"], {}),
    ("CESQ", ["+CESQ: 99,99,255,255,99,99"], {}),
    ("CESQ", ["+CESQ: 28,99,255,255,-11,-84"], {"rsrq": -11.0, "rsrp": -84}),
    ("CESQ", ["+CESQ: 28,99"], {}),
    ("QENG", ['+QENG: 0,2504,2,21,"069AF001",-62,-11,-52,3,5,"DE10",0,0,3'], CELL),
    ("QENG", ["+QENG:0,2504,,21,069af001,-62,-11,-52,3,5,DE10,0,-17,3"], CELL),
    (
        "QENG",
        ["+QENG: 1,2504,77,-90,-12", '+QENG: 0,2504,2,21,"069AF001",-62,-11,-52,3,5,"DE10",0,0,3', "+QENG: 1,1,1,1,1"],
        CELL,
    ),
    (
        "QENG",
        ['+QENG: 0,2504,2,21,"069AF001",,,,,5,"DE10",255,,3'],
        {"earfcn": 2504, "pci": 21, "cell": "069AF001", "band": 5, "tac": "DE10"},
    ),
    ("QENG", ["+QENG: 0,6300,0,321,-95"], {"earfcn": 6300, "pci": 321}),
    ("QENG", ["+QENG: 0,,,,,,,,,,,,,"], {}),
    ("QBAND", ["+QBAND: 3,3,5,8"], {"bands": (3, 5, 8)}),
    ("QBAND", ["+QBAND: 1,5"], {"bands": (5,)}),
    ("QBAND", ["+QBAND: 5,8"], {"bands": (5, 8)}),
    ("CSCON", ["+CSCON: 0,1"], {"is_radio_connected": True}),
    ("CSCON", ["+CSCON: 1,0,7"], {"is_radio_connected": False}),
    ("CSCON", ["+CSCON: 1", "+CSCON: 1,0"], {"is_radio_connected": False}),
    ("CGDCONT", ['+CGDCONT: 1,"IP","cmnbiot",,0,0'], {"apn": "cmnbiot", "pdp_type": "IP"}),
    (
        "CGDCONT",
        ['+CGDCONT: 0,"IPV4V6","",,0,0', "+CGDCONT: 5,IP,iot.example"],
        {"apn": "iot.example", "pdp_type": "IP"},
    ),
    ("CGDCONT", ['+CGDCONT: 0,"ip","",,0,0'], {"apn": "", "pdp_type": "IP"}),
    ("CGDCONT", ['+CGDCONT: 0,"IP","other"', '+CGDCONT: 1,"IP","mine"'], {"apn": "mine", "pdp_type": "IP"}),
    ("CPSMS", ["+CPSMS: 0"], {"saving_mode": 0}),
    (
        "CPSMS",
        ['+CPSMS: 1,,,"01000001","00000101"'],
        {"saving_mode": 1, "periodic_bits": "01000001", "active_bits": "00000101"},
    ),
    (
        "CPSMS",
        ["+CPSMS: 1,,,01000001,00000101"],
        {"saving_mode": 1, "periodic_bits": "01000001", "active_bits": "00000101"},
    ),
    ("CEDRXS", ["+CEDRXS: 0"], {"asks_for_cycle": False}),
    ("CEDRXS", ['+CEDRXS: 0,5,"0000"'], {"asks_for_cycle": False}),
    ("CEDRXS", ['+CEDRXS: 5,"0101"'], {"asks_for_cycle": True, "cycle_bits": "0101"}),
    ("CEDRXS", ["+CEDRXS: 2,5,0101"], {"asks_for_cycle": True, "cycle_bits": "0101"}),
    ("CEDRXS", ['+CEDRXS: 5,"0101"', '+CEDRXS: 4,"0010"'], {"asks_for_cycle": True, "cycle_bits": "0101"}),
    ("CEDRXRDP", ["+CEDRXRDP: 0"], {"has_cycle": False}),
    ("CEDRXRDP", ['+CEDRXRDP: 5,"0010"'], {"has_cycle": False}),
    (
        "CEDRXRDP",
        ['+CEDRXRDP: 5,"0010","0101","0011"'],
        {"has_cycle": True, "granted_cycle_bits": "0101", "window_bits": "0011"},
    ),
    ("CBC", ["+CBC: 0,0,3600"], {"voltage": 3.6}),
    ("CBC", ["+CBC: 3582"], {"voltage": 3.582}),
    ("CBC", ["+CBC: 0,100,4.230V"], {"voltage": 4.23}),
    ("CBC", ["+CBC: 0,85"], {}),
]


def facts_of(name: str, lines: list[str]) -> dict[str, Any]:
    """Let the answer come through the chat, with lines of others before, between and after."""
    chat = Chat()
    chat.send(Query(name), 0.0)
    others = ['+QNBIOTEVENT: "EXIT DEEPSLEEP"', "+CEREG: 5", "+CSCON: 1", "+CGEV: ME PDN ACT 1", "+IP: 10.0.0.7"]
    said = [*others, *(text for line in lines for text in (line, *others)), "OK"]
    data = b"".join(b"\r\n" + line.encode() + b"\r\n" for line in said)
    [result] = [event for event in drain(chat, [data]) if isinstance(event, FinalResult)]
    assert result.ok
    return dict(result.command.parse(result.responses))


@pytest.mark.parametrize(("name", "lines", "facts"), TOLD, ids=lambda value: value if isinstance(value, str) else None)
def test_facts(name: str, lines: list[str], facts: dict[str, Any]) -> None:
    assert facts_of(name, lines) == facts


@pytest.mark.parametrize("name", QUERIES)
def test_answer_in_pieces(name: str) -> None:
    """Every question has rows here, and gets the same from any pieces of the bytes."""
    lines = next(lines for row, lines, facts in TOLD if row == name and facts)
    said = b"".join(b"\r\n" + line.encode() + b"\r\n" for line in [*lines, "OK"])
    for chunks in every_chunking(said):
        chat = Chat()
        chat.send(Query(name), 0.0)
        [result] = drain(chat, chunks)
        assert isinstance(result, FinalResult)
        assert result.command.parse(result.responses) == facts_of(name, lines)


@pytest.mark.parametrize("name", QUERIES)
def test_nonsense_tells_nothing_and_harms_nothing(name: str) -> None:
    prefix = QUERIES[name].prefixes[0]
    for text in ("", ",,,,,,,,", '"","",""', "-1,-1,-1", "x,\xff,?", "9" * 40, ",".join(["99999"] * 20)):
        try:
            told = facts_of(name, [f"{prefix}: {text}"])
        except RemoteProtocolError:
            assert QUERIES[name].always_tells
        else:
            assert set(told) <= {"operator", "apn", "pdp_type", "sim_state", "saving_mode"}, (name, text, told)


@pytest.mark.parametrize("name", QUERIES)
def test_ok_alone_tells_nothing(name: str) -> None:
    if not QUERIES[name].always_tells:
        assert facts_of(name, []) == {}
        return
    with pytest.raises(RemoteProtocolError, match="nothing is told"):
        facts_of(name, [])


def test_unknown_question() -> None:
    with pytest.raises(ValueError, match="no such question: 'NOSUCH'"):
        Query("NOSUCH")


@pytest.mark.parametrize(
    ("bits", "seconds"),
    [("00000001", 2.0), ("00011111", 62.0), ("00100010", 120.0), ("01000001", 360.0), ("01100010", 120.0),
     ("11100000", None), ("00000000", 0.0), ("0000000", None), ("", None), (None, None), ("00000002", None)],
)  # fmt: skip
def test_active_time(bits: str | None, seconds: float | None) -> None:
    assert read_active_time(bits) == seconds
    assert is_deactivated(bits) == (bits == "11100000")


@pytest.mark.parametrize(
    ("bits", "seconds"),
    [("00000001", 600.0), ("00100110", 21600.0), ("01000001", 36000.0), ("01100101", 10.0), ("10000010", 60.0),
     ("10111110", 1800.0), ("11000001", 1152000.0), ("11111111", None), ("1", None), (None, None)],
)  # fmt: skip
def test_periodic_time(bits: str | None, seconds: float | None) -> None:
    assert read_periodic_time(bits) == seconds


@pytest.mark.parametrize(
    ("bits", "seconds"),
    [("0010", 20.48), ("0011", 40.96), ("0101", 81.92), ("1001", 163.84), ("1111", 10485.76), ("0000", None),
     ("0001", None), ("01", None), (None, None)],
)  # fmt: skip
def test_drx_cycle(bits: str | None, seconds: float | None) -> None:
    assert read_drx_cycle(bits) == seconds


@pytest.mark.parametrize(("bits", "seconds"), [("0000", 2.56), ("0011", 10.24), ("1111", 40.96), ("2", None)])
def test_paging_window(bits: str | None, seconds: float | None) -> None:
    assert read_paging_window(bits) == seconds

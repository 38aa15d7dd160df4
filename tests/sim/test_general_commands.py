"""Commands that are not about sockets."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sim.bench import ERROR, OK, Bench, lines


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("AT", []),
        ("at", []),
        ("ATI", ["Quectel_Ltd", "Quectel_BC260Y-CN", "Revision: BC260YCNAAR01A03"]),
        ("AT+CGMR", ["BC260YCNAAR01A03"]),
        ("at+cgmr", ["BC260YCNAAR01A03"]),
        ("AT+CGMI", ["Quectel_Ltd"]),
        ("AT+CGMM", ["Quectel_BC260Y-CN"]),
        ("AT+CGSN=1", ["+CGSN: 869000000000001"]),
        ("AT+CGSN", ["869000000000001"]),
        ("AT+CGSN=?", ["+CGSN: (0-3)"]),
        ("AT+CSQ", ["+CSQ: 20,0"]),
        ("AT+CPIN?", ["+CPIN: READY"]),
        ("AT+CFUN?", ["+CFUN: 1"]),
        ("AT+CEREG?", ["+CEREG: 0,1"]),
        ("AT+CEREG=?", ["+CEREG: (0-5)"]),
        ("AT+CGATT?", ["+CGATT: 1"]),
        ("AT+CGPADDR", ['+CGPADDR: 5,"10.18.237.42"']),
        ("AT+CGPADDR?", ['+CGPADDR: 5,"10.18.237.42"']),
        ("AT+CGPADDR=5", ['+CGPADDR: 5,"10.18.237.42"']),
        ("AT+CGPADDR=1", ["+CGPADDR: 1"]),
        ("AT+CGDCONT?", ['+CGDCONT: 1,"IP","cmnbiot",,0,0']),
        ("AT+QSCLK?", ["+QSCLK: 0"]),
        ("AT+QSCLK=?", ["+QSCLK: (0-2)"]),
        ("AT+CMEE?", ["+CMEE: 0"]),
        ("AT+IPR?", ["+IPR: 115200"]),
        ("AT+QNBIOTEVENT=1,1", []),
        ("AT+CPSMS?", ['+CPSMS: 0,,,"01000001","00000101"']),
        ("AT+CEDRXS?", ['+CEDRXS: 0,5,"0000"']),
        ("AT&F", []),
    ],
)
def test_answers(command: str, answer: list[str]) -> None:
    assert Bench().ask(command) == [*answer, "OK"]


@pytest.mark.parametrize("end", [b"\r", b"\r\n"])
def test_a_command_ends_with_cr_or_crlf(end: bytes) -> None:
    bench = Bench()
    assert bench.write(b"AT" + end + b"AT+CSQ" + end) == OK + lines("+CSQ: 20,0") + OK


def test_echo_is_exactly_what_was_received_until_ate0() -> None:
    bench = Bench(echo=True)
    assert bench.write(b"at+CsQ\r\n") == b"at+CsQ\r\n" + lines("+CSQ: 20,0") + OK
    assert bench.write(b"ATE") == b"ATE"
    assert bench.write(b"0\r") == b"0\r" + OK
    assert bench.say("AT") == OK
    assert bench.say("ATE1") == OK
    assert bench.say("AT") == b"AT\r" + OK


def test_an_urc_comes_in_the_middle_of_an_echo() -> None:
    bench = Bench(echo=True)
    bench.open(service="UDP")
    bench.read()
    assert bench.write(b"AT+C") == b"AT+C"
    bench.network.connections[0].send(b"x")
    assert bench.read() == lines('+QIURC: "recv",0,1,"x"')
    assert bench.write(b"SQ\r") == b"SQ\r" + lines("+CSQ: 20,0") + OK


def test_noise_before_at_is_ignored_and_without_at_nothing_is_said() -> None:
    bench = Bench()
    assert bench.say("\xff\x00AT") == OK
    assert bench.say("+CSQ") == b""
    assert bench.say("") == b""


@pytest.mark.parametrize(
    ("mode", "unknown", "wrong"),
    [
        (0, "ERROR", "ERROR"),
        (1, "+CME ERROR: 100", "+CME ERROR: 50"),
        (2, "+CME ERROR: unknown", "+CME ERROR: incorrect parameters"),
    ],
)
def test_cmee_chooses_how_errors_are_told(mode: int, unknown: str, wrong: str) -> None:
    bench = Bench()
    assert bench.say(f"AT+CMEE={mode}") == OK
    assert bench.ask("AT+NOSUCH") == [unknown]
    assert bench.ask("AT+CEREG=9") == [wrong]


@pytest.mark.parametrize(
    "command",
    ["AT+CFUN=7", "AT+CFUN", "AT+QSCLK=3", "AT+QSCLK=", 'AT+CSQ="x', "AT+CCLK=1", 'AT+CCLK="21/13/01,00:00:00+00"',
     "AT+IPR=1234", "AT+CGDCONT=5,\"IP\",\"x\"", "AT+CMEE=3", "ATX9", "AT+CGSN=4", "AT+QRST=0"],
)  # fmt: skip
def test_bad_parameters_are_an_error(command: str) -> None:
    assert Bench().say(command) == ERROR


def test_a_line_that_is_too_long_is_an_error() -> None:
    bench = Bench()
    assert bench.say("AT+CSQ" + "x" * 5000) == ERROR
    assert bench.say("AT") == OK


@pytest.mark.parametrize(
    ("stat", "mode", "fields"),
    [
        ("home", 0, "0,1"),
        ("roaming", 1, "1,5"),
        ("home", 2, '2,1,"3C5E","0A1B2C3D",9'),
        ("denied", 3, "3,3,,,,0,13"),
        ("home", 4, '4,1,"3C5E","0A1B2C3D",9,,,"00000001","00100110"'),
        ("home", 5, '5,1,"3C5E","0A1B2C3D",9,,,"00000001","00100110"'),
        ("denied", 5, "5,3,,,,0,13"),
        ("searching", 5, "5,2"),
        ("no", 1, "1,0"),
    ],
)
def test_registration_as_asked_for(stat: str, mode: int, fields: str) -> None:
    bench = Bench(registration=stat)
    bench.say(f"AT+CEREG={mode}")
    assert bench.ask("AT+CEREG?") == [f"+CEREG: {fields}", "OK"]


def test_the_clock_is_set_read_and_runs() -> None:
    bench = Bench(clock=1618272000.0)
    assert bench.ask("AT+CCLK?") == ['+CCLK: "21/04/13,08:00:00+32"', "OK"]
    assert bench.say('AT+CCLK="22/01/02,03:04:05+00"') == OK
    bench.run(61)
    assert bench.ask("AT+CCLK?") == ['+CCLK: "22/01/02,03:05:06+00"', "OK"]


def test_the_apn_can_be_set_and_is_needed() -> None:
    bench = Bench(needs_apn="private.net")
    assert bench.say('AT+QIOPEN=0,0,"TCP","x.example",80') == OK + lines("+QIOPEN: 0,573")
    assert bench.say('AT+CGDCONT=1,"IP","private.net"') == OK
    assert bench.ask("AT+CGDCONT?") == ['+CGDCONT: 1,"IP","private.net",,0,0', "OK"]
    assert bench.say('AT+QIOPEN=0,1,"TCP","x.example",80') == OK + lines("+QIOPEN: 1,0")


def test_a_kept_setting_is_read_back() -> None:
    bench = Bench()
    assert bench.say('AT+CPSMS=1,,,"00000001","00000011"') == OK
    assert bench.ask("AT+CPSMS?") == ['+CPSMS: 1,,,"00000001","00000011"', "OK"]


def test_commands_wait_for_the_one_before() -> None:
    bench = Bench(answer_delay=0.5)
    assert bench.write(b"AT\rAT+CSQ\r") == b""
    assert bench.run(0.5) == OK
    assert bench.run(0.5) == lines("+CSQ: 20,0") + OK


def test_strict_mode_refuses_a_command_before_the_one_before_is_finished() -> None:
    bench = Bench(answer_delay=0.5, strict=True)
    assert bench.write(b"AT\rAT+CSQ\r") == ERROR
    assert bench.run(1) == OK


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"colon_space": False}, b"\r\n+CSQ:20,0\r\n\r\nOK\r\n"),
        ({"extra_crlf": True}, b"\r\n\r\n+CSQ: 20,0\r\n\r\n\r\nOK\r\n"),
    ],
)
def test_framing_varies(options: dict[str, Any], expected: bytes) -> None:
    assert Bench(**options).say("AT+CSQ") == expected


def test_commands_are_remembered() -> None:
    bench = Bench()
    bench.say("AT")
    bench.say("at+csq")
    assert list(bench.module.commands) == ["AT", "at+csq"]
    assert bench.module.command_count == 2

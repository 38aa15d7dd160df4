"""power="psm": the manual's order, waking up, and what lives on over sleep. Virtual time."""

from __future__ import annotations

import errno
import re
from typing import Any

import pytest

from nbsocket._driver import ConnectionReset, DataReceived, GetStatus, RawCommand, Resolve, Settings
from tests.rig import Rig

PSM = Settings(baudrate=115200, power="psm")

#: Simulator options: the ways in which real modules wake up.
WAKING: dict[str, dict[str, Any]] = {
    "first command lost": {},
    "blank line after 1.8 s": {"wake_delay": 1.8, "wake_answer": "blank"},
    "ERROR": {"wake_delay": 0.2, "wake_answer": "ERROR"},
    "the other spelling": {"sleep_spelling": "QNBIOTEVENT"},
    "no events": {"sleep_events": False, "wake_delay": 0.5},
}


def commands(rig: Rig) -> list[str]:
    """The command lines that the module has got, those lost in its sleep not among them."""
    return list(rig.module.commands)


def check_order(lines: list[str]) -> None:
    """Work is done only while sleep is forbidden, and in the end it is allowed."""
    may_sleep = True
    for line in lines:
        if line.startswith("AT+QSCLK="):
            may_sleep = line == "AT+QSCLK=1"
        assert not (may_sleep and re.match(r"AT\+Q(IOPEN|ISEND|ICLOSE|IDNS|PING|NTP)", line)), lines
    assert may_sleep


def asleep(rig: Rig) -> Rig:
    """Let time pass until it sleeps."""
    rig.run(60, until=lambda: rig.module.is_asleep)
    assert rig.module.is_asleep, commands(rig)
    return rig


def test_awake_by_default() -> None:
    rig = Rig().start()
    rig.ask(Resolve("a.example"))
    rig.run(3600)
    assert not rig.module.is_asleep
    assert [line for line in commands(rig) if "QSCLK" in line] == ["AT+QSCLK=0"]


def test_sleep_is_forbidden_before_work_and_allowed_after_it() -> None:
    """BC260Y-CN TCP/IP guide 1.1 §4.1, note 1."""
    rig = Rig(PSM).start()
    asleep(rig)
    rig.ask(Resolve("a.example"))
    asleep(rig)
    check_order(commands(rig))
    lines = [line for line in commands(rig) if "QSCLK" in line or "QIDNSGIP" in line]
    assert lines == ["AT+QSCLK=0", "AT+QSCLK=1", "AT+QSCLK=0", 'AT+QIDNSGIP=0,"a.example"', "AT+QSCLK=1"]


@pytest.mark.parametrize("name", WAKING)
def test_waking_up(name: str) -> None:
    rig = asleep(Rig(PSM, **WAKING[name]).start())
    before = len(rig.wire)
    assert rig.ask(GetStatus()).registered
    assert rig.ask(RawCommand("AT+CSQ")) == ["+CSQ: 20,0"]
    assert rig.up(before).startswith(b"AT\r"), "what wakes it is lost, so it must be of no value"
    assert not rig.module.is_asleep


def test_sleeping_module_is_left_alone() -> None:
    rig = asleep(Rig(PSM).start())
    before = len(rig.wire)
    rig.run(3600)
    assert rig.wire[before:] == []
    assert rig.driver.next_deadline() is None


@pytest.mark.parametrize("name", WAKING)
def test_udp_lives_on_over_sleep(name: str) -> None:
    """BC260Y-CN TCP/IP guide 1.1 §4.3.9: the same socket of the module, not opened again."""
    rig = Rig(PSM, **WAKING[name]).start()
    key = rig.open("UDP", "hf.quectel.com", 2020)
    rig.write(key, b"1234567890")
    asleep(rig)
    rig.write(key, b"1234567890")
    rig.run(10)
    assert rig.peer.messages == [b"1234567890"] * 2
    assert len(rig.times_of(rb"QIOPEN")) == 1
    rig.peer.send(b"answer")
    assert rig.take(DataReceived).data == b"answer"
    asleep(rig)
    check_order(commands(rig))


def test_tcp_keeps_the_module_awake() -> None:
    rig = Rig(PSM).start()
    key = rig.open()
    rig.write(key, b"hello")
    rig.run(3600)
    assert not rig.module.is_asleep
    lines = commands(rig)
    assert "AT+QSCLK=1" not in lines[lines.index('AT+QIOPEN=0,0,"TCP","10.0.0.9",80') :]
    rig.driver.end_of_data(key, 60.0, rig.now)
    asleep(rig)
    check_order(commands(rig))


def test_tcp_ends_with_a_reset_when_the_module_sleeps_all_the_same() -> None:
    """Somebody else allowed it: a raw command, a button."""
    rig = Rig().start()
    rig.open()
    datagrams = rig.open("UDP")
    rig.ask(RawCommand("AT+QSCLK=1"))
    asleep(rig)
    reset = rig.take(ConnectionReset)
    assert reset.error.errno == errno.ECONNRESET and "sleep" in (reset.error.strerror or "")
    rig.write(datagrams, b"still there")
    rig.run(10)
    assert rig.peer.messages == [b"still there"]
    rig.open(port=81)


def test_new_connection_after_sleep() -> None:
    rig = asleep(Rig(PSM).start())
    key = rig.open()
    rig.write(key, b"hello")
    rig.run(1)
    assert rig.peer.received == b"hello"


def test_module_that_does_not_wake_up_is_an_error() -> None:
    rig = asleep(Rig(PSM).start())
    rig.inject("silence", match="", times=1000)
    with pytest.raises(OSError) as caught:
        rig.ask(GetStatus(), timeout=120.0)
    assert caught.value.errno in (errno.ENODEV, errno.ETIMEDOUT)

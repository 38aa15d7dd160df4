"""Waking a modem that was told that it may sleep: the first command is lost, late, or answered in its own way."""

from __future__ import annotations

import pytest

from nbsocket._driver import RawCommand, RequestDone, Settings
from nbsocket._driver._insist import IGNORING_TIME
from tests.driver.bench import Bench


@pytest.fixture
def bench() -> Bench:
    """A modem that may be asleep."""
    bench = Bench(Settings(baudrate=115200, power="psm"))
    bench.start()
    bench.dialog(("AT+QSCLK=1", "OK"))
    return bench


def test_slow_module_is_not_taken_for_one_that_slept(bench: Bench) -> None:
    """Each OK is for the command before: the answer to the request must not be."""
    bench.driver.submit(RawCommand("AT+CSQ"), None, bench.now)
    bench.expect("AT")
    bench.advance(1.0)
    bench.expect("AT")
    bench.say("OK")
    bench.advance(0.3)
    bench.dialog(("AT+QSCLK=0", "OK"), ('AT+QICFG="dataformat"', "OK"))
    bench.say("OK", '+QICFG: "dataformat",1,1', "OK")
    bench.dialog(("AT+CSQ", "+CSQ: 20,0", "OK"))
    assert bench.take(RequestDone).value == ["+CSQ: 20,0"]


def test_module_whose_answer_is_lost_when_it_is_woken_is_woken_again(bench: Bench) -> None:
    bench.driver.submit(RawCommand("AT+CSQ"), None, bench.now)
    bench.dialog(("AT", "OK"))
    bench.expect("AT+QSCLK=0")
    bench.advance(5.1)
    bench.dialog(("AT", "OK"))
    bench.expect()
    bench.advance(IGNORING_TIME)
    bench.dialog(("AT+QSCLK=0", "OK"), ("AT+CSQ", "+CSQ: 20,0", "OK"))
    assert bench.take(RequestDone).value == ["+CSQ: 20,0"]


def test_sleeper_that_sleeps_again_soon_wakes_up(bench: Bench) -> None:
    """It is slow, refuses what comes too soon, and ignores what follows at once. Simulation seed 16030537."""
    bench.say('+QNBIOTEVENT: "ENTER DEEPSLEEP"')
    bench.driver.submit(RawCommand("AT+CSQ"), None, bench.now)
    bench.expect("AT")
    bench.say('+QNBIOTEVENT: "EXIT DEEPSLEEP"')
    bench.advance(1.0)
    bench.expect("AT")
    bench.advance(1.0)
    bench.expect("AT")
    bench.say("ERROR", "OK")
    bench.advance(0.5)
    bench.expect("AT")
    bench.say('+QNBIOTEVENT: "ENTER DEEPSLEEP"')
    bench.advance(2.5)
    bench.expect("AT")
    bench.say('+QNBIOTEVENT: "EXIT DEEPSLEEP"')
    bench.advance(1.0)
    bench.expect("AT")
    bench.advance(2.4)
    bench.expect()
    bench.say("OK")
    bench.advance(0.5)
    bench.dialog(("AT+QSCLK=0", "OK"))


def test_sleeper_that_ignores_and_sleeps_again_soon_wakes_up(bench: Bench) -> None:
    """It ignores what comes within a second of its answer, and sleeps half a second later. Seed 16223287."""
    bench.driver.submit(RawCommand("AT+CSQ"), None, bench.now)
    bench.expect("AT")
    bench.advance(1.0)
    bench.dialog(("AT", "OK"))
    bench.advance(0.3)
    bench.expect("AT+QSCLK=0")
    bench.advance(5.0)
    bench.expect("AT")
    bench.advance(1.0)
    bench.dialog(("AT", "OK"))
    bench.advance(1.1)
    bench.expect()
    bench.advance(0.2)
    bench.dialog(("AT+QSCLK=0", "OK"))

"""Changing the rate of the serial line: alone on the line, verified, restored when it does not work."""

from __future__ import annotations

import errno

import pytest

from nbsocket._driver import (
    ChangeBaudrate,
    Driver,
    GetSettings,
    RawCommand,
    RequestDone,
    RequestFailed,
    SetBaudrate,
    Settings,
)
from tests.driver.bench import ATTACH, BRING_UP, Bench
from tests.rig import Rig


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.start()
    return bench


def begin(bench: Bench, rate: int = 460800) -> None:
    """Up to the OK of AT+IPR."""
    bench.driver.submit(ChangeBaudrate(rate), None, bench.now)
    bench.collect()
    bench.advance(0.02)
    assert [bench.take(SetBaudrate).rate, bench.take(SetBaudrate).rate] == [rate, 115200], "the port is tried first"
    bench.expect(f"AT+IPR={rate}")
    bench.say("OK")
    bench.advance(0.3)
    assert bench.take(SetBaudrate).rate == rate


def test_module_that_answers_at_the_new_rate(bench: Bench) -> None:
    begin(bench)
    bench.driver.submit(RawCommand("AT+CSQ"), None, bench.now)
    bench.dialog(("AT", "OK"))
    assert bench.take(RequestDone).value == 115200
    bench.dialog(("AT+CSQ", "+CSQ: 20,99", "OK"))
    assert bench.driver.baudrate == 460800


def test_late_answers_of_a_slow_module_are_not_taken_for_those_of_later_commands(bench: Bench) -> None:
    begin(bench)
    bench.advance(1.1)
    assert bench.sent() == b"AT\rAT\r"
    bench.driver.submit(RawCommand("AT+CSQ"), None, bench.now)
    bench.say("OK")
    bench.advance(0.5)
    bench.expect('AT+QICFG="dataformat"')
    bench.say("OK", '+QICFG: "dataformat",1,1', "OK")
    assert bench.take(RequestDone).value == 115200
    bench.dialog(("AT+CSQ", "+CSQ: 20,99", "OK"))
    assert bench.take(RequestDone).value == ["+CSQ: 20,99"]


def test_new_rate_is_used_when_the_module_restarts(bench: Bench) -> None:
    begin(bench)
    bench.dialog(("AT", "OK"))
    bench.take(RequestDone)
    bench.say("RDY")
    assert bench.take(SetBaudrate).rate == 460800


def test_module_that_stays_at_the_old_rate(bench: Bench) -> None:
    begin(bench)
    bench.advance(3.0)
    assert bench.sent() == b"AT\r" * 4
    assert bench.take(SetBaudrate).rate == 115200
    bench.say("OK")
    bench.dialog(("AT+IPR=115200", "OK"))
    error = bench.take(RequestFailed).error
    assert error.errno == errno.EIO and "set to 115200 again" in (error.strerror or "")


def test_module_that_is_not_understood_at_the_new_rate_is_called_back_blindly(bench: Bench) -> None:
    begin(bench)
    bench.advance(6.0)
    assert bench.sent().startswith(b"AT\r" * 6 + b"\rAT+IPR=115200\r")
    assert [bench.take(SetBaudrate).rate for _ in range(2)] == [115200, 460800]
    bench.advance(0.5)
    assert bench.take(SetBaudrate).rate == 115200
    bench.dialog(("AT", "OK"), ("AT+IPR=115200", "OK"))
    assert bench.take(RequestFailed).error.errno == errno.EIO
    assert bench.driver.baudrate == 115200


def test_port_that_cannot_do_the_rate(bench: Bench) -> None:
    bench.driver.submit(ChangeBaudrate(460800), None, bench.now)
    bench.collect()
    bench.driver.baudrate_refused(460800)
    bench.advance(0.02)
    bench.events = [event for event in bench.events if not isinstance(event, SetBaudrate)]
    assert bench.take(RequestFailed).error.errno == errno.EINVAL
    assert bench.sent() == b"", "the module was asked nothing"


def test_module_that_refuses(bench: Bench) -> None:
    bench.driver.submit(ChangeBaudrate(460800), None, bench.now)
    bench.advance(0.02)
    bench.dialog(("AT+IPR=460800", "+CME ERROR: 50"))
    bench.events = [event for event in bench.events if not isinstance(event, SetBaudrate)]
    assert bench.take(RequestFailed).error.result == 50  # type: ignore[attr-defined]  # ours
    assert bench.driver.baudrate == 115200


def test_same_rate_is_nothing(bench: Bench) -> None:
    bench.driver.submit(ChangeBaudrate(115200), None, bench.now)
    assert bench.take(RequestDone).value == 115200
    assert bench.sent() == b""


def test_search_over_a_port_that_cannot_do_every_rate() -> None:
    """What was refused is not counted as tried: the error tells it, and the way back by another port."""
    rig = Rig(Settings(), baudrate=460800, strict_baud=True)
    rig.max_rate = 115200
    rig.driver.port_opened(rig.now)
    rig.driver.submit(RawCommand("AT"), None, rig.now)
    error = str(rig.take(RequestFailed).error)
    assert "no module answers AT at any baud rate" in error and "cannot do 230400 and 460800 baud" in error
    assert "nbsocket --baudrate 460800 baud --set 115200" in error


def test_module_is_found_at_the_rate_that_the_port_has_kept() -> None:
    """The module was at 460800 when it was found last; what is told is the rate that is spoken now."""
    rig = Rig(Settings(), baudrate=115200, strict_baud=True).start()
    rig.driver._core.lifecycle._baudrate = 460800
    rig.max_rate = 115200
    rig.driver.port_lost(OSError(errno.EIO, "unplugged"), rig.now)
    rig.driver.port_opened(rig.now)
    rig.driver.submit(GetSettings(), None, rig.now)
    assert rig.take(RequestDone).value.baudrate == 115200  # type: ignore[attr-defined]  # of GetSettings
    assert rig.driver.baudrate == 115200


def test_port_that_does_not_hold_what_it_did_at_the_trial() -> None:
    """The module has taken the rate by then: the error tells the way back, and that works through another port."""
    rig = Rig(Settings(), baudrate=115200, strict_baud=True).start()
    rig.max_rate, rig.trials = 115200, 1
    rig.driver.submit(ChangeBaudrate(230400), None, rig.now)
    error = rig.take(RequestFailed).error
    assert rig.module.commands[-1] == "AT+IPR=230400"
    assert error.errno == errno.ENODEV and "nbsocket --baudrate 230400 baud --set 115200" in str(error)
    assert "through a port that can do 230400 baud" in str(error)

    rig.max_rate = None  # another port, and the program that was named
    rig.driver = Driver(Settings(baudrate=230400))
    rig.start()
    assert rig.ask(ChangeBaudrate(115200)) == 230400
    assert rig.driver.baudrate == rig.module.uart.rate == 115200


def test_line_without_a_rate_of_ours(bench: Bench) -> None:
    """As behind socket://: what the module has stored is told, and a change is refused before anything is sent."""
    bench.driver.port_lost(OSError(errno.EIO, "closed"), bench.now)
    bench.driver.port_opened(bench.now, has_baudrate=False)
    bench.dialog(*BRING_UP, *ATTACH)
    bench.driver.submit(GetSettings(), None, bench.now)
    bench.dialog(
        ('AT+QICFG="dataformat"', '+QICFG: "dataformat",1,1', "OK"),
        ("AT+QSCLK?", "+QSCLK: 0", "OK"),
        ("AT+IPR?", "+IPR: 9600", "OK"),
        ("AT+CPSMS?", "+CPSMS: 0", "OK"),
    )
    bench.events = [event for event in bench.events if not isinstance(event, SetBaudrate)]
    assert bench.take(RequestDone).value.baudrate == 9600  # type: ignore[attr-defined]  # of GetSettings
    bench.driver.submit(ChangeBaudrate(57600), None, bench.now)
    assert bench.take(RequestFailed).error.errno == errno.EOPNOTSUPP
    assert bench.sent() == b""


def test_port_lost_while_a_rate_is_tried() -> None:
    """The module was told nothing: it is looked for at every rate, not at the one that was tried."""
    rig = Rig(Settings(), baudrate=115200, strict_baud=True).start()
    rig.driver.submit(ChangeBaudrate(460800), None, rig.now)
    rig.driver.port_lost(OSError(errno.EIO, "unplugged"), rig.now)
    assert rig.take(RequestFailed).error.errno == errno.EIO
    rig.driver.port_opened(rig.now)
    began = rig.now
    assert rig.ask(GetSettings()).baudrate == 115200
    assert rig.now - began < 5.0, "115200 is the first to be tried"

"""Bring-up, attaching, restarts, and what becomes of those who wait."""

from __future__ import annotations

import errno

import pytest

from nbsocket._driver import (
    ConnectFailed,
    ConnectionEnded,
    ConnectionReset,
    GetInfo,
    RawCommand,
    RequestDone,
    RequestFailed,
    Resolve,
    SetBaudrate,
    Settings,
    Stopped,
    WaitAttached,
)
from tests.driver.bench import ATTACH, BRING_UP, Bench, Pile

#: Where in BRING_UP the data format, and the radio, are asked for.
FORMAT, RADIO = 4, 5
MARKER = BRING_UP[FORMAT]

#: What follows the answer to the first AT when it came late: the question with an answer of its own is asked at once,
#: and not again.
BRING_UP_LATE = [MARKER, *BRING_UP[1:FORMAT], *BRING_UP[RADIO:]]


def test_configured_module_is_asked_and_changed_nothing() -> None:
    bench = Bench()
    bench.driver.port_opened(bench.now)
    assert bench.driver.data_to_send() == b"", "nothing is written before the rate is set"
    assert bench.driver.next_event() == SetBaudrate(115200)
    bench.dialog(*BRING_UP, *ATTACH)
    assert bench.driver.is_ready
    assert bench.driver.local_address == "10.1.2.3"
    assert bench.sent() == b""
    assert bench.driver.next_deadline() is None, "an idle module costs no wake-ups"


@pytest.mark.parametrize(
    ("data_format", "have", "command"), [("hex", "0,0", "1,1"), ("raw", "1,1", "0,0"), ("raw", "1,0", "0,0")]
)
def test_data_format_is_written_only_when_different(data_format: str, have: str, command: str) -> None:
    bench = Bench(Settings(data_format=data_format, baudrate=9600))  # type: ignore[arg-type]  # parametrised
    bench.driver.port_opened(bench.now)
    bench.dialog(*BRING_UP[:FORMAT])
    bench.dialog(
        ('AT+QICFG="dataformat"', f'+QICFG: "dataformat",{have}', "OK"), (f'AT+QICFG="dataformat",{command}', "OK")
    )
    bench.expect("AT+CFUN?")


def test_radio_off_apn_and_orphans() -> None:
    bench = Bench(Settings(baudrate=115200, apn="iot.example"))
    bench.driver.port_opened(bench.now)
    bench.dialog(
        *BRING_UP[:RADIO],
        ("AT+CFUN?", "+CFUN: 0", "OK"),
        ("AT+CFUN=1", "OK"),
        ("AT+CGDCONT?", '+CGDCONT: 1,"IP","cmnbiot"', "OK"),
        ('AT+CGDCONT=1,"IP","iot.example"', "OK"),
        ("AT+QISTATE?", '+QISTATE: 3,"TCP","10.0.0.1",80,0,2,0,1', '+QISTATE: 4,"UDP","10.0.0.1",80,0,2,0,1', "OK"),
        ("AT+QICLOSE=3", "OK"),
    )
    assert bench.sent() == b"", "the next close waits for CLOSE OK"
    bench.say("CLOSE OK")
    bench.dialog(("AT+QICLOSE=4", "OK", "CLOSE OK"), *ATTACH)
    assert bench.driver.is_ready


def test_module_that_answers_late_and_one_thing_at_a_time_is_waited_for() -> None:
    bench = Bench()
    bench.driver.port_opened(bench.now)
    bench.collect()
    bench.advance(3.0)
    bench.expect("AT", "AT", "AT", "AT")
    bench.advance(2.4)
    assert bench.sent() == b"", "the next AT would be refused"
    bench.say("OK")
    bench.advance(0.3)
    bench.expect('AT+QICFG="dataformat"')
    bench.say("OK", "OK", "ERROR")
    bench.advance(1.0)
    bench.dialog(MARKER, *BRING_UP[1:FORMAT], *BRING_UP[RADIO:], *ATTACH)
    assert bench.driver.is_ready


def test_deadline_that_passes_while_something_else_happens_is_not_forgotten() -> None:
    bench = Bench()
    bench.start()
    first = bench.driver.submit(GetInfo(), None, bench.now)
    second = bench.driver.submit(GetInfo(), bench.now + 1.0, bench.now)
    bench.now += 1.0
    bench.feed(b"\r\n+CSCON: 1\r\n")
    deadline = bench.driver.next_deadline()
    assert deadline == bench.now
    bench.driver.handle_timeout(deadline)
    assert bench.take(RequestFailed).request_id == second
    bench.driver.cancel(first, bench.now)


def test_rate_that_gives_an_error_is_the_right_one() -> None:
    bench = Bench(Settings())
    bench.driver.port_opened(bench.now)
    bench.collect()
    for _ in range(5):
        bench.expect("AT")
        bench.say("ERROR")
        bench.advance(0.5)
    bench.dialog(("AT", "OK"))
    assert [event for event in bench.events if isinstance(event, SetBaudrate)] == [SetBaudrate(115200)]


@pytest.mark.parametrize("refusal", ["+CME ERROR: 568", "ERROR"])
def test_a_busy_module_is_told_its_configuration_again(refusal: str) -> None:
    bench = Bench(Settings(baudrate=115200, apn="iot"))
    bench.driver.port_opened(bench.now)
    bench.dialog(
        *BRING_UP[:FORMAT],
        ('AT+QICFG="dataformat"', '+QICFG: "dataformat",0,0', "OK"),
        ('AT+QICFG="dataformat",1,1', refusal),
    )
    bench.expect()
    bench.advance(1.0)
    bench.dialog(
        ('AT+QICFG="dataformat",1,1', "OK"),
        ("AT+CFUN?", "+CFUN: 0", "OK"),
        ("AT+CFUN=1", refusal),
    )
    bench.advance(1.0)
    bench.dialog(("AT+CFUN=1", "OK"), ("AT+CGDCONT?", "OK"), ('AT+CGDCONT=1,"IP","iot"', refusal))
    bench.advance(1.0)
    bench.dialog(('AT+CGDCONT=1,"IP","iot"', "OK"), ("AT+QISTATE?", "OK"), *ATTACH)
    assert bench.driver.is_ready


def test_a_refusal_that_will_not_pass_is_told_at_once() -> None:
    bench = Bench(Settings(baudrate=115200, apn="iot"))
    request = bench.driver.submit(GetInfo(), None, bench.now)
    bench.driver.port_opened(bench.now)
    bench.dialog(*BRING_UP[:-1], ("AT+CGDCONT?", "OK"), ('AT+CGDCONT=1,"IP","iot"', "+CME ERROR: 50"))
    bench.expect()
    bench.take(SetBaudrate)
    failed = bench.take(RequestFailed)
    assert failed.request_id == request and "50" in str(failed.error)


def test_orphans_are_asked_for_again_when_the_question_is_refused() -> None:
    bench = Bench()
    bench.driver.port_opened(bench.now)
    bench.dialog(*BRING_UP[:-1], ("AT+QISTATE?", "+CME ERROR: 100"))
    bench.advance(1.0)
    bench.dialog(
        ("AT+QISTATE?", '+QISTATE: 3,"TCP","10.0.0.1",80,0,2,0,1', "OK"),
        ("AT+QICLOSE=3", "+CME ERROR: 100"),
        ("AT+QICLOSE=3", "OK", "CLOSE OK"),
        *ATTACH,
    )


def test_data_mode_that_an_earlier_program_left_is_escaped_from_at_every_rate() -> None:
    bench = Bench(Settings())
    bench.driver.port_opened(bench.now)
    rate = 0
    for _ in range(2000):
        bench.advance(0.1)
        written = bench.sent()
        rate = next((event.rate for event in reversed(bench.events) if isinstance(event, SetBaudrate)), rate)
        if rate == 57600 and b"\x1b" in written:
            break
    else:
        pytest.fail("not escaped at 57600 baud")
    bench.say("SEND OK")
    bench.advance(0.2)
    bench.dialog(("ATQ0", "OK"), *BRING_UP_LATE)


def test_rates_are_searched() -> None:
    bench = Bench(Settings())
    bench.driver.port_opened(bench.now)
    rates: list[int] = []
    while not rates or rates[-1] != 9600:
        bench.advance(0.1)
        rates += [event.rate for event in bench.events if isinstance(event, SetBaudrate)]
        bench.events.clear()
    assert rates == [115200, 9600]
    bench.sent()
    bench.say("OK")
    bench.expect("AT+CMEE?")


def test_silent_port_fails_those_who_wait_and_begins_anew_for_the_next() -> None:
    bench = Bench()
    bench.driver.port_opened(bench.now)
    bench.driver.submit(GetInfo(), None, bench.now)
    bench.driver.open("TCP", "10.0.0.9", 80, 0, Pile(), bench.now)
    bench.advance(60.0)
    # ATQ0: results may have been turned off.
    assert set(bench.sent().replace(b"AT\r", b"").replace(b"ATQ0\r", b"")) <= set(b"\x1b\r")
    bench.take(SetBaudrate)
    bench.take(SetBaudrate)
    error = bench.take(ConnectFailed).error
    assert error.errno == errno.ENODEV and "no module answers" in str(error)
    assert bench.take(RequestFailed).error.errno == errno.ENODEV
    assert bench.driver.next_deadline() is None, "a dead port is left alone"
    bench.driver.submit(GetInfo(), None, bench.now)
    bench.take(SetBaudrate)


def test_booting_module_answers_error_for_a_while() -> None:
    bench = Bench()
    bench.driver.port_opened(bench.now)
    for _ in range(5):
        bench.expect("AT")
        bench.say("ERROR")
        bench.advance(0.5)
    bench.expect("AT")
    bench.say("OK")
    bench.advance(0.3)
    bench.dialog(*BRING_UP_LATE, *ATTACH)


def test_echo_before_ate0_is_no_restart() -> None:
    bench = Bench()
    bench.driver.port_opened(bench.now)
    bench.expect("AT")
    bench.feed(b"AT\r\r\nOK\r\n")
    bench.expect("ATE0")
    bench.feed(b"ATE0\r\r\nOK\r\n")
    bench.dialog(*BRING_UP[1:], *ATTACH)
    assert bench.driver.is_ready


def test_attaching_takes_its_time() -> None:
    bench = Bench()
    bench.driver.port_opened(bench.now)
    bench.dialog(*BRING_UP, ("AT+CEREG?", "+CEREG: 1,2", "OK"))
    request = bench.driver.submit(WaitAttached(), None, bench.now)
    assert not bench.driver.is_ready
    bench.advance(2.0)
    bench.dialog(("AT+CEREG?", "+CEREG: 1,2", "OK"), ("AT+CPIN?", "+CPIN: READY", "OK"))
    bench.expect()
    bench.advance(10.0)
    bench.dialog(("AT+CEREG?", "+CEREG: 1,2", "OK"))
    bench.say("+CEREG: 5")
    bench.dialog(("AT+CEREG?", "+CEREG: 1,5", "OK"), ATTACH[1])
    bench.take(SetBaudrate)
    assert bench.take(RequestDone).request_id == request


def test_not_registered_is_an_error_in_time() -> None:
    bench = Bench(Settings(baudrate=115200, attach_timeout=30.0))
    bench.driver.port_opened(bench.now)
    bench.dialog(*BRING_UP, ("AT+CEREG?", "+CEREG: 1,3", "OK"))
    bench.events.clear()
    bench.driver.open("TCP", "10.0.0.9", 80, 0, Pile(), bench.now)
    bench.driver.submit(Resolve("a.example"), None, bench.now)
    bench.dialog(("AT+CEREG=3", "OK"), ("AT+CEREG?", "+CEREG: 3,3,,,,0,15", "OK"), ("AT+CPIN?", "+CPIN: READY", "OK"))
    for _ in range(31):
        bench.advance(1.0)
        if bench.sent():
            bench.say("+CEREG: 3,3", "OK")
    failures = [bench.events.pop(0) for _ in range(2)]
    by_type = {type(event): event for event in failures}
    failed = by_type[ConnectFailed]
    assert isinstance(failed, ConnectFailed) and failed.error.errno == errno.ENETDOWN
    assert "not attached" in str(failed.error)
    assert "denied, cause 15: no suitable cells" in str(failed.error)
    looked_up = by_type[RequestFailed]
    assert isinstance(looked_up, RequestFailed) and type(looked_up.error).__name__ == "gaierror"


def test_restart_resets_connections_and_configures_again() -> None:
    bench = Bench()
    bench.start()
    key = bench.open()
    bench.say("RDY")
    assert bench.take(ConnectionReset).key == key
    bench.events.clear()
    bench.dialog(*BRING_UP, *ATTACH)
    bench.driver.open("TCP", "10.0.0.9", 80, 0, Pile(), bench.now)
    assert bench.sent().startswith(b"AT+QIOPEN=0,")


LOOK = [
    ("AT", "OK"),
    ("ATE0", "OK"),
    ("AT+CMEE?", "+CMEE: 1", "OK"),
    ('AT+QICFG="dataformat"', '+QICFG: "dataformat",1,1', "OK"),
    ("AT+CEREG?", "+CEREG: 1,1", "OK"),
]


def test_echo_coming_back_makes_the_module_be_asked_whether_it_restarted() -> None:
    bench = Bench()
    bench.start()
    key = bench.open()
    bench.driver.submit(GetInfo(), None, bench.now)
    bench.expect("ATI")
    bench.feed(b"ATI\r\r\nQuectel_Ltd\r\nOK\r\n")
    bench.dialog(*LOOK, ("AT+QISTATE?", "OK"))
    assert bench.take(ConnectionReset).key == key
    assert bench.take(ConnectionEnded).key == key
    assert bench.take(RequestFailed).error.errno == errno.ECONNRESET
    bench.dialog(*BRING_UP, *ATTACH)


def test_echo_and_a_registration_that_is_gone_are_a_restart_without_connections_too() -> None:
    """Its radio may be off: bring-up sees to it."""
    bench = Bench()
    bench.start()
    bench.driver.submit(RawCommand("AT+CSQ"), None, bench.now)
    bench.expect("AT+CSQ")
    bench.feed(b"AT+CSQ\r\r\n+CSQ: 99,0\r\n\r\nOK\r\n")
    bench.dialog(*LOOK[:-1], ("AT+CEREG?", "+CEREG: 0,0", "OK"), ("AT+CEREG=1", "OK"), ("AT+QISTATE?", "OK"))
    bench.dialog(
        *BRING_UP[:RADIO], ("AT+CFUN?", "+CFUN: 0", "OK"), ("AT+CFUN=1", "OK"), *BRING_UP[RADIO + 1 :], *ATTACH
    )
    assert bench.driver.is_ready


def test_echo_that_somebody_turned_on_is_turned_off_and_costs_nothing() -> None:
    bench = Bench()
    bench.start()
    bench.open()
    bench.driver.submit(RawCommand("AT+CSQ"), None, bench.now)
    bench.expect("AT+CSQ")
    bench.feed(b"AT+CSQ\r\r\n+CSQ: 20,0\r\n\r\nOK\r\n")
    bench.dialog(*LOOK, ("AT+QISTATE?", '+QISTATE: 0,"TCP","10.0.0.9",80,0,2,0,1', "OK"))
    assert bench.take(RequestDone).value == ["+CSQ: 20,0"]
    bench.no_events()
    assert bench.driver.counters["restarts"] == 0 and bench.sent() == b""


def test_port_lost_fails_everything() -> None:
    bench = Bench()
    bench.start()
    key = bench.open()
    bench.driver.submit(GetInfo(), None, bench.now)
    bench.driver.port_lost(OSError(errno.EIO, "unplugged"), bench.now)
    assert bench.take(ConnectionReset).key == key
    bench.collect()
    assert any(isinstance(event, RequestFailed) for event in bench.events)
    assert bench.driver.next_deadline() is None
    bench.events.clear()
    bench.sent()
    bench.driver.port_opened(bench.now)
    bench.dialog(*BRING_UP, *ATTACH)
    assert bench.driver.is_ready


def test_shut_down_waits_for_what_is_on_its_way() -> None:
    bench = Bench()
    bench.start()
    key = bench.open()
    bench.driver.end_of_data(key, 5.0, bench.now)
    bench.driver.shut_down(bench.now)
    bench.expect("AT+QICLOSE=0")
    bench.say("OK")
    bench.no_events()
    bench.say("CLOSE OK")
    assert [type(event).__name__ for event in bench.events] == ["ConnectionEnded", "Stopped"]
    assert isinstance(bench.events[1], Stopped)


@pytest.mark.parametrize(
    "settings",
    [
        {"data_format": "base64"},
        {"baudrate": 12345},
        {"power": "off"},
        {"attach_timeout": 0.0},
        {"apn": 'x"\r'},
        {"ack_timeout": -1.0},
    ],
)
def test_settings_are_checked(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        Settings(**settings)  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize(("settings", "limit"), [(Settings(), 50.0), (Settings(baudrate=9600), 25.0)])
def test_silent_port_is_told_of_soon(settings: Settings, limit: float) -> None:
    bench = Bench(settings)
    bench.driver.port_opened(bench.now)
    bench.driver.submit(GetInfo(), None, bench.now)
    began = bench.now
    while not any(isinstance(event, RequestFailed) for event in bench.events):
        bench.advance(0.5)
    assert bench.now - began <= limit

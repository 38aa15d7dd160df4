"""Other models: their commands and the forms of their answers, as docs/siblings.md §6 shows them."""

from __future__ import annotations

from collections.abc import Sequence
from errno import EINVAL, ENOTSUP
from socket import gaierror
from typing import Any

import pytest

from nbsocket._driver import (
    Connected,
    ConnectFailed,
    ConnectionEnded,
    DataReceived,
    GetUnacked,
    Ping,
    RequestDone,
    RequestFailed,
    Resolve,
    Settings,
    WaitUp,
)
from nbsocket._driver._details import GetDetails
from tests.driver.bench import ATTACH, BRING_UP, Bench, Pile

ATI = {
    "bc260y": ("Quectel_Ltd", "Quectel_BC260Y-CN", "Revision: BC260YCNAAR02A03"),
    "bc660k": ("Quectel_Ltd", "Quectel_BC660K-GL", "Revision: BC660KGLAAR01A05"),
    "bc66": ("Quectel_Ltd", "Quectel_BC66", "Revision: BC66NBR01A10"),
}
VIEWS = [
    ('AT+QICFG="showlength"', '+QICFG: "showlength",1', "OK"),
    ('AT+QICFG="viewmode"', '+QICFG: "viewmode",1', "OK"),
]


Turns = Sequence[tuple[str, ...]]


def turns(data_format: str = "1,1", views: Turns = (), wanted: str | None = None) -> list[tuple[str, ...]]:
    """What bring-up says after AT and ATI, up to the address, with the modem's answers.

    Args:
        data_format: what the modem has.
        views: the questions about how received data is shown.
        wanted: the data format that is set; None: it is left alone.
    """
    said: list[tuple[str, ...]] = []
    for command, *answer in [*BRING_UP[1:], *ATTACH]:
        if command == 'AT+QICFG="dataformat"':
            said.append((command, f'+QICFG: "dataformat",{data_format}', "OK"))
            said += [(f"{command},{wanted}", "OK")] if wanted is not None else []
            said += views
        else:
            said.append((command, *answer))
    return said


def bring_up(bench: Bench, identity: tuple[str, ...] | None, *rest: Any, **named: Any) -> None:
    """Up to the registration; ``identity``: lines of ATI, None where it is not asked. The rest: see turns()."""
    bench.driver.port_opened(bench.now)
    continue_bring_up(bench, identity, *rest, **named)


def continue_bring_up(bench: Bench, identity: tuple[str, ...] | None, *rest: Any, **named: Any) -> None:
    """The same after a restart."""
    bench.dialog(("AT", "OK"), *([("ATI", *identity, "OK")] if identity is not None else []), *turns(*rest, **named))
    bench.collect()
    bench.events.clear()
    assert bench.driver.is_ready


def bench_of(model: str, **settings: object) -> Bench:
    return Bench(Settings(baudrate=115200, model=model, **settings))  # type: ignore[arg-type]  # the test's own


def opened(bench: Bench) -> None:
    """A BC66 opens its first socket to 192.0.2.7 port 80."""
    bench.dialog(('AT+QIOPEN=1,0,"TCP","192.0.2.7",80,0,1', "OK"))
    bench.say("+QIOPEN: 0,0")
    bench.take(Connected)


def ready_bc66(data_format: str = "hex") -> Bench:
    bench = bench_of("bc66", data_format=data_format)
    bring_up(bench, None, "0,1" if data_format == "hex" else "0,0", VIEWS)
    return bench


def test_bc660k_is_found_out() -> None:
    """The transcript of a real BC660K-GL, with the access mode stated."""
    bench = bench_of("auto")
    bring_up(bench, ATI["bc660k"])
    key = bench.driver.open("UDP", "192.0.2.1", 11001, 0, source := Pile(is_stream=False), bench.now)
    bench.dialog(('AT+QIOPEN=0,0,"UDP","192.0.2.1",11001,0,1', "OK"))
    bench.say("+QIOPEN: 0,0")
    assert bench.take(Connected).key == key
    bench.driver.set_option(key, "nodelay", 1)
    source.chunks.append(b"\x01\x02\x03\x04")
    bench.driver.data_available(key, 4, bench.now)
    bench.advance(0.5)
    bench.dialog(('AT+QISEND=0,4,"01020304"', "OK", "SEND OK"))
    bench.say('+QIURC: "recv",0,2,"4f4b"')
    assert bench.take(DataReceived).data == b"OK"
    bench.driver.abort(key, bench.now)
    bench.dialog(("AT+QICLOSE=0", "OK", "CLOSE OK"))


def test_bc66_from_end_to_end() -> None:
    """The transcript of a BC25: its dialect of opening, sending, receiving, and looking names up."""
    bench = bench_of("auto")
    bring_up(bench, ATI["bc66"], "0,1", VIEWS)
    request = bench.driver.submit(Resolve("example.org"), None, bench.now)
    bench.dialog(('AT+QIDNSGIP=1,"example.org"', "OK"))
    bench.feed(b'\r\n+QIURC: "dnsgip",0,1,0\r\n+QIURC: "dnsgip","192.0.2.7"\r\n')
    done = bench.take(RequestDone)
    assert (done.request_id, done.value) == (request, ["192.0.2.7"])
    key = bench.driver.open("TCP", "192.0.2.7", 80, 0, source := Pile(), bench.now)
    opened(bench)
    bench.driver.set_option(key, "nodelay", 1)
    source.chunks.append(b"\x01\x02\x03\x04")
    bench.driver.data_available(key, 4, bench.now)
    bench.advance(0.5)
    bench.dialog(("AT+QISENDEX=0,4,01020304", "OK", "SEND OK"))
    bench.say('+QIURC: "recv",0,5,68656c6c6f')
    assert bench.take(DataReceived).data == b"hello"
    bench.feed(b'\r\n+QIURC: "recv",0,5\r\n68656c6c6f\r\n')
    assert bench.take(DataReceived).data == b"hello"


def test_view_is_written_only_where_it_is_another() -> None:
    bench = bench_of("bc66")
    views: list[tuple[str, ...]] = [
        ('AT+QICFG="showlength"', '+QICFG: "showlength",0', "OK"),
        ('AT+QICFG="showlength",1', "OK"),
        VIEWS[1],
    ]
    bring_up(bench, None, "1,0", views, wanted="0,1")
    assert any("dataformat" in line and "showlength" in line for line in bench.logs)


def test_a_view_that_the_firmware_lacks_is_asked_for_once() -> None:
    bench = bench_of("bc66")
    views: list[tuple[str, ...]] = [
        ('AT+QICFG="showlength"', "+CME ERROR: 100"),
        ('AT+QICFG="showlength",1', "+CME ERROR: 100"),
        VIEWS[1],
    ]
    bring_up(bench, None, "0,1", views)
    bench.say("RDY")
    continue_bring_up(bench, None, "0,1", [VIEWS[1]])


@pytest.mark.parametrize("identity", [ATI["bc660k"], ATI["bc66"]])
def test_model_is_asked_for_once(identity: tuple[str, ...]) -> None:
    """Not after a restart; but when the port is opened again, for another modem may be there."""
    bench = bench_of("auto")
    views, formats = (VIEWS, "0,1") if identity == ATI["bc66"] else ([], "1,1")
    bring_up(bench, identity, formats, views)
    bench.say("RDY")
    continue_bring_up(bench, None, formats, views)
    bench.driver.port_lost(OSError("unplugged"), bench.now)
    bring_up(bench, ATI["bc260y"])
    bench.driver.open("TCP", "192.0.2.7", 80, 0, Pile(), bench.now)
    bench.expect('AT+QIOPEN=0,0,"TCP","192.0.2.7",80')


def test_unknown_model_is_taken_for_a_bc260y() -> None:
    bench = bench_of("auto")
    bring_up(bench, ("Vendor", "XY1100"))
    assert sum("unknown model (Vendor XY1100)" in line for line in bench.logs) == 1
    bench.driver.open("TCP", "192.0.2.7", 80, 0, Pile(), bench.now)
    bench.expect('AT+QIOPEN=0,0,"TCP","192.0.2.7",80')


def test_without_identity_it_is_asked_for_at_the_next_start() -> None:
    bench = bench_of("auto")
    bench.driver.port_opened(bench.now)
    bench.dialog(("AT", "OK"), ("ATI", "ERROR"), ("ATI", "+CME ERROR: 100"), ("ATI", "ERROR"))
    bench.expect("AT+CMEE?")
    bench.say("RDY")
    bench.dialog(
        ("AT", "OK"),
        ('AT+QICFG="dataformat"', '+QICFG: "dataformat",1,1', "OK"),  # late answers are over
        ("ATI", *ATI["bc660k"], "OK"),
        *turns()[:3],
        *turns()[4:],  # its data format is known
    )
    bench.driver.open("TCP", "192.0.2.7", 80, 0, Pile(), bench.now)
    bench.expect('AT+QIOPEN=0,0,"TCP","192.0.2.7",80,0,1')


def test_model_that_was_not_told_is_asked_for_again() -> None:
    """Once after bring-up; and when an opening was refused, for it may have been in another model's words."""
    bench = bench_of("auto")
    bench.driver.port_opened(bench.now)
    errors = [("ATI", "ERROR")] * 3
    again = [
        ("AT+CMEE?", "+CMEE: 1", "OK"),
        ('AT+QICFG="dataformat"', '+QICFG: "dataformat",1,1', "OK"),
        ("AT+CEREG?", "+CEREG: 1,1", "OK"),
    ]
    bench.dialog(("AT", "OK"), *errors, *turns()[: -len(ATTACH)], ("AT", "OK"), *errors, *again, *ATTACH)
    bench.driver.open("TCP", "192.0.2.7", 80, 0, Pile(), bench.now)
    bench.dialog(('AT+QIOPEN=0,0,"TCP","192.0.2.7",80', "+CME ERROR: 552"))
    bench.dialog(("AT", "OK"), ("ATI", *ATI["bc660k"], "OK"), *again, ("AT+QICLOSE=0", "+CME ERROR: 567"))
    bench.driver.open("TCP", "192.0.2.7", 80, 0, Pile(), bench.now)
    assert bench.sent().startswith(b"AT+QIOPEN=0,") and bench.driver.is_ready


def test_bc66_looks_a_name_up_before_it_opens() -> None:
    bench = ready_bc66()
    key = bench.driver.open("TCP", "host.example", 80, 0, Pile(), bench.now)
    bench.dialog(('AT+QIDNSGIP=1,"host.example"', "OK"))
    bench.say('+QIURC: "dnsgip",0,2,0', '+QIURC: "dnsgip","192.0.2.7"', '+QIURC: "dnsgip","192.0.2.8"')
    bench.dialog(('AT+QIOPEN=1,0,"TCP","192.0.2.7",80,0,1', "OK"))
    bench.say("+QIOPEN: 0,0")
    assert bench.take(Connected).key == key


def test_bc66_opens_others_while_a_name_is_looked_up() -> None:
    bench = ready_bc66()
    bench.driver.open("TCP", "host.example", 80, 0, Pile(), bench.now)
    bench.dialog(('AT+QIDNSGIP=1,"host.example"', "OK"))
    bench.driver.open("TCP", "192.0.2.9", 80, 0, Pile(), bench.now)
    bench.expect('AT+QIOPEN=1,0,"TCP","192.0.2.9",80,0,1')


def test_bc66_name_that_is_unknown() -> None:
    bench = ready_bc66()
    key = bench.driver.open("TCP", "host.example", 80, 0, Pile(), bench.now)
    bench.dialog(('AT+QIDNSGIP=1,"host.example"', "OK"))
    bench.say('+QIURC: "dnsgip",565')
    failed = bench.take(ConnectFailed)
    assert failed.key == key
    assert isinstance(failed.error, gaierror)


def test_bc66_look_up_ends_with_its_opening() -> None:
    bench = ready_bc66()
    key = bench.driver.open("TCP", "host.example", 80, 0, Pile(), bench.now)
    bench.dialog(('AT+QIDNSGIP=1,"host.example"', "+CME ERROR: 551"))  # not now: it waits, to ask again
    bench.driver.abort(key, bench.now)
    bench.take(ConnectionEnded)
    assert bench.driver.is_at_rest


@pytest.mark.parametrize(("model", "size"), [("bc66", 200), ("bc660k", 1500)])
def test_largest_ping_of_a_model(model: str, size: int) -> None:
    bench = ready_bc66() if model == "bc66" else bench_of(model)
    if model == "bc660k":
        bring_up(bench, None)
    bench.driver.submit(Ping("192.0.2.7", size=201), None, bench.now)
    if size < 201:
        assert bench.take(RequestFailed).error.errno == EINVAL
    bench.collect()
    assert bool(bench.sent()) == (size > 200)


def test_bc66_look_up_that_says_not_now_is_tried_again() -> None:
    bench = ready_bc66()
    key = bench.driver.open("TCP", "host.example", 80, 0, Pile(), bench.now)
    bench.dialog(('AT+QIDNSGIP=1,"host.example"', "OK"))
    bench.say('+QIURC: "dnsgip",0,1,0', '+QIURC: "dnsgip","::1::"')  # no address
    bench.expect()
    bench.advance(1.0)
    bench.dialog(('AT+QIDNSGIP=1,"host.example"', "OK"))
    bench.say('+QIURC: "dnsgip",0,1,0', '+QIURC: "dnsgip","192.0.2.7"')
    bench.dialog(('AT+QIOPEN=1,0,"TCP","192.0.2.7",80,0,1', "OK"))
    bench.say("+QIOPEN: 0,0")
    assert bench.take(Connected).key == key


def test_bc66_look_up_begins_anew_after_a_restart() -> None:
    bench = ready_bc66()
    key = bench.driver.open("TCP", "host.example", 80, 0, Pile(), bench.now)
    bench.dialog(('AT+QIDNSGIP=1,"host.example"', "OK"))
    bench.say("RDY")
    bench.dialog(("AT", "OK"), *turns("0,1", VIEWS))
    bench.dialog(('AT+QIDNSGIP=1,"host.example"', "OK"))
    bench.say('+QIURC: "dnsgip",0,1,0', '+QIURC: "dnsgip","192.0.2.7"')
    bench.dialog(('AT+QIOPEN=1,0,"TCP","192.0.2.7",80,0,1', "OK"))
    bench.events.clear()
    bench.say("+QIOPEN: 0,0")
    assert bench.take(Connected).key == key


def test_bc66_in_raw() -> None:
    bench = ready_bc66("raw")
    key = bench.driver.open("TCP", "192.0.2.7", 80, 0, source := Pile(), bench.now)
    opened(bench)
    bench.driver.set_option(key, "nodelay", 1)
    source.chunks.append(b"\r\nOK\r\n")
    bench.driver.data_available(key, 6, bench.now)
    bench.advance(0.5)
    bench.expect("AT+QISEND=0,6")
    bench.feed(b"\r\n> ")
    assert bench.sent() == b"\r\nOK\r\n"
    bench.say("OK", "SEND OK")
    bench.feed(b'\r\n+QIURC: "recv",0,6\r\n\r\nOK\r\n\r\n')
    assert bench.take(DataReceived).data == b"\r\nOK\r\n"


def test_bc66_count_is_refused_until_something_was_sent() -> None:
    """The first segment's answer is lost, and nothing was sent: it goes out again, once."""
    bench = ready_bc66()
    key = bench.driver.open("TCP", "192.0.2.7", 80, 0, source := Pile(), bench.now)
    opened(bench)
    bench.driver.set_option(key, "nodelay", 1)
    source.chunks.append(b"data")
    bench.driver.data_available(key, 4, bench.now)
    bench.advance(0.5)
    bench.dialog(("AT+QISENDEX=0,4,64617461", "ERROR"))
    for _ in range(200):
        sent = bench.sent().decode()
        if sent.startswith("AT+QISENDEX"):
            break
        if sent == "AT+QISEND=0,0\r":
            bench.say("ERROR")
        elif sent:
            assert sent == "AT+QISTATE=1,0\r"
            bench.say('+QISTATE: 0,"TCP","192.0.2.7",80,0,2,1,1', "OK")
        else:
            bench.advance(0.25)
    assert sent == "AT+QISENDEX=0,4,64617461\r"
    bench.say("OK", "SEND OK")
    bench.no_events()


def test_bc66_garbled_count_does_not_say_that_nothing_was_sent() -> None:
    """Only refusals before and after AT+QISTATE do: a busy modem refuses, too, and the segment may be there."""
    bench = ready_bc66()
    key = bench.driver.open("TCP", "192.0.2.7", 80, 0, source := Pile(), bench.now)
    bench.dialog(('AT+QIOPEN=1,0,"TCP","192.0.2.7",80,0,1', "OK"))
    bench.say("+QIOPEN: 0,0")
    source.chunks.append(b"data")
    bench.driver.data_available(key, 4, bench.now)
    bench.advance(0.5)
    bench.dialog(("AT+QISENDEX=0,4,64617461", "ERROR"))
    answers = [("+QISEND: 4,x", "OK")] * 3 + [("ERROR",), ("+QISEND: 4,4,0", "OK")]
    while answers:
        sent = bench.sent().decode()
        assert not sent.startswith("AT+QISENDEX")
        if sent == "AT+QISEND=0,0\r":
            bench.say(*answers.pop(0))
        elif sent:
            bench.say('+QISTATE: 0,"TCP","192.0.2.7",80,0,2,1,1', "OK")
        else:
            bench.advance(0.25)
    bench.driver.end_of_data(key, 5.0, bench.now)
    bench.dialog(("AT+QISEND=0,0", "+QISEND: 4,4,0", "OK"), ("AT+QICLOSE=0", "OK", "CLOSE OK"))


def test_bc66_unacked_before_anything_was_sent() -> None:
    bench = ready_bc66()
    key = bench.driver.open("TCP", "192.0.2.7", 80, 0, Pile(), bench.now)
    opened(bench)
    bench.driver.submit(GetUnacked(key), None, bench.now)
    bench.dialog(("AT+QISEND=0,0", "ERROR"))
    assert bench.take(RequestDone).value == 0


def test_bc66_is_not_let_sleep() -> None:
    bench = bench_of("auto", power="psm")
    bench.driver.port_opened(bench.now)
    bench.driver.submit(WaitUp(), None, bench.now)
    bench.dialog(("AT", "OK"), ("ATI", *ATI["bc66"], "OK"), ("AT+CMEE?", "+CMEE: 1", "OK"))
    bench.collect()
    failed = next(event for event in bench.events if isinstance(event, RequestFailed))
    assert failed.error.errno == ENOTSUP
    assert "BC66" in str(failed.error)


@pytest.mark.parametrize("model", ["bc66", "bc660k"])
def test_details_use_the_models_context(model: str) -> None:
    bench = ready_bc66() if model == "bc66" else bench_of(model)
    if model == "bc660k":
        bring_up(bench, None)
    bench.driver.submit(GetDetails(), None, bench.now)
    asked: list[str] = []
    while (line := bench.sent().decode().strip()) != "":
        asked.append(line)
        answers = {"AT+CPIN?": ("+CPIN: READY", "OK"), **{command: tuple(lines) for command, *lines in ATTACH}}
        bench.say(*answers.get(line, ("ERROR",)))
    assert f"AT+QIDNSCFG={int(model == 'bc66')}" in asked


def test_model_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="model must be one of auto, bc260y, bc660k, bc66, not 'bc95'"):
        Settings(model="bc95")

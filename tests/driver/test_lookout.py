"""Signs that the module has lost its sockets without a word, and what comes of them."""

from __future__ import annotations

import pytest

from nbsocket._driver import ConnectionEnded, ConnectionReset, PeerClosed
from nbsocket._driver._closing import END_DELAY
from nbsocket._driver._lookout import LOOK_PAUSE, LOOK_TRIES, bearer_sign, restart_sign
from tests.driver.bench import Bench, Pile


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.start()
    return bench


def row(socket_id: int, state: int = 2, service: str = "TCP") -> str:
    return f'+QISTATE: {socket_id},"{service}","10.0.0.9",80,0,{state},0,1'


RESTART_SIGNS = [
    "+CFUN: 1", "+CFUN:1", "+CFUN: 0", "+CPIN: READY", "F1: 0000 0000", "V0: 0000 0000 [0001]", "Leaving the BROM",
    "APP RDY", "REBOOTING", "REBOOT_CAUSE_APPLICATION",
]  # fmt: skip
BEARER_SIGNS = [
    '+QIURC: "pdpdeact",0', '+QIURC: "pdpdeact",1', "+CGEV: NW PDN DEACT 1", "+CGEV: ME PDN DEACT 1",
    '+CGEV: NW DEACT "IP","10.0.0.2",1', "+CGEV: NW DETACH", "+CGEV: ME DETACH",
]  # fmt: skip
NO_SIGNS = [
    "+CPIN: SIM PIN", "+CGEV: ME PDN ACT 1", "+CSCON: 1", "+XYZ: 1", '+QIURC: "other",0', "READY",
    '+QNBIOTEVENT: "ENTER PSM"', "NETWORK: RDYX",
]  # fmt: skip


def test_which_lines_are_signs() -> None:
    assert all(restart_sign(line) and not bearer_sign(line) for line in RESTART_SIGNS)
    assert all(bearer_sign(line) and not restart_sign(line) for line in BEARER_SIGNS)
    assert not any(bearer_sign(line) or restart_sign(line) for line in NO_SIGNS)


@pytest.mark.parametrize("sign", RESTART_SIGNS)
def test_sign_of_a_restart_has_the_module_asked(bench: Bench, sign: str) -> None:
    keys = [bench.open(), bench.open(service="UDP")]
    bench.say(sign)
    bench.dialog(("AT+QISTATE?", "OK"), ("AT+QISTATE?", "OK"))
    assert bench.take(ConnectionReset).key == keys[0]
    assert bench.driver.counters["restarts"] == 1
    bench.expect("AT")  # it is brought up again


@pytest.mark.parametrize("sign", [*RESTART_SIGNS, '+QIURC: "pdpdeact",0', "\xf8DY"])
def test_sign_of_nothing_costs_one_question(bench: Bench, sign: str) -> None:
    """Whoever is there is not touched, damage to streams set apart."""
    bench.open(service="UDP")
    bench.say(sign)
    bench.dialog(("AT+QISTATE?", row(0, service="UDP"), "OK"))
    if "pdpdeact" in sign:
        bench.dialog(("AT+CEREG?", "+CEREG: 1,1", "OK"), ("AT+CGPADDR?", '+CGPADDR: 5,"10.1.2.3"', "OK"))
    bench.expect()
    bench.no_events()
    assert bench.driver.next_deadline() is None


@pytest.mark.parametrize("sign", NO_SIGNS)
def test_other_lines_cost_nothing(bench: Bench, sign: str) -> None:
    bench.open()
    bench.say(sign)
    bench.expect()


def test_only_what_is_gone_is_reset(bench: Bench) -> None:
    keys = [bench.open(), bench.open(), bench.open()]
    bench.say("+CFUN: 1")
    bench.dialog(("AT+QISTATE?", row(0), row(2), "OK"), ("AT+QISTATE?", row(0), row(2), "OK"))
    reset = bench.take(ConnectionReset)
    assert reset.key == keys[1] and "it said '+CFUN: 1'" in str(reset.error)
    bench.dialog(("AT+QICLOSE=1", "+CME ERROR: 567"))
    assert bench.take(ConnectionEnded).key == keys[1]
    bench.no_events()


def test_row_that_was_hurt_on_the_line_is_asked_for_again(bench: Bench) -> None:
    bench.open()
    bench.say("+CFUN: 1")
    bench.dialog(("AT+QISTATE?", '+QISE: 0,"TCP","10.0.0.9",80', "OK"), ("AT+QISTATE?", row(0), "OK"))
    bench.no_events()
    bench.expect()


OTHERS = [row(0, service="UDP"), row(0).replace(",80,", ",81,"), row(0).replace(",80,0,", ",81,5000,")]


@pytest.mark.parametrize("other", OTHERS)
def test_socket_of_another_under_its_number_does_not_count(bench: Bench, other: str) -> None:
    """The module restarted without a word, and the user has opened one since."""
    keys = [bench.open(), bench.open()]
    bench.say("+CFUN: 1")
    bench.dialog(*[("AT+QISTATE?", other, row(1), "OK")] * 2)
    reset = bench.take(ConnectionReset)
    assert reset.key == keys[0]
    bench.dialog(("AT+QICLOSE=0", "OK", "CLOSE OK"))
    assert bench.take(ConnectionEnded).key == keys[0]


OWN_FORMS = ["+QISTATE: 0", "+QISTATE: 0,TCP,10.0.0.9,x,0,2", '+QISTATE: 0,"TCP CLIENT","10.0.0.9",7,0,"CONNECTED",1']
OWN_FORMS += [row(0).replace(",80,0,", ",0,80,"), row(0).replace(",80,0,", ",4000,80,")]


@pytest.mark.parametrize("own", OWN_FORMS)
def test_row_in_another_form_counts(bench: Bench, own: str) -> None:
    bench.open()
    bench.say("+CFUN: 1")
    bench.dialog(("AT+QISTATE?", own, "OK"))
    bench.expect()
    bench.no_events()


def test_row_of_another_that_was_hurt_on_the_line_is_asked_for_again(bench: Bench) -> None:
    bench.open()
    bench.say("+CFUN: 1")
    bench.dialog(("AT+QISTATE?", row(0).replace(",80,", ",8,"), "OK"), ("AT+QISTATE?", row(0), "OK"))
    bench.no_events()
    bench.expect()


def test_question_that_is_refused_is_asked_again_and_given_up_in_the_end(bench: Bench) -> None:
    bench.open()
    bench.say("+CFUN: 1")
    for _ in range(LOOK_TRIES):
        bench.dialog(("AT+QISTATE?", "ERROR"))
        bench.advance(LOOK_PAUSE)
    bench.expect()
    bench.no_events()
    assert bench.driver.next_deadline() is None


@pytest.mark.parametrize("state", [0, 4])
def test_end_that_was_not_reported_is_found_out(bench: Bench, state: int) -> None:
    key = bench.open()
    bench.say("+CPIN: READY")
    bench.dialog(*[("AT+QISTATE?", row(0, state), "OK")] * 2)
    bench.advance(END_DELAY)
    bench.dialog(("AT+QICLOSE=0", "OK", "CLOSE OK"))
    assert bench.take(PeerClosed).key == key


def test_end_is_not_read_from_a_row_that_was_hurt_on_the_line(bench: Bench) -> None:
    bench.open()
    bench.say("+CPIN: READY")
    bench.dialog(("AT+QISTATE?", '+QISTATE: 0,"TCP","10.01004,0,2,0,1', "OK"), ("AT+QISTATE?", row(0), "OK"))
    bench.advance(1.0)
    bench.expect()
    bench.no_events()


def test_idle_udp_socket_that_is_gone_is_free_for_the_next_datagram(bench: Bench) -> None:
    udp = bench.open(service="UDP")
    bench.open()
    bench.say('+QIURC: "pdpdeact",0')
    bench.dialog(("AT+QISTATE?", row(1), "OK"), ("AT+QISTATE?", row(1), "OK"), ("AT+QICLOSE=0", "+CME ERROR: 567"))
    assert bench.take(ConnectionEnded).key == udp
    bench.no_events()


def test_socket_found_to_be_lost_is_a_sign_for_the_others(bench: Bench) -> None:
    source = Pile(is_stream=False)
    key, reader = bench.open(source, "UDP"), bench.open()
    bench.write(key, source, b"x")
    bench.dialog(('AT+QISEND=0,1,"78"', "+CME ERROR: 567"))
    for _ in range(12):
        line = bench.sent().decode()
        if not line:
            bench.advance(0.1)
        elif line == "AT+QISEND=0,0\r" or line.startswith("AT+QICLOSE"):
            bench.say("+CME ERROR: 567")
        elif line.startswith("AT+QISTATE"):
            bench.say("OK")
        if bench.events:
            break
    assert bench.take(ConnectionReset).key == reader


# -- another address


@pytest.mark.parametrize(("address", "is_reset"), [("10.9.9.9", True), ("10.1.2.3", False)])
def test_stream_cannot_go_on_under_another_address(bench: Bench, address: str, is_reset: bool) -> None:
    """The module may list it still. A garbled report is asked about."""
    key = bench.open()
    udp = bench.open(service="UDP")
    bench.say("+IP: 10.9.9.9")
    bench.dialog(
        ("AT+QISTATE?", row(0), row(1, service="UDP"), "OK"),
        ("AT+CEREG?", "+CEREG: 1,1", "OK"),
        ("AT+CGPADDR?", f'+CGPADDR: 5,"{address}"', "OK"),
    )
    if is_reset:
        reset = bench.take(ConnectionReset)
        assert reset.key == key and "was 10.1.2.3 and is 10.9.9.9" in str(reset.error)
        bench.dialog(("AT+QICLOSE=0", "OK", "CLOSE OK"))
        bench.take(ConnectionEnded)
    bench.no_events()
    bench.expect()
    assert bench.driver.local_address == address
    assert bench.driver.table.socket_id_of(udp) == 1


@pytest.mark.parametrize("sign", BEARER_SIGNS)
def test_context_that_comes_back_with_another_address(bench: Bench, sign: str) -> None:
    key = bench.open()
    bench.say(sign)
    bench.dialog(("AT+QISTATE?", row(0), "OK"), ("AT+CEREG?", "+CEREG: 1,1", "OK"), ("AT+CGPADDR?", "OK"))
    bench.no_events()
    bench.say("+IP: 10.9.9.9")
    bench.advance(0.0)
    while line := bench.sent().decode():
        bench.say(*([row(0)] if "QISTATE" in line else []), "OK")
    assert bench.take(ConnectionReset).key == key


def test_address_beside_the_other_is_no_sign(bench: Bench) -> None:
    bench.open()
    bench.say("+IP: 2001:db8::1")
    bench.expect()


def test_same_address_again_asks_once_and_resets_nothing_that_is_there(bench: Bench) -> None:
    bench.open()
    bench.say("+IP: 10.1.2.3")
    bench.dialog(("AT+QISTATE?", row(0), "OK"))
    bench.no_events()
    bench.expect()


def test_same_address_again_may_be_all_that_came_of_a_boot(bench: Bench) -> None:
    key = bench.open()
    bench.say("+IP: 10.1.2.3")
    bench.dialog(("AT+QISTATE?", "OK"), ("AT+QISTATE?", "OK"))
    assert bench.take(ConnectionReset).key == key


# -- nothing open


@pytest.mark.parametrize(("stat", "restarts"), [(1, 0), (2, 1)])
def test_restart_with_nothing_open_has_the_settings_looked_at(bench: Bench, stat: int, restarts: int) -> None:
    bench.say("+CFUN: 1", "+CPIN: READY")
    answers = {
        "AT+CMEE?": "+CMEE: 0",
        'AT+QICFG="dataformat"': '+QICFG: "dataformat",1,1',
        "AT+CEREG?": f"+CEREG: 0,{stat}",
    }
    lines = []
    while (line := bench.sent().decode().strip()) and not bench.driver.counters["restarts"]:
        lines.append(line)
        bench.say(*([answers[line]] if line in answers else []), "OK")
    assert lines[:6] == ["AT", "AT+CMEE?", "AT+CMEE=1", 'AT+QICFG="dataformat"', "AT+CEREG?", "AT+CEREG=1"]
    assert bench.driver.counters["restarts"] == restarts


def test_rest_of_a_boot_after_rdy_is_no_news(bench: Bench) -> None:
    bench.say("RDY")
    answers = {"AT+CMEE?": "+CMEE: 1", 'AT+QICFG="dataformat"': '+QICFG: "dataformat",1,1', "AT+CFUN?": "+CFUN: 1"}
    answers |= {"AT+CPSMS?": "+CPSMS: 0", "AT+CEREG?": "+CEREG: 1,1", "AT+CGPADDR?": '+CGPADDR: 5,"10.1.2.3"'}
    while line := bench.sent().decode().strip():
        bench.say(*([answers[line]] if line in answers else []), "OK")
    assert bench.driver.is_ready
    bench.say("+CFUN: 1", "+CPIN: READY")
    bench.expect()
    assert bench.driver.counters["restarts"] == 1


def test_restart_while_it_waits_for_the_network(bench: Bench) -> None:
    bench.say("+CEREG: 0")
    bench.dialog(("AT+CEREG?", "+CEREG: 1,0", "OK"))
    bench.say("+CFUN: 0")
    assert bench.driver.counters["restarts"] == 1, "a radio that is off never finds a network"


# -- SO_KEEPALIVE


def test_keepalive_asks_after_so_much_silence(bench: Bench) -> None:
    key, other = bench.open(), bench.open()
    bench.driver.set_option(key, "keepalive", 30.0)
    bench.advance(20.0)
    bench.say('+QIURC: "recv",0,1,"61"')
    bench.events.clear()
    bench.advance(29.9)
    bench.expect()
    bench.advance(0.1)
    bench.dialog(("AT+QISTATE?", row(0), row(1), "OK"))
    bench.advance(29.9)
    bench.expect()
    bench.advance(0.1)
    bench.dialog(("AT+QISTATE?", row(1), "OK"), ("AT+QISTATE?", row(1), "OK"))
    assert bench.take(ConnectionReset).key == key
    bench.dialog(("AT+QICLOSE=0", "ERROR"))
    bench.advance(1.0)
    bench.dialog(("AT+QICLOSE=0", "ERROR"))
    bench.take(ConnectionEnded)
    bench.advance(7200.0)
    bench.expect()
    assert bench.driver.table.socket_id_of(other) == 1


def test_keepalive_that_was_put_off_again_costs_nothing(bench: Bench) -> None:
    key = bench.open()
    bench.driver.set_option(key, "keepalive", 30.0)
    bench.driver.set_option(key, "keepalive", 0.0)
    assert bench.driver.next_deadline() is None


def test_datagrams_have_no_keepalive() -> None:
    bench = Bench()
    bench.start()
    key = bench.open(service="UDP")
    bench.driver.set_option(key, "keepalive", 30.0)
    assert bench.driver.next_deadline() is None


def test_keepalive_leaves_a_slow_module_time_for_the_rest(bench: Bench) -> None:
    source = Pile()
    key = bench.open(source)
    bench.driver.set_option(key, "keepalive", 1.0)
    bench.advance(1.0)
    bench.expect("AT+QISTATE?")
    bench.advance(1.5)
    bench.write(key, source, b"x")
    bench.say(row(0), "OK")
    bench.expect('AT+QISEND=0,1,"78"')


def test_keepalive_asks_on_after_a_question_that_stays_unanswered(bench: Bench) -> None:
    """As when the module restarts in the middle of its answer. Simulation seed 16085968."""
    key = bench.open()
    bench.driver.set_option(key, "keepalive", 1.0)
    bench.advance(1.0)
    bench.expect("AT+QISTATE?")
    bench.advance(5.0)
    bench.dialog(("AT", "OK"), ('AT+QICFG="dataformat"', '+QICFG: "dataformat",1,1', "OK"))
    bench.advance(1.0)
    assert bench.driver.next_deadline() == bench.now - 1.0 + LOOK_PAUSE
    bench.advance(LOOK_PAUSE - 1.0)
    bench.dialog(("AT+QISTATE?", "OK"), ("AT+QISTATE?", "OK"))
    assert bench.take(ConnectionReset).key == key


def test_radio_that_a_silent_restart_has_switched_off_is_switched_on(bench: Bench) -> None:
    bench.say("+CEREG: 0")
    lines: list[str] = []
    answers = {"AT+CEREG?": ["+CEREG: 1,0", "OK"], "AT+CGPADDR?": ["OK"], "AT+CFUN?": ["+CFUN: 0", "OK"]}
    while "AT+CFUN=1" not in lines and len(lines) < 20:
        if line := bench.sent().decode().strip():
            lines.append(line)
            bench.say(*answers.get(line, ["ERROR"]))
        else:
            bench.advance(0.5)
    assert lines[-2:] == ["AT+CFUN?", "AT+CFUN=1"]

"""How the module may be found: results and echo as another program left them, the SIM card, the radio, power saving."""

from __future__ import annotations

from typing import Any

import pytest

from nbsocket.sim import ModelNetwork
from nbsocket.sim._radio import encode_timer
from tests.sim.bench import ERROR, OK, SENT, Bench, lines


def test_results_as_numbers() -> None:
    bench = Bench(results="numbers")
    assert bench.say("AT") == b"0\r"
    assert bench.say("AT+NONSENSE") == b"4\r"
    assert bench.say("AT+CSQ") == lines("+CSQ: 20,0") + b"0\r"
    assert bench.say("ATV1") == OK
    assert bench.say("ATV") == b"0\r", "without its number it is 0"


def test_no_results() -> None:
    bench = Bench(results="none")
    assert bench.say("AT") == b""
    assert bench.say("AT+CSQ") == lines("+CSQ: 20,0")
    assert bench.say("ATQ0") == OK
    assert bench.say("ATQ1") == b""
    assert bench.say("ATQ0V1E0") == OK


@pytest.mark.parametrize(("line", "answer"), [("ATE0V1Q0", OK), ("ATV1E2", ERROR), ("ATX", ERROR), ("ATE0V0", b"0\r")])
def test_basic_commands_in_one_line(line: str, answer: bytes) -> None:
    assert Bench().say(line) == answer


def test_echo_that_stays() -> None:
    bench = Bench(echo=True, echo_stays=True)
    assert bench.say("ATE0") == b"ATE0\r" + OK
    assert bench.say("AT") == b"AT\r" + OK


@pytest.mark.parametrize(("card", "answer"), [("none", ["+CME ERROR: 10"]), ("pin", ["+CPIN: SIM PIN", "OK"])])
def test_without_a_sim_card_there_is_no_network(card: str, answer: list[str]) -> None:
    bench = Bench(sim_card=card, cmee=1)
    assert bench.ask("AT+CPIN?") == answer
    assert bench.ask("AT+CEREG?") == ["+CEREG: 0,0", "OK"]
    bench.say("AT+CFUN=0")
    bench.say("AT+CFUN=1")
    bench.run(300.0)
    assert bench.ask("AT+CEREG?") == ["+CEREG: 0,0", "OK"]


def test_sim_card_that_is_busy() -> None:
    bench = Bench(sim_busy=6.0, cmee=2)
    assert bench.ask("AT+CFUN?") == ["+CME ERROR: SIM busy"]
    assert bench.say("AT") == OK
    bench.run(6.0)
    assert bench.ask("AT+CFUN?") == ["+CFUN: 1", "OK"]


def test_radio_takes_its_time_to_be_switched_on() -> None:
    bench = Bench(radio_off=True, cfun_time=30.0, attach_delay=2.0, address_delay=5.0, cereg=1)
    assert bench.ask("AT+CFUN?") == ["+CFUN: 0", "OK"]
    assert bench.say("AT+CFUN=1") == b""
    assert bench.run(29.9) == b""
    assert bench.run(0.1) == OK + lines("+CEREG: 2")
    assert bench.run(2.0) == lines("+CEREG: 1")
    assert bench.ask("AT+CGPADDR") == ["+CGPADDR: 5", "OK"]
    assert bench.say('AT+QIOPEN=0,0,"TCP","10.0.0.9",80') == ERROR
    assert bench.run(5.0) == lines("+IP: 10.18.237.42")
    assert bench.say("AT+CFUN=1") == OK, "it is on already"


def test_module_whose_radio_is_off_or_that_boots_has_no_registration_to_lose() -> None:
    bench = Bench(radio_off=True, cereg=1, boot_time=5.0, boot_reports="none")
    bench.module.life.lose_registration(bench.now)
    assert bench.ask("AT+CEREG?") == ["+CEREG: 1,0", "OK"]
    bench = Bench(boot_time=5.0, boot_reports="none")
    bench.module.restart(bench.now)
    bench.module.life.lose_registration(bench.now)
    assert bench.module.life.stat == 0


def test_commands_that_come_too_soon_are_ignored() -> None:
    bench = Bench(deaf_time=1.0)
    assert bench.say("AT") == OK
    bench.run(0.9)
    assert bench.say("AT") == b""
    bench.run(0.1)
    assert bench.say("AT") == OK


def test_rows_that_end_with_the_state() -> None:
    bench = Bench(state_rows="short", orphans=1)
    assert bench.ask("AT+QISTATE?") == ['+QISTATE: 0,"TCP","203.0.113.9",7,0,2', "OK"]


# -- power saving of the radio


def saving(**options: Any) -> Bench:
    """A module with an open datagram socket, on which the peer has answered once."""
    network = ModelNetwork(echo=True)
    bench = Bench(network, psm=True, active_time=10.0, **options)
    bench.open(0, "UDP")
    assert bench.say('AT+QISEND=0,2,"hi"').startswith(SENT)
    bench.run(5.0)
    return bench


def test_module_that_saves_power_is_reachable_for_a_while() -> None:
    bench = saving()
    bench.run(4.0)
    bench.network.connections[0].send(b"in time")
    assert b'"in time"' in bench.run(0.1)


def test_what_comes_later_waits_for_the_next_uplink() -> None:
    bench = saving()
    bench.run(60.0)
    bench.network.connections[0].send(b"one")
    bench.network.connections[0].send(b"two")
    assert bench.run(3600.0) == b""
    assert bench.say("AT+CSQ").endswith(OK) and bench.run(1.0) == b"", "a question is no uplink"
    assert bench.say('AT+QISEND=0,2,"hi"') + bench.run(0.1) == SENT + lines(
        '+QIURC: "recv",0,3,"one"', '+QIURC: "recv",0,3,"two"', '+QIURC: "recv",0,2,"hi"'
    )


def test_end_of_a_connection_waits_as_well() -> None:
    bench = Bench(psm=True, active_time=10.0)
    bench.open(0, "TCP")
    bench.run(60.0)
    bench.network.connections[0].close()
    assert bench.run(600.0) == b""
    assert b'"closed",0' in bench.say('AT+QIDNSGIP=0,"a.example"') + bench.run(1.0)


def test_power_saving_that_is_switched_off_ends_the_wait() -> None:
    bench = saving()
    bench.run(60.0)
    bench.network.connections[0].send(b"one")
    bench.run(60.0)
    assert bench.say("AT+CPSMS=0") + bench.run(0.1) == OK + lines('+QIURC: "recv",0,3,"one"')
    bench.run(3600.0)
    bench.network.connections[0].send(b"two")
    assert b'"two"' in bench.run(0.1)
    assert bench.ask("AT+CPSMS?")[0].startswith("+CPSMS: 0,")


def test_power_saving_is_stored() -> None:
    bench = saving()
    bench.module.restart(bench.now)
    bench.run(1.0)
    assert b"+CPSMS: 1," in bench.say("AT+CPSMS?")


@pytest.mark.parametrize(
    ("seconds", "bits", "means"),
    [(0.0, "00000000", 0.0), (3.0, "00000010", 4.0), (60.0, "00011110", 60.0), (63.0, "00100010", 120.0)],
)
def test_active_time(seconds: float, bits: str, means: float) -> None:
    assert encode_timer(seconds) == bits
    bench = Bench(psm=True)
    assert bench.say(f'AT+CPSMS=1,,,"01000001","{bits}"') == OK
    assert bench.module.saving.active_time == means


@pytest.mark.parametrize("tail", ["3", '1,,,"2"', '1,,,"01000001","0000000"', "x"])
def test_power_saving_with_bad_parameters(tail: str) -> None:
    assert Bench().say(f"AT+CPSMS={tail}") == ERROR

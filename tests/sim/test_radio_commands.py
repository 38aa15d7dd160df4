"""The read-only commands about SIM card, cell, signal, contexts and timers: their forms, and that they agree."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sim.bench import ERROR, OK, Bench, lines


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("AT+COPS?", ['+COPS: 0,2,"46004",9']),
        ("AT+CESQ", ["+CESQ: 99,99,255,255,18,57"]),
        ("AT+QENG=0", ['+QENG: 0,3736,2,95,"0A1B2C3D",-84,-11,-73,9,8,"3C5E",0,0,3']),
        ("AT+QENG=1", []),
        ("AT+CSCON?", ["+CSCON: 0,0"]),
        ("AT+QBAND?", ["+QBAND: 3,3,5,8"]),
        ("AT+CGACT?", ["+CGACT: 5,1"]),
        ('AT+QCFG="dsevent"', ['+QCFG: "dsevent",1']),
        ('AT+QCFG="wakeupRXD"', ['+QCFG: "wakeupRXD",1']),
        ("AT+QCSEARFCN", []),
        ("AT+CEDRXS?", ['+CEDRXS: 0,5,"0000"']),
        ("AT+CEDRXRDP", ["+CEDRXRDP: 0"]),
        ("AT+CBC", ["+CBC: 0,0,3600"]),
        ("AT+CTZR?", ["+CTZR: 0"]),
        ("AT+QCCID", ["+QCCID: 89860400000000000001"]),
        ("AT+CIMI", ["460040000000001"]),
        ("AT+CESQ=?", ["+CESQ: (0-63,99),(0-7,99),(0-96,255),(0-49,255),(0-34,255),(0-97,255)"]),
    ],
)
def test_answers(command: str, answer: list[str]) -> None:
    assert Bench().ask(command) == [*answer, "OK"]


@pytest.mark.parametrize(
    "command",
    ["AT+QENG=2", "AT+QENG", "AT+COPS=1", "AT+COPS=3,3", "AT+CSCON=2", 'AT+QCFG="nosuch"', 'AT+QCFG="dsevent",2',
     "AT+CTZR=4", 'AT+CEDRXS=1,5,"012"', "AT+CEDRXS=4"],
)  # fmt: skip
def test_bad_parameters_are_an_error(command: str) -> None:
    assert Bench().say(command) == ERROR


def test_signal_is_the_same_in_every_command() -> None:
    bench = Bench(rssi=2, rsrq=-20, sinr=-4)
    assert bench.ask("AT+CSQ")[0] == "+CSQ: 2,0"
    assert bench.ask("AT+CESQ")[0] == "+CESQ: 99,99,255,255,0,21"
    assert ",-120,-20,-109,-4," in bench.ask("AT+QENG=0")[0]
    bench = Bench(rsrp=-97)
    assert bench.ask("AT+CESQ")[0].endswith(",44") and ",-97," in bench.ask("AT+QENG=0")[0]
    bench = Bench(rssi=99)
    assert bench.ask("AT+CESQ")[0] == "+CESQ: 99,99,255,255,255,255"
    assert bench.ask("AT+QENG=0")[0] == '+QENG: 0,3736,2,95,"0A1B2C3D",,,,,8,"3C5E",0,0,3'


@pytest.mark.parametrize("registration", ["no", "searching", "denied"])
def test_without_a_network_nothing_is_known_of_it(registration: str) -> None:
    bench = Bench(registration=registration, edrx="0101")
    answers = [bench.ask(f"AT+{name}")[0] for name in ("CESQ", "QENG=0", "COPS?", "CGACT?", "CSCON?", "CEDRXRDP")]
    assert answers == [
        "+CESQ: 99,99,255,255,255,255", "OK", "+COPS: 0", "+CGACT: 5,0", "+CSCON: 0,0", "+CEDRXRDP: 0",
    ]  # fmt: skip
    assert bench.ask("AT+CIMI")[0] == "460040000000001", "the card is there all the same"


@pytest.mark.parametrize(
    ("card", "imsi", "iccid"),
    [
        ("none", "+CME ERROR: 10", "+CME ERROR: 10"),
        ("pin", "+CME ERROR: 11", "+QCCID: 89860400000000000001"),
        ("puk", "+CME ERROR: 12", "+QCCID: 89860400000000000001"),
    ],
)
def test_identities_are_those_of_the_card(card: str, imsi: str, iccid: str) -> None:
    bench = Bench(sim_card=card, cmee=1)
    assert (bench.ask("AT+CIMI")[0], bench.ask("AT+QCCID")[0]) == (imsi, iccid)


def test_cell_and_area_are_those_of_the_registration() -> None:
    bench = Bench(cell="00288516", tac="A924", cereg=2)
    assert bench.ask("AT+CEREG?")[0] == '+CEREG: 2,1,"A924","00288516",9'
    assert '"00288516"' in bench.ask("AT+QENG=0")[0] and '"A924"' in bench.ask("AT+QENG=0")[0]
    assert Bench(registration="denied", reject_cause=11, cereg=3).ask("AT+CEREG?")[0] == "+CEREG: 3,3,,,,0,11"


@pytest.mark.parametrize(
    ("options", "active", "periodic"),
    [
        ({"psm": True, "active_time": 60.0}, "00011110", "00100110"),
        ({"psm": True, "granted_active_time": 120.0}, "00100010", "00100110"),
        ({"psm": True, "granted_active_time": 0.0, "granted_periodic_time": 3 * 3600.0}, "00000000", "00010010"),
        ({"granted_periodic_time": 60.0}, "00000001", "01111110"),
    ],
)
def test_granted_timers(options: dict[str, Any], active: str, periodic: str) -> None:
    answer = Bench(cereg=4, **options).ask("AT+CEREG?")[0]
    assert answer == f'+CEREG: 4,1,"3C5E","0A1B2C3D",9,,,"{active}","{periodic}"'


def test_cycle_of_discontinuous_reception() -> None:
    bench = Bench()
    assert bench.say('AT+CEDRXS=2,5,"0101"') == OK
    assert bench.ask("AT+CEDRXS?")[0] == '+CEDRXS: 2,5,"0101"'
    assert bench.ask("AT+CEDRXRDP")[0] == '+CEDRXRDP: 5,"0101","0101","0011"'
    assert bench.say("AT+CEDRXS=0") == OK
    assert bench.ask("AT+CEDRXRDP")[0] == "+CEDRXRDP: 0"
    bench = Bench(edrx="0010", granted_edrx="0101")
    assert bench.ask("AT+CEDRXRDP")[0] == '+CEDRXRDP: 5,"0010","0101","0011"'
    assert Bench(edrx="0010", granted_edrx="none").ask("AT+CEDRXRDP")[0] == "+CEDRXRDP: 0"


def test_operator_by_name_until_the_next_boot() -> None:
    bench = Bench()
    assert bench.say("AT+COPS=3,0") == OK
    assert bench.ask("AT+COPS?")[0] == '+COPS: 0,0,"CHINA MOBILE",9'
    bench.module.restart(bench.now)
    bench.run(1.0)
    assert bench.ask("AT+COPS?")[-2] == '+COPS: 0,2,"46004",9'


def test_radio_connection_is_up_for_a_while_after_traffic_and_reported_when_asked_for() -> None:
    bench = Bench(connected_time=20.0)
    bench.open(service="UDP")
    assert bench.ask("AT+CSCON?")[0] == "+CSCON: 0,1"
    bench.run(19.9)
    assert bench.ask("AT+CSCON?")[0] == "+CSCON: 0,1"
    bench.run(0.2)
    assert bench.ask("AT+CSCON?")[0] == "+CSCON: 0,0"
    assert bench.say("AT+CSCON=1") == OK
    assert lines("+CSCON: 1") in bench.say('AT+QISEND=0,2,"hi"')
    assert bench.run(19.9) == b""
    assert bench.run(0.2) == lines("+CSCON: 0")


def test_line_that_does_not_end_sleep() -> None:
    bench = Bench(wakes_by_line=False, sleep_delay=1.0)
    assert bench.say("AT+QSCLK=1") == OK
    bench.run(2.0)
    bench.say("AT")
    bench.run(5.0)
    assert bench.say("AT") == b"" and bench.module.is_asleep


@pytest.mark.parametrize(
    ("answer", "cmee", "said"),
    [("100", 1, "+CME ERROR: 100"), ("4", 1, "+CME ERROR: 4"), ("4", 0, "ERROR"), ("error", 1, "ERROR")],
)
def test_firmware_that_lacks_commands(answer: str, cmee: int, said: str) -> None:
    bench = Bench(unknown_commands=("CESQ", "QENG"), unknown_answer=answer, cmee=cmee)
    assert [bench.ask(line) for line in ("AT+CESQ", "AT+QENG=0", "AT+CESQ=?")] == [[said]] * 3
    assert bench.ask("AT+CSQ")[-1] == "OK"

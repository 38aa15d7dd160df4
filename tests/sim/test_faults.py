"""Faults on demand."""

from __future__ import annotations

from typing import Any

import pytest

from nbsocket.sim import Fault
from tests.sim.bench import ERROR, FAILED, OK, SENT, Bench, lines

IP = lines("+IP: 10.18.237.42")


def faulty(*faults: Fault, **options: Any) -> Bench:
    bench = Bench(**options)
    for fault in faults:
        bench.module.inject(fault, bench.now)
    return bench


def test_the_nth_match_and_how_many() -> None:
    bench = faulty(Fault("error", match=r"\+csq", nth=2, times=2))
    answers = [bench.say(command) for command in ("AT+CSQ", "AT", "AT+CSQ", "AT", "AT+CSQ", "AT+CSQ")]
    good = lines("+CSQ: 20,0") + OK
    assert answers == [good, OK, ERROR, OK, ERROR, good]


@pytest.mark.parametrize(
    ("cmee", "answer"), [(0, "ERROR"), (1, "+CME ERROR: 553"), (2, "+CME ERROR: Memory not enough")]
)
def test_an_error_with_a_code(cmee: int, answer: str) -> None:
    assert faulty(Fault("error", code=553), cmee=cmee).ask("AT+CSQ") == [answer]


@pytest.mark.parametrize("is_carried_out", [False, True])
def test_an_error_that_may_lie(is_carried_out: bool) -> None:
    bench = Bench()
    bench.open()
    bench.module.inject(Fault("error", match="QISEND", is_carried_out=is_carried_out), bench.now)
    assert bench.say('AT+QISEND=0,3,"abc"') == ERROR
    assert bench.network.connections[0].messages == ([b"abc"] if is_carried_out else [])
    assert bench.say("AT") == OK


@pytest.mark.parametrize(
    ("command", "outcome"),
    [
        ('AT+QIOPEN=0,3,"TCP","x.example",80', "+QIOPEN: 3,{}"),
        ('AT+QIDNSGIP=0,"x.example"', "+QIDNSGIP: {}"),
        ('AT+QPING=0,"x.example"', "+QPING: {}"),
        ('AT+QNTP=0,"x.example"', "+QNTP: {}"),
    ],
)
@pytest.mark.parametrize("code", [550, 553, 564, 565, 566, 568, 569, 570, 573])
def test_a_given_result(command: str, outcome: str, code: int) -> None:
    bench = faulty(Fault("result", code=code, delay=2.0))
    assert bench.say(command) == OK
    assert bench.run(2) == lines(outcome.format(code))


@pytest.mark.parametrize("is_carried_out", [False, True])
def test_silence(is_carried_out: bool) -> None:
    bench = Bench()
    bench.open()
    bench.module.inject(Fault("silence", is_carried_out=is_carried_out), bench.now)
    assert bench.say('AT+QISEND=0,3,"abc"') == b""
    assert bench.run(60) == b""
    assert bench.network.connections[0].messages == ([b"abc"] if is_carried_out else [])
    assert bench.say("AT") == OK


def test_a_prompt_that_never_comes() -> None:
    bench = Bench()
    bench.open()
    bench.module.inject(Fault("silence", is_carried_out=True), bench.now)
    assert bench.say("AT+QISEND=0,3") == b""
    assert bench.write(b"abcAT\r") == OK
    assert bench.network.connections[0].messages == [b"abc"]


def test_only_the_last_line_is_missing() -> None:
    bench = Bench()
    bench.open()
    bench.module.inject(Fault("silence_final"), bench.now)
    assert bench.say('AT+QISEND=0,3,"abc"') == OK
    assert bench.run(60) == b""
    assert bench.say("AT") == OK


def test_a_late_answer_comes_before_the_next() -> None:
    bench = faulty(Fault("late", match="CSQ", delay=7.0))
    assert bench.say("AT+CSQ") == b""
    assert bench.run(6) == b""
    assert bench.say("AT") == b""
    assert bench.run(1) == lines("+CSQ: 20,0") + OK + OK


def test_a_late_send_ok() -> None:
    bench = Bench()
    bench.open()
    bench.module.inject(Fault("late_final", match="QISEND", delay=7.0), bench.now)
    assert bench.say('AT+QISEND=0,3,"abc"') == OK
    assert bench.run(7) == lines("SEND OK")


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        (Fault("drop", offset=2, size=3), b"\r\nQ: 20,0\r\n\r\nOK\r\n"),
        (Fault("drop", offset=14, size=4), b"\r\n+CSQ: 20,0\r\n\r\n"),
        (Fault("insert", offset=3, data=b"\xff\x00"), b"\r\n+\xff\x00CSQ: 20,0\r\n\r\nOK\r\n"),
        (Fault("garble", offset=0, size=2), b"WP+CSQ: 20,0\r\n\r\nOK\r\n"),
        (Fault("garble", offset=12, size=1), b"\r\n+CSQ: 20,0W\n\r\nOK\r\n"),
        (Fault("drop", direction="up", offset=0, size=1), b""),
        (Fault("drop", direction="up", offset=6, size=1), b""),
        (Fault("garble", direction="up", offset=4, size=1), ERROR),
        (Fault("insert", direction="up", offset=0, data=b"\x00\xff"), b"\r\n+CSQ: 20,0\r\n\r\nOK\r\n"),
    ],
)
def test_bytes_that_suffer(fault: Fault, answer: bytes) -> None:
    bench = faulty(fault)
    assert bench.say("AT+CSQ") == answer


def test_a_byte_fault_can_wait_for_a_command() -> None:
    bench = faulty(Fault("drop", match="CSQ", offset=2, size=1))
    assert bench.say("AT") == OK
    assert bench.say("AT+CSQ") == b"\r\nCSQ: 20,0\r\n\r\nOK\r\n"
    assert bench.say("AT+CSQ") == lines("+CSQ: 20,0") + OK


def test_the_network_breaks_a_connection_at_a_time() -> None:
    bench = faulty(Fault("closed", socket_id=2, after=30.0))
    bench.open(2)
    assert bench.run(29.9) == b""
    assert bench.run(0.1) == lines('+QIURC: "closed",2')
    assert bench.network.connections[0].is_vanished


def test_the_network_breaks_a_connection_upon_a_command() -> None:
    bench = faulty(Fault("closed", match="QISEND", nth=2))
    bench.open(0)
    assert bench.say('AT+QISEND=0,1,"a"') == SENT
    assert bench.say('AT+QISEND=0,1,"b"').startswith(lines('+QIURC: "closed",0') + OK)


def test_a_restart_upon_a_command() -> None:
    bench = faulty(Fault("restart", match="QISEND"))
    bench.open(0)
    assert bench.say('AT+QISEND=0,1,"a"') == lines("RDY", "+CFUN: 1", "+CPIN: READY") + IP


def test_a_fault_in_time_outlives_a_restart() -> None:
    bench = faulty(Fault("restart"), Fault("emit", after=5.0, data=b"\r\nhello\r\n"))
    bench.run(1)
    assert bench.run(5) == b"\r\nhello\r\n"


def test_hang_up() -> None:
    bench = faulty(Fault("hang_up", match="CSQ"))
    assert not bench.module.is_hung_up
    bench.say("AT+CSQ")
    assert bench.module.is_hung_up


@pytest.mark.parametrize(
    "arguments",
    [{"action": "explode"}, {"action": "error", "after": 1.0}, {"action": "drop", "direction": "sideways"}],
)
def test_impossible_faults_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="fault"):
        Fault(**arguments)


def test_two_faults_on_one_command() -> None:
    bench = faulty(Fault("error", match="CSQ"), Fault("error", match="CSQ"), Fault("emit", match="CSQ", data=b"!"))
    assert bench.say("AT+CSQ") == b"!" + ERROR
    assert bench.say("AT+CSQ") == ERROR
    assert bench.say("AT+CSQ") == lines("+CSQ: 20,0") + OK


def test_what_was_met_is_remembered_and_the_rest_can_be_called_off() -> None:
    first, second = Fault("error", match="CSQ"), Fault("error", match="CSQ")
    bench = faulty(first, second, Fault("drop", direction="up"))
    bench.say("AT+CSQ")
    assert list(bench.module.met_faults) == []  # its first byte was lost
    bench.say("AT+CSQ")
    assert list(bench.module.met_faults) == [(bench.now, first, "AT+CSQ")]
    bench.module.inject(Fault("drop"), bench.now)
    bench.module.clear_faults()
    assert bench.say("AT+CSQ") == lines("+CSQ: 20,0") + OK


@pytest.mark.parametrize(
    ("command", "outcome"),
    [
        ('AT+QIDNSGIP=0,"x.example"', "+QIDNSGIP: 0,1,0"),
        ('AT+QPING=0,"10.0.0.1",4,1', "+QPING: 0,10.0.0.1,32,0,54"),
        ('AT+QNTP=0,"x.invalid"', "+QNTP: 565"),
    ],
)
@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        (Fault("late_outcome", delay=30.0), OK),
        (Fault("error", is_carried_out=True, delay=30.0), ERROR),
        (Fault("silence", is_carried_out=True, delay=30.0), b""),
    ],
    ids=lambda value: value.action if isinstance(value, Fault) else "",
)
def test_a_late_outcome(command: str, outcome: str, fault: Fault, answer: bytes) -> None:
    bench = faulty(fault)
    assert bench.say(command) == answer
    assert bench.run(29.0) == b""
    assert bench.run(1.0).startswith(lines(outcome))
    assert bench.say(command).startswith(OK + lines(outcome)), "once only"


def test_a_look_up_that_tells_no_address() -> None:
    bench = faulty(Fault("junk", data=b"93.184.216.340"))
    command = 'AT+QIDNSGIP=0,"x.example"'
    assert bench.say(command) == OK + lines("+QIDNSGIP: 0,1,0") + lines("+QIDNSGIP: 93.184.216.340")
    assert b"+QIDNSGIP: 198." in bench.say(command)


def test_a_socket_lost_without_a_word() -> None:
    bench = Bench(latency=1.0, cmee=1)
    bench.say('AT+QIOPEN=0,0,"UDP","192.0.2.1",9')
    assert bench.say('AT+QISEND=0,3,"abc"') == SENT
    bench.module.inject(Fault("forget"), bench.now)
    assert bench.ask("AT+QISTATE=1,0") == ["OK"]
    assert bench.ask("AT+QISEND=0,0") == bench.ask('AT+QISEND=0,3,"def"') == ["+CME ERROR: 567"]
    bench.run(1)
    assert bench.network.connections[0].messages == [b"abc"], "what was on the air arrives"
    bench.network.connections[0].send(b"answer")
    assert bench.run(5) == b""


@pytest.mark.parametrize("send_closed", ["fail", "error"])
def test_a_lost_socket_that_keeps_its_entry(send_closed: str) -> None:
    bench = Bench(cmee=1, send_closed=send_closed)
    bench.say('AT+QIOPEN=0,0,"UDP","192.0.2.1",9')
    bench.module.inject(Fault("forget", code=0), bench.now)
    assert bench.ask("AT+QISTATE=1,0")[0] == '+QISTATE: 0,"UDP","192.0.2.1",9,0,0,0,1'
    assert bench.ask('AT+QISEND=0,3,"def"')[-1] == {"fail": "SEND FAIL", "error": "+CME ERROR: 567"}[send_closed]
    assert bench.ask("AT+QISEND=0,0") == ["+QISEND: 0,0,0", "OK"]


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        (Fault("full", match=r"QISEND=\d,[1-9]", delay=8.0), FAILED),
        (Fault("refuse", match=r"QISEND=\d,[1-9]", delay=8.0), ERROR),
        (Fault("refuse", match=r"QISEND=\d,[1-9]", delay=8.0, code=568), lines("+CME ERROR: 568")),
    ],
    ids=str,
)
def test_a_refusal_that_lasts(fault: Fault, answer: bytes) -> None:
    bench = Bench(cmee=1)
    bench.open()
    bench.module.inject(fault, bench.now)
    command = 'AT+QISEND=0,3,"abc"'
    assert bench.say(command) == bench.say(command) == answer
    bench.run(7.9)
    assert bench.say(command) == answer
    assert bench.say("AT+QISEND=0,0") == lines("+QISEND: 0,0,0") + OK, "nothing else is refused"
    bench.run(0.2)
    assert bench.say(command) == SENT
    assert bench.network.connections[0].messages == [b"abc"]


@pytest.mark.parametrize("code", [None, 568])
def test_a_send_that_is_carried_out_late(code: int | None) -> None:
    bench = Bench(cmee=1)
    bench.open()
    bench.module.inject(Fault("slow", match="QISEND", delay=8.0, code=code), bench.now)
    assert bench.say('AT+QISEND=0,3,"abc"') == OK
    bench.run(7.9)
    assert bench.say("AT+QISEND=0,0") == lines("+QISEND: 0,0,0") + OK
    assert bench.say('AT+QISEND=0,3,"def"') == (SENT if code is None else lines("+CME ERROR: 568"))
    assert bench.run(0.2) == lines("SEND OK")
    sent = 3 if code is not None else 6
    assert bench.say("AT+QISEND=0,0") == lines(f"+QISEND: {sent},{sent},0") + OK
    assert bench.say('AT+QISEND=0,1,"g"') == SENT


@pytest.mark.parametrize("ok_before_prompt", [False, True])
def test_a_data_mode_send_that_is_carried_out_late(ok_before_prompt: bool) -> None:
    bench = Bench(ok_before_prompt=ok_before_prompt)
    bench.open()
    bench.module.inject(Fault("slow", match="QISEND", delay=8.0), bench.now)
    bench.say("AT+QISEND=0,3")
    assert bench.write(b"abc") == (b"" if ok_before_prompt else OK)
    assert bench.run(7.9) == b"" and bench.say("AT") == OK
    assert bench.run(0.2) == lines("SEND OK")


def test_a_send_that_is_late_for_its_socket_fails() -> None:
    bench = Bench(close_delay=1.0)
    bench.open()
    bench.module.inject(Fault("slow", match="QISEND", delay=8.0), bench.now)
    assert bench.say('AT+QISEND=0,3,"abc"') == OK
    bench.say("AT+QICLOSE=0")
    assert bench.run(10.0) == lines("CLOSE OK", "SEND FAIL")


def test_an_open_whose_outcome_is_not_told() -> None:
    bench = faulty(Fault("mute", match="QIOPEN"))
    assert bench.say('AT+QIOPEN=0,0,"TCP","hf.quectel.com",2020') == OK
    assert bench.run(70.0) == b""
    assert bench.say("AT+QISTATE=1,0").startswith(lines('+QISTATE: 0,"TCP","hf.quectel.com",2020,0,2,0,1'))


def test_a_look_up_whose_outcome_is_not_told() -> None:
    bench = faulty(Fault("mute", match="QIDNSGIP"))
    assert bench.say('AT+QIDNSGIP=0,"hf.quectel.com"') == OK
    assert bench.run(70.0) == b""
    assert bench.say('AT+QIDNSGIP=0,"198.51.100.7"').endswith(lines("+QIDNSGIP: 198.51.100.7"))


@pytest.mark.parametrize("last_error", ["unknown", "tell"])
def test_the_last_error_is_told_when_asked(last_error: str) -> None:
    bench = Bench(errors="plain", last_error=last_error)
    bench.open()
    assert bench.say('AT+QIOPEN=0,0,"TCP","hf.quectel.com",2020') == ERROR
    answers = [bench.ask("AT+QIGETERROR") for _ in range(2)]
    told = ['+QIGETERROR: 563,"Socket identity has been used"', "OK"]
    assert answers == (
        [["ERROR"]] * 2 if last_error == "unknown" else [told, ['+QIGETERROR: 0,"Operation successful"', "OK"]]
    )

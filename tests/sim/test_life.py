"""Boot, registration, sleep, restart, the radio switched off."""

from __future__ import annotations

from typing import Any

import pytest

from nbsocket.sim import Fault
from tests.sim.bench import ERROR, OK, SENT, Bench, lines

BOOT = lines("RDY", "+CFUN: 1", "+CPIN: READY")
IP = lines("+IP: 10.18.237.42")


def test_boot() -> None:
    bench = Bench(attached=False, boot_time=8.0, attach_delay=5.0, boot_noise=True)
    bench.module.power_on(bench.now)
    noise = bench.read()
    assert noise and b"RDY" not in noise
    assert bench.say("AT") == ERROR
    assert bench.run(7.9) == b""
    assert bench.run(0.1) == BOOT
    assert bench.say("AT+CEREG?") == b"AT+CEREG?\r" + lines("+CEREG: 0,2") + OK
    bench.say("ATE0")
    assert bench.say("AT+CGPADDR") == lines("+CGPADDR: 5") + OK
    assert bench.say('AT+QIOPEN=0,0,"TCP","x.example",1') == ERROR
    assert bench.run(5) == IP
    assert bench.ask("AT+CEREG?") == ["+CEREG: 0,1", "OK"]


def test_a_silent_boot() -> None:
    bench = Bench(attached=False, boot_time=8.0, boot_answer="nothing")
    bench.module.power_on(bench.now)
    assert bench.say("AT") == b""


def test_the_urc_of_the_registration_has_no_n() -> None:
    bench = Bench(attached=False, attach_delay=3.0, cereg=1, registration="roaming")
    bench.module.power_on(bench.now)
    assert bench.read() == BOOT + lines("+CEREG: 2")
    assert bench.run(3) == lines("+CEREG: 5") + IP


@pytest.mark.parametrize(("registration", "stat"), [("denied", 3), ("no", 0)])
def test_a_registration_that_fails(registration: str, stat: int) -> None:
    bench = Bench(attached=False, registration=registration, cereg=1)
    bench.module.power_on(bench.now)
    assert bench.run(10) == BOOT + lines("+CEREG: 2", f"+CEREG: {stat}")
    bench.say("ATE0")
    assert bench.ask("AT+CSQ") == ["+CSQ: 99,0", "OK"]


@pytest.mark.parametrize("command", ["AT+QRST=1", "AT+CFUN=1,1"])
def test_a_restart_forgets_what_is_not_stored(command: str) -> None:
    bench = Bench()
    bench.open(0)
    bench.open(1, "UDP")
    for line in ("AT+CMEE=1", "AT+CEREG=1", "AT+QSCLK=1", 'AT+QICFG="dataformat",1,1'):
        assert bench.say(line) == OK
    assert bench.say(command) == OK
    assert bench.run(1) == BOOT + IP
    assert bench.say("AT") == b"AT\r" + OK  # echo is on again
    bench.say("ATE0")
    assert bench.ask("AT+QSCLK?") == ["+QSCLK: 0", "OK"]
    assert bench.ask("AT+CEREG?") == ["+CEREG: 0,1", "OK"]
    assert bench.ask("AT+CMEE?") == ["+CMEE: 0", "OK"]
    assert bench.ask("AT+QISTATE?") == ["OK"]
    assert bench.ask('AT+QICFG="dataformat"') == ['+QICFG: "dataformat",1,1', "OK"]
    assert all(peer.is_vanished for peer in bench.network.connections)


def test_a_restart_in_the_middle_of_everything() -> None:
    bench = Bench(send_delay=5.0, latency=1.0)
    bench.open()
    bench.say("AT+QISEND=0,10")
    bench.module.restart(bench.now)
    assert bench.run(10) == BOOT + IP
    assert bench.say("AT") == b"AT\r" + OK


def test_the_radio_switched_off_ends_connections() -> None:
    bench = Bench()
    bench.open(0)
    bench.open(1, "UDP")
    assert bench.say("AT+CFUN=0") == OK + lines('+QIURC: "closed",0')
    assert bench.ask("AT+CPIN?") == ["ERROR"]
    assert bench.ask("AT+CGATT?") == ["+CGATT: 0", "OK"]
    assert bench.say("AT+CFUN=1") == OK + IP


def test_losing_and_finding_the_network() -> None:
    bench = Bench(cereg=1)
    bench.open(0)
    bench.module.inject(Fault("deregister", after=5.0), bench.now)
    assert bench.run(5) == lines("+CEREG: 2", '+QIURC: "closed",0')
    assert bench.say('AT+QIOPEN=0,1,"TCP","x.example",1') == ERROR
    bench.module.inject(Fault("register"), bench.now)
    assert bench.read() == lines("+CEREG: 1") + IP
    bench.open(1)


# ---- sleep: §4.3.9

ENTER, EXIT = lines('+QNBIOEVENT: "ENTER DEEPSLEEP"'), lines('+QNBIOEVENT: "EXIT DEEPSLEEP"')


def asleep(**options: Any) -> Bench:
    bench = Bench(**options)
    bench.open(0, "TCP")
    bench.open(1, "UDP")
    bench.say("AT+QSCLK=1")
    bench.run(10)
    return bench


def test_udp_lives_over_sleep_and_tcp_does_not() -> None:
    bench = Bench()
    bench.open(0, "TCP")
    bench.open(1, "UDP")
    assert bench.say("AT+QSCLK=1") == OK
    assert bench.run(9.9) == b""
    assert bench.run(0.2) == ENTER
    assert bench.network.connections[0].is_vanished
    assert bench.say("AT") == EXIT  # the command is lost
    assert bench.ask("AT+QISTATE?") == ['+QISTATE: 1,"UDP","hf.quectel.com",2020,0,2,0,1', "OK"]
    assert bench.say('AT+QISEND=1,3,"abc"') == SENT
    assert bench.run(10) == ENTER


def test_what_comes_while_asleep_is_lost() -> None:
    bench = asleep()
    bench.network.connections[1].send(b"lost")
    assert bench.run(5) == b""
    assert bench.say("AT") == EXIT
    bench.network.connections[1].send(b"heard")
    assert bench.read() == lines('+QIURC: "recv",1,5,"heard"')


@pytest.mark.parametrize(("option", "answer"), [("nothing", b""), ("blank", b"\r\n"), ("ERROR", ERROR)])
def test_waking_up_takes_time(option: str, answer: bytes) -> None:
    bench = asleep(wake_delay=1.8, wake_answer=option)
    assert bench.say("AT") == b""
    assert bench.run(1.0) == b""
    assert bench.say("AT") == b""  # lost as well
    assert bench.run(0.8) == EXIT + answer
    assert bench.say("AT") == OK


@pytest.mark.parametrize("mode", [0, 2])
def test_other_modes_do_not_sleep_deep(mode: int) -> None:
    bench = Bench()
    bench.say(f"AT+QSCLK={mode}")
    assert bench.run(1000) == b""
    assert bench.say("AT") == OK


def test_traffic_keeps_it_awake() -> None:
    bench = Bench()
    bench.open(0, "UDP")
    bench.say("AT+QSCLK=1")
    for _ in range(5):
        bench.run(6)
        bench.network.connections[0].send(b"x")
        assert bench.read() == lines('+QIURC: "recv",0,1,"x"')
    bench.say('AT+QPING=0,"x.example",60,1')
    assert ENTER not in bench.run(9)


def test_sleep_events_by_name_and_by_request() -> None:
    bench = Bench(sleep_events=False, sleep_spelling="QNBIOTEVENT")
    bench.say("AT+QSCLK=1")
    assert bench.run(20) == b""
    assert bench.say("AT") == b""
    assert bench.ask("AT+QNBIOTEVENT?") == ["+QNBIOTEVENT: 0,1", "OK"]
    assert bench.say("AT+QNBIOTEVENT=1,1") == OK
    assert bench.run(20) == lines('+QNBIOTEVENT: "ENTER DEEPSLEEP"')


def test_an_idle_module_has_no_deadline() -> None:
    bench = Bench(latency=0.3, baudrate=115200)
    bench.open(0)
    bench.run(10)
    assert bench.module.next_deadline() is None


@pytest.mark.parametrize(
    ("boot_reports", "said"),
    [
        ("full", lines("RDY", "+CFUN: 1", "+CPIN: READY", "+IP: 10.18.237.42")),
        ("no_rdy", lines("+CFUN: 1", "+CPIN: READY", "+IP: 10.18.237.42")),
        ("garbled", b"\r\n\xf8DY\r\n" + lines("+CFUN: 1", "+CPIN: READY", "+IP: 10.18.237.42")),
        ("noisy", b"\xff\xfe\x00RDY\r\n" + lines("+CFUN: 1", "+CPIN: READY", "+IP: 10.18.237.42")),
        ("none", b""),
    ],
)
def test_what_a_boot_says(boot_reports: str, said: bytes) -> None:
    bench = Bench(boot_reports=boot_reports)
    bench.open()
    bench.module.restart(bench.now)
    assert bench.run(10.0) == said
    assert bench.ask("AT+QISTATE?")[-1] == "OK" and not bench.module.sockets.table


def test_rom_says_its_log_before_the_firmware_runs() -> None:
    bench = Bench(boot_reports="rom", boot_time=5.0)
    bench.module.restart(bench.now)
    assert bench.run(4.0).endswith(b"Leaving the BROM\r\n")
    assert bench.run(4.0).startswith(lines("+CFUN: 1"))


@pytest.mark.parametrize("stores_settings", [True, False])
def test_settings_over_a_boot(stores_settings: bool) -> None:
    bench = Bench(echo=True, stores_settings=stores_settings)
    for command in ("ATE0", "AT+CMEE=2", "AT+CEREG=1"):
        bench.say(command)
    bench.module.restart(bench.now)
    bench.run(10.0)
    assert bench.say("AT") == (OK if stores_settings else b"AT\r" + OK)
    assert bench.ask("AT+CEREG?")[-2] == f"+CEREG: {int(stores_settings)},1"


def test_only_the_echo_over_a_boot() -> None:
    bench = Bench(echo=True, stores_echo=True)
    for command in ("ATE0", "AT+CEREG=1"):
        bench.say(command)
    bench.module.restart(bench.now)
    bench.run(10.0)
    assert bench.say("AT") == OK
    assert bench.ask("AT+CEREG?")[-2] == "+CEREG: 0,1"


@pytest.mark.parametrize(
    ("context_reports", "said"),
    [
        ("ip", lines("+IP: 10.18.238.43")),
        ("cgev", lines("+CGEV: NW PDN DEACT 1", "+IP: 10.18.238.43")),
        ("pdpdeact", lines('+QIURC: "pdpdeact",0')),
    ],
)
def test_another_address(context_reports: str, said: bytes) -> None:
    bench = Bench(context_reports=context_reports)
    bench.open()
    bench.module.inject(Fault("readdress"), bench.now)
    assert bench.read() == said
    assert bench.ask("AT+CGPADDR?")[0].endswith('"10.18.238.43"')
    assert bench.network.connections[0].is_vanished
    assert bench.ask("AT+QISTATE=1,0")[0].split(",")[5] == "2", "it does not know"
    assert bench.say('AT+QISEND=0,1,"x"').endswith(b"SEND OK\r\n")
    bench.run(60.0)
    assert bench.ask("AT+QISEND=0,0") == ["+QISEND: 1,0,1", "OK"]

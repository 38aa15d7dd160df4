"""QICFG, QIOPEN, QICLOSE, QISTATE: BC260Y-CN TCP/IP guide 1.1 §2.3.1 to §2.3.4."""

from __future__ import annotations

from typing import Any

import pytest

from nbsocket.sim import ModelNetwork
from tests.sim.bench import ERROR, OK, Bench, lines

OPEN = 'AT+QIOPEN=0,0,"TCP","hf.quectel.com",2020'


def test_dataformat_is_queried_set_and_kept_over_a_restart() -> None:
    bench = Bench()
    assert bench.ask('AT+QICFG="dataformat"') == ['+QICFG: "dataformat",0,0', "OK"]
    assert bench.say('AT+QICFG="dataformat",1,0') == OK
    bench.module.restart(bench.now)
    bench.run(1)
    bench.say("ATE0")
    assert bench.ask('AT+QICFG="dataformat"') == ['+QICFG: "dataformat",1,0', "OK"]


@pytest.mark.parametrize(
    "tail",
    ['"dataformat",1', '"dataformat",2,0', '"dataformat",0,0,0', '"other"', "dataformat", '"dataformat","1","1"'],
)
def test_bad_dataformat_is_an_error(tail: str) -> None:
    assert Bench().say(f"AT+QICFG={tail}") == ERROR


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("QICFG", '+QICFG: "dataformat",(0,1),(0,1)'),
        ("QIOPEN", '+QIOPEN: (0-11),(0-4),"TCP/UDP",<host>,<remote_port>,<local_port>,(1)'),
        ("QICLOSE", "+QICLOSE: (0-4)"),
        ("QISTATE", "+QISTATE: (0,1),(0-4)"),
        ("QISEND", "+QISEND: (0-4),(0-1024),<data>,<rai_mode>"),
        ("QIDNSGIP", "+QIDNSGIP: (0-11),<hostname>"),
        ("QDNSGIP", "+QIDNSGIP: (0-11),<hostname>"),
        ("QIDNSCFG", "+QIDNSCFG: (0-11),<pridnsaddr>,<secdnsaddr>"),
        ("QPING", "+QPING: (0-11),<host>,(1-255),(1-10),(32-1500),(0,1)"),
        ("QNTP", "+QNTP: (0-11),<server>,<port>,(0,1)"),
        ("QNTPT", "+QNTPT: (0-11),<server>,<port>,(0,1)"),
    ],
)
def test_test_forms(command: str, answer: str) -> None:
    assert Bench().ask(f"AT+{command}=?") == [answer, "OK"]


@pytest.mark.parametrize("service", ["TCP", "UDP"])
@pytest.mark.parametrize("tail", ["", ",0", ",0,1", ",12345", ",12345,1"])
def test_open_in_every_form(service: str, tail: str) -> None:
    bench = Bench()
    assert bench.say(f'AT+QIOPEN=0,4,"{service}","hf.quectel.com",2020{tail}') == OK + lines("+QIOPEN: 4,0")
    connection = bench.network.connections[0]
    assert (connection.service, connection.target) == (service, ("127.0.0.1", 2020))
    local_port = 12345 if "12345" in tail else 0
    assert connection.local_port == local_port
    expected = f'+QISTATE: 4,"{service}","hf.quectel.com",2020,{local_port},2,0,1'
    assert bench.ask("AT+QISTATE=1,4") == [expected, "OK"]


@pytest.mark.parametrize("host", ["203.0.113.7", "2001:db8::7", "a" * 63 + ".example"])
def test_hosts(host: str) -> None:
    bench = Bench()
    assert bench.say(f'AT+QIOPEN=0,0,"TCP","{host}",1') == OK + lines("+QIOPEN: 0,0")
    assert bench.network.connections[0].target.address == ("::1" if ":" in host else "127.0.0.1")


@pytest.mark.parametrize(
    "tail",
    [
        "",
        "0,0",
        '1,0,"TCP","x.example",1',
        '12,0,"TCP","x.example",1',
        '0,5,"TCP","x.example",1',
        '0,0,"SCTP","x.example",1',
        '0,0,TCP,"x.example",1',
        '0,0,"TCP",x.example,1',
        '0,0,"TCP","",1',
        '0,0,"TCP","x.example",0',
        '0,0,"TCP","x.example",65536',
        '0,0,"TCP","x.example","80"',
        '0,0,"TCP","x.example",80,65536',
        '0,0,"TCP","x.example",80,0,0',
        '0,0,"TCP","x.example",80,0,2',
        '0,0,"TCP","x.example",80,0,1,1',
        '0,0,"TCP","x.example,80',
        f'0,0,"TCP","{"a" * 151}",80',
    ],
)
def test_bad_open_is_an_error(tail: str) -> None:
    bench = Bench()
    assert bench.say(f"AT+QIOPEN={tail}") == ERROR
    assert not bench.module.sockets.table


@pytest.mark.parametrize("code", ["552", "Invalid parameters"])
def test_errors_of_the_stack_carry_its_codes(code: str) -> None:
    bench = Bench(cmee=1 if code == "552" else 2)
    assert bench.ask("AT+QICLOSE=9") == [f"+CME ERROR: {code}"]
    assert Bench(cmee=1, errors="plain").say("AT+QICLOSE=9") == ERROR


def test_a_host_of_150_bytes_is_taken() -> None:
    name = ".".join(["a" * 37] * 3 + ["b" * 36])
    assert len(name) == 150
    assert Bench().say(f'AT+QIOPEN=0,0,"TCP","{name}",80') == OK + lines("+QIOPEN: 0,0")


@pytest.mark.parametrize(
    ("options", "result", "seconds"),
    [
        ({"hosts": {"hf.quectel.com": "refused"}}, 566, 0.0),
        ({"hosts": {"hf.quectel.com": "unknown"}}, 565, 0.0),
        ({"hosts": {"hf.quectel.com:2020": "timeout"}}, 569, 60.0),
        ({"hosts": {"hf.quectel.com": "timeout"}, "connect_timeout": 7.0}, 569, 7.0),
    ],
)
def test_a_failed_open_blocks_the_id_until_it_is_closed(options: dict[str, Any], result: int, seconds: float) -> None:
    bench = Bench(**options)
    first = bench.say(OPEN)
    assert first.startswith(OK)
    if seconds:
        assert bench.ask("AT+QISTATE?") == ['+QISTATE: 0,"TCP","hf.quectel.com",2020,0,1,0,1', "OK"]
        assert bench.run(seconds - 0.01) == b""
        first += bench.run(0.01)
    assert first == OK + lines(f"+QIOPEN: 0,{result}")
    assert bench.ask("AT+QISTATE=1,0") == ['+QISTATE: 0,"TCP","hf.quectel.com",2020,0,0,0,1', "OK"]
    assert bench.say(OPEN) == ERROR
    assert bench.say("AT+QICLOSE=0") == OK
    assert bench.run(0.05) == lines("CLOSE OK")
    assert bench.say('AT+QIOPEN=0,0,"TCP","other.example",1') == OK + lines("+QIOPEN: 0,0")


def test_refused_by_the_peer() -> None:
    network = ModelNetwork()
    network.refuse(2020)
    assert Bench(network).say(OPEN) == OK + lines("+QIOPEN: 0,566")


def test_an_invalid_name_is_unknown() -> None:
    bench = Bench()
    assert bench.say('AT+QIOPEN=0,0,"UDP","no.such.invalid",1') == OK + lines("+QIOPEN: 0,565")
    assert bench.say('AT+QIOPEN=0,1,"UDP","not a name",1') == OK + lines("+QIOPEN: 1,565")


def test_an_id_in_use_is_an_error_or_an_urc() -> None:
    bench = Bench()
    bench.open()
    assert bench.say(OPEN) == ERROR
    bench = Bench(open_in_use="urc")
    bench.open()
    assert bench.say(OPEN) == OK + lines("+QIOPEN: 0,563")
    assert bench.module.sockets.table[0].is_connected


@pytest.mark.parametrize("code", [574, 556])
def test_a_chosen_local_port_stays_busy_for_70_seconds(code: int) -> None:
    bench = Bench(port_busy=code)
    command = 'AT+QIOPEN=0,{},"UDP","hf.quectel.com",2020,12345'
    assert bench.say(command.format(0)) == OK + lines("+QIOPEN: 0,0")
    assert bench.say(command.format(1)) == OK + lines(f"+QIOPEN: 1,{code}")
    bench.say("AT+QICLOSE=0")
    bench.say("AT+QICLOSE=1")
    bench.run(60)
    assert bench.say(command.format(0)) == OK + lines(f"+QIOPEN: 0,{code}")
    bench.say("AT+QICLOSE=0")
    bench.run(71)
    assert bench.say(command.format(0)) == OK + lines("+QIOPEN: 0,0")


def test_while_an_open_is_pending() -> None:
    silent = ModelNetwork()
    silent.refuse(2020, silently=True)
    for option, answer in (("obey", OK + lines("+QIOPEN: 1,0")), ("error", ERROR), ("568", lines("+CME ERROR: 568"))):
        bench = Bench(silent, busy_open=option, cmee=1)
        assert bench.say(OPEN) == OK
        assert bench.say('AT+QIOPEN=0,1,"TCP","x.example",1') == answer


def test_close_tells_the_peer_and_frees_the_id_with_close_ok() -> None:
    bench = Bench(close_delay=2.0)
    bench.open()
    assert bench.say("AT+QICLOSE=0") == OK
    assert bench.network.connections[0].is_finished
    assert bench.ask("AT+QISTATE=1,0") == ['+QISTATE: 0,"TCP","hf.quectel.com",2020,0,3,0,1', "OK"]
    assert bench.say(OPEN) == ERROR
    assert bench.say("AT+QICLOSE=0") == ERROR
    assert bench.run(1.9) == b""
    assert bench.run(0.1) == lines("CLOSE OK")
    assert bench.ask("AT+QISTATE?") == ["OK"]


def test_closing_what_is_not_open() -> None:
    assert Bench().say("AT+QICLOSE=3") == ERROR
    bench = Bench(close_unopened="ok")
    assert bench.say("AT+QICLOSE=3") == OK
    assert bench.run(1) == lines("CLOSE OK")


@pytest.mark.parametrize("command", ["AT+QICLOSE=5", "AT+QICLOSE", 'AT+QICLOSE="0"', "AT+QICLOSE=0,1", "AT+QISTATE=2,0",
                                     "AT+QISTATE=0", "AT+QISTATE=1,5", "AT+QISTATE=0,1", "AT+QIOPEN?"])  # fmt: skip
def test_bad_parameters(command: str) -> None:
    bench = Bench()
    bench.open()
    assert bench.say(command) == ERROR


def test_closing_while_opening_gives_no_outcome() -> None:
    network = ModelNetwork()
    network.refuse(2020, silently=True)
    bench = Bench(network)
    bench.say(OPEN)
    assert bench.say("AT+QICLOSE=0") == OK
    assert bench.run(100) == lines("CLOSE OK")


def test_state_lists_all_sockets_in_every_form() -> None:
    bench = Bench()
    bench.open(3, "UDP", host="203.0.113.9")
    bench.open(1)
    expected = [
        '+QISTATE: 1,"TCP","hf.quectel.com",2020,0,2,0,1',
        '+QISTATE: 3,"UDP","203.0.113.9",2020,0,2,0,1',
        "OK",
    ]
    assert bench.ask("AT+QISTATE?") == expected
    assert bench.ask("AT+QISTATE=0,0") == expected
    assert bench.ask("AT+QISTATE=1,3") == expected[1:]
    assert bench.ask("AT+QISTATE=1,0") == ["OK"]


def test_five_at_once_and_no_sixth() -> None:
    bench = Bench()
    for socket_id in range(5):
        bench.open(socket_id)
    assert bench.say('AT+QIOPEN=0,5,"TCP","x.example",1') == ERROR


def test_orphans_are_there_until_closed() -> None:
    bench = Bench(orphans=2)
    assert bench.ask("AT+QISTATE?") == [
        '+QISTATE: 0,"TCP","203.0.113.9",7,0,2,0,1',
        '+QISTATE: 1,"UDP","203.0.113.9",7,0,2,0,1',
        "OK",
    ]
    assert bench.say("AT+QICLOSE=0") == OK
    assert bench.run(1) == lines("CLOSE OK")
    assert len(bench.ask("AT+QISTATE?")) == 2


def test_state_follows_the_peer() -> None:
    bench = Bench()
    bench.open(0)
    bench.open(1)
    bench.network.connections[0].close()
    bench.network.connections[1].reset()
    assert sorted(bench.read().split(b"\r\n\r\n")) == sorted(
        lines('+QIURC: "closed",0', '+QIURC: "closed",1').split(b"\r\n\r\n")
    )
    states = [line.split(",")[5] for line in bench.ask("AT+QISTATE?")[:-1]]
    assert states == ["4", "0"]


def test_without_a_network_nothing_is_opened() -> None:
    for command in (OPEN, 'AT+QIDNSGIP=0,"x.example"', 'AT+QPING=0,"x.example"', 'AT+QNTP=0,"x.example"',
                    'AT+QIDNSCFG=0,"1.1.1.1"'):  # fmt: skip
        assert Bench(registration="searching").say(command) == ERROR


@pytest.mark.parametrize(
    ("after_closed", "states"),
    [("manual", "40"), ("initial", "00"), ("remote", "44"), ("forgotten", ""), ("error", "")],
)
def test_state_after_a_close(after_closed: str, states: str) -> None:
    bench = Bench(after_closed=after_closed)
    for socket_id in (0, 1):
        bench.open(socket_id)
    bench.network.connections[0].close()
    bench.network.connections[1].reset()
    bench.read()
    assert [line.split(",")[5] for line in bench.ask("AT+QISTATE?")[:-1]] == list(states)
    if not states:
        assert bench.say("AT+QISEND=0,0") == bench.say("AT+QICLOSE=0") == ERROR
        assert bench.say("AT+QISTATE=1,0") == (ERROR if after_closed == "error" else OK)
        bench.open(0)


@pytest.mark.parametrize("after_closed", ["manual", "forgotten"])
def test_close_is_reported_before_the_last_data(after_closed: str) -> None:
    bench = Bench(after_closed=after_closed, closed_first=0.5)
    bench.open()
    bench.network.connections[0].send(b"ab" * 600)
    bench.network.connections[0].close()
    assert bench.read() == lines('+QIURC: "closed",0')
    assert bench.run(0.49) == b""
    pieces = lines('+QIURC: "recv",0,1024,"' + "ab" * 512 + '"', '+QIURC: "recv",0,176,"' + "ab" * 88 + '"')
    assert bench.run(0.02) == pieces


def test_data_that_came_before_the_close_are_reported_before_close_ok() -> None:
    bench = Bench(closed_first=5.0, close_delay=0.0)
    bench.open()
    bench.network.connections[0].send(b"last")
    bench.network.connections[0].close()
    assert bench.read() == lines('+QIURC: "closed",0')
    assert bench.say("AT+QICLOSE=0") + bench.run(1.0) == OK + lines('+QIURC: "recv",0,4,"last"', "CLOSE OK")


def test_close_is_reported_twice() -> None:
    bench = Bench(closed_twice=True)
    bench.open()
    bench.network.connections[0].close()
    assert bench.read() == 2 * lines('+QIURC: "closed",0')


def test_what_was_sent_goes_out_though_the_socket_is_forgotten() -> None:
    bench = Bench(after_closed="forgotten", latency=1.0)
    bench.open()
    bench.run(2.0)
    bench.say('AT+QISEND=0,5,"hello"')
    bench.network.connections[0].close()
    bench.run(2.0)
    assert bench.network.connections[0].received == b"hello"
    assert bench.network.connections[0].is_finished


def test_an_answer_that_comes_while_a_datagram_socket_closes() -> None:
    """It is dropped, and does not keep the socket from its end."""
    bench = Bench(latency=0.02)
    bench.network.serve(9, lambda connection, data: connection.send(b"answer"))
    bench.say('AT+QIOPEN=0,0,"UDP","192.0.2.1",9')
    bench.say('AT+QISEND=0,3,"abc"')
    assert bench.say("AT+QICLOSE=0") == OK
    assert bench.run(5.0) == lines("CLOSE OK")
    assert bench.ask("AT+QISTATE?") == ["OK"]

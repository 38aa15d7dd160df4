"""AT+QISEND: BC260Y-CN TCP/IP guide 1.1 §2.3.5."""

from __future__ import annotations

import pytest

from nbsocket.sim import Fault
from tests.sim.bench import ERROR, FAILED, OK, SENT, Bench, lines

EVERY_BYTE = bytes(range(256))


@pytest.mark.parametrize(
    ("tail", "data", "rai"),
    [
        ('3,"313233"', b"123", 0),
        ('3,"313233",2', b"123", 2),
        ('1,"fF",1', b"\xff", 1),
        ("2,00ff", b"\x00\xff", 0),
        ('512,"' + "4a" * 512 + '",0', b"J" * 512, 0),
    ],
)
def test_hex(tail: str, data: bytes, rai: int) -> None:
    bench = Bench(send_format="hex")
    bench.open()
    assert bench.say(f"AT+QISEND=0,{tail}") == SENT
    assert bench.network.connections[0].messages == [data]
    assert list(bench.module.rai_modes) == [rai]


@pytest.mark.parametrize(
    "tail",
    ['3,"3132"', '3,"31323g"', '2,"313233"', '3,"31323"', '513,"' + "41" * 513 + '"', '3,"313233",3', '3,"313233', '3,',
     '0,""', '3,"313233",1,1', '3,"31 233"'],
)  # fmt: skip
def test_bad_hex_is_an_error_and_nothing_is_sent(tail: str) -> None:
    bench = Bench(send_format="hex")
    bench.open()
    assert bench.say(f"AT+QISEND=0,{tail}") == ERROR
    assert bench.network.connections[0].messages == []
    assert bench.ask("AT+QISEND=0,0") == ["+QISEND: 0,0,0", "OK"]


@pytest.mark.parametrize(
    ("tail", "data"),
    [
        ('10,"1234567890"', b"1234567890"),
        (r'17,"{\"a\":\"b\",\"b\":\"b\"}"', b'{"a":"b","b":"b"}'),
        ('17,"{"a":"b","b":"b"}"', b'{"a":"b","b":"b"}'),
        ('5,"a,"b,",2', b'a,"b,'),
        ("3,abc", b"abc"),
        ('1024,"' + "x" * 1024 + '"', b"x" * 1024),
    ],
)
def test_text(tail: str, data: bytes) -> None:
    bench = Bench()
    bench.open()
    assert bench.say(f"AT+QISEND=0,{tail}") == SENT
    assert bench.network.connections[0].messages == [data]


@pytest.mark.parametrize("tail", ['3,"ab"', '3,"abcd"', '1025,"' + "x" * 1025 + '"', '3,"abc",9', "3,abcd", '3,"abc'])
def test_bad_text_is_an_error(tail: str) -> None:
    bench = Bench()
    bench.open()
    assert bench.say(f"AT+QISEND=0,{tail}") == ERROR
    assert bench.network.connections[0].messages == []


@pytest.mark.parametrize(("option", "prompt"), [("bare", b">"), ("blank", b"\r\n> "), ("line", b"\r\n>\r\n")])
@pytest.mark.parametrize("data_format", ["text", "hex"])
def test_fixed_length_takes_every_byte(option: str, prompt: bytes, data_format: str) -> None:
    bench = Bench(prompt=option, send_format=data_format, echo=True)
    bench.open()
    assert bench.say("AT+QISEND=0,256") == b"AT+QISEND=0,256\r" + prompt
    assert bench.write(EVERY_BYTE[:100]) == b""
    assert bench.write(EVERY_BYTE[100:]) == SENT
    assert bench.say("AT") == b"AT\r" + OK
    assert bench.network.connections[0].messages == [EVERY_BYTE]


def test_crlf_after_the_command_is_not_payload() -> None:
    bench = Bench()
    bench.open()
    assert bench.write(b"AT+QISEND=0,3\r\n") == b"\r\n> "
    assert bench.write(b"\nabAT\r") == SENT + OK
    assert bench.network.connections[0].messages == [b"\nab"]


@pytest.mark.parametrize("size", ["1025", "-1", '"3"', "x"])
def test_bad_length_gets_no_prompt(size: str) -> None:
    bench = Bench()
    bench.open()
    assert bench.say(f"AT+QISEND=0,{size}") == ERROR


def test_open_length_ends_with_ctrl_z() -> None:
    bench = Bench()
    bench.open()
    assert bench.say("AT+QISEND=0") == b"\r\n> "
    assert bench.write(b"abc\r\ndef\x1aAT\r") == SENT + OK
    assert bench.network.connections[0].messages == [b"abc\r\ndef"]


def test_open_length_is_sent_by_itself_at_1024() -> None:
    bench = Bench()
    bench.open()
    bench.say("AT+QISEND=0")
    assert bench.write(b"x" * 1023) == b""
    assert bench.write(b"yAT\r") == SENT + OK
    assert bench.network.connections[0].messages == [b"x" * 1023 + b"y"]


def test_escape_cancels() -> None:
    bench = Bench(cmee=1)
    bench.open()
    bench.say("AT+QISEND=0")
    assert bench.write(b"abc\x1bAT\r") == lines("+CME ERROR: 571") + OK
    assert bench.network.connections[0].messages == []


def test_ok_may_come_before_the_prompt() -> None:
    bench = Bench(ok_before_prompt=True)
    bench.open()
    assert bench.say("AT+QISEND=0,3") == OK + b"\r\n> "
    assert bench.write(b"abc") == lines("SEND OK")


def test_one_lost_byte_leaves_the_module_waiting() -> None:
    bench = Bench()
    bench.open()
    bench.say("AT+QISEND=0,4")
    assert bench.write(b"abc") == b""
    assert bench.run(100) == b""
    assert bench.write(b"AT\r") == SENT  # its first byte was taken for payload, the rest is no command
    assert bench.network.connections[0].messages == [b"abcA"]


def test_strict_mode_loses_what_comes_before_the_prompt() -> None:
    bench = Bench(strict=True, prompt_delay=0.2)
    bench.open()
    assert bench.write(b"AT+QISEND=0,3\rxyz") == b""
    assert bench.run(0.2) == b"\r\n> "
    assert bench.write(b"abc") == SENT
    assert bench.network.connections[0].messages == [b"abc"]


@pytest.mark.parametrize(("option", "expected"), [("pass", True), ("hold", True), ("lose", False)])
def test_urcs_between_prompt_and_data(option: str, expected: bool) -> None:
    bench = Bench(data_mode_urcs=option)
    bench.open()
    bench.say("AT+QISEND=0,3")
    bench.network.connections[0].send(b"hello")
    report = lines('+QIURC: "recv",0,5,"hello"')
    assert bench.read() == (report if option == "pass" else b"")
    rest = bench.write(b"abc")
    assert rest == (SENT + report if option == "hold" else SENT)
    assert (report in rest or option == "pass") == expected


def test_urcs_between_ok_and_send_ok() -> None:
    bench = Bench(send_delay=1.0)
    bench.open()
    assert bench.say('AT+QISEND=0,1,"a"') == OK
    bench.network.connections[0].send(b"x")
    assert bench.read() == lines('+QIURC: "recv",0,1,"x"')
    assert bench.say("AT") == b""  # waits
    assert bench.run(1.0) == lines("SEND OK") + OK


def test_sending_to_nowhere() -> None:
    bench = Bench()
    for command in (
        'AT+QISEND=1,3,"abc"',
        "AT+QISEND=1,3",
        "AT+QISEND=1",
        "AT+QISEND=1,0",
        'AT+QISEND=7,3,"abc"',
        "AT+QISEND",
    ):
        assert bench.say(command) == ERROR


@pytest.mark.parametrize(("option", "answer"), [("fail", FAILED), ("error", ERROR)])
def test_sending_after_the_peer_closed(option: str, answer: bytes) -> None:
    bench = Bench(send_closed=option)
    bench.open()
    bench.network.connections[0].close()
    bench.read()
    assert bench.say('AT+QISEND=0,3,"abc"') == answer
    assert bench.network.connections[0].messages == []


def test_acknowledgement_counts() -> None:
    bench = Bench()
    bench.open()
    peer = bench.network.connections[0]
    bench.say('AT+QISEND=0,5,"hello"')
    assert bench.ask("AT+QISEND=0,0") == ["+QISEND: 5,5,0", "OK"]
    peer.acknowledges = False
    bench.say('AT+QISEND=0,3,"ACK"')
    assert bench.ask("AT+QISEND=0,0") == ["+QISEND: 8,5,3", "OK"]
    peer.acknowledge()
    assert bench.ask("AT+QISEND=0,0") == ["+QISEND: 8,8,0", "OK"]
    peer.close()
    bench.read()
    assert bench.ask("AT+QISEND=0,0") == ["+QISEND: 0,0,0", "OK"]


def test_acknowledgement_takes_a_round_trip() -> None:
    bench = Bench(latency=1.0)
    bench.open(host="203.0.113.1")
    bench.say('AT+QISEND=0,5,"hello"')
    assert bench.ask("AT+QISEND=0,0") == ["+QISEND: 5,0,5", "OK"]
    bench.run(0.99)
    assert bench.ask("AT+QISEND=0,0") == ["+QISEND: 5,0,5", "OK"]
    bench.run(0.02)
    assert bench.ask("AT+QISEND=0,0") == ["+QISEND: 5,5,0", "OK"]


def test_udp_counts_only_what_was_sent() -> None:
    bench = Bench()
    bench.open(service="UDP")
    bench.say('AT+QISEND=0,5,"hello"')
    assert bench.ask("AT+QISEND=0,0") == ["+QISEND: 5,0,0", "OK"]


def test_data_accepted_before_close_is_delivered_then_fin() -> None:
    bench = Bench(latency=1.0)
    bench.open(host="203.0.113.1")
    assert bench.say('AT+QISEND=0,5,"hello"') == SENT
    bench.say("AT+QICLOSE=0")
    assert bench.run(0.1) == lines("CLOSE OK")
    peer = bench.network.connections[0]
    assert (bytes(peer.received), peer.is_finished) == (b"", False)
    bench.run(1)
    assert (bytes(peer.received), peer.is_finished) == (b"hello", True)


def test_a_full_send_buffer_waits_and_then_fails() -> None:
    bench = Bench(send_buffer=1024)
    bench.open()
    bench.network.connections[0].acknowledges = False
    assert bench.say('AT+QISEND=0,1024,"' + "x" * 1024 + '"') == SENT
    assert bench.say('AT+QISEND=0,1,"y"') == OK
    assert bench.run(4.9) == b""
    assert bench.run(0.2) == lines("SEND FAIL")
    assert bench.say('AT+QISEND=0,1,"z"') == OK
    bench.network.connections[0].acknowledge()
    assert bench.run(1) == lines("SEND OK")
    assert bytes(bench.network.connections[0].received) == b"x" * 1024 + b"z"


@pytest.mark.parametrize(("style", "answer"), [("ok", FAILED), ("bare", lines("SEND FAIL"))])
@pytest.mark.parametrize("is_carried_out", [False, True])
def test_send_fail_with_and_without_ok(style: str, answer: bytes, is_carried_out: bool) -> None:
    bench = Bench(send_fail=style)
    bench.open()
    bench.module.inject(Fault("send_fail", is_carried_out=is_carried_out), bench.now)
    assert bench.say('AT+QISEND=0,3,"abc"') == answer
    assert bench.network.connections[0].messages == ([b"abc"] if is_carried_out else [])
    assert bench.ask("AT+QISEND=0,0")[0] == ("+QISEND: 3,3,0" if is_carried_out else "+QISEND: 0,0,0")
    assert bench.say('AT+QISEND=0,3,"abc"') == SENT


def test_a_forgotten_connection_acknowledges_nothing() -> None:
    bench = Bench(idle_timeout=600.0)
    bench.open()
    bench.say('AT+QISEND=0,1,"a"')
    bench.run(601)
    assert bench.say('AT+QISEND=0,3,"ACK"') == SENT
    assert bench.ask("AT+QISEND=0,0") == ["+QISEND: 4,1,3", "OK"]
    bench.run(100)
    assert bench.ask("AT+QISEND=0,0") == ["+QISEND: 4,1,3", "OK"]
    assert bytes(bench.network.connections[0].received) == b"a"


def test_a_forgotten_connection_hears_nothing() -> None:
    bench = Bench(idle_timeout=600.0)
    bench.open()
    bench.run(601)
    bench.say('AT+QISEND=0,3,"ACK"')
    bench.network.connections[0].send(b"abc")
    bench.network.connections[0].close()
    assert bench.run(10) == b""


@pytest.mark.parametrize(
    ("full_buffer", "answer"),
    [("fail", FAILED), ("error", ERROR), ("553", lines("+CME ERROR: 553")), ("568", lines("+CME ERROR: 568"))],
)
def test_a_full_send_buffer_that_refuses_at_once_and_drains(full_buffer: str, answer: bytes) -> None:
    """It is emptied by what is acknowledged, half a latency after it has arrived."""
    bench = Bench(send_buffer=1024, full_buffer=full_buffer, latency=2.0, cmee=1)
    bench.open()
    bench.run(3)
    command = 'AT+QISEND=0,600,"' + "x" * 600 + '"'
    assert bench.say(command) == SENT
    assert bench.say(command) == answer
    bench.run(1.9)
    assert bench.say(command) == answer
    bench.run(0.2)
    assert bench.say(command) == SENT
    bench.run(5)
    assert bench.network.connections[0].received == b"x" * 1200


def test_a_full_send_buffer_refuses_the_prompt() -> None:
    bench = Bench(send_buffer=1024, full_buffer="568", latency=2.0, cmee=1)
    bench.open()
    bench.run(3)
    bench.say("AT+QISEND=0,1000")
    bench.write(b"x" * 1000)
    assert bench.say("AT+QISEND=0,100") == lines("+CME ERROR: 568")

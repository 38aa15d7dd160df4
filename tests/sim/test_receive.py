"""Received data and closed connections: BC260Y-CN TCP/IP guide 1.1 §2.4."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sim.bench import OK, Bench, lines

LOOKALIKE = b'\r\n+QIURC: "closed",0\r\n"OK\x00\xff\x1a'


def test_text_is_raw_and_unescaped() -> None:
    bench = Bench()
    bench.open()
    bench.network.connections[0].send(LOOKALIKE)
    assert bench.read() == b'\r\n+QIURC: "recv",0,%d,"' % len(LOOKALIKE) + LOOKALIKE + b'"\r\n'


@pytest.mark.parametrize(
    ("options", "payload"),
    [
        ({}, b'"00afff"'),
        ({"hex_case": "upper"}, b'"00AFFF"'),
        ({"quoted_payload": False}, b"00afff"),
        ({"quoted_payload": False, "hex_case": "upper"}, b"00AFFF"),
        ({"colon_space": False}, b'"00afff"'),
    ],
)
def test_hex(options: dict[str, Any], payload: bytes) -> None:
    bench = Bench(receive_format="hex", **options)
    bench.open()
    bench.network.connections[0].send(b"\x00\xaf\xff")
    colon = b":" if "colon_space" in options else b": "
    assert bench.read() == b"\r\n+QIURC" + colon + b'"recv",0,3,' + payload + b"\r\n"


def test_the_format_changes_at_once() -> None:
    bench = Bench()
    bench.open()
    bench.say('AT+QICFG="dataformat",0,1')
    bench.network.connections[0].send(b"1")
    assert bench.read() == lines('+QIURC: "recv",0,1,"31"')


@pytest.mark.parametrize("service", ["TCP", "UDP"])
def test_at_most_1024_bytes_a_report(service: str) -> None:
    bench = Bench()
    bench.open(service=service)
    bench.network.connections[0].send(b"a" * 1024 + b"b" * 1024 + b"c")
    reports = [("a", 1024), ("b", 1024), ("c", 1)]
    assert bench.read() == lines(*(f'+QIURC: "recv",0,{size},"{letter * size}"' for letter, size in reports))


def test_an_empty_datagram_is_reported() -> None:
    bench = Bench()
    bench.open(service="UDP")
    bench.network.connections[0].send(b"")
    bench.network.connections[0].send(b"x")
    assert bench.read() == lines('+QIURC: "recv",0,0,""', '+QIURC: "recv",0,1,"x"')


@pytest.mark.parametrize("is_reset", [False, True])
def test_all_data_comes_before_closed(is_reset: bool) -> None:
    bench = Bench(baudrate=9600, latency=0.5)
    bench.open()
    peer = bench.network.connections[0]
    peer.send(b"x" * 3000)
    peer.reset() if is_reset else peer.close()
    output = bench.run(10)
    assert output.count(b"x") == 3000
    assert output.endswith(b'x"\r\n' + lines('+QIURC: "closed",0'))


def test_sockets_take_turns() -> None:
    bench = Bench(baudrate=115200)
    for socket_id in range(2):
        bench.open(socket_id)
    for peer in bench.network.connections:
        peer.send(b"x" * 4096)
    order = [part[:1] for part in bench.run(10).split(b'"recv",')[1:]]
    assert order == [b"0", b"1"] * 4


def test_a_busy_line_makes_the_peer_wait() -> None:
    bench = Bench(baudrate=9600)
    bench.open()
    peer = bench.network.connections[0]
    for _ in range(100):
        peer.send(b"x" * 1024)
        bench.run(0.01)
    assert not peer.is_receiving
    assert len(bench.module.uart.outbound) < 4096
    assert bench.run(60).count(b"x") > 50_000
    assert bench.run(60).count(b"x") < 52_400
    assert peer.is_receiving


def test_an_answer_does_not_wait_for_all_that_was_received() -> None:
    bench = Bench(baudrate=115200)
    bench.open()
    bench.network.connections[0].send(b"x" * 16000)
    bench.run(0.05)
    bench.write(b"AT\r")
    assert b"\r\nOK\r\n" in bench.run(0.3)


def test_nothing_is_reported_after_close() -> None:
    bench = Bench(latency=1.0)
    bench.open()
    bench.network.connections[0].send(b"late")
    bench.read()
    assert bench.say("AT+QICLOSE=0") == OK
    assert bench.run(10) == lines("CLOSE OK")

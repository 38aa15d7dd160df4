"""Pacing of the serial line and of the air, under a virtual clock."""

from __future__ import annotations

import pytest

from nbsocket.sim._uart import REACTION_TIME, Lateness
from tests.sim.bench import OK, SENT, Bench, lines


def seconds_until(bench: Bench, end: bytes, limit: float = 60.0) -> float:
    start, output = bench.now, bench.read()
    while end not in output:
        deadline = bench.module.next_deadline()
        assert deadline is not None and deadline <= start + limit, output
        bench.now = max(bench.now, deadline)
        output += bench.module.data_to_send(bench.now)
    return bench.now - start


@pytest.mark.parametrize("rate", [9600, 115200])
def test_a_command_and_its_answer_take_their_time(rate: int) -> None:
    bench = Bench(baudrate=rate)
    assert bench.write(b"AT+CSQ\r") == b""
    size = len(b"AT+CSQ\r" + lines("+CSQ: 20,0") + OK)
    assert seconds_until(bench, OK) == pytest.approx(size * 10 / rate, rel=0.01)


def test_throughput_of_received_data_is_that_of_the_line() -> None:
    bench = Bench(baudrate=115200, receive_format="hex")
    bench.open(host="203.0.113.1")
    bench.run(1)
    for _ in range(16):
        bench.network.connections[0].send(b"\x00" * 1024)
    start, total = bench.now, 0
    output = b""
    while output.count(b'"recv"') < 16 or not output.endswith(b'0"\r\n'):
        deadline = bench.module.next_deadline()
        assert deadline is not None
        bench.now = max(deadline, bench.now)
        output += bench.module.data_to_send(bench.now)
    total = len(output)
    assert bench.now - start == pytest.approx(total * 10 / 115200, rel=0.01)


@pytest.mark.parametrize("grain", [0.001, 0.01, 0.05])
def test_bytes_reach_the_host_a_grain_at_a_time(grain: float) -> None:
    bench = Bench(baudrate=115200, grain=grain, receive_format="text")
    bench.open(host="203.0.113.1")
    bench.run(1)
    bench.network.connections[0].send(b"\x00" * 1024)
    sizes = []
    while deadline := bench.module.next_deadline():
        halfway = (bench.now + deadline) / 2
        assert bench.module.data_to_send(max(halfway, bench.now)) == b"", "not before the grain is complete"
        bench.now = max(deadline, bench.now)
        sizes.append(len(bench.module.data_to_send(bench.now)))
        if sum(sizes) > 1024:
            break
    assert set(filter(None, sizes[:-1])) == {int(11520 * grain)}


def test_what_a_late_thread_delays_is_not_charged_to_the_host() -> None:
    lateness = Lateness()
    assert lateness.date(5.0) == 5.0
    lateness.hand_over(due=6.0, now=6.003)
    assert lateness.date(6.004) == pytest.approx(6.001)
    assert lateness.date(6.005) == 6.005, "once a hand-over"
    lateness.hand_over(due=7.0, now=7.003)
    assert lateness.date(8.0) == 8.0, "the host took its time"
    lateness.hand_over(due=9.0, now=9.5)
    assert lateness.date(9.501) == pytest.approx(9.501 - REACTION_TIME), "at most as long as a host may take to react"
    lateness.hand_over(due=10.0, now=9.999)
    assert lateness.date(10.0) == 10.0


def test_coarse_steps_give_the_same_as_fine_ones() -> None:
    def play(step: float) -> bytes:
        bench = Bench(baudrate=9600, latency=0.3)
        output = bench.write(b'AT+QIOPEN=0,0,"TCP","203.0.113.1",1\rAT+CSQ\rAT+QIDNSGIP=0,"x.example"\r')
        end = bench.now + 3
        while bench.now < end:
            bench.now += step
            output += bench.read()
        return output

    assert play(0.001) == play(0.05) == play(3.0)


def test_the_line_lets_the_host_wait() -> None:
    bench = Bench(baudrate=9600)
    assert bench.module.room == 8192
    bench.write(b"x" * 8192)
    assert bench.module.room == 0
    bench.run(1)
    assert bench.module.room == pytest.approx(960, abs=15)


def test_a_new_rate_holds_once_the_ok_is_out() -> None:
    bench = Bench(baudrate=9600)
    bench.write(b"AT+IPR=115200\r")
    assert bench.run(1) == OK
    bench.write(b"AT+IPR?\r")
    assert seconds_until(bench, OK) == pytest.approx(32 * 10 / 115200, rel=0.1)


def test_a_host_at_another_rate_is_not_understood() -> None:
    bench = Bench(baudrate=9600, strict_baud=True)
    bench.module.set_host_rate(115200)
    bench.write(b"AT\r")
    assert bench.run(1) == b""
    bench.module.restart(bench.now)
    noise = bench.run(1)
    assert noise and not any(32 <= byte < 127 for byte in noise)
    bench.module.set_host_rate(9600)
    bench.write(b"AT\r")
    assert bench.run(1) == b"AT\r" + OK


def test_latency_of_everything() -> None:
    bench = Bench(latency=1.0)
    assert bench.say('AT+QIOPEN=0,0,"TCP","203.0.113.1",80') == OK
    assert bench.run(0.99) == b""
    assert bench.run(0.02) == lines("+QIOPEN: 0,0")
    assert bench.say('AT+QISEND=0,3,"abc"') == SENT
    peer = bench.network.connections[0]
    bench.run(0.49)
    assert peer.received == b""
    bench.run(0.02)
    assert peer.received == b"abc"
    peer.send(b"x")
    bench.read()
    assert bench.run(0.49) == b""
    assert bench.run(0.02) == lines('+QIURC: "recv",0,1,"x"')


def test_a_name_costs_a_round_trip_more() -> None:
    bench = Bench(latency=1.0)
    bench.say('AT+QIOPEN=0,0,"TCP","x.example",80')
    assert bench.run(1.99) == b""
    assert bench.run(0.02) == lines("+QIOPEN: 0,0")


def test_the_air_has_a_rate_each_way() -> None:
    bench = Bench(radio_rate=1000.0, send_buffer=1 << 20)
    bench.open(host="203.0.113.1")
    bench.run(1)
    for _ in range(4):
        assert bench.say('AT+QISEND=0,1000,"' + "x" * 1000 + '"') == SENT
    peer = bench.network.connections[0]
    peer.send(b"y" * 1000)
    bench.read()
    bench.run(0.99)
    assert (len(peer.received)) == 0
    assert b"yyy" in bench.run(0.02)
    assert len(peer.received) == 1000
    bench.run(3)
    assert len(peer.received) == 4000


def test_lost_datagrams_are_the_same_for_the_same_seed() -> None:
    def play(seed: int) -> list[bytes]:
        bench = Bench(loss=0.5, seed=seed)
        bench.open(service="UDP")
        for number in range(40):
            assert bench.say(f'AT+QISEND=0,2,"{number:02}"') == SENT
        return bench.network.connections[0].messages

    assert play(1) == play(1) != play(2)
    assert 8 < len(play(1)) < 32

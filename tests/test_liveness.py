"""Acknowledgement before close (§4.2.9), dead sessions (§4.2.10) and the 70-s port rule (§2.3.2), on virtual time."""

from __future__ import annotations

import errno
from itertools import pairwise
from typing import Any

import pytest

from nbsocket._driver import (
    ConnectionEnded,
    ConnectionReset,
    DataReceived,
    GetUnacked,
    PeerClosed,
    RawCommand,
    Settings,
)
from nbsocket.sim import ModelConnection, ModelNetwork
from tests.rig import Rig

ASK = rb"QISEND=0,0\r"
CLOSE = rb"QICLOSE=0\r"


def deaf(connection: ModelConnection, data: bytes) -> None:
    """A peer that acknowledges nothing."""
    connection.acknowledges = False


def dead_end(**options: Any) -> Rig:
    """A rig whose peers at port 80 acknowledge nothing."""
    network = ModelNetwork()
    network.serve(80, deaf)
    return Rig(network=network, **options).start()


# -- §4.2.9


def test_close_waits_for_the_acknowledgement() -> None:
    rig = dead_end()
    key = rig.open()
    rig.write(key, b"hello")
    closed_at = rig.now
    rig.driver.end_of_data(key, 60.0, rig.now)
    rig.run(20)
    assert rig.times_of(CLOSE) == [], "20 s later the peer has not acknowledged yet"
    assert rig.times_of(ASK) != []
    rig.peer.acknowledge()
    rig.take(ConnectionEnded)
    assert rig.now - closed_at < 30 and len(rig.times_of(CLOSE)) == 1
    assert list(rig.module.commands)[-2:] == ["AT+QISEND=0,0", "AT+QICLOSE=0"]


def test_close_does_not_wait_for_ever() -> None:
    rig = dead_end()
    key = rig.open()
    rig.write(key, b"hello")
    closed_at = rig.now
    rig.driver.end_of_data(key, 60.0, rig.now)
    rig.take(ConnectionEnded)
    assert 60 <= rig.now - closed_at < 61
    assert any("not acknowledged" in line for line in rig.logs)


def test_close_with_everything_acknowledged_is_at_once() -> None:
    rig = Rig().start()
    key = rig.open()
    rig.write(key, b"hello")
    rig.run(30)
    asked, now = len(rig.times_of(ASK)), rig.now
    rig.driver.end_of_data(key, 60.0, rig.now)
    rig.take(ConnectionEnded)
    assert len(rig.times_of(ASK)) == asked and rig.now - now < 1


# -- §4.2.10


def test_dead_session_ends_with_etimedout() -> None:
    """Nothing acknowledged for TCP_USER_TIMEOUT; the manual waits 30 s and 60 s more."""
    rig = dead_end()
    key = rig.open()
    rig.driver.set_option(key, "user_timeout", 90.0)
    rig.write(key, b"ACK")
    began = rig.now
    reset = rig.take(ConnectionReset)
    assert isinstance(reset.error, TimeoutError) and reset.error.result == 569  # type: ignore[attr-defined]  # ours
    assert 89 <= rig.now - began <= 91
    rig.take(ConnectionEnded)
    times = rig.times_of(ASK)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert len(times) <= 8 and gaps[:-1] == sorted(gaps[:-1]), "asked at growing intervals"
    assert len(rig.times_of(CLOSE)) == 1


def test_the_default_is_two_minutes() -> None:
    rig = dead_end()
    key = rig.open()
    rig.write(key, b"ACK")
    began = rig.now
    rig.take(ConnectionReset)
    assert 119 <= rig.now - began <= 121


def test_ack_timeout_of_the_settings() -> None:
    network = ModelNetwork()
    network.serve(80, deaf)
    rig = Rig(Settings(baudrate=115200, ack_timeout=20.0), network).start()
    key = rig.open()
    rig.write(key, b"ACK")
    began = rig.now
    rig.take(ConnectionReset)
    assert 19 <= rig.now - began <= 21


def test_closed_within_30_seconds() -> None:
    """The first of the manual's two endings: the network tells after all."""
    rig = dead_end()
    key = rig.open()
    rig.write(key, b"ACK")
    rig.inject("closed", after=25.0, socket_id=0)
    began = rig.now
    reset = rig.take(ConnectionReset)
    assert reset.error.errno == errno.ECONNRESET and 25 <= rig.now - began < 32


def test_session_that_the_network_forgot_is_found_dead_by_the_next_send() -> None:
    rig = Rig(idle_timeout=600.0).start()
    key = rig.open()
    rig.write(key, b"one")
    rig.run(1000)
    assert not rig.has(ConnectionReset), "nothing outstanding: nothing is asked"
    asked = len(rig.times_of(ASK))
    rig.run(1000)
    assert len(rig.times_of(ASK)) == asked
    rig.write(key, b"two")
    began = rig.now
    assert isinstance(rig.take(ConnectionReset).error, TimeoutError)
    assert rig.now - began <= 121
    assert rig.peer.received == b"one"


def test_slow_but_living_session_is_kept() -> None:
    """A peer that acknowledges in time again and again, and one that answers."""
    rig = dead_end()
    key = rig.open()
    for _ in range(5):
        rig.write(key, b"x")
        rig.run(100)
        rig.peer.acknowledge()
        rig.run(30)
        rig.peer.acknowledges = False
    rig.write(key, b"question")
    rig.run(100)
    rig.peer.send(b"answer")
    assert rig.take(DataReceived).data == b"answer"
    rig.run(300)
    assert not rig.has(ConnectionReset) and not rig.has(PeerClosed)


def test_unacknowledged_bytes_can_be_read() -> None:
    rig = dead_end()
    key = rig.open()
    rig.write(key, b"12345")
    assert rig.ask(GetUnacked(key)) == 5
    rig.peer.acknowledge()
    assert rig.ask(GetUnacked(key)) == 0


# -- the port rule


@pytest.mark.parametrize("service", ["TCP", "UDP"])
def test_local_port_is_busy_for_70_seconds_after_its_close(service: str) -> None:
    rig = Rig().start()
    key = rig.open(service, local_port=50000)
    rig.driver.abort(key, rig.now)
    rig.take(ConnectionEnded)
    rig.run(20)
    asked = len(rig.module.commands)
    with pytest.raises(OSError, match="local port 50000 busy for another 50 s") as caught:
        rig.open(service, local_port=50000)
    assert caught.value.errno == errno.EADDRINUSE
    assert len(rig.module.commands) == asked, "known without asking the module"
    rig.run(50)
    rig.open(service, local_port=50000)


@pytest.mark.parametrize("code", [556, 574])
def test_local_port_that_only_the_module_knows_to_be_busy(code: int) -> None:
    """Closed by an earlier process: the module says so."""
    rig = Rig(port_busy=code).start()
    rig.ask(RawCommand('AT+QIOPEN=0,4,"TCP","10.0.0.9",81,50000,1', wants_outcome=True))
    rig.ask(RawCommand("AT+QICLOSE=4", wants_outcome=True))
    with pytest.raises(OSError) as caught:
        rig.open(local_port=50000)
    assert caught.value.errno == errno.EADDRINUSE
    assert caught.value.result == code  # type: ignore[attr-defined]  # of our errors

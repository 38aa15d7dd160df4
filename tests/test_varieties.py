"""The same work with every kind of module: the transcript shows what is special, the application sees no difference."""

from __future__ import annotations

import errno
import re
import socket
from typing import Any

import pytest

from nbsocket._driver import (
    Connected,
    ConnectionEnded,
    DataReceived,
    GetDnsServers,
    GetInfo,
    GetSockets,
    GetStatus,
    PeerClosed,
    Ping,
    RawCommand,
    Resolve,
    SetDnsServers,
    Settings,
    SyncTime,
)
from nbsocket.sim import Options
from tests.helpers import EVERY_BYTE, pattern
from tests.rig import Rig
from tests.varieties import VARIETIES, chosen, suited

#: Options that only say how much there is of something, or what the world around the module is like.
#: Other models have tests of their own: tests/sim/test_models.py.
#: ``deaf_time`` costs unanswered commands, which the usual scenario is to go without: tests/driver/test_pace.py.
_NO_VARIETY = {
    "model",
    "strict_baud", "loss", "seed", "imei", "rssi", "address", "apn", "needs_apn", "hosts", "dns", "dns_servers",
    "sleep_delay", "wake_delay", "wake_answer", "sleep_events", "clock", "time_zone", "idle_timeout",
    "context_reports", "stores_settings", "stores_echo",
    "dead_after", "connect_timeout", "port_hold", "ping_times", "grain", "sim_card", "deaf_time",
    "pin", "pin_attempts", "pdp_type",
    "rsrp", "rsrq", "sinr", "ecl", "band", "earfcn", "pci", "cell", "tac", "operator", "operator_name", "imsi", "iccid",
    "voltage", "reject_cause", "granted_active_time", "granted_periodic_time", "edrx", "granted_edrx", "connected_time",
    "wakes_by_line",
}  # fmt: skip

CASES = [(name, data_format) for name, variety in VARIETIES.items() for data_format in variety.formats]


def received(rig: Rig, size: int) -> bytes:
    """Take so many bytes of the stream."""
    data = b""
    while len(data) < size:
        data += rig.take(DataReceived).data
    return data


def scenario(rig: Rig) -> None:
    """Everything that a program may do, with what it must see."""
    rig.start()
    talk(rig)
    datagrams(rig)
    questions(rig)
    accidents(rig)


def talk(rig: Rig) -> None:
    """A stream both ways, up to its end by the peer."""
    key = rig.open("TCP", "10.0.0.9", 80)
    peer = rig.peer
    for data in (b"\xca\xff\n\x22", EVERY_BYTE, pattern(1500), b'\r\n+QIURC: "closed",0\r\n'):
        rig.write(key, data)
        rig.run(60)
        assert peer.received.endswith(data)
        peer.send(data)
        assert received(rig, len(data)) == data
    assert rig.ask(GetSockets())[0].is_ours
    rig.inject("send_fail", match=r"QISEND=0,[1-9]")
    rig.write(key, b"once more")
    rig.run(60)
    assert peer.received.endswith(b"once more")
    peer.send(b"and the last")
    peer.close()
    assert received(rig, 12) == b"and the last"
    if rig.module.options.after_closed == "error":
        with pytest.raises(OSError):
            rig.ask(RawCommand("AT+QISTATE=1,0"))
    else:
        rig.ask(RawCommand("AT+QISTATE=1,0"))
    assert rig.take(PeerClosed).key == key
    assert rig.take(ConnectionEnded).key == key


def datagrams(rig: Rig) -> None:
    """A datagram each way, then a close by us."""
    key = rig.open("UDP", "hf.quectel.com", 2020)
    rig.write(key, b"\x00\x1a\x1b")
    rig.run(30)
    assert rig.peer.messages == [b"\x00\x1a\x1b"]
    rig.peer.send(b"answer")
    assert rig.take(DataReceived).data == b"answer"
    rig.driver.end_of_data(key, 10.0, rig.now)
    assert rig.take(ConnectionEnded).key == key


def questions(rig: Rig) -> None:
    """Every request."""
    options = rig.module.options
    assert rig.ask(GetInfo()).revision == f"BC260YCNAAR01{options.firmware}"
    status = rig.ask(GetStatus())
    assert (status.registered, status.rssi, status.address) == (True, -73, "10.18.237.42")
    [address] = rig.ask(Resolve("broker.example"))
    assert address.startswith("198.1")
    with pytest.raises(socket.gaierror) as caught:
        rig.ask(Resolve("nowhere.invalid"))
    assert caught.value.errno == socket.EAI_NONAME
    rig.ask(SetDnsServers("1.1.1.1", "9.9.9.9"))
    assert rig.ask(GetDnsServers()).secondary_ipv4 == "9.9.9.9"
    result = rig.ask(Ping("10.0.0.9", count=3))
    lost = {"ok": 0, "lossy": 1}.get(options.ping, 3)
    assert (result.sent, result.received, result.lost) == (3, 3 - lost, lost)
    assert abs(rig.ask(SyncTime("ntp.example")).timestamp() - rig.module.life.true_time(rig.now).timestamp()) < 15
    with pytest.raises(OSError) as failed:
        rig.ask(SyncTime("nowhere.invalid"))
    assert failed.value.result == 565  # type: ignore[attr-defined]  # of our errors


def accidents(rig: Rig) -> None:
    """Refusals: an id in use, a busy port, a refused peer, a close of what is not open."""
    rig.ask(RawCommand('AT+QIOPEN=0,4,"UDP","10.0.0.9",81,50000,1', wants_outcome=True))
    in_use = RawCommand('AT+QIOPEN=0,4,"UDP","10.0.0.9",81', wants_outcome=True)
    if rig.module.options.open_in_use == "urc":
        assert rig.ask(in_use) == ["+QIOPEN: 4,563"]
    else:
        with pytest.raises(OSError):
            rig.ask(in_use)
    rig.ask(RawCommand("AT+QICLOSE=4", wants_outcome=True))
    with pytest.raises(OSError) as caught:
        rig.open("UDP", port=82, local_port=50000)
    assert caught.value.errno == errno.EADDRINUSE
    unopened = RawCommand("AT+QICLOSE=3", wants_outcome=True)
    if rig.module.options.close_unopened == "ok":
        assert rig.ask(unopened) == ["CLOSE OK"]
    else:
        with pytest.raises(OSError):
            rig.ask(unopened)
    rig.network.refuse(83)
    with pytest.raises(ConnectionRefusedError):
        rig.open(port=83)
    assert not rig.has(Connected)
    rig.run(30)
    assert rig.ask(GetSockets()) == []
    assert rig.driver.counters["restarts"] == rig.driver.counters["resyncs"] == 0


@pytest.mark.parametrize(("name", "data_format"), CASES)
def test_variety(name: str, data_format: Any) -> None:
    variety = VARIETIES[name]
    rig = Rig(Settings(baudrate=115200, data_format=data_format), **variety.options)
    scenario(rig)
    down = rig.down()
    assert re.search(variety.shows, down, re.DOTALL), "it does not show on the wire"
    echo_off = down.find(b"AT\r") if name == "no_echo_at_start" else down.find(b"ATE0\r") + 5
    assert not variety.hides or not re.search(variety.hides, down[max(echo_off, 0) :])


@pytest.mark.parametrize("n", range(6))
def test_registration_in_every_form(n: int) -> None:
    """AT+CEREG=0 to 5: the answer and the URC have more and more fields."""
    rig = Rig().start()
    rig.module.life.cereg = n  # not by a command of the user's: after that the driver sees to it that it is told
    before = len(rig.wire)
    assert rig.ask(GetStatus()).registration == "registered, home network"
    rig.inject("deregister")
    rig.run(0.1)
    assert rig.driver.is_ready == (n == 0), "without URCs it is not told"
    rig.inject("register")
    rig.run(1)
    assert rig.driver.is_ready
    down = rig.down(before)
    assert re.search(rb"\+CEREG: %d,1" % n + (rb",\"3C5E\"" if n >= 2 else rb"\r"), down)
    assert (b"\r\n+CEREG: 2\r\n" in down) == (n > 0)


@pytest.mark.parametrize("mode", [0, 1, 2])
def test_errors_in_every_form(mode: int) -> None:
    """AT+CMEE=0 to 2: no reason, its number, its words."""
    rig = Rig().start()
    rig.module.cmee = mode  # not by a command of the user's, which the driver puts right again
    with pytest.raises(OSError) as caught:
        rig.ask(RawCommand("AT+QICLOSE=3"))
    line = {0: b"\r\nERROR\r\n", 1: b"+CME ERROR: 567\r\n", 2: b"+CME ERROR: Socket has been closed\r\n"}[mode]
    assert rig.down().endswith(line)
    assert caught.value.result == (567 if mode else None)  # type: ignore[attr-defined]  # of our errors


def test_every_quirk_of_the_simulator_is_a_variety() -> None:
    used = {option for variety in VARIETIES.values() for option in variety.options}
    assert set(Options.__dataclass_fields__) - _NO_VARIETY - used == set()
    assert used & _NO_VARIETY == set()


def test_every_choice_is_a_variety() -> None:
    for name, row in Options.__dataclass_fields__.items():
        choices = row.metadata["choices"]
        if name in _NO_VARIETY or not choices or name == "registration":
            continue
        tried = {variety.options[name] for variety in VARIETIES.values() if name in variety.options}
        assert set(choices) <= tried | {row.default}, name


def test_chosen() -> None:
    assert chosen("") == {}
    assert chosen("A02") == {"firmware": "A02"}
    assert chosen("firmware=A02&prompt=bare") == {"firmware": "A02", "prompt": "bare"}
    assert set(suited()) < set(VARIETIES)
    for text in ("A99", "firmware=A99", "colour=red"):
        with pytest.raises(ValueError):
            chosen(text)

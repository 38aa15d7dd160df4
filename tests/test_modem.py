"""Modem: its calls against the simulator, what it refuses before a byte is sent, and the process's default modem."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from nbsocket import Modem, configure
from nbsocket import _default_modem as modem_module
from nbsocket._default_modem import default_modem
from nbsocket._driver import DnsServers, ModuleInfo
from nbsocket._parameter import check_host
from nbsocket.sim import Fault, Simulator
from tests.helpers import sim_url

MakeModem = Callable[..., Modem]


@pytest.fixture
def one(make_simulator: Callable[..., Simulator]) -> Iterator[Modem]:
    servers = ("192.0.2.1", "192.0.2.2", "", "")
    modem = Modem(make_simulator(firmware="A03", dns={"broker.example": "198.51.100.7"}, dns_servers=servers).path)
    yield modem
    modem.close()


@pytest.fixture
def no_default() -> Iterator[None]:
    modem_module._default = None
    yield
    if modem_module._default is not None:
        modem_module._default.close()
    modem_module._default = None


# -- what the module tells


def test_details_are_those_of_the_single_questions(one: Modem) -> None:
    info, status, settings, details = one.info(), one.status(), one.settings(), one.details()
    assert (details.model, details.revision, details.imei) == (info.model, info.revision, info.imei)
    assert (details.registration, details.rssi, details.address) == (status.registration, status.rssi, status.address)
    assert (details.send_format, details.baudrate) == (settings.send_format, settings.baudrate)
    assert details.psm is not None and details.psm.is_on == settings.saves_power
    assert details.dns == (one.dns_servers().primary_ipv4, one.dns_servers().secondary_ipv4)
    assert (details.sim, details.operator, details.rsrp, details.cell) == ("ready", "46004", -84, "0A1B2C3D")


def test_info_and_status(one: Modem) -> None:
    assert one.info() == ModuleInfo("Quectel_Ltd", "Quectel_BC260Y-CN", "BC260YCNAAR01A03", "869000000000001")
    status = one.status()
    assert status.registered and status.rssi == -73 and status.address == "10.18.237.42"


def test_resolve(one: Modem) -> None:
    assert one.resolve("broker.example") == ["198.51.100.7"]
    with pytest.raises(socket.gaierror) as caught:
        one.resolve("nowhere.invalid")
    assert caught.value.errno == socket.EAI_NONAME
    assert caught.value.result == 565  # type: ignore[attr-defined]  # of our errors


def test_dns_servers(one: Modem) -> None:
    assert one.dns_servers() == DnsServers("192.0.2.1", "192.0.2.2", "", "")
    one.set_dns_servers("192.0.2.3", "192.0.2.4")
    assert one.dns_servers() == DnsServers("192.0.2.3", "192.0.2.4", "", "")


def test_ping(one: Modem) -> None:
    result = one.ping("198.51.100.7", count=2)
    assert (result.sent, result.received, result.lost) == (2, 2, 0)
    assert [reply.address for reply in result.replies] == ["198.51.100.7"] * 2


def test_ntp_and_clock(one: Modem) -> None:
    now = datetime.now(timezone.utc)
    for value in (one.ntp("198.51.100.9"), one.clock()):
        assert value.tzinfo is not None and abs(value - now) < timedelta(seconds=5)


def test_sockets_and_command(one: Modem) -> None:
    assert one.sockets() == []
    assert one.command("AT+CSQ") == ["+CSQ: 20,0"]
    assert one.command("AT") == []
    with pytest.raises(OSError) as caught:
        one.command("AT+NOSUCH")
    assert caught.value.command == "AT+NOSUCH"  # type: ignore[attr-defined]  # of our errors


def test_stats_count(one: Modem) -> None:
    assert one.stats().commands == 0
    one.command("AT")
    stats = one.stats()
    assert stats.commands > 1 and stats.bytes_up > 10 and stats.bytes_down > 10 and stats.wakeups > 1


def test_nothing_before_it_is_needed(make_simulator: Callable[..., Simulator]) -> None:
    simulator = make_simulator()
    modem = Modem(simulator.path)
    modem.stats()
    assert modem.segment_size == 512 and Modem("sim://", data_format="raw").segment_size == 1024
    assert simulator.commands == []
    with modem:
        assert simulator.commands
    modem.close()


def test_wait_attached(make_modem: MakeModem) -> None:
    modem = make_modem(attached=False, attach_delay=0.05)
    modem.wait_attached()
    assert modem.status().registered


def test_not_registered(make_modem: MakeModem) -> None:
    modem = make_modem(registration="denied")
    with pytest.raises(OSError, match="not attached") as caught:
        modem.wait_attached(0.2)
    assert caught.value.errno == errno.ENETDOWN
    assert not modem.status().registered


def test_silent_module(make_simulator: Callable[..., Simulator]) -> None:
    simulator = make_simulator()
    simulator.inject(Fault("silence", times=1000))
    modem = Modem(simulator.path)
    with pytest.raises(OSError) as caught:
        modem.open(0.2)
    assert caught.value.errno == errno.ETIMEDOUT
    # Neither thread nor lock stays behind.
    Modem(simulator.path).close()
    assert not modem.engine.stats().connections


def test_unknown_port() -> None:
    with pytest.raises(FileNotFoundError, match="there is no serial port /dev/nonexistent"):
        Modem("/dev/nonexistent").info()


# -- what is refused before anything is sent

BAD_CALLS: list[tuple[str, Callable[[Modem], Any], str]] = [
    ("host of 151", lambda modem: modem.resolve("a" * 151), "1 to 150"),
    ("empty host", lambda modem: modem.resolve(""), "1 to 150"),
    ("injection", lambda modem: modem.resolve('x",1\r\nAT+CFUN=0\r'), "without quotes"),
    ("not ASCII", lambda modem: modem.ping("bücher.example"), "ASCII"),
    ("ping timeout", lambda modem: modem.ping("a", timeout=0), "1 to 255"),
    ("ping timeout 256", lambda modem: modem.ping("a", timeout=256), "1 to 255"),
    ("ping count", lambda modem: modem.ping("a", count=11), "1 to 10"),
    ("ping size 31", lambda modem: modem.ping("a", size=31), "32 to 1500"),
    ("ping size 1501", lambda modem: modem.ping("a", size=1501), "32 to 1500"),
    ("ntp port 0", lambda modem: modem.ntp("a", 0), "1 to 65535"),
    ("ntp port 65536", lambda modem: modem.ntp("a", 65536), "1 to 65535"),
    ("dns server", lambda modem: modem.set_dns_servers("1" * 65), "1 to 64"),
    ("dns quote", lambda modem: modem.set_dns_servers("192.0.2.1", '"'), "without quotes"),
    ("two lines", lambda modem: modem.command("AT\rAT+CFUN=0"), "AT"),
    ("no AT", lambda modem: modem.command("+CSQ"), "AT"),
    ("negative timeout", lambda modem: modem.wait_attached(-1), "0 or more"),
    ("negative timeout of a command", lambda modem: modem.command("AT", -0.5), "0 or more"),
    ("not a number", lambda modem: modem.open(float("nan")), "0 or more"),
]


@pytest.mark.parametrize(("call", "words"), [row[1:] for row in BAD_CALLS], ids=[row[0] for row in BAD_CALLS])
def test_refused(make_simulator: Callable[..., Simulator], call: Callable[[Modem], Any], words: str) -> None:
    simulator = make_simulator()
    modem = Modem(simulator.path)
    with pytest.raises(ValueError, match=words):
        call(modem)
    assert simulator.stats().bytes_up == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"port": ""}, "/dev/ttyUSB0"),
        ({"baudrate": 12345}, "115200"),
        ({"data_format": "text"}, "'hex' or 'raw'"),
        ({"power": "off"}, "'awake' or 'psm'"),
        ({"attach_timeout": 0.0}, "positive"),
        ({"apn": 'a"b'}, "quote"),
    ],
)
def test_wrong_options(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Modem(**{"port": "sim://", **options})


def test_wrong_types() -> None:
    with pytest.raises(TypeError, match="port must be a str"):
        Modem(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="count must be an int"):
        Modem("sim://").ping("a", count=2.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="host must be a str"):
        Modem("sim://").resolve(b"a")  # type: ignore[arg-type]


def test_check_host_gives_it_back() -> None:
    assert check_host("a" * 150) == "a" * 150
    assert check_host("2001:db8::1") == "2001:db8::1"
    with pytest.raises(ValueError, match="without quotes"):
        check_host("a b")


# -- the default modem


def test_no_port_is_known(no_default: None) -> None:
    for make in (configure, default_modem):
        with pytest.raises(OSError, match="NBSOCKET_PORT") as caught:
            make()
        assert caught.value.errno == errno.ENODEV


def test_default_from_the_environment(no_default: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBSOCKET_PORT", sim_url())
    monkeypatch.setenv("NBSOCKET_DATA_FORMAT", "raw")
    monkeypatch.setenv("NBSOCKET_BAUDRATE", "9600")
    modem = default_modem()
    assert modem is default_modem()
    assert modem.port == "sim://" and modem.segment_size == 1024
    assert modem.engine.settings.baudrate == 9600
    assert modem.info().model == "Quectel_BC260Y-CN"


def test_configure_wins_over_the_environment(no_default: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBSOCKET_PORT", "/dev/none")
    monkeypatch.setenv("NBSOCKET_DATA_FORMAT", "raw")
    modem = configure(sim_url(), data_format="hex")
    assert modem is default_modem() and modem.segment_size == 512
    modem.open()
    other = configure(sim_url(firmware="A02"))
    assert default_modem() is other
    with pytest.raises(OSError, match="closed"):
        modem.info()
    assert other.info().revision.endswith("A02")


@pytest.mark.parametrize(("name", "value"), [("NBSOCKET_BAUDRATE", "fast"), ("NBSOCKET_DATA_FORMAT", "text")])
def test_wrong_environment(no_default: None, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=value):
        configure("sim://")


def test_wrong_options_leave_the_default_alone(no_default: None) -> None:
    modem = configure(sim_url())
    with pytest.raises(ValueError, match="power"):
        configure(sim_url(), power="off")  # type: ignore[arg-type]  # it is wrong
    assert default_modem() is modem
    assert modem.command("AT") == []

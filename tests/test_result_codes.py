"""All result codes of BC260Y-CN TCP/IP guide 1.1 §3, from the module to the caller, for the commands that give them."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Any

import pytest

import nbsocket
from nbsocket import Modem
from nbsocket._driver import (
    ConnectionEnded,
    ConnectionReset,
    GetDnsServers,
    GetSettings,
    GetSockets,
    GetUnacked,
    Ping,
    PingResult,
    RawCommand,
    Request,
    Resolve,
    SetDnsServers,
    SyncTime,
)
from nbsocket._errors import RESULT_CODES
from nbsocket.sim import Fault, Simulator
from tests.rig import Rig

CODES = range(550, 575)

#: What programs test for, written out once more.
ERRNOS = {
    550: "EIO", 551: "EBUSY", 552: "EINVAL", 553: "ENOMEM", 554: "ENOBUFS", 555: "EOPNOTSUPP", 556: "EADDRINUSE",
    557: "EOPNOTSUPP", 558: "EPIPE", 559: "ECONNRESET", 560: "ECONNABORTED", 561: "ENETDOWN", 562: "ENETDOWN",
    563: "EADDRINUSE", 564: "EBUSY", 565: "EHOSTUNREACH", 566: "ECONNREFUSED", 567: "ECONNRESET", 568: "EBUSY",
    569: "ETIMEDOUT", 570: "ENETDOWN", 571: "ECANCELED", 572: "EACCES", 573: "ENETUNREACH", 574: "EADDRINUSE",
}  # fmt: skip

#: The look-up's errors: the name is unknown only if that is what was said.
GAI_CODES = {
    **dict.fromkeys(CODES, socket.EAI_AGAIN),
    **dict.fromkeys((552, 565), socket.EAI_NONAME),
    **dict.fromkeys((550, 553, 555, 573), socket.EAI_FAIL),
}

#: Requests whose command may be answered with an error: the request, and what its command begins with.
REQUESTS: dict[str, tuple[Request, str]] = {
    "QPING": (Ping("10.0.0.9"), "AT+QPING"),
    "QNTP": (SyncTime("ntp.example"), "AT+QNTP"),
    "QIDNSCFG set": (SetDnsServers("1.1.1.1"), "AT+QIDNSCFG"),
    "QIDNSCFG": (GetDnsServers(), "AT+QIDNSCFG"),
    "QISTATE": (GetSockets(), "AT+QISTATE"),
    "QICFG": (GetSettings(), "AT+QICFG"),
    "raw QISEND": (RawCommand('AT+QISEND=0,1,"41"'), "AT+QISEND"),
    "raw QICLOSE": (RawCommand("AT+QICLOSE=0"), "AT+QICLOSE"),
}


def check(error: BaseException, code: int, command: str) -> None:
    """The error says what the module said."""
    assert isinstance(error, OSError)
    assert error.errno == getattr(errno, ERRNOS[code])
    assert isinstance(error, type(OSError(error.errno, ""))), "Python's own subclass for this errno"
    assert isinstance(error, nbsocket.ModemError)
    assert error.result == code
    assert error.command is not None and error.command.startswith(command)
    assert str(code) in (error.strerror or "")


def test_the_table_has_all_26() -> None:
    assert list(RESULT_CODES) == [0, *CODES]
    assert list(ERRNOS) == list(CODES)


def test_0_is_success() -> None:
    rig = Rig().start()
    assert rig.ask(Resolve("a.example")) and rig.open()


@pytest.mark.parametrize("action", ["result", "error"])
@pytest.mark.parametrize("code", CODES)
def test_qiopen(code: int, action: str) -> None:
    """As the outcome, and as +CME ERROR. What may pass is tried again first, for as long as an outcome may take."""
    rig = Rig().start()
    rig.inject(action, match=r"QIOPEN", times=99, code=code)
    begin = rig.now
    with pytest.raises(OSError) as caught:
        rig.open()
    check(caught.value, code, "AT+QIOPEN=0,")
    # Just after registration the module may have no address yet.
    seconds = 65 if code in (551, 563, 564, 568) else 30 if code in (561, 570, 572) else 0
    assert abs(rig.now - begin - seconds) <= 6
    assert len(rig.times_of(rb"QIOPEN")) == {0: 1, 30: 9, 65: 15}[seconds]


@pytest.mark.parametrize("action", ["result", "error"])
@pytest.mark.parametrize("code", CODES)
def test_qidnsgip(code: int, action: str) -> None:
    rig = Rig().start()
    """As the outcome, and as +CME ERROR. What may pass is tried again first."""
    rig.inject(action, match=r"QIDNSGIP", times=9, code=code)
    begin = rig.now
    with pytest.raises(socket.gaierror) as caught:
        rig.ask(Resolve("a.example"))
    error = caught.value
    assert error.args[0] == GAI_CODES[code]
    is_passing = code in (551, 561, 564, 568, 570, 572)
    assert len(rig.times_of(rb"QIDNSGIP")) == (7 if is_passing else 1)
    assert 20 * is_passing <= rig.now - begin <= 20 * is_passing + 2
    assert error.result == code  # type: ignore[attr-defined]  # of our errors
    assert error.command == 'AT+QIDNSGIP=0,"a.example"'  # type: ignore[attr-defined]  # of our errors


@pytest.mark.parametrize("code", [code for code in CODES if code != 569])
@pytest.mark.parametrize("name", ["QPING", "QNTP"])
def test_outcome(name: str, code: int) -> None:
    rig = Rig().start()
    rig.inject("result", match=name, code=code)
    request, command = REQUESTS[name]
    with pytest.raises(OSError) as caught:
        rig.ask(request)
    check(caught.value, code, command)


def test_time_out_of_a_ping_is_a_loss() -> None:
    rig = Rig().start()
    rig.inject("result", match="QPING", code=569)
    result = rig.ask(Ping("10.0.0.9"))
    assert isinstance(result, PingResult)
    assert (result.received, result.replies[0].result) == (0, 569)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("name", REQUESTS)
def test_error_answer(name: str, code: int) -> None:
    rig = Rig().start()
    request, command = REQUESTS[name]
    rig.inject("error", match=command.replace("+", r"\+"), code=code)
    with pytest.raises(OSError) as caught:
        rig.ask(request)
    check(caught.value, code, command)


@pytest.mark.parametrize("code", CODES)
def test_error_answer_in_words(code: int) -> None:
    """AT+CMEE=2: the words of the manual's table."""
    rig = Rig().start()
    rig.module.cmee = 2  # not by a command of the user's, which the driver puts right again
    rig.inject("error", match="QISTATE", code=code)
    with pytest.raises(OSError) as caught:
        rig.ask(GetSockets())
    assert b"\r\n+CME ERROR: " in rig.down() and str(code).encode() not in rig.down()
    check(caught.value, code, "AT+QISTATE?")


@pytest.mark.parametrize("code", CODES)
def test_qisend_of_a_stream(code: int) -> None:
    """A refused segment is offered again; refused for good it runs out of time, and the error has the reason."""
    rig = Rig().start()
    key = rig.open()
    rig.inject("error", match=r"QISEND=0,5", times=99, code=code)
    begin = rig.now
    rig.write(key, b"hello")
    error = rig.take(ConnectionReset).error
    assert isinstance(error, TimeoutError)
    assert (error.result, error.command) == (code, "AT+QISEND=0")  # type: ignore[attr-defined]  # of our errors
    assert str(code) in str(error) and RESULT_CODES[code][1] in str(error)
    assert 120.0 <= rig.now - begin < 121.0
    assert rig.peer.received == b""


@pytest.mark.parametrize("code", CODES)
def test_qisend_that_is_refused_once(code: int) -> None:
    rig = Rig().start()
    key = rig.open()
    rig.inject("error", match=r"QISEND=0,5", code=code)
    rig.write(key, b"hello")
    rig.run(10)
    assert rig.peer.received == b"hello" and not rig.has(ConnectionReset)


@pytest.mark.parametrize("code", CODES)
def test_acknowledgement_query(code: int) -> None:
    rig = Rig().start()
    key = rig.open()
    rig.inject("error", match=r"QISEND=0,0", code=code)
    with pytest.raises(OSError) as caught:
        rig.ask(GetUnacked(key))
    check(caught.value, code, "AT+QISEND=0,0")


@pytest.mark.parametrize("code", CODES)
def test_qiclose_has_no_caller_left(code: int) -> None:
    """Refused for good it means that the id is free."""
    rig = Rig().start()
    key = rig.open()
    rig.inject("error", match="QICLOSE", times=9, code=code)
    rig.driver.abort(key, rig.now)
    assert rig.take(ConnectionEnded).key == key


# -- through the application's own calls


@pytest.fixture
def simulator(make_simulator: Callable[..., Simulator]) -> Simulator:
    return make_simulator(close_delay=0, errors="cme")


@pytest.fixture
def module(simulator: Simulator) -> Any:
    with Modem(simulator.path) as modem:
        yield modem


@pytest.mark.parametrize("code", [code for code in CODES if code not in (551, 561, 563, 564, 568, 570, 572)])
def test_connect(simulator: Simulator, module: Modem, code: int) -> None:
    simulator.inject(Fault("result", match="QIOPEN", code=code))
    with nbsocket.socket(modem=module) as sock, pytest.raises(OSError) as caught:
        sock.connect(("198.51.100.7", 80))
    check(caught.value, code, "AT+QIOPEN=0,")


def test_errors_of_modem_calls(simulator: Simulator, module: Modem) -> None:
    calls: dict[str, Callable[[], object]] = {
        "QPING": lambda: module.ping("10.0.0.9"),
        "QNTP": lambda: module.ntp("ntp.example"),
        "QIDNSCFG": module.dns_servers,
        "QISTATE": module.sockets,
        "CSQ": lambda: module.command("AT+CSQ"),
    }
    for name, call in calls.items():
        for code in (550, 555, 570, 574):
            simulator.inject(Fault("error", match=name, code=code))
            with pytest.raises(OSError) as caught:
                call()
            check(caught.value, code, f"AT+{name}")


def test_errors_of_look_ups(simulator: Simulator, module: Modem) -> None:
    for code in (550, 565, 569):
        simulator.inject(Fault("result", match="QIDNSGIP", code=code))
        with pytest.raises(socket.gaierror) as caught:
            module.resolve("a.example")
        assert caught.value.errno == GAI_CODES[code]
        assert caught.value.result == code  # type: ignore[attr-defined]  # of our errors


@pytest.mark.parametrize("code", [None, 570])
def test_refusal_of_a_look_up_that_passes(simulator: Simulator, module: Modem, code: int | None) -> None:
    simulator.inject(Fault("error", match="QIDNSGIP", code=code))
    assert module.resolve("a.example")


def test_bare_error_has_no_result(simulator: Simulator, module: Modem) -> None:
    simulator.inject(Fault("error", match="QISTATE"))
    with pytest.raises(OSError) as caught:
        module.sockets()
    assert caught.value.errno == errno.EIO
    assert caught.value.result is None  # type: ignore[attr-defined]  # of our errors
    assert caught.value.command == "AT+QISTATE?"  # type: ignore[attr-defined]  # of our errors

"""An exception that nothing foresaw ends every connection and every wait, whatever else breaks meanwhile."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from nbsocket import Modem, _port
from nbsocket._channel import DatagramChannel, StreamChannel, _registry
from nbsocket._driver import Driver, RawCommand
from nbsocket._engine import _pending_requests, _stats, _streams
from nbsocket._engine._loop import Loop
from nbsocket._engine._peer_table import PeerTable
from nbsocket._engine._read_delay import ReadDelay
from nbsocket._runtime._outcome import Outcome
from nbsocket.sim import Fault, Simulator
from tests.helpers import PATIENCE, echo, receive_exactly, tcp_server
from tests.test_engine import FAR, connect, datagram, send_to, wait_until

MakeSimulator = Callable[..., Simulator]

#: What the engine uses on its way out of a failure: (where, name).
PLACES: dict[str, tuple[Any, str]] = {
    "the port is closed with an error": (_port.Port, "close"),
    "a descriptor cannot be forgotten": (Loop, "forget"),
    "there is no new driver": (Driver, "__init__"),
    "the rate cannot be forgotten": (ReadDelay, "set_rate"),
    "a future cannot be failed": (_pending_requests, "fail"),
    "what was received cannot be handed over": (StreamChannel, "deliver"),
    "a channel cannot be reset": (StreamChannel, "reset"),
    "a connect cannot be failed": (StreamChannel, "failed"),
    "the account cannot be kept": (_stats.Accounts, "end"),
    "a datagram socket cannot be told": (DatagramChannel, "set_error"),
    "no datagram peer can be lost": (PeerTable, "lose"),
    "descriptors cannot be looked at": (_registry, "descriptors"),
    "the outcome of a connect cannot be told": (_streams, "fail"),
}


class Breakage:
    """Makes one function raise while it is on; afterwards it is as before."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, where: Any, name: str, *, times: int) -> None:
        self.left = 0
        self._times = times
        genuine = getattr(where, name)

        def broken(*args: Any, **options: Any) -> Any:
            if self.left:
                self.left -= 1
                if name == "close":
                    genuine(*args, **options)  # a port that stays open could not be opened again by anybody
                raise RuntimeError(f"{name} is broken")
            return genuine(*args, **options)

        monkeypatch.setattr(where, name, broken)

    def begin(self) -> None:
        self.left = self._times

    def end(self) -> None:
        self.left = 0


def crash(modem: Modem, breakage: Breakage) -> None:
    """Let an exception leave the driver in the middle of the engine's round."""
    engine = modem.engine
    loop, genuine_after = engine._loop, engine._loop._after

    def after() -> None:
        loop._after = genuine_after
        breakage.begin()
        raise ZeroDivisionError("the driver is broken")

    loop._after = after
    engine.call(lambda: None)


def begin_opening(modem: Modem, port: int) -> tuple[socket.socket, StreamChannel, Outcome[None]]:
    """A connection that is being made, and what tells its outcome."""
    sock = socket.socket()
    channel = StreamChannel(sock, (FAR, port))
    outcome = modem.engine.connect(channel, FAR, port)
    channel.install(sock)
    return sock, channel, outcome


def ending_of(sock: socket.socket) -> BaseException | bytes:
    """How a connection looks from here on: an error, or b"" for an end of file. A time-out is a hang."""
    try:
        while data := sock.recv(65536):
            assert data
        return data
    except TimeoutError:
        raise
    except OSError as error:
        return error


@pytest.mark.parametrize("times", [1, 10_000], ids=["once", "always"])
@pytest.mark.parametrize("place", PLACES)
def test_no_failure_keeps_the_others_from_their_end(
    make_simulator: MakeSimulator, monkeypatch: pytest.MonkeyPatch, place: str, times: int
) -> None:
    simulator = make_simulator()
    breakage = Breakage(monkeypatch, *PLACES[place], times=times)
    with tcp_server(echo) as port, Modem(simulator.path) as modem:
        modem.wait_attached()
        socks = [connect(modem, port) for _ in range(3)]
        for sock in socks:
            sock.sendall(b"x")
            assert receive_exactly(sock, 1) == b"x"
        udp, channel = datagram(modem)
        send_to(udp, channel, b"datagram", FAR, port)
        wait_until(lambda: bool(modem.engine._core.datagrams.peers.by_key))
        simulator.inject(Fault("silence", match=r"\+CSQ"))
        waits: list[Outcome[Any]] = [modem.engine.request(RawCommand("AT+CSQ"), None) for _ in range(2)]
        opening, opening_channel, opening_outcome = begin_opening(modem, port)
        modem.engine.catch_up(PATIENCE)  # all of it is under way
        waits.append(opening_outcome)
        socks.append(opening)
        opening.settimeout(PATIENCE)

        crash(modem, breakage)
        endings = [ending_of(sock) for sock in socks]
        # Each of the waits ends; none of them hangs on what was broken.
        outcomes = [wait.exception(PATIENCE) for wait in waits]
        wait_until(lambda: not modem.engine._core.streams and not modem.engine._core.datagrams)
        breakage.end()

        if times == 1:
            assert sum(isinstance(end, ConnectionResetError) for end in endings[:3]) >= 2, endings
        told = sum(isinstance(outcome, OSError) for outcome in outcomes)
        assert told == 3 or ("cannot be" in place and told >= (2 if times == 1 else 0)), outcomes
        wait_until(opening_channel.is_over)
        for sock in (*socks, udp):
            sock.close()
        modem.open()
        with connect(modem, port) as sock:
            sock.sendall(b"again")
            assert receive_exactly(sock, 5) == b"again"


def hide(monkeypatch: pytest.MonkeyPatch, *hidden: str) -> None:
    """Let these directories be missing, as in a container whose /dev was made by hand."""
    genuine = os.listdir

    def listdir(path: Any = ".") -> list[Any]:
        if path in hidden:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return genuine(path)

    monkeypatch.setattr(os, "listdir", listdir)


@pytest.mark.parametrize("hidden", [("/dev/fd",), ("/dev/fd", "/proc/self/fd")])
def test_without_a_list_of_descriptors(
    make_simulator: MakeSimulator, monkeypatch: pytest.MonkeyPatch, hidden: tuple[str, ...]
) -> None:
    """Resets are seen, ended channels are forgotten, and the modem serves on."""
    simulator = make_simulator()
    hide(monkeypatch, *hidden)
    with tcp_server(echo) as port, Modem(simulator.path) as modem:
        known = set(_registry._channels)
        for _ in range(3):
            with connect(modem, port) as sock:
                sock.sendall(b"x")
                assert receive_exactly(sock, 1) == b"x"
        sock = connect(modem, port)
        simulator.inject(Fault("restart"))
        assert isinstance(ending_of(sock), ConnectionResetError)
        sock.close()
        with connect(modem, port) as sock:
            sock.sendall(b"x")
            assert receive_exactly(sock, 1) == b"x"
        with suppress(OSError):
            _registry.sweep()
        assert len(set(_registry._channels) - known) <= 2

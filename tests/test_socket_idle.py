"""An open, idle connection costs no byte on the serial line and no wake-up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Literal

import pytest

import nbsocket
from nbsocket import Modem
from nbsocket.sim import Simulator
from tests.helpers import PATIENCE, echo, receive_exactly, tcp_server, udp_server

IDLE_SECONDS = 1.5


@pytest.mark.parametrize("data_format", ["hex", "raw"])
def test_silence(make_simulator: Callable[..., Simulator], data_format: Literal["hex", "raw"]) -> None:
    simulator = make_simulator()
    with (
        tcp_server(echo) as port,
        udp_server() as udp_port,
        Modem(simulator.path, data_format=data_format) as modem,
        nbsocket.socket(modem=modem) as stream,
        nbsocket.socket(nbsocket.AF_INET, nbsocket.SOCK_DGRAM, modem=modem) as datagram,
    ):
        stream.settimeout(PATIENCE)
        datagram.settimeout(PATIENCE)
        stream.connect(("server.example", port))
        stream.sendall(b"hello")
        assert receive_exactly(stream, 5) == b"hello"
        datagram.sendto(b"hello", ("server.example", udp_port))
        assert datagram.recv(100) == b"hello"
        while stream.getsockopt(nbsocket.SOL_NB, nbsocket.NB_UNACKED):
            pass
        settle(modem)
        before = modem.stats(), simulator.stats()
        # The one wait in these tests that is for nothing to happen.
        threading.Event().wait(IDLE_SECONDS)
        assert (modem.stats(), simulator.stats()) == before


def settle(modem: Modem) -> None:
    """Let what follows a transfer (its acknowledgement) come to an end."""
    last = -1
    while (now := modem.stats().bytes_up) != last:
        last = now
        threading.Event().wait(0.3)

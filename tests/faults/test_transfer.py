"""Cut in the middle of a transfer: one connection's end is its own, a module's restart is everybody's."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

import pytest

from nbsocket import Modem
from nbsocket.sim import Fault, Simulator
from tests.faults.load import connect, load, wait_until, words_of
from tests.helpers import receive_exactly, tcp_server


@pytest.mark.parametrize("data_format", ["hex", "raw"])
def test_reset_of_one_leaves_the_others(make_simulator: Callable[..., Simulator], data_format: str) -> None:
    simulator = make_simulator()
    with Modem(simulator.path, data_format=data_format) as modem, load(modem) as busy:  # type: ignore[arg-type]  # of the row
        simulator.inject(Fault("closed", socket_id=1))
        wait_until(lambda: any(connection.is_over for connection in busy))
        cut = next(connection for connection in busy if connection.is_over)
        others = [connection for connection in busy if connection is not cut]
        sizes = [len(connection.got) for connection in others]
        # On a busy line the end is told up to two seconds later, and by then the others may have got everything.
        whole = [len(words_of(2 * connection.number + 1)) for connection in others]
        enough = [min(size + 50_000, most) for size, most in zip(sizes, whole, strict=True)]
        wait_until(lambda: all(len(one.got) >= least for one, least in zip(others, enough, strict=True)))
        cut.check()
        assert not any(one.is_over and len(one.got) < most for one, most in zip(others, whole, strict=True))
        busy.try_again()
    busy.check()


def test_peer_resets_in_the_middle(modem: Modem) -> None:
    def cut_off(sock: socket.socket) -> None:
        sock.sendall(words_of(1)[:30_000])
        receive_exactly(sock, 20_000)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with tcp_server(cut_off) as port, connect(modem, port) as sock:
        assert receive_exactly(sock, 30_000) == words_of(1)[:30_000]
        with pytest.raises(OSError) as caught:
            sock.sendall(words_of(0)[:20_000])
            sock.recv(65536)
            pytest.fail("an end of file in place of a reset")
        assert isinstance(caught.value, (ConnectionResetError, BrokenPipeError))


def test_peer_resets_in_the_middle_of_what_it_sends(modem: Modem) -> None:
    """The module says of this what it says of an end, and nothing that was written is lost: docs/reliability.md."""

    def cut_off(sock: socket.socket) -> None:
        receive_exactly(sock, 20_000)
        sock.sendall(words_of(1)[:30_000])
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with tcp_server(cut_off) as port, connect(modem, port) as sock:
        sock.sendall(words_of(0)[:20_000])
        got = b""
        while data := sock.recv(65536):
            got += data
        assert got and words_of(1)[: len(got)] == got


@pytest.mark.parametrize("action", ["restart", "deregister"])
def test_module_fails_under_load(make_simulator: Callable[..., Simulator], action: str) -> None:
    simulator = make_simulator()
    with Modem(simulator.path) as modem, load(modem) as busy:
        simulator.inject(Fault(action))
        if action == "deregister":
            simulator.inject(Fault("register"))
        else:
            busy.wait_over()
        busy.try_again()
    busy.check()

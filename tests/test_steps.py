"""What the library tells at INFO: connections, look-ups and their ends, with times and bytes; and names in stats()."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

import pytest

import nbsocket
from nbsocket import Modem
from nbsocket._modem import look_up
from tests.faults.load import wait_until
from tests.helpers import echo, logs_delivered, sim_url, tcp_server, unused_port


@pytest.fixture
def steps(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.INFO)

    def lines() -> list[str]:
        logs_delivered()
        return [re.sub(r"\d+\.\d s", "T s", record.getMessage()) for record in caplog.records]

    return lines


def test_life_of_a_connection(steps: Callable[[], list[str]]) -> None:
    with Modem(sim_url(dns={"api.example": "192.0.2.7"})) as modem, tcp_server(echo) as port:
        address = look_up(modem.engine, "api.example", None)[0]
        with nbsocket.socket(modem=modem) as sock:
            sock.connect((address, port))
            sock.sendall(b"hello")
            assert sock.recv(5) == b"hello"
            one = modem.stats().connections[-1]
            assert (one.host, one.name, one.is_open) == ("192.0.2.7", "api.example", True)
        wait_until(lambda: not modem.stats().connections[-1].is_open)
        one = modem.stats().connections[-1]
        assert (one.name, one.bytes_up, one.bytes_down) == ("api.example", 5, 5)
    told = [line for line in steps() if "api.example" in line]
    assert told == [
        "api.example is 192.0.2.7 (T s)",
        f"TCP api.example:{port} connected in T s (socket 0)",
        f"TCP api.example:{port} closed, 5 B up, 5 B down",
    ]


def test_connection_that_is_not_made(steps: Callable[[], list[str]]) -> None:
    port = unused_port()
    with Modem(sim_url()) as modem, nbsocket.socket(modem=modem) as sock, pytest.raises(ConnectionRefusedError):
        sock.connect(("192.0.2.7", port))
    assert [line for line in steps() if line.startswith("TCP")] == [
        f"TCP 192.0.2.7:{port} not connected after T s: connection refused or not possible "
        f'(result 566 of AT+QIOPEN=0,0,"TCP","192.0.2.7",{port})'
    ]


def test_connection_that_is_cut(steps: Callable[[], list[str]]) -> None:
    with Modem(sim_url()) as modem, tcp_server(echo) as port, nbsocket.socket(modem=modem) as sock:
        sock.connect(("192.0.2.7", port))
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
        modem.command("AT+QRST=1")
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
    told = [line for line in steps() if line.startswith("TCP")]
    assert told[1].startswith(f"TCP 192.0.2.7:{port} cut, 1 B up, 1 B down: the module restarted") and len(told) == 2


def test_name_that_is_not_found(steps: Callable[[], list[str]]) -> None:
    with Modem(sim_url()) as modem, pytest.raises(OSError, match="565"):
        look_up(modem.engine, "no.such.invalid", None)
    assert any(line.startswith("no.such.invalid not found after T s: ") for line in steps())

"""The same transfer over a pseudo-terminal on the host, to be seen beside the drivers' figures."""

from __future__ import annotations

import nbsocket
from nbsocket.sim import Options, Simulator

from ._guest_tests import FAR, SIZE
from ._host import echo_server


def wakeups_over_a_pty() -> float:
    """Return the wake-ups of the engine's thread for each KB on the line, there and back in hex at 115200 baud."""
    simulator = Simulator(Options(baudrate=115200))
    with simulator, echo_server() as port, nbsocket.Modem(simulator.path) as modem:
        modem.wait_attached()
        before = modem.stats()
        with nbsocket.socket(modem=modem) as sock:
            sock.settimeout(60.0)
            sock.connect((FAR, port))
            sock.sendall(bytes(SIZE))
            left = SIZE
            while left:
                left -= len(sock.recv(65536))
        after = modem.stats()
    kilobytes = (after.bytes_up + after.bytes_down - before.bytes_up - before.bytes_down) / 1000
    return (after.wakeups - before.wakeups) / kilobytes

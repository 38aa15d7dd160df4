"""pytest fixtures: a simulated modem for tests of programs that use nbsocket.

The fixtures are there as soon as nbsocket is installed; nothing of it is imported until a test asks for one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from nbsocket import Modem
    from nbsocket.sim import Simulator


@pytest.fixture
def nb_modem() -> Iterator[Modem]:
    """An opened :class:`nbsocket.Modem` on a simulated module; real servers on loopback can be reached through it."""
    from nbsocket import Modem

    with Modem("sim://") as modem:
        yield modem


@pytest.fixture
def nb_simulator() -> Iterator[Simulator]:
    """A running :class:`nbsocket.sim.Simulator` on a pseudo-terminal; ``nb_simulator.path`` is the port to open."""
    from nbsocket.sim import Simulator

    with Simulator() as simulator:
        yield simulator

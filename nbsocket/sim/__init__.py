"""A simulated Quectel BC260Y-CN NB-IoT module, for tests and demonstrations without hardware.

It behaves as the vendor's guide (BC260Y-CN TCP/IP guide 1.1) and experience with real modules say; its network leads to
real servers on this machine's loopback interface, and nowhere else.

``Simulator`` runs on a pseudo-terminal, so that any program can open it; ``open_url("sim://")`` inside the process;
``Module`` is the pure object, for tests under a virtual clock.
"""

from __future__ import annotations

from ._faults import Fault
from ._loopback import LoopbackNetwork
from ._module import Module
from ._network import ModelConnection, ModelNetwork, Network
from ._options import Options
from ._simulator import Simulator, SimulatorStats, SocketStats, open_url

Stats = SimulatorStats

__all__ = [
    "Fault",
    "LoopbackNetwork",
    "ModelConnection",
    "ModelNetwork",
    "Module",
    "Network",
    "Options",
    "Simulator",
    "SocketStats",
    "Stats",
    "open_url",
]

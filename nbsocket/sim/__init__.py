"""A simulated Quectel NB-IoT module, for tests and demonstrations without hardware: BC260Y-CN, or a sibling of it.

It behaves as the vendor's guides and experience with real modems say; ``_models.py`` names the sources. Its network
leads to real servers on this machine's loopback interface, and nowhere else.

``Simulator`` runs on a pseudo-terminal, so that any program can open it; ``open_url("sim://")`` inside the process;
``Module`` is the pure object, for tests under a virtual clock.
"""

from __future__ import annotations

from ._faults import Fault
from ._loopback import LoopbackNetwork
from ._module import Module
from ._network import ModelConnection, ModelNetwork, Network
from ._options import Options
from ._simulator import Simulator, SocketStats, open_url
from ._simulator import SimulatorStats as Stats

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

"""What the scenarios talk to: a simulated module in the process, and echo servers on loopback."""

from __future__ import annotations

import tests.conftest  # noqa: F401  # its audit hook
from tests.helpers import echo, tcp_server, udp_server

HOST = "server.example"
ADDRESS = "198.18.0.1"

__all__ = ["ADDRESS", "HOST", "echo", "tcp_server", "udp_server"]

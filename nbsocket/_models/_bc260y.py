"""BC260Y-CN, after its TCP/IP guide 1.1."""

from __future__ import annotations

from nbsocket._models._profile import Profile

__all__ = ["BC260Y"]

BC260Y = Profile(name="bc260y", models=("BC260Y",))

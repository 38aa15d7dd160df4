"""What the driver asks for whenever the module is free."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from nbsocket._at import Command, FinalResult

__all__ = ["Turn"]


class Turn(NamedTuple):
    """A command to be sent now, and what takes its result; None when the module did not answer."""

    command: Command[Any]
    finish: Callable[[FinalResult | None, float], None]

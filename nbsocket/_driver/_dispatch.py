"""What the driver asks for whenever the modem is free."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from nbsocket._at import Command, FinalResult

__all__ = ["Dispatch"]


class Dispatch(NamedTuple):
    """A command to be sent now, and what takes its result; None when the modem did not answer."""

    command: Command[Any]
    finish: Callable[[FinalResult | None, float], None]

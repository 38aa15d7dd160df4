"""Whether a call comes from a handler of ``logging``: what it sends over the modem must not be logged, and so sent."""

from __future__ import annotations

import logging
import sys

__all__ = ["is_in_handler"]

#: Whatever hands a record to a handler is on the stack: a logger, a listener to a queue, a handler for another one.
_HANDING_OUT = frozenset((logging.Logger.callHandlers.__code__, logging.Handler.handle.__code__))


def is_in_handler() -> bool:
    """Return whether a handler of ``logging`` is at work in the calling thread."""
    frame = sys._getframe(1).f_back
    while frame is not None:
        if frame.f_code in _HANDING_OUT:
            return True
        frame = frame.f_back
    return False

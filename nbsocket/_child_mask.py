"""Children of the thread that runs log handlers: they do not inherit the signals that this thread of ours blocks.

A handler may fork, or start a program (a mailer, say). After a fork the mask is put right in the child; a program that
is started gets it from its parent thread, at the very moment.
"""

from __future__ import annotations

import _posixsubprocess  # noqa: F401  # loaded, so that it is found below
import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any

__all__ = ["give"]


class _Mask(threading.local):
    """What the children of this thread are to have; None: what it has itself."""

    wanted: frozenset[int] | None = None


_mask = _Mask()


#: Modules whose function is replaced.
_places: set[str] = set()


def _with_mask(genuine: Callable[..., int]) -> Callable[..., int]:
    @wraps(genuine)
    def fork_exec(*arguments: Any) -> int:
        if _mask.wanted is None:
            return genuine(*arguments)
        own = signal.pthread_sigmask(signal.SIG_SETMASK, _mask.wanted)
        try:
            return genuine(*arguments)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, own)

    return fork_exec


def give(mask: frozenset[int]) -> None:
    """From now on the children of this thread have ``mask``."""
    _mask.wanted = mask
    for place, name in (("_posixsubprocess", "fork_exec"), ("subprocess", "_fork_exec")):
        # subprocess has a reference of its own from Python 3.11 on, if it is imported at all.
        module = sys.modules.get(place)
        if place not in _places and (genuine := getattr(module, name, None)) is not None:
            _places.add(place)
            setattr(module, name, _with_mask(genuine))


def _put_right_after_fork() -> None:
    if _mask.wanted is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, _mask.wanted)
        _mask.wanted = None


os.register_at_fork(after_in_child=_put_right_after_fork)

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


class _InheritedMask(threading.local):
    """What the children of this thread are to have; None: what it has itself."""

    wanted: frozenset[int] | None = None


_mask = _InheritedMask()


#: What starts programs: (module, function). subprocess has a reference of its own from Python 3.11 on, if it is
#: imported at all, and uses posix_spawn() from 3.13 on.
_STARTS = (
    ("_posixsubprocess", "fork_exec"),
    ("subprocess", "_fork_exec"),
    ("os", "posix_spawn"),
    ("os", "posix_spawnp"),
)

#: Those that are replaced.
_places: set[tuple[str, str]] = set()


def _with_mask(genuine: Callable[..., int]) -> Callable[..., int]:
    @wraps(genuine)
    def start(*arguments: Any, **options: Any) -> int:
        if _mask.wanted is None:
            return genuine(*arguments, **options)
        own = signal.pthread_sigmask(signal.SIG_SETMASK, _mask.wanted)
        try:
            return genuine(*arguments, **options)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, own)

    return start


def give(mask: frozenset[int]) -> None:
    """From now on the children of this thread have ``mask``."""
    _mask.wanted = mask
    for place in _STARTS:
        module, name = sys.modules.get(place[0]), place[1]
        if place not in _places and (genuine := getattr(module, name, None)) is not None:
            _places.add(place)
            setattr(module, name, _with_mask(genuine))


def _put_right_after_fork() -> None:
    if _mask.wanted is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, _mask.wanted)
        _mask.wanted = None


os.register_at_fork(after_in_child=_put_right_after_fork)

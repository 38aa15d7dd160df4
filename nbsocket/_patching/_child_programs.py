"""Programs that this one starts: what they connect to goes past the modem. Warned of, or refused under ``--strict``.

CPython raises audit events for them, but for two ways: multiprocessing's "spawn" and "forkserver" call
``_posixsubprocess.fork_exec()``, which raises none, and ``os.spawn*()`` raises its event in a forked child, where an
exception is only an exit code. Both are looked at before. Hooks cannot be removed, so they stay for good.

A child that is only forked needs no care: its engine is closed, and the port is its parent's.
"""

from __future__ import annotations

import _posixsubprocess
import errno
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from functools import wraps
from typing import Any

from nbsocket._errors import make_error
from nbsocket._patching._command_lines import STARTS, Program
from nbsocket._routing._leak_warnings import tell

__all__ = ["Strictness", "refuse_programs", "watch_programs"]


#: What Python's own library starts by itself (ctypes.util, platform, uuid): the one warning is for what may connect.
_TOOLS = frozenset({"ldconfig", "ld", "gcc", "cc", "objdump", "uname", "ifconfig", "ip", "arp", "lanscan", "netstat"})


class Strictness(Enum):
    """What may be started."""

    #: Everything; one warning for Python programs, one for others.
    WARN = "warn"
    #: All but Python programs; one warning for each of them.
    PYTHON = "--strict"
    #: Nothing.
    ALL = "--strict=all"


_strictness = Strictness.WARN
_is_patched: Callable[[], bool] | None = None


def watch_programs(is_patched: Callable[[], bool]) -> None:
    """Warn of programs that are started while ``is_patched()``."""
    global _is_patched
    is_first, _is_patched = _is_patched is None, is_patched
    if is_first:
        sys.addaudithook(_hook)
        _look_before(_posixsubprocess, "fork_exec", lambda *args: _check_start("nbsocket.fork_exec", args))
        if hasattr(os, "_spawnvef"):
            _look_before(os, "_spawnvef", lambda *args: _check_start("os.spawn", args[:4]))


def refuse_programs(strictness: Strictness) -> None:
    """From now on refuse Python programs, or all: PermissionError where they are started."""
    global _strictness
    watch_programs(lambda: True)
    _strictness = strictness


def _look_before(module: Any, name: str, look: Callable[..., None]) -> None:
    genuine = getattr(module, name)

    @wraps(genuine)
    def function(*args: Any) -> Any:
        look(*args)
        return genuine(*args)

    setattr(module, name, function)


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if event in STARTS:
        _check_start(event, args)


def _check_start(event: str, args: tuple[Any, ...]) -> None:
    if _strictness is Strictness.WARN and not (_is_patched and _is_patched()):
        return
    programs: list[Program] = []
    # Of arguments that make no sense CPython complains itself.
    with suppress(TypeError, ValueError, LookupError):
        programs += STARTS[event](args)
    for program in programs:
        if _strictness is Strictness.WARN:
            _warn(program)
        elif program.is_python:
            raise make_error(
                errno.EACCES,
                f"refused by {_strictness.value}: the Python program {program.name} would start without the patch and "
                "connect past the modem; use threads (or multiprocessing's fork, for work without connections), or "
                "leave --strict out",
            )
        elif _strictness is Strictness.ALL:
            raise make_error(
                errno.EACCES, f"refused by --strict=all: what {program.name} connects to would go past the modem"
            )
        else:
            tell(
                f"program {program.name}",
                f"the program starts {program.name}: --strict does not hold what that connects to (--strict=all does)",
            )


def _warn(program: Program) -> None:
    if program.is_python:
        tell(
            "Python programs",
            f"the program starts a Python program ({program.name}), which is not patched: what such programs connect "
            "to goes past the modem",
        )
    elif program.name not in _TOOLS:
        tell(
            "other programs",
            f"the program starts another one ({program.name}): what such programs connect to goes past the modem",
        )

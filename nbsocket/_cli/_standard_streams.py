"""Standard streams that the caller closed, as ``nbsocket info >&-`` does."""

from __future__ import annotations

import os
import sys

_STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def open_missing() -> None:
    """Open the null device where a standard stream is closed; ``sys.stdin``, ``stdout`` and ``stderr`` are never None.

    The descriptors matter most: otherwise the serial port would get the number of a closed one, and whatever a program
    or a C library writes to "standard error" would reach the modem as commands.
    """
    for fd in range(len(_STREAMS)):
        try:
            os.fstat(fd)
        except OSError:
            # The lowest free number, which is this one.
            os.open(os.devnull, os.O_RDWR)
    for name, mode in _STREAMS:
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115  # for the rest of the process


def show_missing() -> None:
    """Set to None again what :func:`open_missing` has put in place: a program finds them as under python."""
    for name, _ in _STREAMS:
        if getattr(sys, f"__{name}__") is None:
            setattr(sys, name, None)

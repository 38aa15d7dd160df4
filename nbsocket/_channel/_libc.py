"""epoll_ctl() with its 64 bits of data: ``select.epoll`` can register a descriptor's own number only."""

from __future__ import annotations

import ctypes
import errno
import os
import platform

__all__ = ["epoll_add", "epoll_delete"]

_EPOLL_CTL_ADD = 1
_EPOLL_CTL_DEL = 2

_libc = ctypes.CDLL(None, use_errno=True)


class _Event(ctypes.Structure):
    """``struct epoll_event``; packed on x86-64 only (EPOLL_PACKED in linux/eventpoll.h)."""

    if platform.machine() in ("x86_64", "AMD64"):
        _pack_ = 1
    _fields_ = (("events", ctypes.c_uint32), ("data", ctypes.c_uint64))


def epoll_add(epoll: int, fd: int, events: int, data: int) -> None:
    """Register a descriptor.

    Raises:
        OSError: as epoll_ctl(2).
    """
    _control(epoll, _EPOLL_CTL_ADD, fd, _Event(events, data))


def epoll_delete(epoll: int, fd: int) -> bool:
    """Remove a descriptor; return whether it was registered."""
    try:
        _control(epoll, _EPOLL_CTL_DEL, fd, _Event())
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EBADF):
            return False
        raise
    return True


def _control(epoll: int, operation: int, fd: int, event: _Event) -> None:
    if _libc.epoll_ctl(epoll, operation, fd, ctypes.byref(event)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))

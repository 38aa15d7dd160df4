"""Keeps a descriptor in the epoll sets of this process while another socket is put behind it.

The kernel registers the socket, not the number: after a dup2() the set holds the old socket for ever, and the number is
unknown to it. kafka-python and tornado register a socket before they connect it. What a set holds is told by
/proc/self/fdinfo (proc(5)): for each registration the number, the events, the 64 bits of data, and the inode.

Not found: registrations of a duplicate of the descriptor (the duplicate stays as it is, too), io_uring, and kqueue.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from nbsocket._runtime._stdlib import genuine_os as os

__all__ = ["keep_registered"]

_DESCRIPTORS = "/proc/self/fd"
_EPOLL_LINK = "anon_inode:[eventpoll]"

#: What an epoll descriptor is not; the kernel gives it no type at all.
_OTHER_TYPES = {stat.S_IFSOCK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFDIR}

_READ_SIZE = 65536

#: A registration in the fdinfo of an epoll descriptor, numbers in hex. Source: fs/eventpoll.c, ep_show_fdinfo().
#: Compiled when it is needed, as most programs register after they have connected.
_ROW = r"(?m)^tfd:\s*(\d+) events:\s*([0-9a-f]+) data:\s*([0-9a-f]+)(?:.* ino:([0-9a-f]+))?"


class _Registration(NamedTuple):
    """What one epoll set knows of a descriptor."""

    epoll: int
    events: int
    #: 64 bits, which need not be the descriptor's number (libevent, libuv and others keep a pointer there).
    data: int


def keep_registered(fd: int, replace: Callable[[], object]) -> None:
    """Call ``replace``, which puts another socket behind ``fd``, and register that wherever the present one is.

    A set reports the new socket from then on, with the same events and flags; also to a thread that is waiting. A
    one-shot registration that is spent can tell of an error or a hang-up once more.
    """
    removed = [registration for registration in _registrations(fd) if _remove(registration, fd)]
    try:
        replace()
    finally:
        for registration in removed:
            _add(registration, fd)


def _registrations(fd: int) -> list[_Registration]:
    """Return where ``fd`` is registered. Linux only: elsewhere there is no such folder, and nothing is found."""
    epolls = list(_epolls())
    if not epolls:
        return []
    inode = os.fstat(fd).st_ino
    found: list[_Registration] = []
    for epoll in epolls:
        for number, events, data, known_inode in re.findall(_ROW, _read(f"/proc/self/fdinfo/{epoll}")):
            if int(number) == fd and (not known_inode or int(known_inode, 16) == inode):
                found.append(_Registration(epoll, int(events, 16), int(data, 16)))
    return found


def _read(path: str) -> str:
    """Return the text of a file; nothing when it is gone, for another thread may close a descriptor at any time."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return b"".join(iter(partial(os.read, fd, _READ_SIZE), b"")).decode("ascii")
    finally:
        os.close(fd)


def _epolls() -> Iterator[int]:
    try:
        names = os.listdir(_DESCRIPTORS)
    except OSError:
        return
    for name in names:
        with suppress(OSError):
            # Most descriptors are sockets; to look at one costs a third of reading its link.
            is_other = stat.S_IFMT(os.fstat(int(name)).st_mode) in _OTHER_TYPES
            if not is_other and os.readlink(f"{_DESCRIPTORS}/{name}") == _EPOLL_LINK:
                yield int(name)


def _remove(registration: _Registration, fd: int) -> bool:
    """Return whether it was there: a set with two descriptors tells the same twice."""
    # Here and not above: ctypes takes longer to load than all of what a socket needs.
    from nbsocket._channel import _libc

    return _libc.epoll_delete(registration.epoll, fd)


def _add(registration: _Registration, fd: int) -> None:
    from nbsocket._channel import _libc

    # Closed by the program meanwhile: nobody is interested any more.
    with suppress(OSError):
        _libc.epoll_add(registration.epoll, fd, registration.events, registration.data)

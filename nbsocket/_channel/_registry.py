"""Which file descriptors are ours: channels by the inode of the application's end.

The kernel gives socket inodes from a counter, so a number does not come back within a process's life. Entries of
channels whose engine end is over stay as long as the application holds a descriptor (it may still ask for its address
or its error); :func:`sweep` drops the rest.

Whether the application holds one is asked of the numbers under which the channel was seen: that it was put at, and
every one that a call came by (:func:`lookup`), which the making of a socket object from a number is, too. A gateway
may have thousands of descriptors: a look at all of them whenever a connection ends would cost more than it does.
"""

from __future__ import annotations

import resource
from collections.abc import Iterable, Iterator
from contextlib import suppress
from os import register_at_fork
from typing import TYPE_CHECKING

from nbsocket._runtime import _exit
from nbsocket._runtime._stdlib import genuine_os as os

if TYPE_CHECKING:
    from nbsocket._channel._base import Channel

__all__ = ["Inode", "descriptors", "drop", "enter", "inode_of", "lookup", "numbers_of", "sweep"]

#: Numbers that are tried where the system does not list the descriptors: a look at one takes a microsecond.
MAX_GUESSES = 4096

#: Numbers that are kept of one channel before those that are out of date are forgotten.
MAX_NUMBERS = 32

#: Device and inode number: sockets and files have separate numbers.
Inode = tuple[int, int]

#: Changed in single steps only, so that no lock is needed which a signal handler could find taken.
_channels: dict[Inode, Channel] = {}


def inode_of(fd: int) -> Inode:
    """Return the identity of an open descriptor; OSError when it is not open."""
    status = os.fstat(fd)
    return status.st_dev, status.st_ino


def lookup(fd: int) -> Channel | None:
    """Return the channel whose application end ``fd`` is, or None for every other descriptor."""
    if fd < 0 or not _channels:
        return None
    try:
        inode = inode_of(fd)
    except OSError:
        return None
    channel = _channels.get(inode)
    if channel is not None and fd not in channel.numbers:
        if len(channel.numbers) >= MAX_NUMBERS:
            channel.numbers.intersection_update(tuple(numbers_of(channel)))
        channel.numbers.add(fd)
    return channel


def numbers_of(channel: Channel) -> Iterator[int]:
    """Give the numbers under which the application holds a channel's descriptor, as far as they were seen."""
    for fd in tuple(channel.numbers):
        with suppress(OSError):
            if inode_of(fd) == channel.inode:
                yield fd


def enter(inode: Inode, channel: Channel) -> None:
    """Make a channel known."""
    sweep()
    _exit.at_end(_discard_at_end, _exit.CHANNELS)
    _channels[inode] = channel


def drop(inode: Inode) -> None:
    """Forget a channel."""
    _channels.pop(inode, None)


def sweep() -> None:
    """Forget the channels that are over and whose descriptor the application has closed."""
    known = _channels.copy()
    # One that is just being put under the application's descriptor is at both places, or would be missed at either.
    ended = [(inode, channel) for inode, channel in known.items() if channel.is_installed and channel.is_over()]
    for inode, channel in ended:
        if not any(True for _ in numbers_of(channel)):
            drop(inode)
            channel.discard()


def descriptors() -> Iterator[tuple[int, Inode]]:
    """Give this process's open descriptors."""
    for fd in _numbers():
        with suppress(OSError):
            yield fd, inode_of(fd)


def _numbers() -> Iterable[int]:
    """Return the numbers of this process's descriptors, as many as the system tells.

    Containers and minimal images have a /dev without the link ``fd``, some no /proc either; and listing a directory
    needs a descriptor itself, which a process at its limit does not get. The low numbers are tried one by one then.
    """
    for folder in ("/dev/fd", "/proc/self/fd"):
        with suppress(OSError):
            return [int(name) for name in os.listdir(folder)]
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return range(min(soft, MAX_GUESSES) if soft >= 0 else MAX_GUESSES)


def _discard_at_end() -> None:
    # Where the engine's end was over before the application closed its own, nothing told that it did.
    for channel in _channels.copy().values():
        if channel.is_over():
            channel.discard()


def _orphan_after_fork() -> None:
    for channel in _channels.copy().values():
        channel.orphan()


register_at_fork(after_in_child=_orphan_after_fork)

"""Waiting for descriptors: a selector that also tells when the other end has gone while nothing is asked of it.

The standard selectors cannot watch a descriptor for its hang-up alone. On Linux ``epoll`` reports it whatever was
asked for; elsewhere the standard selector is used, and a hang-up is noticed with the next read.
"""

from __future__ import annotations

import select
import selectors
from contextlib import suppress
from time import sleep
from typing import Protocol

from nbsocket._dataclass import dataclass

__all__ = ["Poller", "Ready", "SelectorPoller", "make_poller"]


@dataclass(frozen=True, slots=True)
class Ready:
    """What became of one descriptor."""

    fd: int
    is_readable: bool
    is_writable: bool
    #: Both directions are over.
    is_hung_up: bool


class Poller(Protocol):
    """What the engine asks of the system."""

    def watch(self, fd: int, read: bool, write: bool) -> None:
        """Watch ``fd`` for this from now on, and for its hang-up."""

    def forget(self, fd: int) -> None:
        """Watch ``fd`` no more; nothing happens when it was not watched."""

    def wait(self, timeout: float | None) -> list[Ready]:
        """Wait until something is ready, at most ``timeout`` seconds."""

    def close(self) -> None:
        """Release the system's resources."""


class SelectorPoller:
    """With the standard selector of the platform, or the one handed in."""

    def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
        self._selector = selector or selectors.DefaultSelector()

    def watch(self, fd: int, read: bool, write: bool) -> None:
        """See :class:`Poller`."""
        events = (selectors.EVENT_READ if read else 0) | (selectors.EVENT_WRITE if write else 0)
        is_known = fd in self._selector.get_map()
        if not events:
            self.forget(fd)
        elif is_known:
            self._selector.modify(fd, events)
        else:
            self._selector.register(fd, events)

    def forget(self, fd: int) -> None:
        """See :class:`Poller`."""
        if fd in self._selector.get_map():
            self._selector.unregister(fd)

    def wait(self, timeout: float | None) -> list[Ready]:
        """See :class:`Poller`."""
        return [
            Ready(key.fd, bool(mask & selectors.EVENT_READ), bool(mask & selectors.EVENT_WRITE), False)
            for key, mask in self._selector.select(timeout)
        ]

    def close(self) -> None:
        """See :class:`Poller`."""
        self._selector.close()


def make_poller() -> Poller:
    """Return the best one of this platform."""
    return EpollPoller() if hasattr(select, "epoll") else SelectorPoller()


if hasattr(select, "epoll"):
    #: Seconds.
    RESOLUTION = 0.001

    class EpollPoller:
        """With Linux's epoll."""

        def __init__(self) -> None:
            self._epoll = select.epoll()
            self._masks: dict[int, int] = {}

        def watch(self, fd: int, read: bool, write: bool) -> None:
            """See :class:`Poller`."""
            mask = (select.EPOLLIN if read else 0) | (select.EPOLLOUT if write else 0)
            known = self._masks.get(fd)
            if known is None:
                self._epoll.register(fd, mask)
            elif known != mask:
                self._epoll.modify(fd, mask)
            self._masks[fd] = mask

        def forget(self, fd: int) -> None:
            """See :class:`Poller`."""
            if self._masks.pop(fd, None) is not None:
                with suppress(OSError):
                    self._epoll.unregister(fd)

        def wait(self, timeout: float | None) -> list[Ready]:
            """See :class:`Poller`."""
            if timeout is not None and 0 < timeout < RESOLUTION:
                # epoll counts in milliseconds and rounds up.
                sleep(timeout)
                timeout = 0.0
            gone = select.EPOLLHUP | select.EPOLLERR
            return [
                Ready(fd, bool(mask & select.EPOLLIN), bool(mask & select.EPOLLOUT), bool(mask & gone))
                for fd, mask in self._epoll.poll(-1 if timeout is None else timeout)
            ]

        def close(self) -> None:
            """See :class:`Poller`."""
            self._epoll.close()

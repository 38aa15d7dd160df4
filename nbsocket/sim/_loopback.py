"""A network of real sockets, on loopback and nowhere else."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import selectors
import socket as constants
import struct
import sys
from collections import deque

from nbsocket._runtime._stdlib import GenuineSocket, ioctl

from ._hosts import LoopbackTarget
from ._network import Arrived, Ended, Network, NetworkEvent, Opened

RECEIVE_SIZE = 4096
MAX_DATAGRAM_SIZE = 65535

#: A connection that was closed in order waits this long for the peer's FIN.
LINGER_TIME = 10.0

#: Connections the modem forgot without telling the peer; beyond this the oldest is really closed.
MAX_GHOSTS = 16

_SIOCOUTQ = 0x5411
_SO_NWRITE = 0x1024  # Darwin: bytes not yet acknowledged


class _LoopbackSocket:
    """One real socket."""

    def __init__(self, handle: int, service: str, sock: GenuineSocket) -> None:
        self.handle = handle
        self.service = service
        self.sock = sock
        self.is_connecting = False
        self.is_receiving = True
        self.is_finishing = False
        self.has_ended = False
        self.is_ghost = False
        self.outgoing = bytearray()
        self.local_port = 0
        self.deadline = float("inf")


class LoopbackNetwork(Network):
    """Carries the modem's traffic to real servers on this machine's loopback interface.

    Only sockets of :data:`nbsocket._runtime._stdlib.GenuineSocket` are used: ``nbsocket.patch()`` never reaches them.
    """

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._links: dict[int, _LoopbackSocket] = {}
        self._leaving: list[_LoopbackSocket] = []
        self._events: deque[NetworkEvent] = deque()
        self._now = 0.0

    def open(self, handle: int, service: str, target: LoopbackTarget | str, local_port: int, now: float) -> None:
        """See :meth:`Network.open`."""
        if isinstance(target, str):
            if service == "UDP" or target != "timeout":
                self._events.append(Opened(handle, 0 if service == "UDP" else 566))
            return
        family = _loopback_family(target)
        kind = constants.SOCK_STREAM if service == "TCP" else constants.SOCK_DGRAM
        try:
            sock = GenuineSocket(family, kind)
        except OSError:
            self._events.append(Opened(handle, 554))
            return
        sock.setblocking(False)
        link = _LoopbackSocket(handle, service, sock)
        if not self._bind(link, family, local_port):
            sock.close()
            self._events.append(Opened(handle, 556))
            return
        self._links[handle] = link
        self._connect(link, target)

    def _bind(self, link: _LoopbackSocket, family: int, local_port: int) -> bool:
        if not local_port:
            return True
        try:
            if link.service == "TCP":
                link.sock.setsockopt(constants.SOL_SOCKET, constants.SO_REUSEADDR, 1)
            link.sock.bind(("127.0.0.1" if family == constants.AF_INET else "::1", local_port))
        except OSError as error:
            # If this machine has it, not the modem: the modem's own is free, and a peer sees a NAT's port anyway.
            is_own = any(other.local_port == local_port for other in self._links.values())
            return error.errno == errno.EADDRINUSE and not is_own
        link.local_port = local_port
        return True

    def _connect(self, link: _LoopbackSocket, target: LoopbackTarget) -> None:
        if link.service == "TCP":
            link.sock.setsockopt(constants.IPPROTO_TCP, constants.TCP_NODELAY, 1)
        try:
            number = link.sock.connect_ex((target.address, target.port))
        except Exception:  # an audit hook of the program's refuses it, with whatever it raises
            number = errno.EACCES
        if number in (errno.EINPROGRESS, errno.EAGAIN):
            link.is_connecting = True
            self._watch(link)
            return
        self._connected(link, number)

    def _connected(self, link: _LoopbackSocket, number: int) -> None:
        link.is_connecting = False
        if number:
            self._drop(link)
            result = 569 if number == errno.ETIMEDOUT else 556 if number == errno.EADDRNOTAVAIL else 566
            self._events.append(Opened(link.handle, result))
            return
        self._watch(link)
        self._events.append(Opened(link.handle, 0))

    def send(self, handle: int, data: bytes, now: float) -> None:
        """See :meth:`Network.send`."""
        link = self._links.get(handle)
        if link is None:
            return
        if link.service == "UDP":
            with contextlib.suppress(OSError):
                link.sock.send(data)
            return
        link.outgoing += data
        self._flush(link)

    def _flush(self, link: _LoopbackSocket) -> None:
        while link.outgoing:
            try:
                sent = link.sock.send(link.outgoing)
            except BlockingIOError:
                break
            except OSError:
                # The peer is gone; reading tells how.
                link.outgoing.clear()
                break
            del link.outgoing[:sent]
            if link.is_finishing:
                link.deadline = self._now + LINGER_TIME
        if link.is_finishing and not link.outgoing:
            link.is_finishing = False
            with contextlib.suppress(OSError):
                link.sock.shutdown(constants.SHUT_WR)
            if link.has_ended:
                self._drop(link)
                return
        self._watch(link)

    def unacknowledged(self, handle: int) -> int:
        """See :meth:`Network.unacknowledged`."""
        link = self._links.get(handle)
        if link is None or link.service == "UDP":
            return 0
        return len(link.outgoing) + _unacknowledged_in_kernel(link.sock)

    def finish(self, handle: int) -> None:
        """See :meth:`Network.finish`."""
        link = self._links.pop(handle, None)
        if link is None:
            return
        if link.service == "UDP" or link.is_connecting:
            self._drop(link)
            return
        link.is_finishing = True
        link.is_receiving = True
        link.deadline = self._now + LINGER_TIME
        self._leaving.append(link)
        self._flush(link)

    def vanish(self, handle: int) -> None:
        """See :meth:`Network.vanish`."""
        link = self._links.pop(handle, None)
        if link is None:
            return
        if link.service == "UDP" or link.is_connecting or link.has_ended:
            self._drop(link)
            return
        link.is_ghost = True
        link.outgoing.clear()
        link.is_receiving = True
        self._leaving.append(link)
        self._watch(link)
        ghosts = [other for other in self._leaving if other.is_ghost]
        if len(ghosts) > MAX_GHOSTS:
            self._reset(ghosts[0])

    def set_receiving(self, handle: int, is_on: bool) -> None:
        """See :meth:`Network.set_receiving`."""
        link = self._links.get(handle)
        if link is not None and link.is_receiving != is_on:
            link.is_receiving = is_on
            self._watch(link)

    def poll(self, now: float) -> list[NetworkEvent]:
        """See :meth:`Network.poll`."""
        self._now = now
        for key, mask in self._selector.select(0) if self._selector.get_map() else ():
            self._handle(key.data, mask)
        for link in [link for link in self._leaving if link.deadline <= now]:
            self._drop(link)
        events = list(self._events)
        self._events.clear()
        return events

    def _handle(self, link: _LoopbackSocket, mask: int) -> None:
        if link.is_connecting:
            self._connected(link, link.sock.getsockopt(constants.SOL_SOCKET, constants.SO_ERROR))
            return
        if mask & selectors.EVENT_WRITE:
            self._flush(link)
        if mask & selectors.EVENT_READ and link.is_receiving and not link.has_ended:
            self._read(link)

    def _read(self, link: _LoopbackSocket) -> None:
        try:
            data = link.sock.recv(RECEIVE_SIZE if link.service == "TCP" else MAX_DATAGRAM_SIZE)
        except BlockingIOError:
            return
        except OSError:
            if link.service == "TCP":  # for a datagram socket it is an ICMP message, which the modem ignores
                self._end(link, is_reset=True)
            return
        if link.handle not in self._links:
            self._discard(link, data)
        elif data or link.service == "UDP":
            self._events.append(Arrived(link.handle, data))
        else:
            self._end(link, is_reset=False)

    def _discard(self, link: _LoopbackSocket, data: bytes) -> None:
        """Handle what comes for a connection that the modem has left."""
        is_delivered = not link.outgoing and not _unacknowledged_in_kernel(link.sock)
        if data and (link.is_ghost or is_delivered):
            # Nobody reads it any more: RFC 9293 §3.6.1, and lwIP's tcp_input with TF_RXCLOSED.
            self._reset(link)
        elif not data and (link.is_ghost or not link.outgoing):
            self._drop(link)
        elif not data:
            link.has_ended = True
            self._watch(link)

    def _end(self, link: _LoopbackSocket, is_reset: bool) -> None:
        link.has_ended = True
        if link.handle not in self._links:
            self._drop(link)
            return
        self._watch(link)
        self._events.append(Ended(link.handle, is_reset))

    def _watch(self, link: _LoopbackSocket) -> None:
        mask = 0
        if link.is_connecting or link.outgoing:
            mask |= selectors.EVENT_WRITE
        if not link.is_connecting and link.is_receiving and not link.has_ended:
            mask |= selectors.EVENT_READ
        is_known = link.sock.fileno() in self._selector.get_map()
        if not mask:
            if is_known:
                self._selector.unregister(link.sock)
        elif is_known:
            self._selector.modify(link.sock, mask, link)
        else:
            self._selector.register(link.sock, mask, link)

    def _reset(self, link: _LoopbackSocket) -> None:
        link.sock.setsockopt(constants.SOL_SOCKET, constants.SO_LINGER, struct.pack("ii", 1, 0))
        self._drop(link)

    def _drop(self, link: _LoopbackSocket) -> None:
        if link.sock.fileno() in self._selector.get_map():
            self._selector.unregister(link.sock)
        link.sock.close()
        self._links.pop(link.handle, None)
        if link in self._leaving:
            self._leaving.remove(link)

    def next_deadline(self) -> float | None:
        """See :meth:`Network.next_deadline`."""
        if self._events:
            return float("-inf")
        deadline = min((link.deadline for link in self._leaving), default=float("inf"))
        return None if deadline == float("inf") else deadline

    def fileno(self) -> int | None:
        """Return the selector's own descriptor (epoll or kqueue), which is itself selectable; None elsewhere."""
        method = getattr(self._selector, "fileno", None)
        return None if method is None else int(method())

    def close(self) -> None:
        """See :meth:`Network.close`: what was sent and not yet taken by the kernel is lost."""
        for link in [*self._links.values(), *self._leaving]:
            self._drop(link)
        self._selector.close()


def _loopback_family(target: LoopbackTarget) -> int:
    address = ipaddress.ip_address(target.address)
    if not address.is_loopback:
        raise AssertionError(f"the simulator must never leave loopback: {target}")
    return int(constants.AF_INET if address.version == 4 else constants.AF_INET6)


def _unacknowledged_in_kernel(sock: GenuineSocket) -> int:
    try:
        if sys.platform == "darwin":
            return sock.getsockopt(constants.SOL_SOCKET, _SO_NWRITE)
        return int(struct.unpack("i", ioctl(sock.fileno(), _SIOCOUTQ, b"\0\0\0\0"))[0])
    except OSError:
        return 0

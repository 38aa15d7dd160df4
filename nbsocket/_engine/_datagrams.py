"""Carries UDP datagrams between their channels and the driver: one connection of the driver a peer.

A socket that talks to several peers uses one of the module's sockets for each; when all are in use, the peer that was
used least recently is closed. Datagrams for bypassed addresses go out of the channel's shadow, a real UDP socket.
"""

from __future__ import annotations

import errno
import logging
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count

from nbsocket._channel import DatagramChannel
from nbsocket._clock import monotonic
from nbsocket._driver import (
    Connected,
    ConnectFailed,
    ConnectionEnded,
    ConnectionReset,
    DatagramsLost,
    DataReceived,
    PeerClosed,
)
from nbsocket._engine._hub import Hub
from nbsocket._engine._last_resort import run_every
from nbsocket._engine._log import Log
from nbsocket._engine._poller import Ready
from nbsocket._engine._stats import ConnectionStats
from nbsocket._errors import make_error

__all__ = ["Datagrams"]

#: Datagrams of one socket that wait for the module, beyond the kernel's buffer.
MAX_WAITING = 16

#: Seconds that what was sent before close() may take to leave.
CLOSE_LINGER = 60.0

#: Datagrams that one socket may bring at a time: whoever floods one must not keep the thread from the others.
MAX_AT_ONCE = 64

#: Largest UDP datagram.
_MAX_DATAGRAM = 65536

_order = count()

logger = Log("nbsocket")


@dataclass(eq=False)
class _Peer:
    """One peer of one socket, and what waits for it."""

    socket: _Socket
    host: str
    port: int
    key: int = 0
    waiting: deque[bytes] = field(default_factory=deque)
    is_open: bool = False
    #: The driver was told to close it after what waits.
    is_finished: bool = False
    #: The driver took something since the last look.
    is_touched: bool = False
    used: int = 0
    bytes_up: int = 0
    bytes_down: int = 0

    def account(self, is_open: bool) -> ConnectionStats:
        """Give the account of it."""
        return ConnectionStats("UDP", self.host, self.port, self.bytes_up, self.bytes_down, is_open)

    def take(self, max_bytes: int) -> bytes:
        """Return the next datagram; ``b""`` when there is none."""
        self.is_touched = True
        while self.waiting:
            data = self.waiting.popleft()
            if len(data) <= max_bytes:
                self.bytes_up += len(data)
                return data
            # Written below the socket's methods, which refuse it.
            self.socket.channel.dropped += 1
        return b""


@dataclass(eq=False)
class _Socket:
    """One datagram socket of the application."""

    channel: DatagramChannel
    fd: int
    shadow_fd: int
    peers: dict[tuple[str, int], _Peer] = field(default_factory=dict)
    is_over: bool = False

    @property
    def waiting(self) -> int:
        """Datagrams that wait for the module."""
        return sum(len(peer.waiting) for peer in self.peers.values())


class Datagrams:
    """All UDP sockets of one engine. Thread: the engine's."""

    def __init__(self, hub: Hub) -> None:
        """Start with none."""
        self._hub = hub
        self._sockets: dict[DatagramChannel, _Socket] = {}
        self._peers: dict[int, _Peer] = {}

    def __len__(self) -> int:
        return len(self._peers)

    def __contains__(self, key: int) -> bool:
        return key in self._peers

    @property
    def has_sockets(self) -> bool:
        """Whether any socket of the application is attached."""
        return bool(self._sockets)

    @property
    def dropped(self) -> int:
        """Datagrams lost at the attached sockets."""
        return sum(item.channel.dropped for item in self._sockets.values())

    def keys_of(self, channel: DatagramChannel) -> list[int]:
        """Return the driver's keys of a socket."""
        item = self._sockets.get(channel)
        return [peer.key for peer in item.peers.values()] if item is not None else []

    def keys_for_logs(self) -> Iterator[int]:
        """Give the driver's keys of what handlers of logging use."""
        return (peer.key for peer in self._peers.values() if peer.socket.channel.is_for_logs)

    def attach(self, channel: DatagramChannel) -> None:
        """Start carrying a socket's datagrams."""
        if channel in self._sockets or channel.is_over():
            return
        item = _Socket(channel, channel.engine_end.fileno(), channel.shadow.fileno())
        self._sockets[channel] = item
        self._watch(item)
        self._watch_shadow(item)

    def detach(self, channel: DatagramChannel) -> None:
        """Stop carrying it; its peers are closed after what waits."""
        item = self._sockets.get(channel)
        if item is not None:
            self._close(item)

    def close_all(self) -> None:
        """End every socket as if its application had closed it."""
        for item in tuple(self._sockets.values()):
            self._read(item, limit=None)
            self._close(item)

    def leave(self) -> None:
        """The program is over: send what waits, but leave the descriptors as they are."""
        for item in tuple(self._sockets.values()):
            self._read(item, limit=None)
            self._close(item, is_visible=False)

    def reset_all(self, error: OSError) -> None:
        """Drop every peer; the sockets stay and may be used again. The driver is not asked."""
        for peer in tuple(self._peers.values()):
            run_every(partial(self._lose, peer, error))
        # Those whose loss could not be told in full are lost all the same.
        self._peers.clear()
        for item in self._sockets.values():
            item.peers.clear()

    def watch_all(self) -> None:
        """Watch every socket, after nothing was watched any more."""
        for item in tuple(self._sockets.values()):
            run_every(partial(self._watch, item), partial(self._watch_shadow, item))

    def settle(self) -> bool:
        """Tell the driver of what waits after it took something; return whether it was told anything."""
        is_news = False
        for peer in tuple(self._peers.values()):
            if peer.is_touched:
                peer.is_touched = False
                is_news = self._announce(peer) or is_news
                self._watch(peer.socket)
        return is_news

    # What the driver tells.

    def connected(self, event: Connected) -> None:
        """The module has opened a peer's socket."""
        peer = self._peers[event.key]
        peer.is_open = True
        self._announce(peer)
        if peer.socket.is_over:
            self._finish(peer)

    def connect_failed(self, event: ConnectFailed) -> None:
        """What waits for it is lost."""
        self._lose(self._peers[event.key], event.error)

    def data_received(self, event: DataReceived) -> None:
        """A datagram for the application."""
        peer = self._peers[event.key]
        peer.bytes_down += len(event.data)
        peer.used = next(_order)
        if not peer.socket.is_over:
            peer.socket.channel.deliver((peer.host, peer.port), event.data)
            self._watch(peer.socket)

    def lost(self, event: DatagramsLost) -> None:
        """The driver gave datagrams up, and has counted them."""
        peer = self._peers[event.key]
        logger.log(logging.WARNING, "a datagram to %s port %s was lost: %s", peer.host, peer.port, event.reason)

    def peer_closed(self, event: PeerClosed) -> None:
        """Means nothing without a stream."""

    def reset(self, event: ConnectionReset) -> None:
        """The module lost the socket; the next datagram opens another one."""
        self._lose(self._peers[event.key], event.error)

    def ended(self, event: ConnectionEnded) -> None:
        """The module's socket is free."""
        peer = self._peers[event.key]
        self._lose(peer, make_error(errno.ECONNABORTED, "the modem closed the socket") if peer.waiting else None)

    # What the application does.

    def _ready(self, item: _Socket, ready: Ready) -> None:
        if ready.is_writable:
            item.channel.flush()
        if ready.is_readable or ready.is_hung_up:
            self._read(item, limit=None if ready.is_hung_up else MAX_WAITING)
        if not item.is_over:
            self._watch(item)

    def _read(self, item: _Socket, limit: int | None) -> None:
        try:
            while limit is None or item.waiting < limit:
                datagram = item.channel.read()
                if datagram is None:
                    return
                self._route(item, *datagram)
        except EOFError:
            self._close(item)

    def _route(self, item: _Socket, to: tuple[str, int], data: bytes) -> None:
        host, port = to
        try:
            if item.channel.is_bypassed(host):
                item.channel.shadow.sendto(data, socket.MSG_DONTWAIT, (host, port))
                return
            if not data:
                raise make_error(errno.EINVAL, "the modem cannot send an empty datagram")
            peer = item.peers.get(to) or self._open(item, host, port)
        except OSError as error:
            item.channel.dropped += 1
            item.channel.set_error(error)
            return
        peer.used = next(_order)
        peer.waiting.append(data)
        self._announce(peer)

    def _open(self, item: _Socket, host: str, port: int) -> _Peer:
        self._hub.require_port()
        peer = _Peer(item, host, port)
        # One peer only can have the bound port: the module's sockets cannot share one.
        local_port = 0 if item.peers else item.channel.local_port
        try:
            peer.key = self._driver_open(peer, local_port)
        except ValueError as error:
            raise make_error(errno.EINVAL, str(error)) from error
        except OSError as error:
            if error.errno != errno.EMFILE or not self._close_least_used():
                raise
            peer.key = self._driver_open(peer, local_port)
        item.peers[host, port] = self._peers[peer.key] = peer
        self._hub.accounts.begin(peer, peer.account)
        for name, value in item.channel.options.items():
            self._hub.driver.set_option(peer.key, name, value)
        return peer

    def _driver_open(self, peer: _Peer, local_port: int) -> int:
        return self._hub.driver.open("UDP", peer.host, peer.port, local_port, peer, monotonic())

    def _close_least_used(self) -> bool:
        """Close the peer that was used least recently and has nothing waiting; return whether there was one."""
        idle = [peer for peer in self._peers.values() if peer.is_open and not peer.waiting and not peer.is_finished]
        if not idle:
            return False
        peer = min(idle, key=lambda peer: peer.used)
        peer.socket.peers.pop((peer.host, peer.port), None)
        self._finish(peer)
        return True

    def _announce(self, peer: _Peer) -> bool:
        if not peer.waiting or not peer.is_open:
            return False
        self._hub.driver.data_available(peer.key, len(peer.waiting[0]), monotonic())
        return True

    def _close(self, item: _Socket, *, is_visible: bool = True) -> None:
        """The application has closed the socket: what it sent still goes out."""
        if item.is_over:
            return
        item.is_over = True
        self._hub.forget(item.fd)
        self._hub.forget(item.shadow_fd)
        del self._sockets[item.channel]
        if is_visible:
            item.channel.finish()
        for peer in tuple(item.peers.values()):
            if peer.is_open:
                self._finish(peer)

    def _finish(self, peer: _Peer) -> None:
        if not peer.is_finished:
            peer.is_finished = True
            self._hub.driver.end_of_data(peer.key, CLOSE_LINGER, monotonic())

    def _lose(self, peer: _Peer, error: OSError | None) -> None:
        self._peers.pop(peer.key, None)
        if peer.socket.peers.get((peer.host, peer.port)) is peer:
            del peer.socket.peers[peer.host, peer.port]
        peer.socket.channel.dropped += len(peer.waiting)
        peer.waiting.clear()
        if error is not None:
            peer.socket.channel.set_error(error)
        self._hub.accounts.end(peer)
        if not peer.socket.is_over:
            self._watch(peer.socket)

    def _shadow_ready(self, item: _Socket, ready: Ready) -> None:
        """Datagrams from bypassed addresses, or an error that the network reported."""
        with suppress(BlockingIOError):
            for _ in range(MAX_AT_ONCE):
                try:
                    data, address = item.channel.shadow.recvfrom(_MAX_DATAGRAM, socket.MSG_DONTWAIT)
                except BlockingIOError:
                    raise
                except OSError as error:
                    item.channel.set_error(error)
                    continue
                item.channel.deliver((str(address[0]), int(address[1])), data)
        if not item.is_over:
            self._watch(item)

    def _watch_shadow(self, item: _Socket) -> None:
        if item.channel.bypass is not None:
            self._hub.watch(item.shadow_fd, lambda ready: self._shadow_ready(item, ready), read=True)

    def _watch(self, item: _Socket) -> None:
        if item.is_over:
            return
        self._hub.watch(
            item.fd,
            lambda ready: self._ready(item, ready),
            read=item.waiting < MAX_WAITING,
            write=item.channel.wants_write,
        )

"""Carries UDP datagrams between their channels and the driver: one connection of the driver a peer.

Theory of operation. A socket that talks to several peers uses one of the modem's five sockets for each; which peer has
one, ``_peer_table`` decides. Sockets that the application has closed are closed in the modem as soon as what they wrote
is sent. Nothing is dropped in silence: what waits is bounded in bytes and in time, and whatever is dropped is counted
for good and logged, once a burst.

Datagrams for bypassed addresses go out of the channel's host socket, a real UDP socket.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

from nbsocket._channel import DatagramChannel
from nbsocket._driver import (
    Connected,
    ConnectFailed,
    ConnectionEnded,
    ConnectionReset,
    DatagramsLost,
    DataReceived,
)
from nbsocket._engine._context import EngineContext
from nbsocket._engine._drops import DropLog
from nbsocket._engine._last_resort import run_every
from nbsocket._engine._peer_table import PeerTable
from nbsocket._engine._peers import DATAGRAM_COST, DatagramSocket, Peer
from nbsocket._engine._poller import Ready
from nbsocket._errors import make_error
from nbsocket._runtime._clock import monotonic

__all__ = ["Datagrams"]

#: Bytes of all datagrams that wait, of closed sockets above all.
MAX_TOTAL_SIZE = 1024 * 1024

#: Datagrams that one socket may bring at a time: whoever floods one must not keep the thread from the others.
MAX_AT_ONCE = 64

#: Largest UDP datagram.
_MAX_DATAGRAM = 65536


class Datagrams:
    """All UDP sockets of one engine. Thread: the engine's."""

    def __init__(self, context: EngineContext) -> None:
        """Start with none."""
        self._context = context
        self._sockets: dict[DatagramChannel, DatagramSocket] = {}
        self.drops = DropLog()
        self.peers = PeerTable(context, self.drops, self._watch)

    def __len__(self) -> int:
        return len(self.peers)

    def __contains__(self, key: int) -> bool:
        return key in self.peers.by_key

    @property
    def dropped(self) -> int:
        """Datagrams lost here on either way. Thread: any, for information."""
        return self.drops.total

    @property
    def has_sockets(self) -> bool:
        """Whether any socket of the application is attached."""
        return bool(self._sockets)

    def keys_of(self, channel: DatagramChannel) -> list[int]:
        """Return the driver's keys of a socket."""
        item = self._sockets.get(channel)
        return [peer.key for peer in item.peers.values() if peer.key is not None] if item is not None else []

    def keys_for_logs(self) -> Iterator[int]:
        """Give the driver's keys of what handlers of logging use."""
        return (key for key, peer in self.peers.by_key.items() if peer.socket.channel.is_for_logs)

    def attach(self, channel: DatagramChannel) -> None:
        """Start carrying a socket's datagrams."""
        if channel in self._sockets or channel.is_over():
            return
        item = DatagramSocket(self.peers.backlog, channel, channel.engine_end.fileno(), channel.shadow.fileno())
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
            self._read(item, is_last=True)
            self._close(item)

    def leave(self) -> None:
        """The program is over: send what waits, but leave the descriptors as they are."""
        for item in tuple(self._sockets.values()):
            self._read(item, is_last=True)
            self._close(item, is_visible=False)

    def reset_all(self, error: OSError) -> None:
        """Drop every peer; the sockets stay and may be used again. The driver is not asked."""
        for peer in (*self.peers.by_key.values(), *self.peers.parked):
            run_every(partial(self.peers.lose, peer, error))
        self.peers.clear()
        for item in self._sockets.values():
            item.peers.clear()
            item.ready_number = item.parked_size = 0

    def port_lost(self, error: OSError) -> None:
        """Drop what the driver does not know of; of the rest it tells."""
        while self.peers.parked:
            self.peers.lose(self.peers.parked[0], error)

    def watch_all(self) -> None:
        """Watch every socket, after nothing was watched any more."""
        for item in tuple(self._sockets.values()):
            run_every(partial(self._watch, item), partial(self._watch_shadow, item))

    # Time.

    def next_deadline(self) -> float | None:
        """When :meth:`handle_timeout` is due; None: not by the clock."""
        summary = self.drops.due
        if not self.peers.parked:
            return summary
        due = self.peers.next_deadline()
        return min((moment for moment in (summary, due) if moment is not None), default=None)

    def handle_timeout(self, now: float) -> None:
        """Do what time demands."""
        self.drops.handle_timeout(now)
        self.peers.handle_timeout(now)

    # What the driver tells.

    def connected(self, event: Connected) -> None:
        """The modem has opened a peer's socket."""
        peer = self.peers.by_key[event.key]
        peer.is_open = True
        self.peers.announce(peer)

    def connect_failed(self, event: ConnectFailed) -> None:
        """What waits for it is lost, unless it was the modem that was lost."""
        self.peers.end(self.peers.by_key[event.key], event.error)

    def data_received(self, event: DataReceived) -> None:
        """A datagram for the application."""
        peer = self.peers.by_key[event.key]
        self.peers.heard(peer, len(event.data), monotonic())
        if not peer.socket.is_over:
            peer.socket.channel.deliver(peer.address, event.data)
            self.drops.count_channel(peer.socket)
            self._watch(peer.socket)

    def lost(self, event: DatagramsLost) -> None:
        """The driver gave datagrams up, and has counted them."""
        peer = self.peers.by_key[event.key]
        self.drops.note(event.number, f"to {peer.host} port {peer.port}: {event.reason}", monotonic())

    def reset(self, event: ConnectionReset) -> None:
        """The modem lost the socket."""
        peer = self.peers.by_key[event.key]
        if not peer.waiting:
            peer.socket.channel.set_error(event.error)
        self.peers.end(peer, event.error)

    def ended(self, event: ConnectionEnded) -> None:
        """The modem's socket is free."""
        self.peers.end(self.peers.by_key[event.key], make_error(errno.ECONNABORTED, "the modem closed the socket"))

    # What the application does.

    def _ready(self, item: DatagramSocket, ready: Ready) -> None:
        if ready.is_writable:
            item.channel.flush()
        if ready.is_readable or ready.is_hung_up:
            self._read(item, is_last=ready.is_hung_up)
        self._watch(item)

    def _read(self, item: DatagramSocket, *, is_last: bool) -> None:
        try:
            while is_last or item.has_room:
                datagram = item.channel.read()
                if datagram is None:
                    break
                self._route(item, *datagram)
        except EOFError:
            self._close(item)
        self.drops.count_channel(item)

    def _route(self, item: DatagramSocket, to: tuple[str, int], data: bytes) -> None:
        host, port = to
        try:
            if item.channel.is_bypassed(host):
                item.channel.shadow.sendto(data, socket.MSG_DONTWAIT, (host, port))
                return
            if not data:
                raise make_error(errno.EINVAL, "the modem cannot send an empty datagram")
            if self.peers.backlog.size + len(data) + DATAGRAM_COST > MAX_TOTAL_SIZE:
                raise make_error(errno.ENOBUFS, f"datagrams of {MAX_TOTAL_SIZE >> 10} KiB wait already")
        except OSError as error:
            self.drops.drop(1, Peer(item, host, port), error.strerror or str(error))
            item.channel.set_error(error)
            return
        self.peers.write(item, to, data)

    def _close(self, item: DatagramSocket, *, is_visible: bool = True) -> None:
        """The application has closed the socket: what it sent still goes out."""
        if item.is_over:
            return
        item.is_over = True
        self._context.forget(item.fd)
        self._context.forget(item.shadow_fd)
        del self._sockets[item.channel]
        self.drops.count_channel(item)
        if is_visible:
            item.channel.finish()
        for peer in tuple(item.peers.values()):
            self.peers.finish(peer)

    def _shadow_ready(self, item: DatagramSocket, ready: Ready) -> None:
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
        self.drops.count_channel(item)
        self._watch(item)

    def _watch_shadow(self, item: DatagramSocket) -> None:
        if item.channel.bypass is not None:
            self._context.watch(item.shadow_fd, lambda ready: self._shadow_ready(item, ready), read=True)

    def _watch(self, item: DatagramSocket) -> None:
        if item.is_over:
            return
        self._context.watch(
            item.fd,
            lambda ready: self._ready(item, ready),
            read=item.has_room,
            write=item.channel.wants_write,
        )

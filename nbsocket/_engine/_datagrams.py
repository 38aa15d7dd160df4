"""Carries UDP datagrams between their channels and the driver: one connection of the driver a peer.

Theory of operation. A socket that talks to several peers uses one of the module's five sockets for each. A peer that
finds none waits (it is *parked*) with its datagrams, and each that becomes free is given to the one that waits longest.
While any waits, peers of which no answer is to be expected any more are closed, the least recently used first: those
that have answered, and those that have had the time to. Sockets that the application has closed are closed in the
module as soon as what they wrote is sent.

Nothing is dropped in silence: what waits is bounded in bytes and in time, and whatever is dropped is counted for good
and logged, once a burst. Time runs only while all five sockets are held for longer: by connections, not by what is on
its way to be opened or closed.

Datagrams for bypassed addresses go out of the channel's shadow, a real UDP socket.
"""

from __future__ import annotations

import errno
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import count

from nbsocket._channel import DatagramChannel
from nbsocket._driver import (
    Connected,
    ConnectFailed,
    ConnectionEnded,
    ConnectionReset,
    DatagramsLost,
    DataReceived,
    PeerClosed,
)
from nbsocket._engine._context import EngineContext
from nbsocket._engine._drops import DropLog
from nbsocket._engine._last_resort import run_every
from nbsocket._engine._peers import DATAGRAM_COST, Backlog, DatagramSocket, Peer
from nbsocket._engine._poller import Ready
from nbsocket._errors import make_error
from nbsocket._runtime._clock import monotonic

__all__ = ["Datagrams"]

#: Seconds that what was sent before close() may take to leave: an opening may have the line for itself for 65 of them.
CLOSE_LINGER = 180.0

#: Bytes of all datagrams that wait, of closed sockets above all.
MAX_TOTAL_SIZE = 1024 * 1024

#: Seconds for which every socket of the module may be held by others until what waits for one is dropped; and the most
#: that a datagram waits for a socket, however things go on.
SOCKET_WAIT = 15.0
LONGEST_WAIT = 300.0

#: Seconds after a datagram in which an answer to it is waited for, though others wait for the socket: at least and at
#: most. In between it is twice what answers took lately, for round trips of NB-IoT take from 0.3 to 10 s.
ANSWER_TIME, LONGEST_ANSWER_TIME = 4.0, 12.0
#: Seconds of silence after an answer, which may have further parts.
QUIET_TIME = 0.5

#: Peers that are being opened at a time; connections wait behind them.
MAX_OPENING = 5

#: Times that a peer is opened again when the module has lost it.
REOPENINGS = 3
#: What the driver says when the module has lost it.
LOST_ERRORS = frozenset({errno.ECONNRESET, errno.ECONNABORTED})

#: Datagrams that one socket may bring at a time: whoever floods one must not keep the thread from the others.
MAX_AT_ONCE = 64

#: Largest UDP datagram.
_MAX_DATAGRAM = 65536

_order = count()


class Datagrams:
    """All UDP sockets of one engine. Thread: the engine's."""

    def __init__(self, context: EngineContext) -> None:
        """Start with none."""
        self._context = context
        self._sockets: dict[DatagramChannel, DatagramSocket] = {}
        self._peers: dict[int, Peer] = {}
        #: Those that wait for one of the module's sockets.
        self._parked: deque[Peer] = deque()
        self._backlog = Backlog()
        #: Since when no socket of the module was to be had.
        self._stalled_at = 0.0
        #: Seconds that answers took lately, at the most.
        self._answer_time = 0.0
        self._log = DropLog()
        #: Datagrams lost here on either way.
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._peers) + len(self._parked)

    def __contains__(self, key: int) -> bool:
        return key in self._peers

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
        return (key for key, peer in self._peers.items() if peer.socket.channel.is_for_logs)

    def attach(self, channel: DatagramChannel) -> None:
        """Start carrying a socket's datagrams."""
        if channel in self._sockets or channel.is_over():
            return
        item = DatagramSocket(self._backlog, channel, channel.engine_end.fileno(), channel.shadow.fileno())
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
        for peer in (*self._peers.values(), *self._parked):
            run_every(partial(self._lose, peer, error))
        # Those whose loss could not be told in full are lost all the same.
        self._peers.clear()
        self._parked.clear()
        self._backlog.size = 0
        for item in self._sockets.values():
            item.peers.clear()
            item.ready_number = item.parked_size = 0

    def port_lost(self, error: OSError) -> None:
        """Drop what the driver does not know of; of the rest it tells."""
        while self._parked:
            self._lose(self._parked[0], error)

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
                self._drop(peer.pop_oversized(), peer, "it is larger than the module can send")
                is_news = self._announce(peer) or is_news
                self._watch(peer.socket)
        return self._open_parked() or is_news

    # Time.

    def next_deadline(self) -> float | None:
        """When :meth:`handle_timeout` is due; None: not by the clock."""
        moments = [] if self._log.deadline is None else [self._log.deadline]
        if self._parked:
            moments.append(self._next_expiry())
            if self._may_open_more:
                moments += map(self._free_at, self._idle())
        return min(moments, default=None)

    def handle_timeout(self, now: float) -> None:
        """Do what time demands."""
        self._log.handle_timeout(now)
        if self._parked and now >= self._next_expiry():
            self._expire(now)

    def _next_expiry(self) -> float:
        oldest = min((peer.waiting[0][0] for peer in self._parked if peer.waiting), default=0.0)
        return min(max(self._stalled_at, oldest) + self._patience, oldest + LONGEST_WAIT)

    @property
    def _patience(self) -> float:
        return max(SOCKET_WAIT, self._context.driver.wait_for_socket)

    def _expire(self, now: float) -> None:
        """Drop what has waited too long for a socket of the module."""
        if not self._context.driver.table.is_full:
            self._stalled_at = now
        latest = now - (self._patience if now >= self._stalled_at + self._patience else LONGEST_WAIT)
        error = make_error(errno.EMFILE, "all of the module's sockets are in use")
        for peer in tuple(self._parked):
            number = 0
            while peer.waiting and peer.waiting[0][0] <= latest:
                peer.pop()
                number += 1
            if number:
                self._drop(number, peer, "all of the module's sockets are in use")
                peer.socket.channel.set_error(error)
            if not peer.waiting:
                self._forget(peer)
            self._watch(peer.socket)

    # Which peer has one of the module's sockets.

    def _open_parked(self) -> bool:
        """Open those that wait, as far as there are sockets; return whether the driver was told anything."""
        is_news = False
        while self._parked and self._may_open_more:
            peer = self._parked[0]
            try:
                self._context.require_port()
                if not self._context.driver.table.has_socket and not self._close_idle():
                    break
                self._begin(peer)
            except OSError as error:
                self._lose(peer, error)
                continue
            is_news = True
        return is_news

    @property
    def _may_open_more(self) -> bool:
        return sum(not peer.is_open for peer in self._peers.values()) < MAX_OPENING

    def _begin(self, peer: Peer) -> None:
        """Have the driver open it."""
        item = peer.socket
        # One peer only can have the bound port: the module's sockets cannot share one.
        is_alone = not any(other.key is not None for other in item.peers.values())
        local_port = item.channel.local_port if is_alone else 0
        try:
            key = self._driver_open(peer, local_port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not item.has_had_port:
                raise
            # The module keeps the port of an earlier socket busy for a while: better another one than none.
            key = self._driver_open(peer, local_port := 0)
        item.has_had_port |= local_port != 0
        self._parked.remove(peer)
        peer.give_key(key)
        peer.is_open = peer.is_finished = False
        self._peers[key] = peer
        self._stalled_at = monotonic()
        self._context.accounts.begin(peer, peer.account)
        for name, value in item.channel.options.items():
            self._context.driver.set_option(key, name, value)
        if item.is_over:
            self._finish(peer)
        self._watch(item)

    def _driver_open(self, peer: Peer, local_port: int) -> int:
        try:
            return self._context.driver.open("UDP", peer.host, peer.port, local_port, peer, monotonic())
        except ValueError as error:
            raise make_error(errno.EINVAL, str(error)) from error

    def _idle(self) -> list[Peer]:
        """Those that are open and have nothing to send."""
        return [peer for peer in self._peers.values() if peer.is_open and not (peer.waiting or peer.is_finished)]

    def _free_at(self, peer: Peer) -> float:
        """When an idle peer's socket may be given to another."""
        if peer.heard_at >= peer.sent_at:
            return peer.heard_at + QUIET_TIME
        return peer.sent_at + min(max(ANSWER_TIME, 2.0 * self._answer_time), LONGEST_ANSWER_TIME)

    def _close_idle(self) -> bool:
        """Close the idle peer that was used least recently; return whether there was one."""
        now = monotonic()
        idle = [peer for peer in self._idle() if self._free_at(peer) <= now]
        if not idle:
            return False
        peer = min(idle, key=lambda peer: peer.used)
        self._leave_socket(peer)
        self._finish(peer)
        return True

    def _finish(self, peer: Peer) -> None:
        if not peer.is_finished and peer.key is not None:
            peer.is_finished = True
            self._context.driver.end_of_data(peer.key, CLOSE_LINGER, monotonic())

    def _leave_socket(self, peer: Peer) -> None:
        if peer.socket.peers.get(peer.address) is peer:
            del peer.socket.peers[peer.address]

    # What the driver tells.

    def connected(self, event: Connected) -> None:
        """The module has opened a peer's socket."""
        peer = self._peers[event.key]
        peer.is_open = True
        self._announce(peer)

    def connect_failed(self, event: ConnectFailed) -> None:
        """What waits for it is lost, unless it was the module that was lost."""
        self._end(self._peers[event.key], event.error)

    def data_received(self, event: DataReceived) -> None:
        """A datagram for the application."""
        peer = self._peers[event.key]
        now = monotonic()
        if peer.heard_at < peer.sent_at:
            self._answer_time = max(now - peer.sent_at, 0.9 * self._answer_time)
        peer.bytes_down += len(event.data)
        peer.heard_at, peer.used = now, next(_order)
        if not peer.socket.is_over:
            peer.socket.channel.deliver(peer.address, event.data)
            self._count_channel(peer.socket)
            self._watch(peer.socket)

    def lost(self, event: DatagramsLost) -> None:
        """The driver gave datagrams up, and has counted them."""
        peer = self._peers[event.key]
        self._log.note(event.number, f"to {peer.host} port {peer.port}: {event.reason}", monotonic())

    def peer_closed(self, event: PeerClosed) -> None:
        """Means nothing without a stream."""

    def reset(self, event: ConnectionReset) -> None:
        """The module lost the socket."""
        peer = self._peers[event.key]
        if not peer.waiting:
            peer.socket.channel.set_error(event.error)
        self._end(peer, event.error)

    def ended(self, event: ConnectionEnded) -> None:
        """The module's socket is free."""
        self._end(self._peers[event.key], make_error(errno.ECONNABORTED, "the modem closed the socket"))

    def _end(self, peer: Peer, error: OSError) -> None:
        """The driver has it no more. What waits is sent by another socket, where the module lost this one."""
        may_reopen = self._context.has_port and error.errno in LOST_ERRORS and peer.reopenings < REOPENINGS
        if not (peer.waiting and may_reopen) or peer.is_finished:
            self._lose(peer, error)
            return
        assert peer.key is not None
        del self._peers[peer.key]
        self._context.accounts.end(peer)
        peer.give_key(None)
        peer.is_open = False
        peer.reopenings += 1
        self._parked.appendleft(peer)

    def _lose(self, peer: Peer, error: OSError) -> None:
        """Drop what waits for it."""
        number = len(peer.waiting)
        while peer.waiting:
            peer.pop()
        self._forget(peer)
        if number:
            peer.socket.channel.set_error(error)
        self._drop(number, peer, error.strerror or str(error))
        self._watch(peer.socket)

    def _forget(self, peer: Peer) -> None:
        if peer.key is None:
            with suppress(ValueError):
                self._parked.remove(peer)
        else:
            self._peers.pop(peer.key, None)
            self._context.accounts.end(peer)
        self._leave_socket(peer)

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
        self._count_channel(item)

    def _route(self, item: DatagramSocket, to: tuple[str, int], data: bytes) -> None:
        host, port = to
        try:
            if item.channel.is_bypassed(host):
                item.channel.shadow.sendto(data, socket.MSG_DONTWAIT, (host, port))
                return
            if not data:
                raise make_error(errno.EINVAL, "the modem cannot send an empty datagram")
            if self._backlog.size + len(data) + DATAGRAM_COST > MAX_TOTAL_SIZE:
                raise make_error(errno.ENOBUFS, f"datagrams of {MAX_TOTAL_SIZE >> 10} KiB wait already")
        except OSError as error:
            self._drop(1, Peer(item, host, port), error.strerror or str(error))
            item.channel.set_error(error)
            return
        peer = item.peers.get(to)
        if peer is None:
            peer = item.peers[to] = Peer(item, host, port)
            if not self._parked:
                self._stalled_at = monotonic()
            self._parked.append(peer)
        peer.used = next(_order)
        peer.add(data, monotonic())
        if peer.key is None:
            self._open_parked()
        else:
            self._announce(peer)

    def _announce(self, peer: Peer) -> bool:
        if not peer.waiting or not peer.is_open or peer.key is None:
            return False
        self._context.driver.data_available(peer.key, len(peer.waiting[0][1]), monotonic())
        return True

    def _close(self, item: DatagramSocket, *, is_visible: bool = True) -> None:
        """The application has closed the socket: what it sent still goes out."""
        if item.is_over:
            return
        item.is_over = True
        self._context.forget(item.fd)
        self._context.forget(item.shadow_fd)
        del self._sockets[item.channel]
        self._count_channel(item)
        if is_visible:
            item.channel.finish()
        for peer in tuple(item.peers.values()):
            self._finish(peer)

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
        self._count_channel(item)
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

    # What is dropped.

    def _drop(self, number: int, peer: Peer, reason: str) -> None:
        if not number:
            return
        self.dropped += number
        peer.socket.channel.dropped += number
        peer.socket.dropped_before += number
        self._log.note(number, f"to {peer.host} port {peer.port}: {reason}", monotonic())

    def _count_channel(self, item: DatagramSocket) -> None:
        """Count what the channel lost: received datagrams that nobody read, and frames that make no sense."""
        number = item.channel.dropped - item.dropped_before
        if number:
            item.dropped_before += number
            self.dropped += number
            self._log.note(number, "of a socket whose application does not read", monotonic())

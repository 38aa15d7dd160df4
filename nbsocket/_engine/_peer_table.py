"""The peers of all datagram sockets: which of them has one of the modem's five sockets, and which waits for one.

A peer that finds none waits (it is *parked*) with its datagrams, and each that becomes free is given to the one that
waits longest. While any waits, peers of which no answer is to be expected any more are closed, the least recently used
first: those that have answered, and those that have had the time to. What waits is bounded in time. Time runs only
while all five sockets are held for longer: by connections, not by what is on its way to be opened or closed.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import count

from nbsocket._engine._context import EngineContext
from nbsocket._engine._drops import DropLog
from nbsocket._engine._peers import Backlog, DatagramSocket, Peer
from nbsocket._errors import make_error
from nbsocket._runtime._clock import monotonic

__all__ = ["PeerTable"]

#: Seconds that what was sent before close() may take to leave: an opening may have the line for itself for 65 of them.
CLOSE_LINGER = 180.0

#: Seconds for which every socket of the modem may be held by others until what waits for one is dropped; and the most
#: that a datagram waits for a socket, however things go on.
SOCKET_WAIT = 15.0
LONGEST_PARKING = 300.0

#: Seconds after a datagram in which an answer to it is waited for, though others wait for the socket: at least and at
#: most. In between it is twice what answers took lately, for round trips of NB-IoT take from 0.3 to 10 s.
ANSWER_TIME, LONGEST_ANSWER_TIME = 4.0, 12.0
#: Seconds of silence after an answer, which may have further parts.
ANSWER_QUIET_TIME = 0.5

#: Peers that are being opened at a time; connections wait behind them.
MAX_OPENING = 5

#: Times that a peer is opened again when the modem has lost it.
PEER_REOPENINGS = 3
#: What the driver says when the modem has lost it.
LOST_ERRORS = frozenset({errno.ECONNRESET, errno.ECONNABORTED})

_order = count()


class PeerTable:
    """All peers. Thread: the engine's."""

    def __init__(self, context: EngineContext, drops: DropLog, watch: Callable[[DatagramSocket], None]) -> None:
        """Start with none.

        Args:
            context: what the engine offers.
            drops: told of every datagram that is dropped.
            watch: called when a socket may have room for more, or less.
        """
        self._context = context
        self._drops = drops
        self._watch = watch
        #: Those that have one of the modem's sockets, by the driver's key.
        self.by_key: dict[int, Peer] = {}
        #: Those that wait for one.
        self.parked: deque[Peer] = deque()
        self.backlog = Backlog()
        #: Since when no socket of the modem was to be had.
        self._stalled_at = 0.0
        #: Seconds that answers took lately, at the most.
        self._answer_time = 0.0

    def __len__(self) -> int:
        return len(self.by_key) + len(self.parked)

    def write(self, item: DatagramSocket, to: tuple[str, int], data: bytes) -> None:
        """Send a datagram to a peer, as soon as it has a socket of the modem."""
        peer = item.peers.get(to)
        if peer is None:
            peer = item.peers[to] = Peer(item, *to)
            if not self.parked:
                self._stalled_at = monotonic()
            self.parked.append(peer)
        peer.used = next(_order)
        peer.add(data, monotonic())
        if peer.key is None:
            self.open_parked()
        else:
            self.announce(peer)

    def heard(self, peer: Peer, size: int, now: float) -> None:
        """A datagram came from it."""
        if peer.heard_at < peer.sent_at:
            self._answer_time = max(now - peer.sent_at, 0.9 * self._answer_time)
        peer.bytes_down += size
        peer.heard_at, peer.used = now, next(_order)

    def clear(self) -> None:
        """Those whose loss could not be told in full are lost all the same."""
        self.by_key.clear()
        self.parked.clear()
        self.backlog.size = 0

    def settle(self) -> bool:
        """Tell the driver of what waits after it took something; return whether it was told anything."""
        is_news = False
        for peer in tuple(self.by_key.values()):
            if peer.is_touched:
                peer.is_touched = False
                self._drops.drop(peer.pop_oversized(), peer, "it is larger than the module can send")
                is_news = self.announce(peer) or is_news
                self._watch(peer.socket)
        return (bool(self.parked) and self.open_parked()) or is_news

    # Time.

    def next_deadline(self) -> float | None:
        """When :meth:`handle_timeout` is due; None: not by the clock."""
        if not self.parked:
            return None
        moments = [self._next_expiry()]
        if self._may_open_more:
            moments += map(self._free_at, self._idle())
        return min(moments)

    def handle_timeout(self, now: float) -> None:
        """Do what time demands."""
        if self.parked and now >= self._next_expiry():
            self._expire(now)

    def _next_expiry(self) -> float:
        oldest = min((peer.waiting[0][0] for peer in self.parked if peer.waiting), default=0.0)
        return min(max(self._stalled_at, oldest) + self._socket_timeout, oldest + LONGEST_PARKING)

    @property
    def _socket_timeout(self) -> float:
        return max(SOCKET_WAIT, self._context.driver.wait_for_socket)

    def _expire(self, now: float) -> None:
        """Drop what has waited too long for a socket of the modem."""
        if not self._context.driver.table.is_full:
            self._stalled_at = now
        latest = now - (self._socket_timeout if now >= self._stalled_at + self._socket_timeout else LONGEST_PARKING)
        error = make_error(errno.EMFILE, "all of the module's sockets are in use")
        for peer in tuple(self.parked):
            number = 0
            while peer.waiting and peer.waiting[0][0] <= latest:
                peer.pop()
                number += 1
            if number:
                self._drops.drop(number, peer, "all of the module's sockets are in use")
                peer.socket.channel.set_error(error)
            if not peer.waiting:
                self._forget(peer)
            self._watch(peer.socket)

    # Which peer has one of the modem's sockets.

    def open_parked(self) -> bool:
        """Open those that wait, as far as there are sockets; return whether the driver was told anything."""
        is_news = False
        while self.parked and self._may_open_more:
            peer = self.parked[0]
            try:
                self._context.require_port()
                if not self._context.driver.table.has_socket and not self._close_idle():
                    break
                self._begin(peer)
            except OSError as error:
                self.lose(peer, error)
                continue
            is_news = True
        return is_news

    @property
    def _may_open_more(self) -> bool:
        return sum(not peer.is_open for peer in self.by_key.values()) < MAX_OPENING

    def _begin(self, peer: Peer) -> None:
        """Have the driver open it."""
        item = peer.socket
        # One peer only can have the bound port: the modem's sockets cannot share one.
        is_alone = not any(other.key is not None for other in item.peers.values())
        local_port = item.channel.local_port if is_alone else 0
        try:
            key = self._driver_open(peer, local_port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not item.has_had_port:
                raise
            # The modem keeps the port of an earlier socket busy for a while: better another one than none.
            key = self._driver_open(peer, local_port := 0)
        item.has_had_port |= local_port != 0
        self.parked.remove(peer)
        peer.give_key(key)
        peer.is_open = peer.is_finished = False
        self.by_key[key] = peer
        self._stalled_at = monotonic()
        self._context.accounts.begin(peer, peer.account)
        for name, value in item.channel.options.items():
            self._context.driver.set_option(key, name, value)
        if item.is_over:
            self.finish(peer)
        self._watch(item)

    def _driver_open(self, peer: Peer, local_port: int) -> int:
        try:
            return self._context.driver.open("UDP", peer.host, peer.port, local_port, peer, monotonic())
        except ValueError as error:
            raise make_error(errno.EINVAL, str(error)) from error

    def _idle(self) -> list[Peer]:
        """Those that are open and have nothing to send."""
        return [peer for peer in self.by_key.values() if peer.is_open and not (peer.waiting or peer.is_finished)]

    def _free_at(self, peer: Peer) -> float:
        """When an idle peer's socket may be given to another."""
        if peer.heard_at >= peer.sent_at:
            return peer.heard_at + ANSWER_QUIET_TIME
        return peer.sent_at + min(max(ANSWER_TIME, 2.0 * self._answer_time), LONGEST_ANSWER_TIME)

    def _close_idle(self) -> bool:
        """Close the idle peer that was used least recently; return whether there was one."""
        now = monotonic()
        idle = [peer for peer in self._idle() if self._free_at(peer) <= now]
        if not idle:
            return False
        peer = min(idle, key=lambda peer: peer.used)
        self._leave_socket(peer)
        self.finish(peer)
        return True

    def finish(self, peer: Peer) -> None:
        """Have the driver close its socket after what waits."""
        if not peer.is_finished and peer.key is not None:
            peer.is_finished = True
            self._context.driver.end_of_data(peer.key, CLOSE_LINGER, monotonic())

    def _leave_socket(self, peer: Peer) -> None:
        if peer.socket.peers.get(peer.address) is peer:
            del peer.socket.peers[peer.address]

    def announce(self, peer: Peer) -> bool:
        """Tell the driver of what waits for it; return whether there was anything to tell."""
        if not peer.waiting or not peer.is_open or peer.key is None:
            return False
        self._context.driver.data_available(peer.key, len(peer.waiting[0][1]), monotonic())
        return True

    def end(self, peer: Peer, error: OSError) -> None:
        """The driver has it no more. What waits is sent by another socket, where the modem lost this one."""
        may_reopen = self._context.has_port and error.errno in LOST_ERRORS and peer.reopenings < PEER_REOPENINGS
        if not (peer.waiting and may_reopen) or peer.is_finished:
            self.lose(peer, error)
            return
        assert peer.key is not None
        del self.by_key[peer.key]
        self._context.accounts.end(peer)
        peer.give_key(None)
        peer.is_open = False
        peer.reopenings += 1
        self.parked.appendleft(peer)

    def lose(self, peer: Peer, error: OSError) -> None:
        """Drop what waits for it."""
        number = len(peer.waiting)
        while peer.waiting:
            peer.pop()
        self._forget(peer)
        if number:
            peer.socket.channel.set_error(error)
        self._drops.drop(number, peer, error.strerror or str(error))
        self._watch(peer.socket)

    def _forget(self, peer: Peer) -> None:
        if peer.key is None:
            with suppress(ValueError):
                self.parked.remove(peer)
        else:
            self.by_key.pop(peer.key, None)
            self._context.accounts.end(peer)
        self._leave_socket(peer)

"""Both ends of a connection, and what each may rightly get of the other."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

from nbsocket.sim import ModelConnection
from nbsocket.sim._sockets import ModuleSocket
from tests.helpers import AT_LOOKALIKES

#: First port of the peers; connection n has the n-th.
FIRST_PORT = 1000

#: Bytes that one side of a stream can write in a plan.
CONTENT_SIZE = 40_000


class Violation(AssertionError):
    """The promise is broken; ``kind`` tells which part of it, for shortening the plan."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind


class Content:
    """The bytes of one direction, made as far as they are wanted.

    Every position tells itself from its neighbours, whatever they look like.
    """

    def __init__(self, kind: str, seed: str) -> None:
        self._random = Random(seed)
        self._make = _PIECES[kind]
        self._made = bytearray()

    def __getitem__(self, part: slice) -> bytes:
        end = min(part.stop, CONTENT_SIZE)
        while len(self._made) < end:
            self._made += self._make(self._random)
        return bytes(self._made[part.start : end])


_PIECES: dict[str, Any] = {
    "random": lambda random: random.randbytes(64),
    "traffic": lambda random: random.randbytes(3) + random.choice(AT_LOOKALIKES),
    "quotes": lambda random: bytes(random.choices(b'"\r\n>+,5A', k=64)),
    "digits": lambda random: b"%030X" % random.getrandbits(120),
}


class Peer:
    """The peer's end of one connection of the module."""

    def __init__(self, owner: Connection, link: ModelConnection, entry: ModuleSocket | None = None) -> None:
        self.owner = owner
        self.link = link
        #: What the module has of it.
        self._entry = entry
        #: Bytes of a stream that it wrote.
        self.sent = 0
        #: Datagrams that it wrote.
        self.datagrams: Counter[bytes] = Counter()
        #: "fin" or "rst" once it has ended the stream.
        self.ended = ""
        self.checked = 0
        self.has_been_deaf = False

    @property
    def is_forgotten(self) -> bool:
        """The network has silently forgotten the connection."""
        return self._entry is not None and self._entry.is_forgotten

    @property
    def told_down(self) -> int:
        """Bytes that the module has told the host of before it answered AT+QICLOSE."""
        return 0 if self._entry is None else self._entry.received - self._entry.late

    @property
    def too_late_down(self) -> int:
        """Bytes that it told of after that, or has yet to tell of."""
        if self._entry is None or not self._entry.is_answered:
            return 0
        return self._entry.late + self._entry.unreported

    @property
    def is_on_the_air(self) -> bool:
        """What the application wrote is still on its way to the peer."""
        return self._entry is not None and self._entry.on_air_up > 0

    def write(self, size: int) -> None:
        """Write the next bytes, or a datagram."""
        if self.ended or not self.link.is_open:
            return
        owner = self.owner
        if owner.is_tcp:
            data = owner.down[self.sent : self.sent + size]
            self.sent += len(data)
            if data:
                self.link.send(data)
        else:
            data = owner.next_datagram(owner.down, size)
            self.datagrams[data] += 1
            self.link.send(data)

    def end(self, how: str) -> None:
        """End the stream."""
        if not self.ended and self.link.is_open and self.owner.is_tcp:
            self.ended = how
            (self.link.close if how == "fin" else self.link.reset)()

    def react(self, data: bytes) -> None:
        """Do what its manner is, when ``data`` came or the connection was made."""
        manner = self.owner.manner
        if manner == "echo" and data:
            self.write(len(data))
        elif manner in ("greet", "flood") and not data and self.owner.is_tcp:
            self.write(100 if manner == "greet" else 12_000)
        elif manner in ("server", "crasher") and data:
            # Its answer and its end come together; nothing of the latter tells which it is.
            self.write(3 * len(data))
            self.end("fin" if manner == "server" else "rst")
        elif manner == "closer" and len(self.link.received) >= 300:
            self.end("fin")
        elif manner == "deaf" and not data:
            self.link.acknowledges = False
            self.has_been_deaf = True


class Connection:
    """An application's end; it is also the driver's ``Source``."""

    def __init__(self, seed: int, number: int, service: str, manner: str, kind: str) -> None:
        self.number = number
        self.service = service
        self.manner = manner
        self.up = Content(kind, f"{seed} {number} up")
        self.down = Content(kind, f"{seed} {number} down")
        self.key = 0
        self.opened_at = 0.0
        #: As the application asked; 0: any.
        self.local_port = 0
        #: Everything that the driver said, and what the application did: "open", "connected", "failed", "closed",
        #: "reset", "ended", "finished" (by end_of_data), "aborted", "gone" (its process is).
        self.told: list[str] = []
        self.written = 0
        self.taken = 0
        self.read = 0
        #: Something came since the last segment went out: it may be the answer to all that was written.
        self.has_heard = True
        #: How often something is told yet that came before.
        self._came_before = 0
        self.waiting: list[bytes] = []
        self.datagrams: Counter[bytes] = Counter()
        self.datagrams_read: Counter[bytes] = Counter()
        self.datagrams_got: Counter[bytes] = Counter()
        self.peers: list[Peer] = []
        self.peer: Peer | None = None
        #: What the application must have had delivered when it was told of a clean end.
        self.owed: int | None = None
        self.closed_at = float("-inf")
        self.linger = 0.0
        self.due: float | None = None
        #: Why garbage may follow what the peer got (docs/reliability.md); then nothing more is checked of it:
        #: "unseen" when the module cannot know, "told" when the application must be told.
        self.spoilers: set[str] = set()
        #: The module has lost it, by a sign; and when. Or without one, so that only the next send can show it.
        self.must_be_told: float | None = None
        self.is_lost_silently = False
        self.has_keepalive = False
        self.is_spoiled = False
        #: What was read is wrong, as the limits of text payload allow; nothing more is checked of it.
        self.is_misread = False
        self.differing = {"up": 0, "down": 0}
        #: How often more than once a datagram may come at the peer: the module said that it did not send it, and had.
        self.spare_copies = 0
        self._datagram_number = 0

    def sent_now(self, came_before: int) -> None:
        """A segment goes out, after so many pieces of received data that are not told yet."""
        self.has_heard, self._came_before = False, came_before

    @property
    def is_tcp(self) -> bool:
        return self.service == "TCP"

    @property
    def port(self) -> int:
        return FIRST_PORT + self.number

    def is_(self, *states: str) -> bool:
        """One of these has happened."""
        return any(state in self.told for state in states)

    @property
    def is_usable(self) -> bool:
        """The application can write and read."""
        return self.is_("connected") and not self.is_(
            "closed", "reset", "ended", "finished", "aborted", "gone", "halved"
        )

    def next_datagram(self, stuff: Content, size: int) -> bytes:
        """A datagram unlike the others, as far as its size allows."""
        self._datagram_number += 1
        start = (self._datagram_number * 997) % (CONTENT_SIZE - 1024)
        return (b"%d.%d." % (self.number, self._datagram_number) + stuff[start : start + 1024])[:size]

    # -- the application's side

    def write(self, size: int) -> int:
        """Write; give how many bytes the driver is to be told of."""
        if self.is_tcp:
            self.written = min(self.written + size, CONTENT_SIZE)
        else:
            self.waiting.append(self.next_datagram(self.up, max(1, size)))
        return self.ready

    @property
    def ready(self) -> int:
        """Bytes that wait to be taken."""
        if self.is_tcp:
            return self.written - self.taken
        return len(self.waiting[0]) if self.waiting else 0

    def take(self, max_bytes: int) -> bytes:
        """See :class:`nbsocket._driver.Source`."""
        if not self.is_tcp:
            if not self.waiting:
                return b""
            data = self.waiting.pop(0)
            self.datagrams[data] += 1
            return data
        data = self.up[self.taken : min(self.taken + max_bytes, self.written)]
        self.taken += len(data)
        return data

    # -- checks

    def received(self, data: bytes, garbled: int) -> None:
        """The application reads."""
        if not self.is_("connected"):
            raise Violation("order", f"{self} has data before it is connected")
        if self.is_("closed", "reset", "ended", "finished", "aborted", "failed"):
            raise Violation("order", f"{self} has data after its end: {self.told}")
        if not self.is_tcp:
            self._check_datagram(data, self._sent_by_peers(), self.datagrams_read, garbled, "application")
            return
        assert self.peer is not None
        self.has_heard = self._came_before == 0
        self._came_before = max(0, self._came_before - 1)
        if self.is_misread:
            return
        end = self.read + len(data)
        if end > self.peer.sent:
            raise Violation("down", f"{self} reads byte {end} when the peer has sent {self.peer.sent}: {data[:40]!r}")
        self._compare(data, self.down[self.read : end], "down", self.read, garbled)
        self.read = end

    def _sent_by_peers(self) -> Counter[bytes]:
        return sum((peer.datagrams for peer in self.peers), Counter())

    def check_peers(self, garbled: int) -> None:
        """Look at what the peers have got since the last time."""
        for peer in self.peers:
            if peer.checked < (len(peer.link.received) if self.is_tcp else len(peer.link.messages)):
                self._check_peer(peer, garbled)

    def _check_peer(self, peer: Peer, garbled: int) -> None:
        if not self.is_tcp:
            for message in peer.link.messages[peer.checked :]:
                try:
                    self._check_datagram(message, self.datagrams, self.datagrams_got, garbled, "peer")
                except Violation:
                    if not self.spoilers:
                        raise
                    self.is_spoiled = True
            peer.checked = len(peer.link.messages)
            return
        start, got = peer.checked, peer.link.received
        peer.checked = len(got)
        if self.is_spoiled:
            return
        try:
            if any(other.checked for other in self.peers if other is not peer):
                raise Violation("up", f"{self}: two connections of one got data")
            if len(got) > self.taken:
                raise Violation("up", f"the peer of {self} got {len(got)} bytes of {self.taken}")
            self._compare(bytes(got[start:]), self.up[start : len(got)], "up", start, garbled)
        except Violation:
            if not self.spoilers:
                raise
            self.is_spoiled = True

    def _compare(self, got: bytes, right: bytes, direction: str, start: int, garbled: int) -> None:
        if got == right:
            return
        wrong = [index for index, (have, want) in enumerate(zip(got, right, strict=True)) if have != want]
        self.differing[direction] += len(wrong)
        # A garbled payload byte cannot be seen at this layer, but it changes nothing else.
        if self.differing[direction] > garbled:
            first = wrong[0]
            raise Violation(
                direction,
                f"{self}: byte {start + first} is wrong: {got[first : first + 40]!r} for {right[first : first + 40]!r}",
            )

    def _check_datagram(self, data: bytes, sent: Counter[bytes], got: Counter[bytes], garbled: int, where: str) -> None:
        if garbled and data not in sent:
            data = next((other for other in sent if _distance(data, other) <= garbled), data)
        got[data] += 1
        spare = self.spare_copies if where == "peer" and data in sent else 0
        if got[data] > sent[data] * (1 + spare):
            what = "came twice" if data in sent else "was never sent"
            raise Violation("datagram", f"{self}: at the {where} a datagram {what}: {data[:60]!r}")

    def __str__(self) -> str:
        return f"{self.service} connection {self.number} ({', '.join(self.told)})"


def _distance(data: bytes, other: bytes) -> int:
    if len(data) != len(other):
        return 1 << 30
    return sum(have != want for have, want in zip(data, other, strict=True))

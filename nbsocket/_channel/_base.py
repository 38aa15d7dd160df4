"""What streams and datagram channels have in common: the two ends, the shadow, options and addresses."""

from __future__ import annotations

import _socket
import errno
import socket
import struct
import termios
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto
from functools import partial
from typing import Any, Protocol

from nbsocket._channel import _registry
from nbsocket._channel._epoll import keep_registered
from nbsocket._errors import ModemError, copy_of, make_error
from nbsocket._runtime._stdlib import GenuineSocket, ioctl
from nbsocket._runtime._stdlib import genuine_os as os

__all__ = ["Address", "Carrier", "Channel", "ChannelState", "adopt", "unread_size"]

#: ``(host, port)``, or ``(host, port, flowinfo, scope_id)`` for AF_INET6.
Address = tuple[Any, ...]

#: Options of SOL_SOCKET that mean something to the socket pair itself.
NATIVE_OPTIONS = frozenset(
    getattr(socket, name)
    for name in ("SO_SNDBUF", "SO_RCVBUF", "SO_RCVLOWAT", "SO_SNDLOWAT", "SO_RCVTIMEO", "SO_SNDTIMEO")
    if hasattr(socket, name)
)

#: Options that the driver wants to know: (level, option) -> (its name there, divisor of the value).
_MIRRORED: dict[tuple[int, int], tuple[str, float]] = {(socket.IPPROTO_TCP, socket.TCP_NODELAY): ("nodelay", 1)}
if hasattr(socket, "TCP_USER_TIMEOUT"):
    _MIRRORED[socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT] = ("user_timeout", 1000)


#: SO_KEEPALIVE, and the seconds of silence after which it asks; the two make one option of the driver.
_KEEPALIVE = (socket.SOL_SOCKET, socket.SO_KEEPALIVE)
_KEEPIDLE = (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", 0x10)))


class ChannelState(Enum):
    """Where a channel is in its life."""

    #: Made, not handed to an engine.
    NEW = auto()
    CONNECTING = auto()
    CONNECTED = auto()
    #: connect() failed.
    FAILED = auto()
    #: Ended by either side, or put back to the operating system.
    CLOSED = auto()


class Carrier(Protocol):
    """What a channel asks of the engine that carries it."""

    @property
    def segment_size(self) -> int:
        """The largest datagram."""

    def own_address(self, timeout: float) -> str | None:
        """Return the modem's address; waits for it at most so many seconds."""

    def set_option(self, channel: Any, name: str, value: float) -> None:
        """Tell the driver."""

    def linger(self, channel: Any, timeout: float) -> None:
        """Wait until everything of a closed connection is acknowledged, at most so many seconds."""

    def catch_up(self, timeout: float) -> None:
        """Wait until what was told so far is in force."""

    def get_unacked(self, channel: Any) -> int:
        """Return how many bytes the peer has not acknowledged."""

    def interrupt(self, channel: Any) -> None:
        """Give an attempt to connect up: it fails with ECONNRESET; waits until that is so."""

    def run(self, function: Callable[[], None]) -> None:
        """Call ``function`` while no other thread uses the channel, and wait for it."""

    def detach(self, channel: Any) -> None:
        """Carry it no more."""


class Reason:
    """Why a connection failed or was cut; None while nothing has gone wrong."""

    __slots__ = ("error",)

    def __init__(self) -> None:
        """Begin without."""
        self.error: ModemError | None = None


class Channel:
    """One connection, or one datagram socket. Made from the application's socket, whose descriptor it takes over."""

    def __init__(self, sock: socket.socket, pair_type: int) -> None:
        """Make the pair and the shadow; ``sock`` stays as it is.

        Args:
            sock: the application's socket, an operating system's socket so far.
            pair_type: type of the AF_UNIX pair.
        """
        self.shadow = adopt(os.dup(GenuineSocket.fileno(sock)))
        #: As the application made it.
        self.family = int(self.shadow.family)
        self.type = int(self.shadow.type)
        self.proto = int(self.shadow.proto)
        self.app_end, self.engine_end = _socket.socketpair(socket.AF_UNIX, pair_type)
        self.app_end.settimeout(None)
        self.engine_end.settimeout(0)
        self.inode = _registry.inode_of(self.app_end.fileno())
        #: Numbers of descriptors under which the application's end was seen.
        self.numbers: set[int] = set()
        self.state = ChannelState.NEW
        self.peername: Address | None = None
        self.sockname: Address = self.make_address("::" if self.family == socket.AF_INET6 else "0.0.0.0", 0)
        self.engine: Carrier | None = None
        #: Driver options in force, by their name there.
        self.options: dict[str, float] = {}
        #: Bytes taken from the application, and given to it.
        self.bytes_up = 0
        self.bytes_down = 0
        #: The pending errno; taken out in one step.
        self._errors: deque[int] = deque(maxlen=1)
        #: Why the connection failed or was cut. It outlives the channel, which leads back to the socket.
        self.reason = Reason()
        #: A handler of logging has used it.
        self.is_for_logs = False

    def make_address(self, host: str, port: int) -> Address:
        """Return the address in the shape of this family."""
        return (host, port, 0, 0) if self.family == socket.AF_INET6 else (host, port)

    def in_family(self, address: str) -> str:
        """Spell the modem's address for this family: it may have one of the other only."""
        if (":" in address) == (self.family == socket.AF_INET6):
            return address
        is_mapped = self.peername is not None and str(self.peername[0]).startswith("::ffff:")
        return f"::ffff:{address}" if is_mapped else str(self.sockname[0])

    def pop_error(self) -> int:
        """Return the pending errno, as SO_ERROR does, and forget it; 0 when there is none."""
        try:
            return self._errors.pop()
        except IndexError:
            return 0

    def set_error(self, error: OSError) -> None:
        """Keep an error for :meth:`pop_error`."""
        self.note_error(error)
        self._errors.append(error.errno or errno.EIO)

    def note_error(self, error: OSError) -> None:
        """Keep the reason behind what the kernel tells of the descriptor; the first one counts."""
        if self.reason.error is None and isinstance(error, ModemError):
            # Not the error itself: raising it writes the frames into it that hold the socket.
            copied = copy_of(error)
            assert isinstance(copied, ModemError)
            self.reason.error = copied

    def setsockopt(self, sock: socket.socket, level: int, name: int, *value: Any) -> None:
        """Like :meth:`socket.socket.setsockopt`; differs: what concerns the network is kept by the shadow and told to
        the driver.

        Raises:
            OSError: as the kernel answers for a socket of this family and type.
        """
        if level == socket.SOL_SOCKET and name in NATIVE_OPTIONS:
            GenuineSocket.setsockopt(sock, level, name, *value)
            return
        self.shadow.setsockopt(level, name, *value)
        self._mirror(level, name)

    def getsockopt(self, sock: socket.socket, level: int, name: int, *buflen: int) -> Any:
        """Like :meth:`socket.socket.getsockopt`; differs: SO_ERROR is the outcome of the modem's connection."""
        if level == socket.SOL_SOCKET and name == socket.SO_ERROR and not buflen:
            return self.pop_error() or GenuineSocket.getsockopt(sock, level, name)
        if level == socket.SOL_SOCKET and name in NATIVE_OPTIONS:
            return GenuineSocket.getsockopt(sock, level, name, *buflen)
        return self.shadow.getsockopt(level, name, *buflen)

    def read_options(self) -> None:
        """Note the options that were set before there was a channel."""
        for level, name in (*_MIRRORED, _KEEPALIVE):
            self._mirror(level, name)

    def _mirror(self, level: int, name: int) -> None:
        if (level, name) in (_KEEPALIVE, _KEEPIDLE):
            self._mirror_keepalive()
        if (level, name) not in _MIRRORED:
            return
        option, divisor = _MIRRORED[level, name]
        with suppress(OSError):  # a datagram socket has no TCP options
            value = self.shadow.getsockopt(level, name) / divisor
            is_default = value == 0 and option not in self.options
            if not is_default:
                self.set_option(option, value)

    def _mirror_keepalive(self) -> None:
        with suppress(OSError):  # a datagram socket has no TCP options
            is_on = bool(self.shadow.getsockopt(*_KEEPALIVE))
            idle = float(self.shadow.getsockopt(*_KEEPIDLE)) if is_on else 0.0
            if idle or "keepalive" in self.options:
                self.set_option("keepalive", idle)

    def set_option(self, option: str, value: float) -> None:
        """Keep a driver option and tell the engine if there is one."""
        self.options[option] = value
        if self.engine is not None:
            self.engine.set_option(self, option, value)

    @property
    def linger(self) -> float | None:
        """SO_LINGER in seconds; None when it is off."""
        size = struct.calcsize("ii")
        with suppress(OSError):
            is_on, seconds = struct.unpack("ii", self.shadow.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, size))
            return float(seconds) if is_on else None
        return None

    def restore(self, sock: socket.socket) -> None:
        """Put the operating system's socket back under ``sock``; the channel is over.

        Raises:
            OSError: EBADF when ``sock`` is not this channel's any more.
        """
        fd = GenuineSocket.fileno(sock)
        if fd < 0 or _registry.inode_of(fd) != self.inode:
            raise make_error(errno.EBADF)
        _registry.drop(self.inode)
        put_over(self.shadow.fileno(), sock)
        self.state = ChannelState.CLOSED
        if self.engine is not None:
            self.engine.detach(self)
        else:
            self.discard()

    @property
    def is_installed(self) -> bool:
        """Whether the application's descriptor is the only one of its end that this object made."""
        return self.app_end.fileno() < 0

    def is_over(self) -> bool:
        """Whether the engine end is closed, so that only questions can still come."""
        return self.engine_end.fileno() < 0

    def discard(self) -> None:
        """Close whatever is still open; nobody holds the application's end any more."""
        for end in (self.app_end, self.engine_end, self.shadow):
            with suppress(OSError):
                end.close()
        self.state = ChannelState.CLOSED

    def orphan(self) -> None:
        """In a forked child: no engine's end; the parent's engine goes on carrying the connection."""
        self.engine = None
        with suppress(OSError):
            self.engine_end.close()

    def swap_in(self, sock: socket.socket, *, is_new: bool = False) -> None:
        """Put the application's end over the descriptor of ``sock`` and make it known."""
        fd = GenuineSocket.fileno(sock)
        if fd < 0 or _registry.inode_of(fd) != _registry.inode_of(self.shadow.fileno()):
            raise make_error(errno.EBADF, "the socket was closed while it was being connected")
        self.numbers.add(fd)
        _registry.enter(self.inode, self)
        put_over(self.app_end.fileno(), sock, is_new=is_new)
        self.app_end.close()


def adopt(fd: int) -> _socket.socket:
    """Return a socket object for ``fd``, whose blocking mode stays as it is even when there is a default time-out."""
    is_blocking = os.get_blocking(fd)
    adopted = GenuineSocket(fileno=fd)
    os.set_blocking(fd, is_blocking)
    return adopted


def put_over(new_fd: int, sock: socket.socket, *, is_new: bool = False) -> None:
    """Replace what the descriptor of ``sock`` refers to; it keeps number, inheritance, blocking mode and epoll sets."""
    fd = GenuineSocket.fileno(sock)
    os.set_blocking(new_fd, GenuineSocket.gettimeout(sock) is None)
    is_inheritable = os.get_inheritable(fd)
    replace = partial(os.dup2, new_fd, fd, is_inheritable)
    if is_new:
        replace()
    else:
        keep_registered(fd, replace)


def unread_size(fd: int) -> int:
    """Return how many bytes could be read now (FIONREAD)."""
    return int(struct.unpack("i", ioctl(fd, termios.FIONREAD, b"\0" * struct.calcsize("i")))[0])

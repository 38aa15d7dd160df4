"""The serial port: bytes and a file descriptor.

Theory of operation: the engine watches one descriptor and reads and writes it without blocking, whatever the port's
URL is.

- A device (``/dev/ttyUSB0``, a pty, pyserial's ``spy://`` and ``hwgrep://``) is opened by pyserial and then read by
  its own descriptor.
- ``socket://host:port`` is a plain TCP connection, made with the genuine socket so that ``patch()`` never routes it
  over the modem.
- ``sim://`` is the simulator in this process; it hands out a descriptor.
- Anything else that pyserial opens without a descriptor (``rfc2217://``, ``loop://``) gets a socket pair and two
  threads that carry the bytes between it and pyserial. They block; nothing polls.
"""

from __future__ import annotations

import errno
import termios
from collections.abc import Callable
from contextlib import suppress
from socket import IPPROTO_TCP, SOCK_STREAM, TCP_NODELAY
from urllib.parse import urlsplit

from nbsocket._errors import make_error
from nbsocket._port._carrier import READ_SIZE, Carrier, with_threading
from nbsocket._port._device import Device, hung_up
from nbsocket._runtime import _stdlib
from nbsocket._runtime._stdlib import GenuineSocket, own_traffic
from nbsocket._runtime._stdlib import genuine_os as os

__all__ = ["DEFAULT_BAUDRATE", "Port", "is_opening_port", "load"]

#: The rate a port is opened with when none is asked for; the driver then probes.
DEFAULT_BAUDRATE = 115200

#: What Linux gives of a tty at a time, at the least.
TTY_SIZE = 4095

#: Seconds to reach a modem behind ``socket://``.
SOCKET_CONNECT_TIMEOUT = 10.0


def load(url: str) -> None:
    """Import what a URL needs, on the caller's thread: the engine's must not wait for a lock of the import system's."""
    if url.lower().startswith("sim:"):
        import nbsocket.sim  # noqa: F401  # only programs that use the simulator pay for loading it


def is_opening_port() -> bool:
    """Return whether this thread is opening a port: what pyserial connects to then is the host's own network."""
    return own_traffic.is_opening_port


class Port:
    """An open port.

    Thread: all methods belong to the engine's thread.
    """

    def __init__(
        self,
        url: str,
        fd: int,
        close: Callable[[], None],
        set_baudrate: Callable[[int], None] | None = None,
        reason: Callable[[], OSError | None] | None = None,
        baudrate: Callable[[], int | None] | None = None,
    ) -> None:
        """Wrap an open descriptor; :meth:`open` is the usual way in."""
        self.url = url
        self._fd = fd
        self._close = close
        self._set_baudrate = set_baudrate
        self._reason = reason
        self._baudrate = baudrate
        os.set_blocking(fd, False)

    @classmethod
    def open(cls, url: str, baudrate: int | None = None, *, hupcl: bool | None = None) -> Port:
        """Open a device or URL and lock it against other processes.

        Args:
            url: a device path or any pyserial URL, or ``sim://``.
            baudrate: bits per second; ignored where there is no line rate. None: what the device makes of
                DEFAULT_BAUDRATE, for a search that tries others.
            hupcl: whether DTR and RTS fall when the port is closed; None leaves what the device is set to. Ignored
                where there are none.
        Raises:
            OSError: with a sentence; ENOENT no such port, EACCES no permission, EBUSY another process has it (named),
                ENOTTY not a serial port, EINVAL not a port URL, or a rate that the device cannot do, or what the
                network says for a remote one; ENXIO no hardware behind the device.
        """
        scheme = urlsplit(url).scheme.lower() if "://" in url else ""
        own_traffic.is_opening_port = True
        try:
            if scheme == "sim":
                return _open_simulator(url)
            if scheme == "socket":
                return _open_socket(url)
            return _open_serial(url, baudrate, hupcl)
        finally:
            own_traffic.is_opening_port = False

    def fileno(self) -> int:
        """Return the descriptor to watch."""
        return self._fd

    def read(self) -> bytes:
        """Return all there is, at most READ_SIZE bytes; ``b""`` when nothing is there.

        Raises:
            OSError: the line ended (unplugged, hung up): EIO, or what the network says of a remote port.
        """
        data = self._read(READ_SIZE)
        if len(data) < TTY_SIZE:
            return data
        # It may be all that a tty gives at a time, and not all there is.
        pieces = [data]
        with suppress(OSError):  # what came before the end is read first; the end comes again
            while len(data) >= TTY_SIZE and sum(map(len, pieces)) <= READ_SIZE - TTY_SIZE:
                data = self._read(READ_SIZE)
                pieces.append(data)
        return b"".join(pieces)

    def _read(self, size: int) -> bytes:
        try:
            data = os.read(self._fd, size)
        except (BlockingIOError, InterruptedError):
            return b""
        except OSError as error:
            raise self._lost() from error
        if not data:
            raise self._lost()
        return data

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Write what fits now and return how many bytes that was."""
        try:
            return os.write(self._fd, data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            raise self._lost() from error

    def set_baudrate(self, baudrate: int) -> None:
        """Switch the line to another rate, and look whether it is; nothing happens where there is no line rate.

        Raises:
            OSError: EINVAL, the device cannot do this rate (to RATE_TOLERANCE) and has the one before again; EIO, it
                is gone.
        """
        if self._set_baudrate is not None:
            self._set_baudrate(baudrate)

    @property
    def has_baudrate(self) -> bool:
        """Whether the rate of the line is ours to set: not behind ``socket://``."""
        return self._set_baudrate is not None

    @property
    def baudrate(self) -> int | None:
        """The rate that the device's driver says it has; None where there is none to ask."""
        return self._baudrate() if self._baudrate is not None else None

    def close(self) -> None:
        """Release the port and its lock; errors of a device that is gone already are of no interest."""
        with suppress(OSError, termios.error):
            self._close()

    def abandon_after_fork(self) -> None:
        """Forget the port in a forked child: device, lock and parent are left alone."""
        # Not closed: pyserial's object would close the number once more, when it may be somebody else's.
        with suppress(OSError):
            nothing = os.open("/dev/null", os.O_RDWR)
            os.dup2(nothing, self._fd, inheritable=False)
            os.close(nothing)

    def _lost(self) -> OSError:
        return (self._reason() if self._reason is not None else None) or hung_up(self.url)


def _open_simulator(url: str) -> Port:
    from nbsocket.sim import open_url  # loaded by load()

    try:
        simulator = open_url(url)
    except ValueError as error:
        raise make_error(errno.EINVAL, f"{url}: {error}") from None
    fd = simulator.fileno()
    return Port(url, fd, simulator.stop, getattr(simulator, "set_baudrate", None))


def _open_socket(url: str) -> Port:
    host, number = _host_and_port(url)
    failure: OSError | None = None
    try:
        found = _stdlib.getaddrinfo(host, number, type=SOCK_STREAM)
    except OSError as error:
        raise make_error(errno.EHOSTUNREACH, f"{url}: {error.strerror or error}") from error
    for family, kind, proto, _, address in found:
        connection = GenuineSocket(family, kind, proto)
        connection.settimeout(SOCKET_CONNECT_TIMEOUT)
        try:
            connection.connect(address)
        except OSError as error:
            connection.close()
            failure = error
            continue
        with suppress(OSError):
            connection.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        return Port(url, connection.fileno(), connection.close)
    assert failure is not None
    code = failure.errno or errno.ETIMEDOUT
    raise make_error(code, f"cannot reach the modem at {url}: {failure.strerror or failure}") from failure


def _host_and_port(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise make_error(errno.EINVAL, f"{url}: {error}") from None
    if not host or not port:
        raise make_error(errno.EINVAL, f"{url}: expected socket://HOST:PORT")
    return host, port


def _open_serial(url: str, baudrate: int | None, hupcl: bool | None) -> Port:
    device = Device(url)
    rate = baudrate or DEFAULT_BAUDRATE
    fd = with_threading(lambda: device.open(rate)) if "://" in url else device.open(rate)
    try:
        if fd is not None:
            if hupcl is not None:
                device.set_hupcl(hupcl)
            if baudrate is not None:
                device.check_baudrate(baudrate)
            return Port(url, fd, device.close, device.set_baudrate, baudrate=device.baudrate)
        carrier = Carrier(device)
    except BaseException:
        device.close()
        raise
    return Port(url, carrier.fileno(), carrier.close, device.set_baudrate, carrier.reason)

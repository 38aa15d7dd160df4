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

import _socket
import errno
import stat
import sys
import termios
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from socket import AF_UNIX, IPPROTO_TCP, SHUT_RDWR, SOCK_STREAM, TCP_NODELAY
from typing import Any, TypeVar
from urllib.parse import urlsplit

import serial

from nbsocket._errors import make_error
from nbsocket._runtime import _stdlib, _threads
from nbsocket._runtime._outcome import Outcome
from nbsocket._runtime._stdlib import GenuineSocket, ioctl, own_traffic
from nbsocket._runtime._stdlib import genuine_os as os
from nbsocket._tty import is_close, read_rate, set_hupcl

__all__ = ["DEFAULT_BAUDRATE", "Port", "is_opening_port", "load"]

T = TypeVar("T")

#: The rate a port is opened with when none is asked for; the driver then probes.
DEFAULT_BAUDRATE = 115200

#: How much one read takes: more than a second of the fastest line, and a tty gives at most 4 KiB at a time.
READ_SIZE = 65536
#: What Linux gives of a tty at a time, at the least.
TTY_SIZE = 4095

#: Seconds to reach a modem behind ``socket://``.
SOCKET_CONNECT_TIMEOUT = 10.0

#: Major device numbers of Unix98 pty slaves on Linux (Documentation/admin-guide/devices.txt).
PTY_MAJORS = range(136, 144)

#: What a device that was pulled out answers.
_GONE = (errno.EIO, errno.ENODEV, errno.ENXIO)


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
        return (self._reason() if self._reason is not None else None) or _hung_up(self.url)


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
    device = _Device(url)
    rate = baudrate or DEFAULT_BAUDRATE
    fd = _with_threading(lambda: device.open(rate)) if "://" in url else device.open(rate)
    try:
        if fd is not None:
            if hupcl is not None:
                device.set_hupcl(hupcl)
            if baudrate is not None:
                device.check_baudrate(baudrate)
            return Port(url, fd, device.close, device.set_baudrate, baudrate=device.baudrate)
        carrier = _Carrier(device)
    except BaseException:
        device.close()
        raise
    return Port(url, carrier.fileno(), carrier.close, device.set_baudrate, carrier.reason)


class _Device:
    """A port of pyserial, its errors put into OSErrors with a sentence."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.serial: Any = None
        self._is_exclusive = False

    def open(self, baudrate: int) -> int | None:
        """Open and lock; return the descriptor, or None where the port has none."""
        try:
            # This makes pyserial set VMIN=1: a read of nothing is EAGAIN then, and 0 bytes mean hung up.
            self.serial = serial.serial_for_url(self.url, baudrate=baudrate, inter_byte_timeout=0, do_not_open=True)
            if isinstance(self.serial, serial.Serial):
                # pyserial's lock (flock on the device) is of the inode: every name of a device meets it.
                self.serial.exclusive = True
            self.serial.open()
            fd = self._fileno()
            if fd is not None:
                self._is_exclusive = _set_exclusive(fd)
        except (OSError, ValueError, termios.error) as error:
            raise _explain(self.url, error) from error
        return fd

    def set_baudrate(self, baudrate: int) -> None:
        before = self.serial.baudrate
        try:
            try:
                self.serial.baudrate = baudrate
            except (OSError, ValueError, termios.error) as error:
                if _errno_of(error) in _GONE:
                    raise _hung_up(self.url) from error
                raise make_error(errno.EINVAL, f"the port {self.url} cannot do {baudrate} baud: {error}") from error
            self.check_baudrate(baudrate)
        except OSError:
            with suppress(OSError, ValueError, termios.error):
                self.serial.baudrate = before
            raise

    def check_baudrate(self, wanted: int) -> None:
        """Look what the driver made of a rate: it reports no error for one that it cannot do.

        Raises:
            OSError: EINVAL, it is another one, beyond RATE_TOLERANCE.
        """
        rate = self.baudrate()
        if rate is not None and not is_close(rate, wanted):
            raise make_error(
                errno.EINVAL, f"the port {self.url} cannot do {wanted} baud: its driver has set {rate} instead"
            )

    def baudrate(self) -> int | None:
        fd = self._fileno()
        return read_rate(fd) if fd is not None else None

    def set_hupcl(self, is_on: bool) -> None:
        fd = self._fileno()
        if fd is not None:
            try:
                set_hupcl(fd, is_on)
            except termios.error as error:
                raise _explain(self.url, error) from error

    def close(self) -> None:
        if self._is_exclusive:
            with suppress(OSError):
                ioctl(self.serial.fileno(), termios.TIOCNXCL)
        self.serial.close()

    def _fileno(self) -> int | None:
        try:
            fd = self.serial.fileno()
        except (OSError, AttributeError):
            return None
        return fd if isinstance(fd, int) and fd >= 0 else None


def _set_exclusive(fd: int) -> bool:
    """Refuse further opens by programs that do not look at locks.

    Not on a pty: the mark stays with its device after this process was killed, as long as the other end lives, and
    would lock out its own user.
    """
    status = os.fstat(fd)
    is_pty = not sys.platform.startswith("linux") or os.major(status.st_rdev) in PTY_MAJORS
    if is_pty or not stat.S_ISCHR(status.st_mode):
        return False
    try:
        ioctl(fd, termios.TIOCEXCL)
    except OSError:
        return False
    return True


def _hung_up(url: str) -> OSError:
    return make_error(errno.EIO, f"the port {url} hung up (unplugged, or its other end is gone)")


def _explain(url: str, error: Exception) -> OSError:
    """Return the OSError that a user can act on."""
    number = _errno_of(error)
    if number in (errno.EAGAIN, errno.EBUSY):
        return make_error(errno.EBUSY, f"{url} is in use by {_holder(url)}")
    if number == errno.EIO and _is_terminal(url):
        # Linux lists UARTs that are not there; each answers EIO to whatever is asked of it.
        return make_error(errno.ENXIO, f"there is no hardware behind {url}")
    sentences = {
        errno.ENOENT: f"there is no serial port {url} (is the modem plugged in?)",
        errno.ENODEV: f"there is no device behind {url} (is the modem plugged in?)",
        errno.ENXIO: f"there is no device behind {url} (is the modem plugged in?)",
        errno.EACCES: f"no permission to open {url} (add your user to its group, often dialout or uucp)",
        errno.EPERM: f"no permission to open {url} (add your user to its group, often dialout or uucp)",
        errno.ENOTTY: f"{url} is not a serial port",
        errno.EISDIR: f"{url} is a directory, not a serial port",
    }
    if number is None:
        number = errno.EINVAL if isinstance(error, ValueError) else errno.EIO
    return make_error(number, sentences.get(number, f"cannot open the port {url}: {error}"))


def _is_terminal(path: str) -> bool:
    """Whether the path names a character device that is no pty (there EIO is the other end's hang-up)."""
    try:
        status = os.stat(path)
    except OSError:
        return False
    return stat.S_ISCHR(status.st_mode) and os.major(status.st_rdev) not in PTY_MAJORS


def _errno_of(error: BaseException | None) -> int | None:
    """Find the errno that pyserial may have left in the text or the context of its own exception."""
    while error is not None:
        number = getattr(error, "errno", None)
        if isinstance(number, int):
            return number
        if isinstance(error, termios.error) and error.args and isinstance(error.args[0], int):
            return error.args[0]
        error = error.__context__
    return None


def _holder(path: str) -> str:
    """Name the process that has a port, as well as the system tells."""
    try:
        status = os.stat(path)
    except OSError:
        return "another process"
    for pid in (_flock_holder(status), _descriptor_holder(status)):
        if pid is not None:
            return f"PID {pid} ({_command_name(pid)})" + (", this very process" if pid == os.getpid() else "")
    return "another process"


def _flock_holder(status: os.stat_result) -> int | None:
    # A line reads "1: FLOCK  ADVISORY  WRITE 1234 00:18:5 0 EOF": PID, then device and inode. Source: proc_locks(5).
    wanted = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    with suppress(OSError), open("/proc/locks", encoding="ascii") as table:
        for line in table:
            fields = line.split()
            if len(fields) > 5 and fields[1] == "FLOCK" and fields[5] == wanted and int(fields[4]) > 0:
                return int(fields[4])
    return None


def _descriptor_holder(status: os.stat_result) -> int | None:
    """Find another process of ours that has the device open (it used TIOCEXCL and no lock)."""
    with suppress(OSError):
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with suppress(OSError):
                for fd in os.listdir(f"/proc/{pid}/fd"):
                    with suppress(OSError):
                        other = os.stat(f"/proc/{pid}/fd/{fd}")
                        if (other.st_dev, other.st_ino) == (status.st_dev, status.st_ino):
                            return int(pid)
    return None


def _command_name(pid: int) -> str:
    with suppress(OSError), open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
        return file.read().strip()
    return "unknown"


def _with_threading(function: Callable[[], T]) -> T:
    """Call what starts threads, or asks which thread it is on, where that may be: on a thread that ``threading`` knows.

    Only for URLs of pyserial's whose handlers do so (rfc2217).
    """
    outcome: Outcome[T] = Outcome()

    def run() -> None:
        own_traffic.is_opening_port = True
        try:
            outcome.set_result(function())
        except BaseException as error:
            outcome.set_exception(error)

    try:
        threading.Thread(target=run, name="nbsocket port", daemon=True).start()
    except RuntimeError as error:
        raise make_error(errno.ENOMEM, f"cannot start a thread for the port: {error}") from error
    outcome.wait_anywhere()
    return outcome.result()


class _Carrier:
    """Two threads that carry bytes between a pyserial port without a descriptor and a socket pair."""

    def __init__(self, device: _Device) -> None:
        self._device = device
        self._outer, self._inner = _socket.socketpair(AF_UNIX, SOCK_STREAM)
        #: Why it ended: what the first of the two threads met.
        self._failures: list[OSError] = []
        try:
            for target in (self._carry_in, self._carry_out):
                _threads.start(partial(self._guarded, target))
        except OSError:
            self.close()
            raise

    def fileno(self) -> int:
        return self._outer.fileno()

    def reason(self) -> OSError | None:
        """Return why the port ended, if it did."""
        return self._failures[0] if self._failures else None

    def close(self) -> None:
        self._outer.close()
        _with_threading(self._device.close)

    def _guarded(self, target: Callable[[], None]) -> None:
        try:
            target()
        except Exception as error:
            # A port that another thread closed raises TypeError and the like in pyserial: any of it is the end of the
            # line.
            self._failures.append(_explain(self._device.url, error))
        finally:
            with suppress(OSError):
                self._inner.shutdown(SHUT_RDWR)

    def _carry_in(self) -> None:
        port = self._device.serial
        while data := port.read(1):
            data += port.read(port.in_waiting)
            self._inner.sendall(data)

    def _carry_out(self) -> None:
        while data := self._inner.recv(READ_SIZE):
            self._device.serial.write(data)

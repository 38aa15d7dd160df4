"""A device that pyserial opens: its lock, its rate, and what is said when it cannot be opened."""

from __future__ import annotations

import errno
import stat
import sys
import termios
from contextlib import suppress
from typing import Any

import serial

from nbsocket._errors import make_error
from nbsocket._port._tty import is_close, read_rate, set_hupcl
from nbsocket._runtime._stdlib import genuine_os as os
from nbsocket._runtime._stdlib import ioctl

#: Major device numbers of Unix98 pty slaves on Linux (Documentation/admin-guide/devices.txt).
PTY_MAJORS = range(136, 144)

#: What a device that was pulled out answers.
_GONE = (errno.EIO, errno.ENODEV, errno.ENXIO)


class Device:
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
            raise explain(self.url, error) from error
        return fd

    def set_baudrate(self, baudrate: int) -> None:
        before = self.serial.baudrate
        try:
            try:
                self.serial.baudrate = baudrate
            except (OSError, ValueError, termios.error) as error:
                if _errno_of(error) in _GONE:
                    raise hung_up(self.url) from error
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
                raise explain(self.url, error) from error

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


def hung_up(url: str) -> OSError:
    return make_error(errno.EIO, f"the port {url} hung up (unplugged, or its other end is gone)")


def explain(url: str, error: Exception) -> OSError:
    """Return the OSError that a user can act on."""
    number = _errno_of(error)
    if number in (errno.EAGAIN, errno.EBUSY):
        return make_error(errno.EBUSY, f"{url} is in use by {holder(url)}")
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


def holder(path: str) -> str:
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

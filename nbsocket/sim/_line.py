"""The two ends of a simulated serial line: a pseudo-terminal, or a pair of sockets inside one process."""

from __future__ import annotations

import _socket
import contextlib
import errno
import pty
import socket as constants
import stat
import termios
import tty
from abc import ABC, abstractmethod

from nbsocket._runtime._stdlib import genuine_os as os

#: Kernel buffer of the host's end of a socket pair: about that of a tty, so that writes wait for a slow line.
PAIR_BUFFER_SIZE = 4096


class Line(ABC):
    """The modem's end ``fd``, non-blocking, and the way to the host's end."""

    #: the modem's end
    fd: int
    #: device path of the host's end, or ""
    path: str = ""
    #: file descriptor of the host's end, or None when it is to be opened by path
    host_fd: int | None = None

    @abstractmethod
    def host_rate(self) -> int | None:
        """Return the rate the host has set, or None where there is no such thing."""

    @abstractmethod
    def unplug(self) -> None:
        """Close the modem's end: the host sees its port vanish. Idempotent."""

    @abstractmethod
    def close(self) -> None:
        """Close both ends and remove every trace. Idempotent."""


class PtyLine(Line):
    """A pseudo-terminal: any program can open ``path``. ``link`` is a symlink to it, removed at the end.

    Raises:
        FileExistsError: something other than a symlink is at ``link``.
    """

    def __init__(self, link: str | None) -> None:
        self.fd, self._keeper = pty.openpty()
        tty.setraw(self._keeper)
        os.fchmod(self._keeper, 0o600)
        os.set_blocking(self.fd, False)
        self._device = os.ttyname(self._keeper)
        self._link = link
        self.path = link or self._device
        if link is not None:
            try:
                make_link(self._device, link)
            except OSError:
                self._link = None
                self.close()
                raise

    def host_rate(self) -> int | None:
        """See :meth:`Line.host_rate`."""
        return _PTY_RATES.get(termios.tcgetattr(self._keeper)[5])

    def unplug(self) -> None:
        """See :meth:`Line.unplug`."""
        fds, self.fd, self._keeper = (self.fd, self._keeper), -1, -1
        for fd in fds:
            if fd >= 0:
                os.close(fd)

    def close(self) -> None:
        """See :meth:`Line.close`."""
        self.unplug()
        if self._link is not None:
            with contextlib.suppress(OSError):
                if os.readlink(self._link) == self._device:
                    os.unlink(self._link)
            self._link = None


class PairLine(Line):
    """A pair of sockets: the host's end is ``host_fd``, which stays ours to close."""

    def __init__(self) -> None:
        host, module = _socket.socketpair(constants.AF_UNIX, constants.SOCK_STREAM)
        for sock in (host, module):
            sock.setblocking(False)
            sock.setsockopt(constants.SOL_SOCKET, constants.SO_SNDBUF, PAIR_BUFFER_SIZE)
        self.host_fd = host.detach()
        self.fd = module.detach()

    def host_rate(self) -> int | None:
        """See :meth:`Line.host_rate`."""
        return None

    def unplug(self) -> None:
        """See :meth:`Line.unplug`."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def close(self) -> None:
        """See :meth:`Line.close`."""
        self.unplug()
        if self.host_fd is not None:
            os.close(self.host_fd)
            self.host_fd = None


def make_link(device: str, link: str) -> None:
    """Make ``link`` point to ``device``, in one step; a symlink that was there before is replaced."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISLNK(os.lstat(link).st_mode):
            raise FileExistsError(errno.EEXIST, "exists and is no symbolic link", link)
    temporary = f"{link}.{os.getpid()}"
    os.symlink(device, temporary)
    try:
        os.replace(temporary, link)
    except OSError:
        os.unlink(temporary)
        raise


_PTY_RATES = {
    getattr(termios, f"B{rate}"): rate
    for rate in (300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600)
    if hasattr(termios, f"B{rate}")
}

"""What the terminal driver under a serial port really does, where pyserial does not look.

Linux reports no error for a rate that a driver cannot take: the driver keeps its old one or takes its maximum, and
``tcsetattr`` succeeds all the same (tcsetattr(3): success when *any* of the changes could be carried out). So the rate
is read back. ``struct termios`` has no place for a rate without a constant of its own; ``struct termios2`` has the
numbers (BOTHER, ioctl_tty(2)).
"""

from __future__ import annotations

import fcntl
import struct
import sys
import termios

__all__ = ["RATE_TOLERANCE", "is_close", "read_rate", "set_hupcl"]

#: How far the rates of the two ends may be apart. Of ten bits the last is still sampled within its middle half at 5 %
#: in all; each end may have half of it, and a little for the edges.
RATE_TOLERANCE = 0.03

#: ``_IOR('T', 0x2A, struct termios2)``. Source: Linux, asm-generic/ioctls.h. MIPS, SPARC, PowerPC and Alpha number it
#: in another way: there it is no known request (ENOTTY), and :func:`termios.tcgetattr` has to do.
_TCGETS2 = 0x802C542A

#: c_iflag, c_oflag, c_cflag, c_lflag; c_line and c_cc[19]; c_ispeed, c_ospeed. Source: asm-generic/termbits.h.
_TERMIOS2 = struct.Struct("=4I20s2I")

#: Rates by the constants of ``struct termios``; on macOS and the BSDs a constant is the rate itself.
_RATES = {
    value: int(name[1:]) for name, value in vars(termios).items() if name[0] == "B" and name[1:].isdecimal() and value
}


def read_rate(fd: int) -> int | None:
    """Return the rate in baud that the driver has set, or None where it cannot be told.

    This is the seam at which tests put a driver that cannot do every rate: a pty takes any.
    """
    if sys.platform == "linux":
        try:
            answer = fcntl.ioctl(fd, _TCGETS2, bytes(_TERMIOS2.size))
            return int(_TERMIOS2.unpack(answer)[-1]) or None
        except OSError:
            pass  # not this request's number here, or no terminal: asked in the other way
    try:
        value = termios.tcgetattr(fd)[5]
    except termios.error:
        return None
    return _RATES.get(value, None if sys.platform == "linux" else value or None)


def is_close(rate: int, wanted: int) -> bool:
    """Whether two ends at these rates understand each other."""
    return abs(rate - wanted) <= RATE_TOLERANCE * wanted


def set_hupcl(fd: int, is_on: bool) -> None:
    """Choose whether DTR and RTS fall when the last process closes the port (HUPCL of ``c_cflag``).

    Raises:
        termios.error: not a terminal.
    """
    attributes = termios.tcgetattr(fd)
    wanted = attributes[2] | termios.HUPCL if is_on else attributes[2] & ~termios.HUPCL
    if wanted != attributes[2]:
        attributes[2] = wanted
        termios.tcsetattr(fd, termios.TCSANOW, attributes)

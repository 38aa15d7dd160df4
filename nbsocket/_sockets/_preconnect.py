"""What a program asks of a stream socket before it is connected, where the host's socket cannot hold it."""

from __future__ import annotations

from collections import OrderedDict

from nbsocket._dataclass import dataclass
from nbsocket._routing._addresses import (
    Address,
)
from nbsocket._runtime._stdlib import GenuineSocket, StdlibSocket
from nbsocket._runtime._stdlib import genuine_os as os

#: Sockets that may have options from before their connection; more than that many at once means that the oldest were
#: closed.
MAX_PRECONNECT_OPTIONS = 4096


@dataclass(slots=True)
class PreconnectOptions:
    """What a program asked of a stream socket before its connection, and the OS socket cannot hold."""

    local: Address | None = None
    rai: int = 0


# By inode, so that they outlive detach() and the SSLSocket that takes the fd over.
_by_inode: OrderedDict[int, PreconnectOptions] = OrderedDict()


def preconnect_options(sock: StdlibSocket, *, make: bool = False) -> PreconnectOptions | None:
    """Return what was asked of the unconnected socket; with ``make``, an entry that will be remembered."""
    fd = GenuineSocket.fileno(sock)
    if fd < 0:
        return None
    inode = os.fstat(fd).st_ino
    if make and inode not in _by_inode:
        _by_inode[inode] = PreconnectOptions()
        while len(_by_inode) > MAX_PRECONNECT_OPTIONS:
            _by_inode.popitem(last=False)
    return _by_inode.get(inode)

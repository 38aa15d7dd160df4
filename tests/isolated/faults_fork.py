"""Forks again and again while connections are under load: the argument is the modem's port."""

from __future__ import annotations

import atexit
import gc
import os
import sys

from nbsocket import Modem
from tests.faults.load import Load, connect, load, wait_until

CHILDREN = 6

#: What was raised where nobody could catch it.
broken: list[object] = []
sys.unraisablehook = broken.append


def child(modem: Modem, port: int, number: int) -> None:
    """Close what was inherited, find the modem taken, and end in one of several ways."""
    gc.collect()
    if broken:  # as an object of the parent's that closes a descriptor which is not its own any more
        os._exit(2)
    try:
        connect(modem, port)
    except OSError:
        if number % 3 == 1:
            os.execv(sys.executable, [sys.executable, "-c", ""])
        if number % 3 == 2:
            atexit._run_exitfuncs()  # sys.exit() without the blocks of this file, whose servers are the parent's
        os._exit(0)
    os._exit(1)


def have_grown(busy: Load, sizes: list[int]) -> bool:
    """Return whether every connection has carried more since."""
    return all(len(one.got) > size + 20_000 for one, size in zip(busy, sizes, strict=True))


with Modem(sys.argv[1]) as modem:
    with load(modem, 3) as busy:
        for number in range(CHILDREN):
            sizes = [len(connection.got) for connection in busy]
            pid = os.fork()
            if not pid:
                for connection in busy:
                    connection.sock.close()
                child(modem, busy.port, number)
            assert os.waitpid(pid, 0)[1] == 0, f"child {number}"
            wait_until(lambda sizes=sizes: have_grown(busy, sizes))  # type: ignore[misc]  # of the default
        assert not any(connection.is_over for connection in busy)
        busy.try_again()
    busy.check()
print("ok")

"""A signal handler that looks a name up while the same thread waits for a look-up, of that name and of another."""

import faulthandler
import signal
import sys
from types import FrameType

import nbsocket

faulthandler.dump_traceback_later(30, exit=True)
found: list[str] = []


def handler(number: int, frame: FrameType | None) -> None:
    found.append(nbsocket.gethostbyname(name))


signal.signal(signal.SIGALRM, handler)
nbsocket.configure("sim://?latency=0.2")
nbsocket.gethostbyname("first.example")  # the modem is open now
for round, name in enumerate(["same.example", "other.example"] * int(sys.argv[1])):
    found.clear()
    signal.setitimer(signal.ITIMER_REAL, 0.002 * (round % 50) + 0.001)
    asked = f"same-{round}.example" if name == "other.example" else f"{round}.example"
    name = asked if name == "same.example" else f"{round}-{name}"
    address = nbsocket.gethostbyname(asked)
    while not found:
        signal.pause()
    assert (found == [address]) == (name == asked), (found, address)
print("done")

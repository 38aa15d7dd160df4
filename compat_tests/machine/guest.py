"""What the machine runs: every test of ``_guest_tests``, and lines on the console for the host.

@@{"ask": name, ...}      the host is to do something; it answers with one line of JSON
@@{"result": name, ...}   how a test ended
@@{"done": true}          all tests have run
"""

from __future__ import annotations

import json
import os
import signal
import termios
import time
import traceback
import tty
from types import FrameType
from typing import Any

CONSOLE = "/dev/ttyS0"

#: Seconds after which a test has hung.
TEST_TIMEOUT = 180


class Host:
    """The host, asked over the console."""

    def __init__(self) -> None:
        self._fd = os.open(CONSOLE, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self._fd, termios.TCSANOW)
        self._unread = b""

    def tell(self, **message: Any) -> None:
        """Write one line."""
        data = f"\n@@{json.dumps(message)}\n".encode()
        while data:
            data = data[os.write(self._fd, data) :]

    def ask(self, name: str, **arguments: Any) -> Any:
        """Have the host do something and return what it answers."""
        self.tell(ask=name, arguments=arguments)
        while b"\n" not in self._unread:
            self._unread += os.read(self._fd, 4096)
        line, _, self._unread = self._unread.partition(b"\n")
        return json.loads(line)


def _ring(number: int, frame: FrameType | None) -> None:
    raise TimeoutError(f"the test has not ended in {TEST_TIMEOUT} s")


def main() -> None:
    """Run the tests that the host wants, then switch the machine off."""
    host = Host()
    booted = time.clock_gettime(time.CLOCK_BOOTTIME)
    try:
        from compat_tests.machine._guest_tests import TESTS, Bench

        settings = host.ask("settings", booted=booted)
        bench = Bench(host, settings["echo_port"])
        signal.signal(signal.SIGALRM, _ring)
        for test in TESTS:
            if not settings["only"] or any(word in test.name for word in settings["only"]):
                _run(host, bench, test)
    except BaseException:
        host.tell(broken=traceback.format_exc())
    host.tell(done=True)
    time.sleep(60)  # the host switches the machine off; a first process that ends is a panic


def _run(host: Host, bench: Any, test: Any) -> None:
    began = time.monotonic()
    trouble = ""
    signal.alarm(TEST_TIMEOUT)
    try:
        bench.prepare()
        figures = test.run(bench)
    except BaseException:
        figures, trouble = "", traceback.format_exc()
    finally:
        signal.alarm(0)
    host.tell(result=test.name, figures=figures or "", trouble=trouble, seconds=round(time.monotonic() - began, 2))


if __name__ == "__main__":
    main()

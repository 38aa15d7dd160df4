"""Between QEMU's serial device and a simulated module: a pty whose rate is the guest's."""

from __future__ import annotations

import os
import select
import termios
import threading
import time
import tty
from contextlib import suppress

from nbsocket.sim import Fault, Options, Simulator

#: Seconds between looks at the guest's rate while nothing is carried.
LOOK_INTERVAL = 0.05


#: Those that QEMU sets; not nbsocket's own way of reading a rate, which is what the tests look at.
RATES = {
    getattr(termios, f"B{rate}"): rate for rate in (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800)
}


class Gate:
    """Carries bytes on a thread of its own until :meth:`close`.

    QEMU's ``-chardev serial`` sets the pty to the rate that the guest's driver has given to the hardware. The module is
    told of it before any byte is carried: with ``strict_baud`` both ends see garbage while the rates differ.
    """

    def __init__(self) -> None:
        self._far, self._near = os.openpty()
        tty.setraw(self._near)
        os.set_blocking(self._far, False)
        #: What QEMU opens.
        self.path = os.ttyname(self._near)
        #: The guest's rate.
        self.rate: int | None = None
        #: Bytes are taken and dropped, in both directions.
        self.is_silent = False
        #: Nothing is taken from the guest, so that its output cannot drain.
        self.is_stalled = False
        self._lock = threading.Lock()
        self._is_closing = False
        self.simulator = self._make({})
        self._thread = threading.Thread(target=self._carry, name=f"gate {self.path}", daemon=True)
        self._thread.start()

    def set_module(self, **options: object) -> None:
        """Put another module at the far end, switched on long ago."""
        with self._lock:
            self.simulator.stop()
            self.simulator = self._make(options)
            self.rate = None
            self.is_silent = self.is_stalled = False

    @staticmethod
    def _make(options: dict[str, object]) -> Simulator:
        chosen = {"baudrate": 115200, "strict_baud": True, **options}
        return Simulator(Options(**chosen), line="socketpair").start()  # type: ignore[arg-type]  # the guest names them

    def cut_off(self) -> None:
        """Be silent, and let nothing be left that QEMU has not read."""
        self.is_silent = True
        time.sleep(4 * LOOK_INTERVAL)
        termios.tcflush(self._near, termios.TCIOFLUSH)

    def inject(self, action: str, **fields: object) -> None:
        """Let something go wrong in the module."""
        self.simulator.inject(Fault(action, **fields))  # type: ignore[arg-type]  # the guest names them

    def close(self) -> None:
        """Stop carrying and release everything."""
        self._is_closing = True
        self._thread.join(10)
        self.simulator.stop()
        os.close(self._far)
        os.close(self._near)

    def _carry(self) -> None:
        while not self._is_closing:
            with self._lock:
                module = self.simulator.fileno()
            wanted = [module] if self.is_stalled else [self._far, module]
            ready = select.select(wanted, [], [], LOOK_INTERVAL)[0]
            with self._lock:
                if module != self.simulator.fileno():
                    continue
                self._mirror_rate()
                for source, target in ((self._far, module), (module, self._far)):
                    if source in ready:
                        self._move(source, target)

    def _mirror_rate(self) -> None:
        rate = RATES.get(termios.tcgetattr(self._near)[5])
        if rate != self.rate:
            self.rate = rate
            self.simulator.set_baudrate(rate)

    def _move(self, source: int, target: int) -> None:
        try:
            data = os.read(source, 4096)
        except (BlockingIOError, OSError):
            return
        while data and not self.is_silent and not self._is_closing:
            with suppress(BlockingIOError):
                data = data[os.write(target, data) :]
            if data:
                select.select([], [target], [], LOOK_INTERVAL)

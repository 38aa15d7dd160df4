"""The host's part: what the tests in the machine ask for, and what came of them."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ._gate import Gate
from ._qemu import Machine

#: Seconds without a line from the machine after which it has hung.
SILENCE_LIMIT = 300.0


@dataclass(frozen=True, slots=True)
class Result:
    """How one test ended."""

    name: str
    figures: str
    #: The traceback, "" when it passed.
    trouble: str
    seconds: float


class Host:
    """Serves one run of the machine."""

    def __init__(self, machine: Machine, gates: dict[str, Gate], echo_port: int, only: list[str]) -> None:
        self._machine = machine
        self._gates = gates
        self._settings = {"echo_port": echo_port, "only": only}
        self._is_done = False
        self.results: list[Result] = []
        #: Seconds from the start of the kernel to the first line of Python.
        self.boot_time = 0.0
        self._answers: dict[str, Callable[..., Any]] = {
            "settings": self._tell_settings,
            "module": lambda port, options: gates[port].set_module(**options),
            "gate": self._set_gate,
            "commands": lambda port: gates[port].simulator.commands,
            "fault": lambda port, action: gates[port].inject(action),
            "plug": self._plug,
            "unplug": self._unplug,
            "break": lambda port: machine.send_break(port),
        }

    def serve(self, log: Path, report: Callable[[Result], None]) -> None:
        """Serve until all tests have run; everything on the console goes into ``log``.

        Raises:
            RuntimeError: the machine broke down; the message has what it said.
            OSError: it hung, or QEMU is gone.
        """
        with log.open("w") as file:
            while not self._is_done:
                line = self._machine.console.read(SILENCE_LIMIT)
                file.write(line)
                file.flush()
                if not line:
                    raise RuntimeError(f"the machine has stopped: see {log}")
                if line.startswith("@@"):
                    self._handle(json.loads(line[2:]), report)

    def _handle(self, message: dict[str, Any], report: Callable[[Result], None]) -> None:
        if "ask" in message:
            answer = self._answers[message["ask"]](**message["arguments"])
            self._machine.console.write(json.dumps(answer))
        elif "result" in message:
            result = Result(message["result"], message["figures"], message["trouble"], message["seconds"])
            self.results.append(result)
            report(result)
        elif "broken" in message:
            raise RuntimeError(message["broken"])
        else:
            self._is_done = True

    def _tell_settings(self, booted: float) -> dict[str, Any]:
        self.boot_time = booted
        return self._settings

    def _plug(self) -> None:
        self._machine.plug()
        self._gates["usb"].is_silent = False

    def _unplug(self) -> None:
        # QEMU 7.2 crashes when bytes come for an adapter that was pulled out (usb_wakeup() of a device without a bus).
        self._gates["usb"].cut_off()
        self._machine.unplug()

    def _set_gate(self, port: str, state: dict[str, bool]) -> None:
        for name, value in state.items():
            setattr(self._gates[port], name, value)


@contextmanager
def echo_server() -> Iterator[int]:
    """A TCP server on loopback that sends everything back; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener,), daemon=True).start()
        yield int(listener.getsockname()[1])


def _accept(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return  # closed: the run is over
        threading.Thread(target=_echo, args=(connection,), daemon=True).start()


def _echo(connection: socket.socket) -> None:
    with connection:
        try:
            while data := connection.recv(65536):
                connection.sendall(data)
        except OSError:
            return  # cut by the module: as intended

"""Shows on stderr what a subcommand is waiting for: one live line on a terminal, elsewhere a line every ten seconds.

The text comes from the engine (:meth:`Engine.describe_wait`), for example the baud rate that is being tried or the
state of the registration. Nothing is shown while the engine waits for nothing. The live line leaves no trace: it is
erased at the end, and before the subcommand writes to stdout on the same terminal.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, TextIO, cast

if TYPE_CHECKING:
    from nbsocket import Modem

__all__ = ["Progress"]

#: Seconds until the first sign of life, and between two looks.
FIRST, INTERVAL = 0.3, 0.25
#: Seconds between two lines where there is no terminal.
PLAIN_INTERVAL = 10.0
#: Seconds of waiting for the network after which the signal is asked for, so that the first plain line tells it;
#: seconds between two such questions, as a plain line shows no more; and seconds that the answer may take.
FIRST_SIGNAL, SIGNAL_INTERVAL, SIGNAL_TIMEOUT = 5.0, PLAIN_INTERVAL, 5.0
#: Seconds that the end of a subcommand waits for the thread, which may be waiting for the signal.
STOP_TIMEOUT = 1.0
#: How the words begin for what the signal is of interest for.
NETWORK = "waiting for the network"


class Progress:
    """Shows what the process's default modem is waiting for, on a thread of its own, until it is stopped.

    A context manager.
    """

    def __init__(self, *, is_plain: bool = False) -> None:
        """Use stderr.

        Args:
            is_plain: show no live line even on a terminal, because log messages (``-v``) appear there, too.
        """
        self._stream = sys.stderr
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="nbsocket progress", daemon=True)
        self._began = time.monotonic()
        is_terminal = self._stream is not None and self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._is_live = is_terminal and not is_plain
        self._output: TextIO | None = None
        #: The subcommand has written an unfinished line: a live line would be appended to it.
        self._is_in_output = False
        self._lock = threading.Lock()
        self._width = 0

    def __enter__(self) -> Progress:
        if self._is_live and sys.stdout is not None and sys.stdout.isatty():
            self._output = sys.stdout
            sys.stdout = cast("TextIO", _Output(sys.stdout, self.make_room))
        if self._stream is not None:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Erase the live line and show nothing any more."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(STOP_TIMEOUT)
        with self._lock:
            self._show("")
        if self._output is not None:
            sys.stdout, self._output = self._output, None

    def make_room(self, text: str) -> None:
        """Erase the live line, because ``text`` is about to be written to the same terminal."""
        with self._lock:
            self._show("")
            self._is_in_output = not text.endswith("\n")

    def _run(self) -> None:
        next_plain = PLAIN_INTERVAL
        pause = FIRST
        signal = _Signal()
        while not self._stopped.wait(pause):
            pause = INTERVAL
            waited = signal.beside(_describe())
            seconds = time.monotonic() - self._began
            with self._lock:
                if self._stopped.is_set():
                    return  # stopped while the signal was asked for: stop() has erased the line
                if self._is_live:
                    is_shown = waited is not None and not self._is_in_output
                    self._show(f"{seconds:.0f} s  {waited} ..." if is_shown else "")
                elif waited is not None and seconds >= next_plain:
                    next_plain = seconds + PLAIN_INTERVAL
                    print(f"nbsocket: {seconds:.0f} s: {waited}", file=self._stream, flush=True)

    def _show(self, text: str) -> None:
        """Replace the live line by ``text``; an empty one erases it."""
        if not (text or self._width):
            return
        text = text[: shutil.get_terminal_size().columns - 1]
        self._stream.write("\r" + text.ljust(self._width) + ("\r" if not text else ""))
        self._stream.flush()
        self._width = len(text)


class _Output:
    """Stands for ``sys.stdout`` where it is on the terminal of the live line, which is erased before each write."""

    def __init__(self, stream: TextIO, make_room: Callable[[str], None]) -> None:
        self._stream = stream
        self._make_room = make_room

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Like ``TextIO.write``, after the live line was erased."""
        if text:
            self._make_room(text)
        return self._stream.write(text)


class _Signal:
    """Asks for the signal strength (AT+CSQ) from time to time while the modem waits for the network."""

    def __init__(self) -> None:
        self._ask_at: float | None = None
        self._words = ""

    def beside(self, waited: str | None) -> str | None:
        """Return ``waited``, with the signal strength appended if it is about the network. May block for the answer."""
        now = time.monotonic()
        if waited is None or not waited.startswith(NETWORK):
            self._ask_at, self._words = None, ""
            return waited
        if self._ask_at is None:
            self._ask_at = now + FIRST_SIGNAL
        if now >= self._ask_at:
            self._words = _ask_signal()
            self._ask_at = time.monotonic() + SIGNAL_INTERVAL
        return waited + self._words


def _ask_signal() -> str:
    from nbsocket._driver import GetSignal

    modem = _modem()
    if modem is None:
        return ""
    try:
        rssi = modem.engine.ask(GetSignal(), SIGNAL_TIMEOUT)
    except OSError:
        return ""  # whoever waits is told what is wrong
    return ", no signal" if rssi is None else f", signal {rssi} dBm"


def _describe() -> str | None:
    modem = _modem()
    return None if modem is None else modem.engine.describe_wait()


def _modem() -> Modem | None:
    """The process's default modem, if there is one yet."""
    modem: Modem | None = getattr(sys.modules.get("nbsocket._default_modem"), "_default", None)
    return modem

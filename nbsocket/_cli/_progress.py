"""What is waited for, on stderr: one live line on a terminal, a plain line every ten seconds elsewhere.

It shows nothing while nothing is waited for, and leaves nothing behind on a terminal, so that the output of a
subcommand stands alone. What is waited for is the engine's word: the rate that is being tried, or the registration.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from types import TracebackType
from typing import TextIO

__all__ = ["Progress"]

#: Seconds until the first sign of life, and between two looks.
FIRST, INTERVAL = 0.3, 0.25
#: Seconds between two lines where there is no terminal.
PLAIN_INTERVAL = 10.0


class Progress:
    """Tells what the process's default modem is waiting for, until it is stopped. A context manager."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Use ``stream``, stderr where there is none."""
        self._stream = sys.stderr if stream is None else stream
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="nbsocket progress", daemon=True)
        self._began = time.monotonic()
        self._is_live = bool(self._stream is not None and self._stream.isatty()) and os.environ.get("TERM") != "dumb"
        self._width = 0

    def __enter__(self) -> Progress:
        if self._stream is not None:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Take the live line away, and say no more."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        next_plain = PLAIN_INTERVAL
        pause = FIRST
        while not self._stopped.wait(pause):
            pause = INTERVAL
            waited = _describe()
            seconds = time.monotonic() - self._began
            if self._is_live:
                self._show("" if waited is None else f"{seconds:.0f} s  {waited} ...")
            elif waited is not None and seconds >= next_plain:
                next_plain = seconds + PLAIN_INTERVAL
                print(f"nbsocket: {seconds:.0f} s: {waited}", file=self._stream, flush=True)
        self._show("")

    def _show(self, text: str) -> None:
        """Put the text in place of what the line had."""
        if not (text or self._width):
            return
        text = text[: shutil.get_terminal_size().columns - 1]
        self._stream.write("\r" + text.ljust(self._width) + ("\r" if not text else ""))
        self._stream.flush()
        self._width = len(text)


def _describe() -> str | None:
    modem_module = sys.modules.get("nbsocket._modem")
    modem = getattr(modem_module, "_default", None)
    return None if modem is None else modem.engine.describe_wait()

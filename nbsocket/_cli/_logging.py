"""Sets up logging for the command line: steps (``-v``), the serial line (``-vv``), everything to a file (``--log``)."""

from __future__ import annotations

import logging
import os
import sys
import time

from nbsocket._cli._exit import CommandError, ExitCode
from nbsocket._privacy import mask_identities

__all__ = ["set_up_logging", "show_warnings"]

#: How the driver's messages about unexpected lines begin; the wire log has the same lines.
_SAID = "the module said "


class _Formatter(logging.Formatter):
    """One line a record: the seconds since the start, where steps are shown at all, and the message."""

    def __init__(self, digits: int | None, *, hides_identities: bool = False) -> None:
        """Note how many digits of a second are shown; None: no time."""
        super().__init__()
        self._digits = digits
        self._hides_identities = hides_identities
        self._began = time.time()

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        text = record.getMessage()
        if record.levelno >= logging.WARNING:
            text = f"{record.levelname.lower()}: {text}" if self._digits is not None else text
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        if self._hides_identities:
            text = mask_identities(text)
        if self._digits is None:
            return f"nbsocket: {text}"
        return f"{max(0.0, record.created - self._began):.{self._digits}f} {text}"


def _is_no_duplicate(record: logging.LogRecord) -> bool:
    """Logging filter: drop messages that only repeat a line of the wire log, which the same handler shows."""
    return not (record.name == "nbsocket" and str(record.getMessage()).startswith(_SAID))


def set_up_logging(verbosity: int, path: str | None = None, *, shows_identities: bool = False) -> None:
    """Send the library's log to stderr: with ``-v`` its steps, with ``-vv`` the wire; and everything to a file.

    Without any of them nothing is logged: a subcommand that fails prints its error, and that is enough.

    Raises:
        CommandError: the file cannot be written.
    """
    logger = logging.getLogger("nbsocket")
    logger.propagate = False
    level = {0: logging.CRITICAL, 1: logging.INFO}.get(verbosity, logging.DEBUG)
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setLevel(level)
    terminal.setFormatter(_Formatter({0: None, 1: 1}.get(verbosity, 3)))
    if verbosity > 1:
        terminal.addFilter(_is_no_duplicate)
    logger.addHandler(terminal)
    if path is not None:
        # Mode 0600: the log tells hosts and names that other users of this machine need not know.
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise CommandError(f"--log: {path}: {error.strerror}", ExitCode.USAGE) from None
        file = logging.StreamHandler(os.fdopen(fd, "a", buffering=1, encoding="utf-8"))
        file.setLevel(logging.DEBUG)
        file.setFormatter(_Formatter(3, hides_identities=not shows_identities))
        file.addFilter(_is_no_duplicate)
        logger.addHandler(file)
        level = logging.DEBUG
    logger.setLevel(level)


def show_warnings() -> None:
    """Log warnings from now on even without ``-v``: a program starts, and connections that it loses must be told."""
    logger = logging.getLogger("nbsocket")
    logger.setLevel(min(logger.level, logging.WARNING))
    for handler in logger.handlers:
        handler.setLevel(min(handler.level, logging.WARNING))

"""The engine's way to its loggers: what a handler of the program raises must not end the modem's thread."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

__all__ = ["Log"]


class Log:
    """A logger whose calls never raise."""

    def __init__(self, name: str) -> None:
        """Use the logger of that name."""
        self._logger = logging.getLogger(name)

    def is_on(self, level: int) -> bool:
        """Whether anybody wants that level."""
        return self._logger.isEnabledFor(level)

    def log(self, level: int, message: str, *args: Any, error: BaseException | None = None) -> None:
        """Log; the handlers' failures are their own."""
        with suppress(Exception):
            self._logger.log(level, message, *args, exc_info=error, stacklevel=2)

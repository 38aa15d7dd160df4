"""Cleaning up after a failure that nothing foresaw: every step runs, whatever the others raise."""

from __future__ import annotations

import logging
from collections.abc import Callable

from nbsocket._engine._log import EngineLog

__all__ = ["run_every"]

logger = EngineLog("nbsocket")


def run_every(*steps: Callable[[], object]) -> None:
    """Run all steps in order; an exception of one is logged and keeps none of the others from running.

    Only for the way out of a failure: elsewhere an exception must be seen by whoever can do something about it.
    """
    for step in steps:
        try:
            step()
        except Exception as error:
            logger.log(logging.ERROR, "internal error while cleaning up: %r", error, error=error)

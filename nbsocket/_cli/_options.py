"""The options that every subcommand shares, and the modem that they name."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from nbsocket._cli._exit import CommandError, ExitCode

if TYPE_CHECKING:
    from nbsocket import Modem


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line, like every other complaint of this program."""

    def error(self, message: str) -> NoReturn:
        """Print ``message`` on stderr and exit with the code for wrong usage."""
        self.exit(ExitCode.USAGE, f"nbsocket: {message} (see: {self.prog} --help)\n")


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that stand before the subcommand."""
    parser.add_argument("--port", help="serial device or URL of the module (default: $NBSOCKET_PORT)")
    parser.add_argument("--baudrate", type=int, help="speed of the port (default: $NBSOCKET_BAUDRATE, else found out)")
    parser.add_argument(
        "--data-format",
        choices=("hex", "raw"),
        help="how payload crosses the serial line (default: $NBSOCKET_DATA_FORMAT, else hex)",
    )
    parser.add_argument(
        "--no-hupcl",
        dest="hupcl",
        action="store_const",
        const=False,
        help="leave DTR and RTS raised when the port is closed (default: $NBSOCKET_HUPCL, else as the device is set)",
    )
    parser.add_argument("--json", action="store_true", help="print results as JSON")
    parser.add_argument(
        "-v", dest="verbosity", action="count", default=0, help="log to stderr; -vv shows every line on the wire"
    )


def configure_modem(options: argparse.Namespace, **others: Any) -> Modem:
    """Make the modem named by the options, or by the environment, the process's default one.

    ``others`` are further options of :class:`nbsocket.Modem`.

    Raises:
        CommandError: no port is named at all.
        ValueError: an option, or an environment variable, has a value that is not allowed.
    """
    if not (options.port or os.environ.get("NBSOCKET_PORT")):
        raise CommandError("no port named: use --port or set NBSOCKET_PORT", ExitCode.USAGE)
    import nbsocket

    chosen: dict[str, Any] = dict(others)
    if options.baudrate is not None:
        chosen["baudrate"] = options.baudrate
    if options.data_format is not None:
        chosen["data_format"] = options.data_format
    if options.hupcl is not None:
        chosen["hupcl"] = options.hupcl
    return nbsocket.configure(options.port, **chosen)


def set_up_logging(verbosity: int) -> None:
    """Send the library's log to stderr: with ``-v`` its steps, with ``-vv`` the wire.

    Without either, nothing: a failure is told by its one line alone.
    """
    logger = logging.getLogger("nbsocket")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
    logger.addHandler(handler)
    logger.propagate = False
    logger.setLevel({0: logging.CRITICAL, 1: logging.INFO}.get(verbosity, logging.DEBUG))


def show_warnings() -> None:
    """From here on a program runs, whose user wants to know what becomes of its connections."""
    logger = logging.getLogger("nbsocket")
    logger.setLevel(min(logger.level, logging.WARNING))

"""The options that every subcommand shares, and the modem that they name."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from typing import TYPE_CHECKING, Any, NoReturn

from nbsocket._cli._exit import CommandError, ExitCode
from nbsocket._modem_options import OPTIONS, SECRET_FILES, closest, read_secret

if TYPE_CHECKING:
    from nbsocket import Modem

#: Seconds between two tries of a port that is not there yet.
PORT_INTERVAL = 0.5

#: Options of Modem without an option of the command line: the process list would show the secret. ``--pin-file`` names
#: a file instead.
_GIVEN_BY_FILE = frozenset({"pin"})

#: Boolean options: each gets ``--NAME`` and ``--no-NAME``.
_FLAGS = frozenset({"close_orphans", "hupcl", "log_payload"})

#: For subcommands that only look, or do one thing: sockets that other programs left open stay open, and the sleep mode
#: is put back at the end, for whoever uses the modem next.
LOOK_ONLY: dict[str, Any] = {"close_orphans": False, "restore_sleep": True}


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line, like every other complaint of this program."""

    def error(self, message: str) -> NoReturn:
        """Print ``message`` on stderr and exit with the code for wrong usage."""
        found = re.match(r"unrecognized arguments: (--[^\s=]+)", message)
        if found is not None:
            message += closest(found[1], self._option_string_actions)
        self.exit(ExitCode.USAGE, f"nbsocket: {message} (see: {self.prog} --help)\n")


def add_common_options(parser: argparse.ArgumentParser, *, is_behind: bool = False) -> None:
    """Add the options that may stand before the subcommand, and behind it where it has none of that name.

    ``is_behind``: they are added to those of a subcommand, and change nothing when they are not given.
    """
    group = parser.add_argument_group("options of every subcommand" if is_behind else "options")

    def add(*names: str, **keywords: Any) -> None:
        names = tuple(name for name in names if name not in parser._option_string_actions)
        if names:
            if is_behind:
                keywords["default"] = argparse.SUPPRESS
            group.add_argument(*names, **keywords)

    add("--port", help="serial device or URL of the module (default: $NBSOCKET_PORT)")
    for name, option in OPTIONS.items():
        flag = "--" + name.replace("_", "-")
        text = f"{option.help}; $NBSOCKET_{name.upper()}".replace("%", "%%")
        if name in _FLAGS:
            add(flag, dest=name, action="store_true", default=None, help=text)
            add(f"--no-{flag[2:]}", dest=name, action="store_false", default=None, help=f"do not ({flag})")
        elif name not in _GIVEN_BY_FILE:
            add(flag, dest=name, metavar=option.metavar, choices=option.choices or None, help=text)
    add("--pin-file", metavar="FILE", help="a file that holds the SIM card's PIN; - for the standard input")
    add("--apn-password-file", metavar="FILE", help="a file that holds the password for the access point")
    add("--wait-port", type=_seconds, metavar="SECONDS", help="wait so long for the port to be there")
    add("--log", metavar="FILE", help="append everything to a file, whatever -v says")
    add("--show-identities", action="store_true", default=False, help="do not mask IMEI, IMSI and addresses in it")
    add("--json", action="store_true", help="print results as JSON")
    add("-v", dest="verbosity", action="count", default=0, help="log to stderr; -vv shows every line on the wire")


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError("must be 0 or more seconds")
    return seconds


def named_port(options: argparse.Namespace) -> str:
    """Return the port that the options or the environment name.

    Raises:
        CommandError: none is named.
    """
    port: str | None = options.port or os.environ.get("NBSOCKET_PORT")
    if not port:
        raise CommandError("no port named: use --port or set NBSOCKET_PORT", ExitCode.USAGE)
    return port


def configure_modem(options: argparse.Namespace, **others: Any) -> Modem:
    """Make the modem named by the options, or by the environment, the process's default one.

    ``others`` are further options of :class:`nbsocket.Modem`.

    Raises:
        CommandError: no port is named at all.
        OSError: a file cannot be read; the port was not there in time.
        ValueError: an option, a variable of the environment or a line of a file has a value that is not allowed.
    """
    port = named_port(options)
    chosen: dict[str, Any] = dict(others)
    for name in OPTIONS:
        given = getattr(options, name, None)
        if given is not None:
            chosen[name] = _read(name, given) if isinstance(given, str) else given
    for file, name in SECRET_FILES.items():
        if (path := getattr(options, file, None)) is not None:
            chosen[name] = read_secret(path, "--" + file.replace("_", "-"))
    if options.wait_port is not None:
        _wait_for(port, options.wait_port)
    import nbsocket

    return nbsocket.configure(options.port, **chosen)


def _read(name: str, text: str) -> Any:
    try:
        return OPTIONS[name].read(text)
    except ValueError as error:
        raise CommandError(f"--{name.replace('_', '-')} must be {error}, not {text!r}", ExitCode.USAGE) from None


def _wait_for(port: str, seconds: float) -> None:
    """Wait until the device exists and may be used: at boot it may be found, and permitted, a moment later."""
    if "://" in port:
        return
    # Polling, because nothing portable in Python's library reports a new device or a change of permissions.
    end = time.monotonic() + seconds
    is_told = False
    while not os.access(port, os.R_OK | os.W_OK) and time.monotonic() < end:
        if not is_told:
            print(f"nbsocket: waiting up to {seconds:g} s for {port}", file=sys.stderr, flush=True)
            is_told = True
        time.sleep(min(PORT_INTERVAL, max(0.0, end - time.monotonic())))

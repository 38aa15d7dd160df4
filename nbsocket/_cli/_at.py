"""``nbsocket at``: raw AT commands, one or as many as one types."""

from __future__ import annotations

import argparse
import atexit
import json
import logging
import re
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from nbsocket._cli._exit import CommandError, ExitCode, sentence_of
from nbsocket._cli._options import configure_modem
from nbsocket._privacy import mask_secrets

if TYPE_CHECKING:
    from nbsocket import Modem

#: Commands of the user's earlier sessions.
HISTORY_FILE = Path("~/.nbsocket_history")
HISTORY_SIZE = 1000

_HELP = """\
Any AT command; the AT may be left out: +CSQ, I, +CEREG?
AT+QISEND=<id> and AT+QISEND=<id>,<size> ask for the payload; escapes such as \\r and \\x1b count.
Lines that begin with # are left out. quit, exit or Ctrl-D ends; Ctrl-C gives a command up."""

#: The data modes of AT+QISEND, which wait for payload. Source: BC260Y-CN TCP/IP guide 1.1 §2.3.5.
_WANTS_PAYLOAD_RE = re.compile(r"AT\+QISEND\s*=\s*\d+\s*(,\s*0*[1-9]\d*\s*)?", re.IGNORECASE)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser.description = (
        "Send one AT command and print its answer, with the lines that come after the OK of AT+QIOPEN, AT+QICLOSE, "
        "AT+QIDNSGIP, AT+QPING and AT+QNTP. Without a command: read commands, from the keyboard with history, or from "
        "a pipe. Sockets that are open in the module stay open."
    )
    parser.add_argument("command", nargs="?", metavar="COMMAND", help="such as 'AT+CSQ'; quote it for the shell")
    parser.add_argument(
        "--payload",
        help="what goes out after the prompt of AT+QISEND=<id>[,<size>]; escapes such as \\r and \\x1b count",
    )


def main(options: argparse.Namespace) -> int:
    """Send the command, or those that are typed until Ctrl-D."""
    if options.payload is not None and options.command is None:
        raise CommandError("at: --payload goes with a command", ExitCode.USAGE)
    # Data for sockets that the user has opened by command is only logged, and is what the user wants to see.
    with closing(configure_modem(options, close_orphans=False, log_payload=True)) as modem:
        if options.command is not None:
            payload = None if options.payload is None else _unescape(options.payload)
            return _send_one(modem, complete(options.command), payload, options.json)
        return _converse(modem, options)


def complete(text: str) -> str:
    """Return the command with what was left out in front: AT of ``+CSQ``, ``I``, ``E0`` and ``&F``, AT+ of ``CSQ``."""
    if text[:2].upper() == "AT":
        return text
    return f"AT+{text}" if len(text) > 1 and text[:2].isalpha() else f"AT{text}"


def _send_one(modem: Modem, command: str, payload: bytes | None, is_json: bool) -> int:
    if not is_json:
        modem.command(command, payload=payload, outcome=True, on_line=_say)
        return ExitCode.SUCCESS
    lines = modem.command(command, payload=payload, outcome=True)
    print(json.dumps({"command": command, "lines": lines}))
    return ExitCode.SUCCESS


def _say(line: str) -> None:
    print(line, flush=True)


def _unescape(text: str) -> bytes:
    try:
        return text.encode("latin-1", "backslashreplace").decode("unicode_escape").encode("latin-1")
    except UnicodeError:
        raise ValueError(f"--payload must be bytes, written with Python's escapes, not {text!r}") from None


def _converse(modem: Modem, options: argparse.Namespace) -> int:
    is_typed = sys.stdin.isatty()
    if is_typed:
        _remember()
        _say(f"{modem.info().model} on {modem.port}; Ctrl-D ends")
    _show_other_lines()
    code: int = ExitCode.SUCCESS
    while True:
        try:
            text = input("> " if is_typed else "").strip()
        except EOFError:
            if is_typed:
                _say("")
            return code
        except KeyboardInterrupt:
            if not is_typed:
                raise
            _say("")
            continue
        _forget_secret(text)
        if text.lower() in ("quit", "exit"):
            return code
        if text.lower() in ("help", "?"):
            _say(_HELP)
        elif text and not text.startswith("#"):
            sent = _send_typed(modem, complete(text), options.json, is_typed)
            # The exit code of a script is that of its first failure; an interactive user has seen each failure.
            code = sent if is_typed else code or sent


def _send_typed(modem: Modem, text: str, is_json: bool, is_typed: bool) -> int:
    """Send a command that was typed; an error is printed and does not end the session."""
    try:
        payload = _unescape(input("payload> " if is_typed else "")) if _WANTS_PAYLOAD_RE.fullmatch(text) else None
        return _send_one(modem, text, payload, is_json)
    except EOFError:
        return ExitCode.FAILURE
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except (OSError, ValueError) as error:
        if is_json:
            result = getattr(error, "result", None)
            print(json.dumps({"command": text, "error": sentence_of(error), "result": result}), flush=True)
        else:
            _say(f"error: {sentence_of(error)}")
        return ExitCode.FAILURE


def _remember() -> None:
    """Load the history of typed commands, and save it at exit, where Python has readline."""
    try:
        import readline
    except ImportError:
        return
    path = str(HISTORY_FILE.expanduser())
    with suppress(OSError):
        readline.read_history_file(path)
    readline.set_history_length(HISTORY_SIZE)

    def write() -> None:
        with suppress(OSError):
            readline.write_history_file(path)

    atexit.register(write)


def _forget_secret(text: str) -> None:
    """Remove the command typed last from the history, which goes to a file, if it holds a PIN or a password."""
    command = complete(text)
    readline = sys.modules.get("readline")
    if readline is not None and mask_secrets(command) != command and (size := readline.get_current_history_length()):
        readline.remove_history_item(size - 1)


def _show_other_lines() -> None:
    """Print URCs, and data for sockets that were opened by command, which the driver only logs."""
    from nbsocket._driver import SAID

    class Printer(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            message = record.getMessage()
            if message.startswith(SAID):
                print(message[len(SAID) + 1 : -1], file=sys.stderr, flush=True)

    logger = logging.getLogger("nbsocket")
    for handler in logger.handlers:
        handler.setLevel(max(handler.level, logger.level))
    logger.addHandler(Printer(logging.DEBUG))
    logger.setLevel(logging.DEBUG)
    wire = logging.getLogger("nbsocket.at")
    if wire.level == logging.NOTSET:
        wire.setLevel(max(handler.level for handler in logger.handlers))

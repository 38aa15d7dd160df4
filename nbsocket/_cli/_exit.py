"""What a failed command says, in one line, and the exit codes by which scripts tell failures apart."""

from __future__ import annotations

import errno
import socket
from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of the command line; ``run`` hands through the program's own once it has started."""

    SUCCESS = 0
    FAILURE = 1
    USAGE = 2
    PORT_UNKNOWN = 3
    PORT_IN_USE = 4
    PORT_DENIED = 5
    MODULE_SILENT = 6
    NOT_REGISTERED = 7
    HOST_UNKNOWN = 8
    TARGET_MISSING = 9
    INTERRUPTED = 130


#: One row a code: the table of docs/command-line.md and the help's last paragraph say the same.
MEANINGS: dict[ExitCode, str] = {
    ExitCode.SUCCESS: "success",
    ExitCode.FAILURE: "the command failed in a way that has no code of its own",
    ExitCode.USAGE: "wrong usage: unknown subcommand, option or value, or no port named",
    ExitCode.PORT_UNKNOWN: "there is no such port",
    ExitCode.PORT_IN_USE: "another process uses the port",
    ExitCode.PORT_DENIED: "no permission to use the port",
    ExitCode.MODULE_SILENT: "nothing that speaks AT answers on the port",
    ExitCode.NOT_REGISTERED: "the module is not registered with a network",
    ExitCode.HOST_UNKNOWN: "the host name cannot be resolved",
    ExitCode.TARGET_MISSING: "run: there is no such script or module",
    ExitCode.INTERRUPTED: "interrupted by Ctrl-C",
}

#: Errors with the modem's own reason (``.result`` set) never mean the port itself, whatever their errno.
_PORT_ERRORS = {
    errno.ENOENT: ExitCode.PORT_UNKNOWN,
    errno.ENODEV: ExitCode.PORT_UNKNOWN,
    errno.ENXIO: ExitCode.PORT_UNKNOWN,
    errno.ENOTTY: ExitCode.PORT_UNKNOWN,
    errno.EISDIR: ExitCode.PORT_UNKNOWN,
    errno.EINVAL: ExitCode.USAGE,
    errno.EBUSY: ExitCode.PORT_IN_USE,
    errno.EACCES: ExitCode.PORT_DENIED,
    errno.EPERM: ExitCode.PORT_DENIED,
}
_NETWORK_ERRORS = {
    errno.ENETDOWN: ExitCode.NOT_REGISTERED,
    errno.ENETUNREACH: ExitCode.NOT_REGISTERED,
    errno.EHOSTUNREACH: ExitCode.HOST_UNKNOWN,
}


class CommandError(Exception):
    """A failure that the command line has words and a code for."""

    def __init__(self, message: str, code: ExitCode) -> None:
        super().__init__(message)
        self.code = code


def exit_code_of(error: BaseException) -> ExitCode:
    """Return the exit code for ``error``, by its class and errno."""
    if isinstance(error, CommandError):
        return error.code
    if isinstance(error, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    if isinstance(error, ValueError):
        return ExitCode.USAGE
    if isinstance(error, socket.gaierror):
        cause = error.__cause__
        return _NETWORK_ERRORS.get(getattr(cause, "errno", 0), ExitCode.HOST_UNKNOWN)
    number = getattr(error, "errno", None)
    if number == errno.ENODEV and getattr(error, "command", None):
        return ExitCode.MODULE_SILENT
    if getattr(error, "result", None) is None and number in _PORT_ERRORS:
        return _PORT_ERRORS[number]
    return _NETWORK_ERRORS.get(number, ExitCode.FAILURE) if number is not None else ExitCode.FAILURE


def sentence_of(error: BaseException) -> str:
    """Return ``error`` as one line, without Python's ``[Errno 2]``."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    filename = getattr(error, "filename", None)
    if filename is not None and str(filename) not in text:
        text = f"{filename}: {text}"
    return " ".join(str(text).split())


def describe_exit_codes() -> str:
    """Return the table of exit codes as the help's last paragraph prints it."""
    rows = (f"  {code.value:>3}  {meaning}" for code, meaning in MEANINGS.items())
    return "exit codes:\n" + "\n".join(rows)

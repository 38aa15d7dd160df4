"""The errors that leave nbsocket, and one table from the modem's result codes to those that programs test for.

Each is a :class:`ModemError` and what ``socket`` raises natively: the subclass of ``OSError`` for its errno,
``gaierror`` or ``herror``, with the same arguments. Such a class inherits both, and exists once for each native one.
What the kernel raises itself, on the descriptor that it knows, is the native class alone; ``nbsocket.last_error`` has
its reason.
"""

from __future__ import annotations

import errno
import os
from copy import copy
from socket import EAI_AGAIN, EAI_FAIL, EAI_NONAME, gaierror, herror

from nbsocket._privacy import mask_secrets

#: result code: (errno, meaning). Source: BC260Y-CN TCP/IP guide 1.1 §3, table 2.
RESULT_CODES: dict[int, tuple[int, str]] = {
    0: (0, "operation successful"),
    550: (errno.EIO, "unknown error"),
    551: (errno.EBUSY, "operation blocked"),
    552: (errno.EINVAL, "invalid parameters"),
    553: (errno.ENOMEM, "the module is out of memory"),
    554: (errno.ENOBUFS, "the module failed to create the socket"),
    555: (errno.EOPNOTSUPP, "operation not supported by the module"),
    556: (errno.EADDRINUSE, "the module failed to bind the socket"),
    557: (errno.EOPNOTSUPP, "the module failed to listen"),
    558: (errno.EPIPE, "the module failed to write to the socket"),
    559: (errno.ECONNRESET, "the module failed to read from the socket"),
    560: (errno.ECONNABORTED, "the module failed to accept"),
    561: (errno.ENETDOWN, "the module failed to open the PDP context"),
    562: (errno.ENETDOWN, "the module failed to close the PDP context"),
    563: (errno.EADDRINUSE, "the socket id is already in use in the module"),
    564: (errno.EBUSY, "the module's DNS client is busy"),
    565: (errno.EHOSTUNREACH, "the module failed to resolve the name"),
    566: (errno.ECONNREFUSED, "connection refused or not possible"),
    567: (errno.ECONNRESET, "the socket has been closed"),
    568: (errno.EBUSY, "the module is busy"),
    569: (errno.ETIMEDOUT, "operation timed out"),
    570: (errno.ENETDOWN, "the PDP context broke down"),
    571: (errno.ECANCELED, "sending was cancelled"),
    572: (errno.EACCES, "operation not allowed by the module"),
    573: (errno.ENETUNREACH, "no APN is configured (configure(apn=...))"),
    574: (errno.EADDRINUSE, "the local port is busy (it stays so for 70 s after a close)"),
}

#: What other error numbers mean, where it says more than the number. Source: 3GPP TS 27.007 §9.2.1.
ERROR_WORDS = {
    0: "failure of the module",
    3: "operation not allowed",
    4: "operation not supported",
    10: "SIM not inserted",
    11: "SIM PIN required",
    12: "SIM PUK required",
    13: "SIM failure",
    14: "SIM busy",
    15: "SIM wrong",
    16: "incorrect password",
    17: "SIM PIN2 required",
    18: "SIM PUK2 required",
    20: "memory full",
    21: "invalid index",
    22: "not found",
    23: "memory failure",
    24: "text string too long",
    25: "invalid characters in the text",
    26: "dial string too long",
    27: "invalid characters in the dial string",
    30: "no network service",
    31: "network timeout",
    32: "network not allowed, emergency calls only",
    50: "incorrect parameters",
    51: "command switched off",
    53: "not attached to the network",
    100: "unknown error, as for a command that it does not know",
    103: "the network refuses the SIM card",
    106: "the network refuses the module",
    107: "packet services not allowed",
    111: "operator's network not allowed",
    112: "location area not allowed",
    113: "roaming not allowed in this area",
    132: "service option not supported",
    133: "service option not subscribed",
    134: "service option out of order for now",
    148: "unspecified error of the packet service",
    149: "the access point refuses name or password",
}

#: Result codes that getaddrinfo answers with something other than EAI_AGAIN: those that say something of the name
#: itself, and those that asking again does not mend.
_GAI_CODES = {
    552: EAI_NONAME,
    565: EAI_NONAME,
    550: EAI_FAIL,
    553: EAI_FAIL,
    555: EAI_FAIL,
    573: EAI_FAIL,
}


class ModemError(OSError):
    """An error of nbsocket's own, with what the modem said where it is the reason.

    It is also what ``socket`` raises natively in such a case: ConnectionRefusedError, TimeoutError, socket.gaierror ...
    """

    #: The modem's result code (BC260Y-CN TCP/IP guide 1.1 §3) or +CME ERROR number, None where it gave none.
    result: int | None = None
    #: The command line that failed, without its CR, None where it was none.
    command: str | None = None


#: By the native class: the one that is a ModemError, too.
_CLASSES: dict[type[OSError], type[ModemError]] = {OSError: ModemError}


# Each has the native one's name with "Modem" before it, under which pickle finds it here.
for _native in (
    BlockingIOError,
    BrokenPipeError,
    ChildProcessError,
    ConnectionAbortedError,
    ConnectionRefusedError,
    ConnectionResetError,
    FileExistsError,
    FileNotFoundError,
    InterruptedError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
    ProcessLookupError,
    TimeoutError,
    gaierror,
    herror,
):
    _name = f"Modem{_native.__name__[0].upper()}{_native.__name__[1:]}"
    _both = type(_name, (ModemError, _native), {"__module__": __name__, "__doc__": _native.__doc__})
    _CLASSES[_native] = globals()[_name] = _both


def make_error(
    number: int, message: str | None = None, *, command: str | None = None, result: int | None = None
) -> ModemError:
    """Return the error of errno ``number``; the one way to make an OSError here.

    Args:
        number: an errno; it decides the native class.
        message: a sentence; None: the operating system's own words for the errno.
        command: the command line that failed; secrets in it, and in the message, are masked.
        result: the modem's result code or +CME ERROR number.
    """
    message = message or os.strerror(number)
    if command is not None:
        message, command = mask_secrets(message), mask_secrets(command)
    error = _CLASSES[type(OSError(number, ""))](number, message)
    error.command, error.result = command, result
    return error


def timed_out() -> ModemError:
    """Return the error of a time-out of the program's, as ``socket`` raises it: a sentence and no errno."""
    return _CLASSES[TimeoutError]("timed out")


def name_error(code: int, sentence: str) -> gaierror:
    """Return the error of getaddrinfo for one of its codes."""
    error = _CLASSES[gaierror](code, sentence)
    assert isinstance(error, gaierror)
    return error


def host_error(code: int, sentence: str) -> herror:
    """Return the error of gethostbyaddr for one of netdb.h's codes."""
    error = _CLASSES[herror](code, sentence)
    assert isinstance(error, herror)
    return error


def copy_of(error: OSError) -> OSError:
    """Return the same error for another thread: raising one writes its traceback into it."""
    other = copy(error)
    other.__cause__ = error.__cause__
    return other


def error_from_result(result: int | None, command: str, *, otherwise: int = errno.EIO) -> ModemError:
    """Return the error for a result code; ``otherwise`` is the errno of a bare ``ERROR`` or of an unknown number."""
    if result is not None and result in RESULT_CODES:
        number, meaning = RESULT_CODES[result]
        return make_error(
            number or otherwise, f"{meaning} (result {result} of {command})", command=command, result=result
        )
    return make_error(otherwise, f"{_answered(result)} to {command}", command=command, result=result)


def _answered(result: int | None) -> str:
    """Say what was answered, for a bare ERROR and for numbers that the modem's own table does not have."""
    if result is None:
        return "the module answered ERROR"
    return f"the module answered error {result}" + (f" ({ERROR_WORDS[result]})" if result in ERROR_WORDS else "")


def gaierror_from_result(result: int | None, host: str, command: str, trouble: str | None = None) -> gaierror:
    """Return the ``gaierror`` for a failed look-up of ``host``.

    Args:
        result: a result code, or None for a bare ``ERROR``.
        host: the name.
        command: the command line.
        trouble: what is the matter with the network, if anything is known to be.
    """
    code = EAI_AGAIN if result is None else _GAI_CODES.get(result, EAI_AGAIN)
    reason = f"{RESULT_CODES[result][1]} (result {result})" if result in RESULT_CODES else _answered(result)
    error = name_error(code, f"{host!r}: {reason}" + (f"; {trouble}" if trouble else ""))
    assert isinstance(error, ModemError)
    error.command, error.result = command, result
    return error

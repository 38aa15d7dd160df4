"""The options of a modem that programs, the command line, the environment and files may give, as one table.

Who gives an option wins in this order: the caller or the command line, the environment (``NBSOCKET_APN``), the user's
file (``~/.config/nbsocket/ttyUSB0.conf``), the host's file (``/etc/nbsocket/ttyUSB0.conf``).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypedDict

from nbsocket._dataclass import dataclass
from nbsocket._errors import make_error
from nbsocket._models import PROFILES

__all__ = ["OPTIONS", "SECRET_FILES", "ModemOptions", "Option", "closest", "complete", "read_secret"]

#: Where a host keeps its files; a user's are in $XDG_CONFIG_HOME, else ~/.config.
HOST_FOLDER = "/etc/nbsocket"

#: Most bytes of a file that holds a PIN.
MAX_SECRET_SIZE = 1024


class ModemOptions(TypedDict, total=False):
    """The options of :class:`nbsocket.Modem`, for programs that hand them on; see there."""

    baudrate: int | None
    data_format: Literal["hex", "raw"]
    model: str
    apn: str | None
    apn_user: str | None
    apn_password: str | None
    pdp_type: Literal["IP", "IPV6", "IPV4V6"] | None
    pin: str | None
    dns: tuple[str, ...]
    dns_cache: float
    power: Literal["awake", "psm"]
    attach_timeout: float
    look_up_timeout: float
    ack_timeout: float
    close_orphans: bool
    wait_for_socket: float
    hupcl: bool | None
    restore_sleep: bool
    log_payload: bool


def _read_whole(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise ValueError("a number")
    return int(text)


def _read_seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("a number of seconds") from None


def _read_flag(text: str) -> bool:
    words = {"1": True, "yes": True, "true": True, "on": True, "0": False, "no": False, "false": False, "off": False}
    if text.lower() not in words:
        raise ValueError("0 or 1 (no or yes)")
    return words[text.lower()]


def _read_addresses(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


@dataclass(frozen=True, slots=True)
class Option:
    """One option: how its text is read, and what the help says of it."""

    help: str
    read: Callable[[str], Any] = str
    metavar: str | None = None
    choices: tuple[str, ...] = ()


#: By the name of the argument of :class:`nbsocket.Modem`. The command line has ``--attach-timeout`` for
#: ``attach_timeout``, the environment ``NBSOCKET_ATTACH_TIMEOUT``.
OPTIONS: dict[str, Option] = {
    "baudrate": Option("speed of the port (else found out)", _read_whole, "RATE"),
    "model": Option("which commands the module takes (else found out)", choices=("auto", *PROFILES)),
    "data_format": Option("how payload crosses the serial line (else hex)", choices=("hex", "raw")),
    "apn": Option("access point name, set in the module when it has another one", metavar="NAME"),
    "apn_user": Option("user name for the access point", metavar="NAME"),
    "apn_password": Option("password for the access point", metavar="WORD"),
    "pdp_type": Option("kind of addresses that the network gives", choices=("IP", "IPV6", "IPV4V6")),
    "pin": Option("PIN of the SIM card, entered once where the card wants it", metavar="PIN"),
    "dns": Option("name servers for the module, one or two addresses", _read_addresses, "ADDRESS[,ADDRESS]"),
    "dns_cache": Option("seconds that a looked up address is used again (else 60)", _read_seconds, "SECONDS"),
    "power": Option("awake, or psm to let the module sleep (else awake)", choices=("awake", "psm")),
    "attach_timeout": Option("seconds that calls wait for the network (else 180)", _read_seconds, "SECONDS"),
    "look_up_timeout": Option("seconds that a name look-up may take (else 60)", _read_seconds, "SECONDS"),
    "ack_timeout": Option(
        "seconds without acknowledgement after which a connection ends (else 120)", _read_seconds, "SECONDS"
    ),
    "close_orphans": Option("close sockets that an earlier program left open (else yes)", _read_flag),
    "wait_for_socket": Option(
        "seconds to wait for one of the module's five sockets (else 0)", _read_seconds, "SECONDS"
    ),
    "hupcl": Option("let DTR and RTS fall when the port is closed (else as the device is set)", _read_flag),
    "log_payload": Option("show payload in the wire log (-vv)", _read_flag),
}

#: A file that holds an option's value, so that no process list shows it: the option's name.
SECRET_FILES = {"pin_file": "pin", "apn_password_file": "apn_password"}


def closest(word: str, known: Iterable[str]) -> str:
    """Return "(did you mean ...?)" with a space before it, or nothing."""
    import difflib

    found = difflib.get_close_matches(word, list(known), 1, 0.6)
    return f" (did you mean {found[0]}?)" if found else ""


def read_secret(path: str, what: str) -> str:
    """Return the only line of a file, "-" being the standard input.

    Raises:
        OSError: it cannot be read.
        ValueError: it does not hold one line.
    """
    if path == "-":
        import sys

        text = sys.stdin.readline()
    else:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            text = file.read(MAX_SECRET_SIZE)
    lines = text.splitlines()
    if len(lines) != 1 or not lines[0].strip():
        raise ValueError(f"{what} must hold one line: {path}")
    return lines[0].strip()


def complete(port: str | None, given: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the port, and the options with those of the environment and the files.

    Raises:
        OSError: ENODEV, no port is named; a file cannot be read.
        ValueError: the text of a variable or a file is not allowed; it is named.
    """
    named = (os.environ.get("NBSOCKET_PORT") or None) if port is None else port
    if named is None:
        raise make_error(errno.ENODEV, "no modem is configured: call nbsocket.configure(port) or set NBSOCKET_PORT")
    found: dict[str, Any] = {}
    for path in _files_of(named):
        found.update(_read_file(path))
    for name in OPTIONS:
        variable = f"NBSOCKET_{name.upper()}"
        if text := os.environ.get(variable):
            found[name] = _read(name, text, variable)
    for file, name in SECRET_FILES.items():
        variable = f"NBSOCKET_{file.upper()}"
        if (file_name := os.environ.get(variable)) and name not in given:
            found[name] = read_secret(file_name, variable)
    return named, {**found, **given}


def _read(name: str, text: str, source: str) -> Any:
    option = OPTIONS[name]
    if option.choices and text not in option.choices:
        raise ValueError(f"{source} must be {' or '.join(option.choices)}, not {text!r}")
    try:
        return option.read(text)
    except ValueError as error:
        raise ValueError(f"{source} must be {error}, not {text!r}") from None


def _files_of(port: str) -> list[str]:
    """The files for a device that are there, the host's first."""
    if not isinstance(port, str) or "://" in port or "\0" in port:
        return []
    folder = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    name = f"{os.path.basename(port)}.conf"
    paths = (os.path.join(HOST_FOLDER, name), os.path.join(folder, "nbsocket", name))
    return [path for path in paths if os.path.exists(path)]


def _read_file(path: str) -> dict[str, Any]:
    import configparser

    with open(path, encoding="utf-8") as file:
        text = file.read()
        _warn_of_readers(path, file.fileno(), text)
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    has_section = any(line.lstrip().startswith("[") for line in text.splitlines())
    try:
        parser.read_string(text if has_section else f"[modem]\n{text}", path)
    except configparser.Error as error:
        raise ValueError(" ".join(str(error).split())) from None
    found: dict[str, Any] = {}
    for section in parser.sections():
        if section != "modem":
            raise ValueError(f"{path}: the section must be [modem], not [{section}]")
        for key, value in parser.items(section):
            name = key.replace("-", "_")
            if name in SECRET_FILES:
                found[SECRET_FILES[name]] = read_secret(os.path.join(os.path.dirname(path), value), f"{path}: {key}")
            elif name in OPTIONS:
                found[name] = _read(name, value, f"{path}: {key}")
            else:
                raise ValueError(f"{path}: there is no option {key!r}{closest(name, [*OPTIONS, *SECRET_FILES])}")
    return found


def _warn_of_readers(path: str, fd: int, text: str) -> None:
    """A secret in a file that others may read is told of once an opening."""
    import re

    if not re.search(r"(?im)^\s*(pin|apn[-_]password)\s*[=:]", text):
        return
    if os.fstat(fd).st_mode & (stat.S_IRGRP | stat.S_IROTH):
        import logging

        logging.getLogger("nbsocket").warning("%s holds a secret and others may read it: chmod 600 %s", path, path)

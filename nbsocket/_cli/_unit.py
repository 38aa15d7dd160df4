"""``nbsocket run --print-unit`` and ``--print-udev``: a systemd service, and a udev rule for the device."""

from __future__ import annotations

import argparse
import os
import shlex
import sys

from nbsocket._cli._exit import CommandError, ExitCode
from nbsocket._cli._options import named_port
from nbsocket._cli._program import ProgramFile, ProgramModule
from nbsocket._modem_options import OPTIONS, SECRET_FILES

__all__ = ["UDEV_RULE", "describe_unit"]

#: Seconds that the service waits for its port without ``--wait-port``: a USB adapter may be found after services start.
PORT_WAIT = 60.0

UDEV_RULE = """\
# /etc/udev/rules.d/60-nbiot.rules: the adapter that the NB-IoT module is on is /dev/nbiot, and ModemManager leaves it.
# Find the two numbers of yours by: udevadm info --query=property --name=/dev/ttyUSB0 | grep -E 'ID_(VENDOR|MODEL)_ID'
# Then: sudo udevadm control --reload && sudo udevadm trigger
SUBSYSTEM=="tty", ENV{ID_VENDOR_ID}=="1a86", ENV{ID_MODEL_ID}=="7523", \\
  SYMLINK+="nbiot", GROUP="dialout", MODE="0660", ENV{ID_MM_DEVICE_IGNORE}="1", ENV{ID_MM_PORT_IGNORE}="1"
"""

_UNIT = """\
# /etc/systemd/system/{name}.service
# Then: sudo systemctl daemon-reload && sudo systemctl enable --now {name}
[Unit]
Description={title} over the NB-IoT modem
StartLimitIntervalSec=0

[Service]
ExecStart={command}
WorkingDirectory={folder}
User={user}
SupplementaryGroups=dialout
Environment=PYTHONUNBUFFERED=1
Restart=on-failure
RestartSec=10
# What is unsent is flushed at the end, for at most 10 s.
KillSignal=SIGINT
TimeoutStopSec=30

[Install]
WantedBy=multi-user.target
"""


def describe_unit(options: argparse.Namespace, program: ProgramFile | ProgramModule) -> str:
    """Return the text of a unit that runs ``program`` with the same options.

    Raises:
        CommandError: no port is named, or there is no such script.
    """
    port = named_port(options)
    words = [sys.executable, "-m", "nbsocket", "--port", port if "://" in port else os.path.abspath(port)]
    wait = PORT_WAIT if options.wait_port is None else options.wait_port
    words += ["--wait-port", f"{wait:g}"]
    for name in OPTIONS:
        if (given := getattr(options, name, None)) is not None:
            words += _as_words(name, given)
    for name in SECRET_FILES:
        if (path := getattr(options, name)) is not None:
            words += [f"--{name.replace('_', '-')}", os.path.abspath(path)]
    words.append("run")
    if options.bypass is not None:
        words += ["--bypass", options.bypass]
    if options.strict:
        words.append("--strict=all" if options.strict == "all" else "--strict")
    if isinstance(program, ProgramFile):
        if not os.path.exists(program.path):
            raise CommandError(f"can't open file {program.path!r}: No such file or directory", ExitCode.TARGET_MISSING)
        title = os.path.splitext(os.path.basename(program.path))[0]
        words += [os.path.abspath(program.path), *program.arguments]
    else:
        title = program.name
        words += ["-m", program.name, *program.arguments]
    name = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in title)
    return _UNIT.format(
        name=name, title=title.replace("%", "%%"), command=_quoted(words), folder=os.getcwd(), user=_user()
    )


def _as_words(name: str, given: object) -> list[str]:
    flag = "--" + name.replace("_", "-")
    if isinstance(given, bool):
        return [flag if given else f"--no-{flag[2:]}"]
    return [flag, str(given)]


def _quoted(words: list[str]) -> str:
    """Quote a command line for a unit, where % and $ must be doubled (systemd.service(5), systemd.unit(5))."""
    return " ".join(shlex.quote(word.replace("%", "%%").replace("$", "$$")) for word in words)


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such user in the host's table, as in a container
        return str(os.getuid())

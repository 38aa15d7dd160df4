"""Checks on this host, before the port is opened: the device, its permissions, and other programs that use it.

Every function takes the folder in which it looks for ``/dev``, ``/proc`` and ``/boot``: tests make up their own.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from nbsocket._cli._doctor._finding import Finding, failure, fine, skipped, warning

__all__ = ["check_host"]

#: Where adapters and UARTs are found.
_DEVICES = ("ttyUSB*", "ttyACM*", "ttyAMA*", "serial*", "nbiot")
#: Where a Raspberry Pi keeps the kernel's command line, and what its UARTs are called there.
_COMMAND_LINES = ("boot/firmware/cmdline.txt", "boot/cmdline.txt", "proc/cmdline")
_CONFIGURATIONS = ("boot/firmware/config.txt", "boot/config.txt")
_UARTS = frozenset({"serial0", "ttyAMA0", "ttyS0"})


def check_host(port: str, root: Path = Path("/")) -> Iterator[Finding]:
    """Check the port without opening it; stops after a device that is not there, as the rest would fail, too."""
    if "://" in port:
        yield skipped("device", f"{port} is no device of this host")
        return
    device = root / port.lstrip("/")
    found = _look_at_device(port, device, root)
    yield found
    if not found.ok:
        return
    yield _look_at_rights(port, device)
    yield _look_at_holder(port, device, root)
    yield _look_at_console(port, device, root)
    yield _look_at_modem_manager(port, root)


def _look_at_device(port: str, device: Path, root: Path) -> Finding:
    try:
        mode = device.stat().st_mode
    except FileNotFoundError:
        there = sorted(
            str(Path("/") / path.relative_to(root)) for name in _DEVICES for path in (root / "dev").glob(name)
        )
        seen = f"these are there: {', '.join(there)}" if there else "no serial device is there at all"
        remedy = f"nbsocket --port {there[0]} doctor" if there else "plug the adapter in, and look: sudo dmesg | tail"
        return failure("device", f"{port} is not there; {seen}", remedy)
    except OSError as error:
        return failure("device", f"{port}: {error.strerror}", f"ls -l {port}")
    if stat.S_ISDIR(mode):
        return failure("device", f"{port} is a directory", "name the device: nbsocket --port /dev/ttyUSB0 doctor")
    return fine("device", f"{port} is there")


def _look_at_rights(port: str, device: Path) -> Finding:
    if os.access(device, os.R_OK | os.W_OK):
        return fine("rights", f"this user may read and write {port}")
    group = _group_of(device)
    return failure(
        "rights",
        f"this user may not read and write {port}, which belongs to the group {group}",
        f"sudo usermod -aG {group} $USER   # then log out and in again",
    )


def _group_of(device: Path) -> str:
    import grp

    number = device.stat().st_gid
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _processes(root: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from (path for path in (root / "proc").iterdir() if path.name.isdigit())


def _name_of(process: Path) -> str:
    with suppress(OSError):
        return (process / "comm").read_text(errors="replace").strip()
    return "?"


def _holders(device: Path, root: Path) -> Iterator[tuple[int, str]]:
    target = os.path.realpath(device)
    for process in _processes(root):
        if int(process.name) == os.getpid():
            continue
        with suppress(OSError):
            if any(os.path.realpath(fd) == target for fd in (process / "fd").iterdir()):
                yield int(process.name), _name_of(process)


def _look_at_holder(port: str, device: Path, root: Path) -> Finding:
    holders = sorted(_holders(device, root))
    if not holders:
        return fine("other programs", f"no other program that this user can see has {port} open")
    pid, name = holders[0]
    name_of_tty = os.path.basename(os.path.realpath(device))
    if "getty" in name:
        remedy = f"sudo systemctl disable --now serial-getty@{name_of_tty}.service"
        return failure("other programs", f"{name} (process {pid}) offers a login on {port}", remedy)
    if name == "ModemManager":
        remedy = "sudo systemctl disable --now ModemManager"
        return failure("other programs", f"ModemManager (process {pid}) has {port} open", remedy)
    return failure("other programs", f"{name} (process {pid}) has {port} open", f"kill {pid}   # or stop its service")


def _look_at_console(port: str, device: Path, root: Path) -> Finding:
    names = {os.path.basename(port), os.path.basename(os.path.realpath(device))} & _UARTS
    if not names:
        return fine("console", f"{port} is no UART that a console would use")
    for path in _COMMAND_LINES:
        with suppress(OSError):
            words = (root / path).read_text(errors="replace").split()
            consoles = {
                word.removeprefix("console=").partition(",")[0] for word in words if word.startswith("console=")
            }
            if consoles & _UARTS:
                return failure(
                    "console",
                    f"the kernel's console is on {', '.join(sorted(consoles & _UARTS))} (/{path})",
                    "sudo raspi-config nonint do_serial_cons 1 && sudo reboot",
                )
    for path in _CONFIGURATIONS:
        with suppress(OSError):
            lines = {line.strip() for line in (root / path).read_text(errors="replace").splitlines()}
            if "enable_uart=1" not in lines:
                return warning(
                    "console",
                    f"/{path} does not switch the UART on: its rate follows the processor's",
                    f"echo enable_uart=1 | sudo tee -a /{path} && sudo reboot",
                )
    return fine("console", f"no console is on {port}")


def _look_at_modem_manager(port: str, root: Path) -> Finding:
    if not any(_name_of(process) == "ModemManager" for process in _processes(root)):
        return fine("ModemManager", "is not running")
    return warning(
        "ModemManager",
        f"is running, and may open {port} at any time",
        "nbsocket run --print-udev | sudo tee /etc/udev/rules.d/60-nbiot.rules   # or:\n"
        "sudo systemctl disable --now ModemManager",
    )

"""The virtual machine: QEMU, its console, and QMP, by which devices come and go."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

#: Seconds until QEMU has made its sockets.
START_TIMEOUT = 20.0


#: Seconds that a device which was in use when it was pulled out may linger.
UNPLUG_TIMEOUT = 15.0

#: Seconds in which a kernel comes to its end with KVM; many times as long as it takes.
KVM_TIMEOUT = 10.0

#: A processor that every host can lend: what a host has beyond it, nested virtualisation may fail to pass on.
PROCESSOR = "qemu64"


def can_use_kvm(kernel: Path) -> bool:
    """Whether the processor's own virtualisation works, which the device alone does not tell.

    The kernel is let run to its end, which comes within a second or two as it has no root file system.
    """
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    command = (
        *("qemu-system-x86_64", "-nodefaults", "-display", "none", "-no-reboot", "-accel", "kvm", "-cpu", PROCESSOR),
        *("-m", "256", "-kernel", str(kernel), "-append", "panic=-1"),
    )
    with suppress(subprocess.TimeoutExpired):
        return subprocess.run(command, capture_output=True, timeout=KVM_TIMEOUT).returncode == 0
    return False


class Line:
    """A unix socket on which whole lines are read and written."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            try:
                self._socket.connect(str(path))
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        self._file = self._socket.makefile("rb")

    def read(self, timeout: float | None) -> str:
        """Return the next line; "" at the end. Raises TimeoutError."""
        self._socket.settimeout(timeout)
        return self._file.readline().decode("utf-8", "replace")

    def write(self, text: str) -> None:
        """Write a line."""
        self._socket.sendall(text.encode() + b"\n")

    def close(self) -> None:
        """Close it."""
        self._file.close()
        self._socket.close()


class Machine:
    """A running machine. ``ports`` names the ptys of its devices: ``uart`` and ``usb``."""

    def __init__(self, kernel: Path, initrd: Path, ports: Mapping[str, str], folder: Path, *, use_kvm: bool) -> None:
        console, monitor = folder / "console.sock", folder / "qmp.sock"
        self._process = subprocess.Popen(
            (
                *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
                *("-accel", "kvm" if use_kvm else "tcg", "-cpu", PROCESSOR),
                *("-m", "1024", "-kernel", str(kernel), "-initrd", str(initrd)),
                *("-append", "console=ttyS0 quiet panic=-1 8250.nr_uarts=4"),
                *("-chardev", f"socket,id=console,path={console},server=on,wait=off", "-serial", "chardev:console"),
                *("-chardev", f"serial,id=uart,path={ports['uart']}", "-serial", "chardev:uart"),
                *("-device", "qemu-xhci,id=bus", "-chardev", f"serial,id=usb,path={ports['usb']}"),
                *("-qmp", f"unix:{monitor},server=on,wait=off"),
            ),
            stdin=subprocess.DEVNULL,
        )
        try:
            self.console = Line(console)
            self._monitor = Line(monitor)
            self._monitor.read(START_TIMEOUT)  # its greeting
            self.command("qmp_capabilities")
        except BaseException:
            self._process.kill()
            raise

    def command(self, name: str, **arguments: Any) -> None:
        """Carry out a QMP command. Raises RuntimeError when QEMU refuses."""
        self._monitor.write(json.dumps({"execute": name, "arguments": arguments}))
        while True:
            line = self._monitor.read(START_TIMEOUT)
            if not line:
                raise RuntimeError(f"{name}: QEMU has stopped")
            answer = json.loads(line)
            if "error" in answer:
                raise RuntimeError(f"{name}: {answer['error']['desc']}")
            if "return" in answer:
                return

    def plug(self) -> None:
        """Plug the USB adapter in; where one was pulled out in mid-transfer, as soon as QEMU has let go of it."""
        deadline = time.monotonic() + UNPLUG_TIMEOUT
        while True:
            try:
                self.command("device_add", driver="usb-serial", chardev="usb", id="adapter", bus="bus.0")
                return
            except RuntimeError as error:
                if "is in use" not in str(error) or time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    def unplug(self) -> None:
        """Pull the USB adapter out."""
        self.command("device_del", id="adapter")

    def send_break(self, port: str) -> None:
        """Let the far end hold the line for longer than a byte."""
        self.command("chardev-send-break", id=port)

    def stop(self) -> None:
        """Switch it off."""
        self._process.kill()
        self._process.wait()
        self.console.close()
        self._monitor.close()

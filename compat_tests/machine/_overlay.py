"""The checkout as a second archive, unpacked over the root file system: made anew for each run."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from ._image import Image, pack

CHECKOUT = Path(__file__).parents[2]

#: What the kernel starts.
INIT = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin PYTHONPATH=/src HOME=/root
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts && mount -t devpts devpts /dev/pts
modprobe xhci-pci; modprobe ftdi_sio
cd /src
exec python3 -u -m compat_tests.machine.guest
"""


def make_initrd(image: Image, work: Path) -> Path:
    """Return the root file system with the checkout in it. The kernel unpacks archives that stand one after another."""
    initrd = work / "initrd.cpio"
    with tempfile.TemporaryDirectory(dir=work) as folder, initrd.open("wb") as archive:
        with image.root.open("rb") as root:
            shutil.copyfileobj(root, archive)
        archive.write(bytes(-archive.tell() % 512))
        archive.flush()
        tree = Path(folder)
        tree.chmod(0o755)  # it becomes the machine's "/", which others than root must be able to enter
        _copy_checkout(tree / "src")
        init = tree / "init"
        init.write_text(INIT)
        init.chmod(0o755)
        pack(tree, archive.fileno())
    return initrd


def _copy_checkout(target: Path) -> None:
    unwanted = shutil.ignore_patterns("__pycache__")
    shutil.copytree(CHECKOUT / "nbsocket", target / "nbsocket", ignore=unwanted)
    shutil.copytree(CHECKOUT / "compat_tests/machine", target / "compat_tests/machine", ignore=unwanted)
    (target / "compat_tests/__init__.py").touch()

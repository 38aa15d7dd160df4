"""Kernel and root file system of the machine: made once, kept outside the checkout.

Debian's own kernel and a minimal Debian with Python, unpacked into one cpio archive that the kernel mounts as its root.
It is not compressed: under emulation unpacking would take longer than reading.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

SUITE = "bookworm"
MIRROR = "http://deb.debian.org/debian"
#: Beyond debootstrap's smallest choice. Python 3.11 is this suite's; kmod loads the drivers.
PACKAGES = ("python3-minimal", "libpython3-stdlib", "kmod")
PYTHON_VERSION = "3.11"
#: Folders of the kernel's modules that the tests need: the USB core, its host controllers and serial adapters.
MODULE_FOLDERS = ("drivers/usb/common", "drivers/usb/core", "drivers/usb/host", "drivers/usb/serial")
#: What is not needed to run: documents, translations, package lists.
LITTER = (
    *("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/zoneinfo"),
    *("var/lib/apt/lists", "var/cache", "usr/lib/x86_64-linux-gnu/gconv", "usr/lib/x86_64-linux-gnu/perl-base"),
)
#: Commands, and the Debian packages that have them.
TOOLS = {"qemu-system-x86_64": "qemu-system-x86", "debootstrap": "debootstrap", "cpio": "cpio"}


class MissingTools(Exception):
    """Something to be installed first, or no right to do it."""


@dataclass(frozen=True, slots=True)
class Image:
    """What QEMU boots."""

    kernel: Path
    root: Path
    #: Seconds that it took to make, 0 when it was there.
    build_time: float

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return self.kernel.stat().st_size + self.root.stat().st_size


def default_work_folder() -> Path:
    """Return the user's cache folder for this."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "nbsocket-machine"


def check_tools() -> None:
    """Raise MissingTools, naming what to install."""
    missing = [package for command, package in TOOLS.items() if shutil.which(command) is None]
    if missing:
        raise MissingTools(f"missing: install it with apt-get install {' '.join(missing)}")


def make_image(work: Path) -> Image:
    """Return the image in ``work``, which is made unless it is there and of this very recipe.

    Raises:
        MissingTools: it is not there and cannot be made by this user.
        subprocess.CalledProcessError: a step failed; its output is in ``work/build.log``.
    """
    work.mkdir(parents=True, exist_ok=True)
    kernel, root, stamp = work / "vmlinuz", work / "root.cpio", work / "recipe"
    recipe = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == recipe:
        return Image(kernel, root, 0.0)
    if os.geteuid() != 0:
        raise MissingTools("debootstrap needs root to make the machine's root file system: use sudo once")
    began = time.monotonic()
    tree = work / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    with (work / "build.log").open("w") as log:
        _Builder(tree, log.fileno()).build(kernel, root)
    shutil.rmtree(tree)
    stamp.write_text(recipe)
    return Image(kernel, root, time.monotonic() - began)


class _Builder:
    def __init__(self, tree: Path, log: int) -> None:
        self._tree = tree
        self._log = log

    def build(self, kernel: Path, root: Path) -> None:
        self._run(
            *("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}"), SUITE, str(self._tree), MIRROR
        )
        self._install_kernel(kernel)
        self._install_python_packages()
        for folder in LITTER:
            shutil.rmtree(self._tree / folder, ignore_errors=True)
        with root.open("wb") as archive:
            pack(self._tree, archive.fileno())

    def _run(self, *command: str) -> None:
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)

    def _in_tree(self, *command: str) -> str:
        done = subprocess.run(
            ("chroot", str(self._tree), *command), check=True, stdout=subprocess.PIPE, stderr=self._log, text=True
        )
        return done.stdout

    def _install_kernel(self, kernel: Path) -> None:
        depends = self._in_tree("apt-cache", "depends", "linux-image-amd64").split()
        package = next(word for word in depends if word.startswith("linux-image-") and word != "linux-image-amd64")
        self._in_tree("sh", "-c", f"cd /tmp && apt-get download {package}")
        parts = self._tree / "tmp/kernel"
        self._run("dpkg-deb", "-x", str(next((self._tree / "tmp").glob("linux-image-*.deb"))), str(parts))
        shutil.copy(next((parts / "boot").glob("vmlinuz-*")), kernel)
        modules = next((parts / "lib/modules").iterdir())
        target = self._tree / "lib/modules" / modules.name
        for folder in MODULE_FOLDERS:
            shutil.copytree(modules / "kernel" / folder, target / "kernel" / folder)
        for file in modules.glob("modules.*"):
            shutil.copy(file, target)
        self._in_tree("depmod", modules.name)
        for left in (self._tree / "tmp").iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()

    def _install_python_packages(self) -> None:
        target = self._tree / "usr/lib/python3/dist-packages"
        wanted = ("--python-version", PYTHON_VERSION, "--platform", "manylinux2014_x86_64", "--only-binary=:all:")
        pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--target", str(target))
        self._run(*pip, *wanted, "pyserial >= 3.5", "wrapt >= 2.5")


def pack(folder: Path, archive: int) -> None:
    """Write everything in ``folder`` to the descriptor as an archive that the kernel unpacks."""
    names = subprocess.run(("find", ".", "-print0"), cwd=folder, check=True, stdout=subprocess.PIPE).stdout
    command = ("cpio", "--null", "--create", "--quiet", "--format=newc", "--owner=0:0")
    subprocess.run(command, cwd=folder, check=True, input=names, stdout=archive)

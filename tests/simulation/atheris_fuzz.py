"""The fuzz of ``fuzz.py`` with choices made by atheris, which looks for bytes that reach new code.

Atheris must be installed (``pip install atheris``; it has wheels for Linux and Python 3.11 and later). Each campaign
runs in a process of its own, because the fuzzer ends the process it runs in.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import TypeVar

T = TypeVar("T")

#: Bytes of one execution at most; the driver's target makes some 150 steps of them.
MAX_BYTES = 600

#: What is found is tried again with changes; memory beyond this is a failure.
MEMORY_LIMIT_MIB = 1024

TARGETS = ("codec", "driver")


class BytesDice:
    """Makes choices out of bytes; once they are used up everything is zero."""

    def __init__(self, data: bytes) -> None:
        """Begin with the first byte."""
        self._data = data
        self._position = 0

    @property
    def is_used_up(self) -> bool:
        """Whether every further choice is zero."""
        return self._position >= len(self._data)

    def randbytes(self, n: int, /) -> bytes:
        """Give the next ``n`` bytes."""
        self._position += n
        return self._data[self._position - n : self._position].ljust(n, b"\0")

    def randrange(self, stop: int, /) -> int:
        """Give a number below ``stop``."""
        return int.from_bytes(self.randbytes(1 if stop <= 256 else 2), "little") % stop

    def random(self) -> float:
        """Give a number from 0 up to 1."""
        return self.randrange(256) / 256

    def choice(self, seq: Sequence[T], /) -> T:
        """Give one of them."""
        return seq[self.randrange(len(seq))]


def campaign(inputs: int, start: int) -> int:
    """Fuzz codec and driver with half of the inputs each, and print what came of it; 1 at a failure."""
    failed = False
    for number, target in enumerate(TARGETS):
        with tempfile.TemporaryDirectory() as folder:
            failed |= _run(target, inputs // len(TARGETS), start + number, Path(folder))
    return int(failed)


def _run(target: str, inputs: int, seed: int, folder: Path) -> bool:
    begin = time.monotonic()
    account = folder / "account.json"
    command = [sys.executable, "-m", __name__, target, str(inputs), str(seed), str(folder), str(account)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    seconds = time.monotonic() - begin
    if done.returncode:
        print(f"{target}: failed after {seconds:.0f} s\n{done.stderr[-4000:]}")
        return True
    figures = json.loads(account.read_text())
    coverage = re.findall(r"cov: (\d+) ft: (\d+)", done.stderr)
    edges, features = coverage[-1] if coverage else ("?", "?")
    print(
        f"{target}: {figures['inputs']} inputs in {figures['executions']} executions, {seconds:.0f} s, at most "
        f"{figures['memory'] >> 20} MiB of memory, {edges} edges and {features} features reached, no failure"
    )
    return False


class _Campaign:
    """One target, run until it has had so many inputs."""

    def __init__(self, target: str, inputs: int, account: Path) -> None:
        self._once = {"codec": self._codec, "driver": self._driver}[target]
        self._most = inputs
        self._account = account
        self.inputs = self.executions = 0

    def __call__(self, data: bytes) -> None:
        self._once(data)
        self.executions += 1
        if self.inputs >= self._most:
            self._end()

    def _codec(self, data: bytes) -> None:
        from tests.simulation import fuzz

        dice = BytesDice(data)
        receives_hex = dice.choice((None, True, False))
        largest, seed, is_free = dice.choice((1, 7, 100)), dice.randrange(256), dice.randrange(2)
        if is_free:
            stream = data[4:]
            self.inputs += 1 + stream.count(b"\n")
        else:
            stream = b""
            while not dice.is_used_up:
                stream += fuzz.random_input(dice)
                self.inputs += 1
        fuzz.feed_codec(stream, receives_hex, Random(seed), largest)

    def _driver(self, data: bytes) -> None:
        from tests.simulation import fuzz

        dice = BytesDice(data)
        fuzzed = fuzz.Fuzzed(dice)
        while not dice.is_used_up:
            fuzzed.step()
            self.inputs += 1

    def _end(self) -> None:
        from tests.simulation import fuzz

        figures = {"inputs": self.inputs, "executions": self.executions, "memory": fuzz.memory()}
        self._account.write_text(json.dumps(figures))
        sys.stderr.flush()
        os._exit(0)  # the fuzzer knows only numbers of executions


def main() -> None:
    """Run one target in this process, which ends with it."""
    import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore]  # need not be there

    target, inputs, seed, folder, account = sys.argv[1:]
    with atheris.instrument_imports(include=["nbsocket._at", "nbsocket._driver"]):
        from tests.simulation import fuzz
    corpus = Path(folder) / "corpus"
    corpus.mkdir()
    random = Random(int(seed))
    for number in range(64):
        (corpus / str(number)).write_bytes(random.randbytes(random.choice((20, 100, MAX_BYTES))))
    words = Path(folder) / "words"
    words.write_text("".join('"' + "".join(f"\\x{byte:02X}" for byte in word) + '"\n' for word in fuzz.WORDS))
    arguments = [sys.argv[0], f"-max_len={MAX_BYTES}", f"-dict={words}", f"-seed={1 + int(seed)}", str(corpus)]
    arguments += [f"-rss_limit_mb={MEMORY_LIMIT_MIB}", "-timeout=60", f"-artifact_prefix={os.getcwd()}/"]
    atheris.Setup(arguments, _Campaign(target, int(inputs), Path(account)))
    atheris.Fuzz()


if __name__ == "__main__":
    main()

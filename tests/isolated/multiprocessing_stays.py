"""Processes that talk to each other do so as ever while everything is patched; the modem is not asked for anything."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import subprocess
import sys

import nbsocket


def double(number: int) -> int:
    return 2 * number


def main() -> None:
    context = multiprocessing.get_context("spawn")
    with nbsocket.configure("sim://") as modem, nbsocket.patch():
        before = modem.stats().commands
        with context.Manager() as manager:
            shared = manager.dict(a=1)
            assert shared["a"] == 1
        with context.Pool(1) as pool:
            assert pool.map(double, [1, 2]) == [2, 4]
        with (
            multiprocessing.connection.Listener(("127.0.0.1", 0)) as listener,
            multiprocessing.connection.Client(listener.address) as client,
            listener.accept() as served,
        ):
            client.send("hello")
            assert served.recv() == "hello"
        code = "import sys; print('nbsocket' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "False"
        assert modem.stats().commands == before
    print("done")


if __name__ == "__main__":
    main()

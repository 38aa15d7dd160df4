"""The process whose memory and processor time are measured: ``python -m benchmarks._scale_app [trace]``.

Each line on stdin is a request, each line on stdout its answer; ``trace`` counts Python's own allocations, which makes
everything slower. One thread is the application's, however many modems there are.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import selectors
import socket
import sys
import time
import tracemalloc
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks._servers import pattern

HOST = "192.0.2.1"


class App:
    """Modems and their connections."""

    def __init__(self, is_traced: bool) -> None:
        self._is_traced = is_traced
        self._modems: list[Any] = []
        self._connections: list[socket.socket] = []

    @staticmethod
    def _nbsocket() -> ModuleType:
        return importlib.import_module("nbsocket")

    def load(self) -> None:
        """Load all of the package that a modem needs."""
        importlib.import_module("nbsocket._modem")

    def open(self, ports: list[str]) -> None:
        """Open more modems."""
        nbsocket = self._nbsocket()
        added = [nbsocket.Modem(port, baudrate=115200) for port in ports]
        for modem in added:
            modem.open()
            modem.wait_attached(30)
        self._modems += added

    def connect(self, port: int, count: int) -> None:
        """Open ``count`` connections on each modem."""
        nbsocket = self._nbsocket()
        for modem in self._modems:
            for _ in range(count):
                sock = nbsocket.socket(modem=modem)
                sock.settimeout(60)
                sock.connect((HOST, port))
                self._connections.append(sock)

    def exchange(self, size: int) -> dict[str, float]:
        """Send ``size`` bytes over each connection, all at a time, and read them back."""
        data = pattern(size)
        used, started = time.process_time(), time.monotonic()
        left = {}
        with selectors.DefaultSelector() as selector:
            for sock in self._connections:
                sock.sendall(data)
                left[sock] = size
                selector.register(sock, selectors.EVENT_READ)
            while left:
                for key, _ in selector.select():
                    sock = key.fileobj  # type: ignore[assignment]  # only sockets were registered
                    left[sock] -= len(sock.recv(65536))
                    if not left[sock]:
                        del left[sock]
                        selector.unregister(sock)
        return {"cpu": time.process_time() - used, "seconds": time.monotonic() - started}

    def measure(self) -> dict[str, int]:
        """Return bytes of memory; ``traced`` are those that Python has allocated."""
        gc.collect()
        traced = tracemalloc.get_traced_memory()[0] if self._is_traced else 0
        return {**_resident(), "traced": traced, "kernel": _kernel_buffers(), "threads": _count("task")}

    def close(self) -> None:
        """Close everything."""
        for sock in self._connections:
            sock.close()
        for modem in self._modems:
            modem.close()


def _resident() -> dict[str, int]:
    """Resident bytes: all, and those that are this process's alone. Source: proc(5), smaps_rollup."""
    rows = dict.fromkeys(("Rss:", "Private_Dirty:"), 0)
    for line in Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines():
        name, *rest = line.split()
        if name in rows:
            rows[name] = int(rest[0]) * 1024
    return {"rss": rows["Rss:"], "private": rows["Private_Dirty:"]}


def _kernel_buffers() -> int:
    """Most bytes that the kernel may hold in the buffers of this process's sockets."""
    total = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            with socket.socket(fileno=os.dup(int(name))) as sock:
                total += sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
                total += sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        except OSError:
            continue  # no socket
    return total


def _count(folder: str) -> int:
    return len(os.listdir(f"/proc/self/{folder}"))


def main(*arguments: str) -> None:
    """See the module."""
    if "trace" in arguments:
        tracemalloc.start()
    app = App("trace" in arguments)
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        answer = getattr(app, request.pop("do"))(**request)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

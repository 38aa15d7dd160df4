"""Ends with data in flight and threads that wait: arguments are the modem's port, the server's port, the way to end."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading

import nbsocket
from nbsocket import Modem
from tests.faults.load import connect, words_of

url, port, way = sys.argv[1], int(sys.argv[2]), sys.argv[3]
modem = Modem(url)
sock = connect(modem, port)
waiting = threading.Barrier(4)


def recv() -> None:
    other = connect(modem, port)
    other.settimeout(None)
    waiting.wait()
    other.recv(10)


def connect_nowhere() -> None:
    other = nbsocket.socket(modem=modem)
    waiting.wait()
    other.connect(("192.0.2.1", 80))


def ping() -> None:
    waiting.wait()
    modem.ping("192.0.2.1", timeout=100)


def quietly(call: object) -> None:
    with contextlib.suppress(OSError, RuntimeError):
        call()  # type: ignore[operator]  # one of those above


for call in (recv, connect_nowhere, ping):
    threading.Thread(target=quietly, args=(call,), daemon=True).start()
waiting.wait()
sock.sendall(words_of(0)[:30_000])
print("sent", flush=True)
sock.detach()
if way == "exit":
    sys.exit(0)
if way == "error":
    sys.excepthook = lambda *_: os.write(1, b"error\n") and None
    raise ValueError
if way == "ctrl_c":
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        print("ctrl_c")

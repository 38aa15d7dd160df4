"""How a program ends. Arguments: the scene, the modem's port, the server's port.

Exit functions are registered here before nbsocket is imported, as the standard library and other packages do it.
"""

import atexit
import logging
import logging.handlers
import os
import socket
import sys
import threading
import weakref

scene, url, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
ADDRESS = "198.18.0.1"


def say(text: bytes) -> None:
    """Send over a connection of its own, and wait for the server's answer."""
    with socket.create_connection((ADDRESS, port), 20) as sock:
        sock.sendall(text)
        assert sock.recv(100) == text
    print(text.decode(), flush=True)


class Object:
    """Something to be finalised."""


kept = Object()
if scene == "exit functions":
    weakref.finalize(kept, say, b"finalised")
    atexit.register(say, b"first registered")
    atexit.register(lambda: 1 // 0)
    atexit.register(say, b"second registered")
elif scene == "first use":
    atexit.register(say, b"first use")

import nbsocket  # noqa: E402  # after the exit functions

modem = nbsocket.Modem(url)
nbsocket.patch(modem)
if scene != "first use":
    sock = socket.create_connection((ADDRESS, port), 20)


def first_use() -> None:
    """The modem's threads start when CPython 3.12 and later start none."""


def exit_functions() -> None:
    atexit.register(say, b"registered after the modem")


def memory_handler() -> None:
    """logging.shutdown(), registered when logging was imported, sends what was kept."""
    target = logging.handlers.SocketHandler(ADDRESS, port)
    target.makePickle = lambda record: record.getMessage().encode()  # type: ignore[method-assign]
    logging.getLogger("program").addHandler(logging.handlers.MemoryHandler(100, target=target))
    logging.getLogger("program").warning("kept")


def blocked_threads() -> None:
    """Natively they vanish without a word."""
    waiting = threading.Barrier(5)
    datagrams = socket.socket(type=socket.SOCK_DGRAM)
    datagrams.connect((ADDRESS, port))

    def receive() -> None:
        waiting.wait()
        print("recv gave", sock.recv(1))

    def connect() -> None:
        waiting.wait()
        socket.create_connection(("192.0.2.1", 80))

    def receive_datagram() -> None:
        waiting.wait()
        print("recv gave", datagrams.recv(1))

    def ping() -> None:
        waiting.wait()
        print("ping gave", modem.ping("192.0.2.1", timeout=100))

    sock.settimeout(None)
    for target in (receive, connect, receive_datagram, ping):
        threading.Thread(target=target, daemon=True).start()
    waiting.wait()
    sock.sendall(b"sent before the end")


def exit_in_thread() -> None:
    thread = threading.Thread(target=sys.exit)
    thread.start()
    thread.join()
    threading.Thread(target=say, args=(b"a thread that is waited for",)).start()


def error() -> None:
    sys.excepthook = lambda *_: os.write(1, b"excepthook\n")
    sock.sendall(b"sent before the error")
    sock.detach()
    raise ValueError


def fork() -> None:
    """The child ends first, and takes nothing with it."""
    sys.stdout.flush()
    if not (child := os.fork()):
        sys.exit(0)
    os.waitpid(child, 0)
    say(b"after the child")


SCENES = {
    "first use": first_use,
    "exit functions": exit_functions,
    "memory handler": memory_handler,
    "blocked threads": blocked_threads,
    "exit in a thread": exit_in_thread,
    "error": error,
    "fork": fork,
}
SCENES[scene]()
print("main ends", flush=True)

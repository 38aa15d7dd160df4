"""What a program does to the process around the modem. Arguments: the scene, the server's port."""

import errno
import gc
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

scene, port = sys.argv[1], int(sys.argv[2])

if scene == "frozen before the import":
    import freezegun

    freezer = freezegun.freeze_time("2031-01-01")
    freezer.start()

import nbsocket  # noqa: E402  # after the clock was frozen
from nbsocket.sim import Simulator  # noqa: E402
from tests.helpers import PATIENCE  # noqa: E402
from tests.isolated._far_side import ADDRESS, HOST  # noqa: E402


def there_and_back(modem: nbsocket.Modem, host: str = ADDRESS) -> None:
    """Exchange something over a new connection."""
    with nbsocket.socket(modem=modem) as sock:
        sock.settimeout(PATIENCE)
        sock.connect((host, port))
        sock.sendall(b"there")
        got = b""
        while len(got) < 5:
            got += sock.recv(5)
        assert got == b"there"
        sock.shutdown(socket.SHUT_WR)


def frozen_clock() -> None:
    import freezegun

    with nbsocket.Modem("sim://") as modem:
        there_and_back(modem)
        with freezegun.freeze_time("2031-01-01"):
            there_and_back(modem, HOST)
            with nbsocket.Modem("sim://") as other:
                there_and_back(other)
        there_and_back(modem)


def frozen_before_the_import() -> None:
    with nbsocket.Modem("sim://") as modem:
        there_and_back(modem, HOST)
        freezer.stop()
        there_and_back(modem)


def fake_file_system() -> None:
    from pyfakefs.fake_filesystem_unittest import Patcher

    with Simulator() as simulator, nbsocket.Modem(simulator.path) as modem, nbsocket.socket(modem=modem) as sock:
        sock.connect((ADDRESS, port))
        with Patcher():
            assert not Path("/dev/fd").exists()
            there_and_back(modem)
            # A reset looks at the descriptors.
            simulator.power_on()
            try:
                while sock.recv(100):
                    pass
            except ConnectionResetError:
                print("reset")
            with nbsocket.Modem("sim://") as other:
                there_and_back(other)
        there_and_back(modem)


def another_directory() -> None:
    with TemporaryDirectory() as folder, Simulator(link=f"{folder}/modem") as simulator:
        os.chdir(folder)
        modem = nbsocket.Modem("modem")
        there_and_back(modem)
        os.chdir("/")
        modem.close()
        modem.open()
        there_and_back(modem)
        modem.close()
        os.environ.clear()
        with nbsocket.Modem(simulator.path) as other:
            there_and_back(other)


def no_threads() -> None:
    """The system starts no more threads: whoever asks is told, and the next try works."""
    import _thread

    genuine = _thread.start_new_thread
    left = 0

    def start(*arguments: object) -> int:
        nonlocal left
        if not left:
            raise RuntimeError("can't start new thread")
        left -= 1
        return genuine(*arguments)  # type: ignore[call-overload, no-any-return]  # handed on

    _thread.start_new_thread = start
    modem = nbsocket.Modem("sim://")
    for number in range(2):  # the modem's own thread, then the simulator's
        left = number
        with nbsocket.socket(modem=modem) as sock:
            sock.settimeout(PATIENCE)
            try:
                sock.connect((ADDRESS, port))
            except OSError as error:
                print(type(error).__name__, error.strerror)
        try:
            modem.open()
        except OSError as error:
            print(type(error).__name__, error.strerror)
    left = 1000
    modem.open()
    there_and_back(modem)
    modem.close()


def join_all() -> None:
    """Join every thread that there is, as frameworks do at their end, while the modem's log goes to a handler."""
    import logging

    logging.basicConfig(level=logging.DEBUG, stream=open(os.devnull, "w"))  # noqa: SIM115  # for the handler's life
    with nbsocket.Modem("sim://") as modem:
        there_and_back(modem)
        for _ in range(3):
            modem.command("AT")
            for thread in threading.enumerate():
                if thread is not threading.current_thread() and thread.is_alive():
                    thread.join()
        there_and_back(modem)
    print([thread.name for thread in threading.enumerate() if thread.name != "nbsocket log"])


def garbage() -> None:
    """Objects of the program's are collected at any moment, on any thread, and use sockets in their ``__del__``."""
    modem = nbsocket.Modem("sim://", wait_for_socket=PATIENCE)
    modem.wait_attached()
    threads: set[int] = set()
    errors: set[int | None] = set()

    class Client:
        """A client that says good-bye when it is collected."""

        def __init__(self) -> None:
            self.me = self
            self.sock = nbsocket.socket(modem=modem)
            self.sock.settimeout(PATIENCE)
            self.sock.connect((ADDRESS, port))

        def __del__(self) -> None:
            threads.add(threading.get_ident())
            try:
                self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.sock.sendall(b"bye")
                modem.command("AT")
            except OSError as error:
                errors.add(error.errno)
            self.sock.close()

    gc.disable()
    for number in range(9):
        Client()
        # On the modem's thread, on this one, and on the modem's in the middle of what it does.
        if number % 3 == 0:
            modem.engine.call(gc.collect).result(PATIENCE)
        elif number % 3 == 1:
            gc.collect()
        else:
            gc.set_threshold(1, 1, 1)
            gc.enable()
            there_and_back(modem)
            gc.disable()
    gc.enable()
    gc.collect()
    there_and_back(modem)
    modem.close()
    print(len(threads), *sorted(errno.errorcode[number or 0] for number in errors))


def waits_of_its_own() -> None:
    """A wait of whatever kind on the modem's own thread is refused at once."""
    modem = nbsocket.Modem("sim://")
    modem.wait_attached()
    sock = nbsocket.socket(modem=modem)
    sock.connect((ADDRESS, port))
    datagrams = nbsocket.socket(type=socket.SOCK_DGRAM, modem=modem)
    datagrams.bind(("", 4000))
    calls: dict[str, Callable[[], object]] = {
        "command": lambda: modem.command("AT"),
        "resolve": lambda: modem.resolve(HOST),
        "open": modem.open,
        "ping": lambda: modem.ping(HOST, on_reply=print),
        "connect": lambda: there_and_back(modem),
        "unacknowledged": lambda: sock.getsockopt(nbsocket.SOL_NB, nbsocket.NB_UNACKED),
        "recv": lambda: sock.recv(10),
        "recv_into": lambda: sock.recv_into(bytearray(10)),
        "recvfrom": lambda: datagrams.recvfrom(10),
    }
    for name, call in calls.items():
        error = modem.engine.call(call).exception(PATIENCE)
        assert isinstance(error, OSError) and error.errno == errno.EDEADLK, (name, error)
    # This one does not wait there.
    modem.engine.call(modem.close).result(PATIENCE)
    while modem.engine.is_running:
        time.sleep(0.001)
    sock.close()
    datagrams.close()


SCENES = {
    "frozen clock": frozen_clock,
    "frozen before the import": frozen_before_the_import,
    "fake file system": fake_file_system,
    "another directory": another_directory,
    "no threads": no_threads,
    "join all": join_all,
    "garbage": garbage,
    "waits of its own": waits_of_its_own,
}
SCENES[scene]()
print("done")

"""What programs do with signals while the library's threads run. The argument names the scene."""

import _socket
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import nbsocket
import nbsocket._patching._wrappers  # an import that a signal handler finds half done fails in it
from tests.helpers import PATIENCE
from tests.isolated._far_side import ADDRESS, HOST, echo, tcp_server, udp_server

#: Rounds of what a signal handler interrupts.
ROUNDS = 30


def wait_for_a_signal() -> None:
    """Blocked before the modem's threads start, or after that: either way they do not take it."""
    if scene == "blocked before":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    with nbsocket.Modem("sim://") as modem:
        modem.wait_attached()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        os.kill(os.getpid(), signal.SIGTERM)
        assert signal.sigwait({signal.SIGTERM}) == signal.SIGTERM


def masks() -> None:
    """Every thread of the library's blocks what is not synchronous; the program's and its children's masks stay."""
    blocked = {signal.SIGUSR1}
    signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
    with nbsocket.Modem("sim://") as modem:
        modem.wait_attached()
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == blocked
        own = threading.get_native_id()
        found = {}
        for task in Path("/proc/self/task").iterdir():
            fields = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line)
            found[int(task.name)] = int(fields["SigBlk"], 16)
        assert len(found) == 3, "this one, the modem's and the simulator's"
        for thread, mask in found.items():
            names = {number for number in signal.valid_signals() if mask >> (number - 1) & 1}
            if thread != own:
                wanted = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
                wanted -= {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT}
                assert names == wanted, names ^ wanted
        code = "import signal; print(*map(int, signal.pthread_sigmask(signal.SIG_BLOCK, ())))"
        child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert child.stdout.split() == [str(int(signal.SIGUSR1))], child.stdout


def broken_pipe() -> None:
    """With SIGPIPE at its default, nothing that the library writes ends the program."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    spouting = threading.Event()

    def spout(connection: socket.socket) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPIPE})  # these writes are the far side's
        try:
            while True:
                connection.sendall(b"x" * 200)
                if spouting.wait(0.01):
                    break
        except OSError:
            pass

    with tcp_server(spout) as port, nbsocket.Modem("sim://") as modem:
        for _ in range(3):
            with nbsocket.socket(modem=modem) as sock:
                sock.connect((ADDRESS, port))
                sock.recv(10)
                sock.shutdown(socket.SHUT_RD)
                modem.command("AT+CSQ")
                modem.command("AT+CSQ")
                sock.shutdown(socket.SHUT_WR)
        spouting.set()
        # A modem that is closed, and a simulator that is gone, are still told things.
        loop = modem.engine._loop
        waker = loop._waker
        modem.close()
        assert waker is not None
        waker.wake()


def handlers() -> None:
    """A signal handler that uses sockets, whatever call it interrupts."""
    with tcp_server(echo) as port, udp_server() as datagrams, nbsocket.Modem("sim://") as modem:
        sock = nbsocket.socket(modem=modem)
        sock.connect((ADDRESS, port))
        other = nbsocket.socket(type=socket.SOCK_DGRAM, modem=modem)
        other.settimeout(PATIENCE)
        handled = 0

        def use(target: socket.socket) -> None:
            target.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            target.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            target.getsockopt(nbsocket.SOL_NB, nbsocket.NB_UNACKED)
            other.connect((ADDRESS, datagrams))
            modem.stats()
            with nbsocket.socket(modem=modem) as third:
                third.settimeout(PATIENCE)
                third.connect((ADDRESS, port))
            modem.open()

        def tick(number: int, frame: object) -> None:
            nonlocal handled
            handled += 1
            use(sock)
            signal.setitimer(signal.ITIMER_REAL, 0.0007 * (1 + handled % 7))

        signal.signal(signal.SIGALRM, tick)
        signal.setitimer(signal.ITIMER_REAL, 0.001)
        for _ in range(ROUNDS):
            use(sock)
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert handled > 10, handled
        sock.close()
        other.close()


def look_ups() -> None:
    """A signal handler that asks for the very name that is being looked up."""
    with nbsocket.Modem("sim://?latency=0.3") as modem:
        modem.wait_attached()
        found = []
        signal.signal(signal.SIGALRM, lambda *_: found.append(modem.resolve(HOST)))
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        found.append(modem.resolve(HOST))
        assert len(found) == 2 and found[0] == found[1], found


def patches() -> None:
    """Signal handlers that patch and undo it wherever they come in, also in the middle of the same."""
    with nbsocket.patch(bypass="none"):
        patched = kinds()
    genuine = kinds()
    dice = random.Random(1)
    handled = 0

    def act(*_: object) -> None:
        nonlocal handled
        handled += 1
        number = dice.randrange(3)
        if number:
            nbsocket.patch(bypass="none")
        if number < 2:
            nbsocket.unpatch()
        signal.setitimer(signal.ITIMER_REAL, dice.uniform(0.0001, 0.003))

    signal.signal(signal.SIGALRM, act)
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    while handled < 300:
        nbsocket.patch(bypass="none")
        nbsocket.unpatch()
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0)
    nbsocket.unpatch()
    assert kinds() == genuine, kinds()
    nbsocket.patch(bypass="none")
    assert kinds() == patched, kinds()


def kinds() -> list[tuple[str, str]]:
    """What stands where patch() puts something, under a wrapper, too."""
    functions = {name: vars(socket)[name] for name in ("getaddrinfo", "gethostbyname", "getfqdn")}
    methods = {name: getattr(socket.socket, name) for name in ("__init__", "connect", "recv", "close", "bind")}
    found = {**functions, **methods, "C": _socket.getaddrinfo}
    return [
        (name, f"{type(value).__name__} {type(getattr(value, '__wrapped__', None)).__name__}")
        for name, value in found.items()
    ]


scene = sys.argv[1]
SCENES = {
    "blocked before": wait_for_a_signal,
    "blocked after": wait_for_a_signal,
    "masks": masks,
    "broken pipe": broken_pipe,
    "handlers": handlers,
    "look-ups": look_ups,
    "patches": patches,
}
SCENES[scene]()
print("done")

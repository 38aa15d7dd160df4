"""What hostile strings, payload and programs must not achieve. The threats are named in docs/security.md."""

from __future__ import annotations

import inspect
import io
import logging
import os
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import pytest
import trio

import nbsocket
from nbsocket import Modem
from nbsocket._cli import main
from nbsocket._modem import check_host
from nbsocket.sim import Fault, Simulator
from nbsocket.trio import HostnameResolver
from tests.faults.load import FAR, connect
from tests.helpers import AT_LOOKALIKES, TcpServer, echo, logs_delivered, receive_exactly, tcp_server, udp_server

MakeSimulator = Callable[..., Simulator]

# -- AT injection

HOSTILE = [
    'x",1\r\nAT+QEVIL=0\r',
    "x\rAT+QEVIL=0\r",
    "x\nAT+QEVIL=0",
    'x"\x1aAT+QEVIL=0',
    "x\x1b\rAT+QEVIL",
    "x\0AT+QEVIL",
    'x","y',
    "x\u2028AT+QEVIL",
    "\u02eex\u02ee,AT+QEVIL",
    "\uff02AT+QEVIL\uff0d",
    "x\x7fAT+QEVIL",
    "x\x85AT+QEVIL",
]

#: Every public call that takes a string which might be written to the module, by its name and parameter.
STRINGS: dict[str, Callable[[Modem, str], object]] = {
    "Modem.resolve host": lambda modem, text: modem.resolve(text),
    "Modem.ping host": lambda modem, text: modem.ping(text, count=1),
    "Modem.ntp server": lambda modem, text: modem.ntp(text),
    "Modem.set_dns_servers primary": lambda modem, text: modem.set_dns_servers(text),
    "Modem.set_dns_servers secondary": lambda modem, text: modem.set_dns_servers("192.0.2.1", text),
    "Modem.command text": lambda modem, text: modem.command("AT+CSQ" + text),
    "Modem.command text with payload": lambda modem, text: modem.command(f"AT+QISEND=0,{text}", payload=b"x"),
    "Modem apn": lambda modem, text: Modem(modem.port, apn=text).open(),
    "configure apn": lambda modem, text: nbsocket.configure(modem.port, apn=text),
    "check_host": lambda modem, text: check_host(text),
    "getaddrinfo": lambda modem, text: nbsocket.getaddrinfo(text, 80),
    "getaddrinfo service": lambda modem, text: nbsocket.getaddrinfo("host.example", text),
    "gethostbyname": lambda modem, text: nbsocket.gethostbyname(text),
    "gethostbyname_ex": lambda modem, text: nbsocket.gethostbyname_ex(text),
    "gethostbyaddr": lambda modem, text: nbsocket.gethostbyaddr(text),
    "getnameinfo": lambda modem, text: nbsocket.getnameinfo((text, 80), 0),
    "create_connection": lambda modem, text: nbsocket.create_connection((text, 80), 5),
    "trio resolver": lambda modem, text: trio.run(HostnameResolver(modem).getaddrinfo, text, 80),
    "cli ping": lambda modem, text: cli(modem, "ping", text),
    "cli resolve": lambda modem, text: cli(modem, "resolve", text),
    "cli ntp": lambda modem, text: cli(modem, "ntp", text),
    "cli dns": lambda modem, text: cli(modem, "dns", text),
    "cli at": lambda modem, text: cli(modem, "at", "AT" + text),
    "cli at payload": lambda modem, text: cli(modem, "at", "AT+CSQ", "--payload", text),
}

#: Public strings of Modem that are never written to the module.
NEVER_WRITTEN = {"port", "data_format", "power", "on_line"}


def cli(modem: Modem, *words: str) -> None:
    """Run the command line in this process on a module of its own; it must report a failure."""
    modem.close()
    loggers = [logging.getLogger(name) for name in ("nbsocket", "nbsocket.at")]
    kept = [(logger, logger.level, logger.propagate, logger.handlers[:]) for logger in loggers]
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        try:
            code = main(["--port", modem.port, *words])
        except SystemExit as error:
            code = int(error.code or 0)
    for logger, level, propagate, handlers in kept:
        logger.setLevel(level)
        logger.propagate, logger.handlers = propagate, handlers
    assert code != 0
    modem.open()
    raise ValueError("refused")


@pytest.mark.parametrize("name", STRINGS)
def test_no_string_becomes_a_command(make_simulator: MakeSimulator, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    from nbsocket import _modem

    simulator = make_simulator()
    with Modem(simulator.path) as modem:
        monkeypatch.setattr(_modem, "_default", modem)
        modem.wait_attached()
        for text in HOSTILE:
            with pytest.raises((OSError, ValueError, TypeError)):
                STRINGS[name](modem, text)
        assert modem.command("AT") == []
    commands = simulator.commands
    is_any_command = name.startswith(("Modem.command", "cli at"))  # one line, whatever it says
    pattern = "EVIL" if is_any_command else 'EVIL|xn--|","y'
    assert not [line for line in commands if re.search(pattern, line, re.IGNORECASE)]
    assert all(line.isascii() and line.isprintable() for line in commands)


#: Strings of the set-up: what takes them, by where they come from.
SETTINGS: dict[str, Callable[[str], object]] = {
    "port, a device": lambda text: Modem(f"/dev/{text}").open(),
    "port, an option of the simulator": lambda text: Modem(f"sim://?{text}=1").open(),
    "port, a value for the simulator": lambda text: Modem(f"sim://?firmware={text}").open(),
    "port, a host of the simulator": lambda text: Modem(f"sim://?host={text}").open(),
    "port, a scheme": lambda text: Modem(f"{text}://host").open(),
    "configure port": lambda text: nbsocket.configure(text).open(),
    "patch bypass": lambda text: nbsocket.patch(Modem("sim://"), bypass=text),
    "data_format": lambda text: Modem("sim://", data_format=text),  # type: ignore[arg-type]  # it is wrong
    "power": lambda text: Modem("sim://", power=text),  # type: ignore[arg-type]  # as above
}

#: Variables of the environment, and what reads them.
VARIABLES: dict[str, Callable[[], object]] = {
    "NBSOCKET_PORT": lambda: nbsocket.configure().open(),
    "NBSOCKET_BAUDRATE": lambda: nbsocket.configure("sim://"),
    "NBSOCKET_DATA_FORMAT": lambda: nbsocket.configure("sim://"),
    "NBSOCKET_BYPASS": lambda: nbsocket.patch(Modem("sim://")),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_are_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """What is not known is refused when it is given, or when the port is opened: before anything is written."""
    from nbsocket import _modem

    monkeypatch.setattr(_modem, "_default", None)
    for text in HOSTILE:
        with pytest.raises((OSError, ValueError)):
            SETTINGS[name](text)


@pytest.mark.parametrize("name", VARIABLES)
def test_variables_of_the_environment_are_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    from nbsocket import _modem

    monkeypatch.setattr(_modem, "_default", None)
    for text in HOSTILE:
        if "\0" in text:
            continue  # the operating system has no such variables
        monkeypatch.setenv(name, text)
        with pytest.raises((OSError, ValueError)):
            VARIABLES[name]()


def test_every_variable_of_the_environment_is_tried() -> None:
    source = "".join(path.read_text() for path in (Path(__file__).parents[2] / "nbsocket").rglob("*.py"))
    assert set(re.findall(r"environ[.a-z]*[(\[]\"(NBSOCKET_\w+)", source)) == set(VARIABLES)


def test_the_table_of_strings_is_complete() -> None:
    """A new public parameter that is a string must be tried, too."""
    found = set()
    for name, method in inspect.getmembers(Modem, inspect.isfunction):
        if name.startswith("_") and name != "__init__":
            continue
        for parameter in inspect.signature(method).parameters.values():
            if re.search(r"\bstr\b|Literal", str(parameter.annotation)):
                call = "Modem" if name == "__init__" else f"Modem.{name}"
                found.add(f"{call} {parameter.name}")
    assert {item for item in found if item.split()[1] not in NEVER_WRITTEN} <= set(STRINGS)


# -- payload

EVIL = b"".join((*AT_LOOKALIKES, b"\rAT+QEVIL=1\r", b"\x1aAT+QEVIL=2\r\n", b"\x1bAT+QEVIL=3\r", b"AT+QEVIL=4\r\n")) * 3


@pytest.mark.parametrize("data_format", ["hex", "raw"])
@pytest.mark.parametrize(
    "fault",
    [
        None,
        Fault("error", match="QISEND=", nth=2),
        Fault("send_fail", match="QISEND=", nth=2),
        Fault("restart", match="QISEND=", nth=2),
        Fault("closed", match="QISEND=", nth=2),
        Fault("emit", match="QISEND=", nth=2, data=b"\r\n> \r\n>"),
        Fault("late_final", match="QISEND=", nth=2, delay=0.3),
    ],
    ids=lambda fault: "none" if fault is None else f"{fault.action}",
)
def test_payload_is_never_a_command(make_simulator: MakeSimulator, data_format: str, fault: Fault | None) -> None:
    simulator = make_simulator()
    with Modem(simulator.path, data_format=data_format) as modem, udp_server() as udp_port:  # type: ignore[arg-type]  # of the row
        with tcp_server(echo) as port, connect(modem, port, 8.0) as sock:
            if fault is not None:
                simulator.inject(fault)
            got = b""
            with suppress(OSError):
                sock.sendall(EVIL)
                got = receive_exactly(sock, len(EVIL))
            assert EVIL[: len(got)] == got
            assert got == EVIL or fault is not None
        with nbsocket.socket(type=socket.SOCK_DGRAM, modem=modem) as datagram:
            datagram.settimeout(1.0)
            for _ in range(10):  # a module that starts again loses datagrams, as any network may
                datagram.sendto(EVIL[:500], (FAR, udp_port))
                with suppress(TimeoutError):
                    assert datagram.recvfrom(2000)[0] == EVIL[:500]
                    break
            else:
                pytest.fail("no datagram came through")
        assert modem.command("AT") == []
    assert not [line for line in simulator.commands if line.upper().startswith("AT+QEVIL")]


# -- what others on this machine can read


def test_the_pty_is_private(make_simulator: MakeSimulator, tmp_path: Path) -> None:
    assert stat.S_IMODE(os.stat(make_simulator().path).st_mode) == 0o600
    link = tmp_path / "tty"
    with Simulator(link=str(link)):
        assert stat.S_IMODE(os.stat(link).st_mode) == 0o600
    assert not link.is_symlink()


def test_a_link_does_not_overwrite_a_file(tmp_path: Path) -> None:
    """A file that somebody put where the link is to be stays as it is."""
    target = tmp_path / "file"
    target.write_text("mine")
    with pytest.raises(FileExistsError):
        Simulator(link=str(target))
    assert target.read_text() == "mine"


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    """Whatever a symbolic link points to, and whatever is at the name that is used on the way, stays as it is."""
    target, link = tmp_path / "file", tmp_path / "tty"
    target.write_text("mine")
    for points_to in (target, tmp_path / "nothing", tmp_path):
        link.symlink_to(points_to)
        with Simulator(link=str(link)) as simulator:
            assert os.path.realpath(link).startswith("/dev/") and simulator.path == str(link)
        assert not link.is_symlink()
    (tmp_path / f"tty.{os.getpid()}").symlink_to(target)
    with pytest.raises(FileExistsError):
        Simulator(link=str(link))
    os.link(target, link)
    with pytest.raises(FileExistsError):
        Simulator(link=str(link))
    assert target.read_text() == "mine" and link.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "tty", f"tty.{os.getpid()}"]


def test_the_end_removes_only_its_own_link(tmp_path: Path) -> None:
    """Another one that was put there meanwhile stays."""
    link = tmp_path / "tty"
    with Simulator(link=str(link)):
        link.unlink()
        link.symlink_to(tmp_path / "another")
    assert os.readlink(link) == str(tmp_path / "another")


def test_the_lock_leaves_no_file(make_simulator: MakeSimulator) -> None:
    """The lock is on the device itself: there is no lock file that another user could make, read or leave behind."""
    simulator = make_simulator()
    program = (
        "import sys, os\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, args: opened.append(args) if event == 'open' else None)\n"
        "import nbsocket\n"
        "with nbsocket.Modem(sys.argv[1]) as modem: modem.info()\n"
        "for path, mode, flags in opened:\n"
        "    if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT): print(path)\n"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", program, simulator.path], capture_output=True, text=True, timeout=30, check=True
    )
    assert set(done.stdout.split()) == {simulator.path}


SECRET = b"SECRETpassword=hunter2"


@pytest.mark.parametrize("data_format", ["hex", "raw"])
@pytest.mark.parametrize("log_payload", [False, True])
def test_logs_show_payload_only_when_asked(
    make_simulator: MakeSimulator, caplog: pytest.LogCaptureFixture, data_format: Any, log_payload: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    modem = Modem(make_simulator().path, data_format=data_format, log_payload=log_payload)
    with modem, tcp_server(echo) as port, udp_server() as udp_port, connect(modem, port) as sock:
        for size in (len(SECRET), 700, 3000):
            data = (SECRET * 150)[:size]
            sock.sendall(data)
            assert receive_exactly(sock, size) == data
        with nbsocket.socket(type=socket.SOCK_DGRAM, modem=modem) as datagram:
            datagram.sendto(SECRET, (FAR, udp_port))
            assert datagram.recvfrom(100)[0] == SECRET
    logs_delivered()
    text = "\n".join(record.getMessage() for record in caplog.records).upper()
    assert "QISEND" in text and "RECV" in text
    assert (b"hunter2".hex().upper() in text or "HUNTER2" in text) == log_payload


@pytest.mark.parametrize("data_format", ["hex", "raw"])
def test_errors_and_representations_show_no_payload(make_simulator: MakeSimulator, data_format: Any) -> None:
    simulator = make_simulator()
    with (
        Modem(simulator.path, data_format=data_format) as modem,
        tcp_server(echo) as port,
        connect(modem, port) as sock,
    ):
        simulator.inject(Fault("restart", match="QISEND"))
        with pytest.raises(OSError) as caught:
            sock.sendall(SECRET)
            sock.recv(10)
        shown = f"{caught.value!r} {caught.value} {vars(caught.value)} {sock!r} {modem!r} {modem.stats()}"
        assert "hunter" not in shown and SECRET.hex().upper() not in shown.upper()


# -- run --strict


def run_strict(folder: Path, port: str, program: str) -> subprocess.CompletedProcess[str]:
    (folder / "program.py").write_text(program)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NBSOCKET_")}
    return subprocess.run(
        [sys.executable, "-m", "nbsocket", "--port", port, "run", "--strict", "--bypass", "none", "program.py"],
        env={**environment, "PYTHONPATH": os.pathsep.join((str(Path(__file__).parents[2]), str(folder)))},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=50,
    )


GONE = """
import os, signal, socket
kill, port = {pid}, {port}
socket.create_connection(("server.example", port), 10).close()
os.kill(kill, signal.SIGKILL)
for family in (socket.AF_INET, socket.AF_INET6):
    for call in (
        lambda: socket.create_connection(("127.0.0.1", port), 2),
        lambda: socket.getaddrinfo("host.example", port, family),
        lambda: socket.socket(family).connect(("::1" if family == socket.AF_INET6 else "127.0.0.1", port)),
    ):
        try:
            call()
        except OSError as error:
            print("closed", type(error).__name__)
        else:
            print("OPEN")
"""


def test_strict_stays_closed_when_the_modem_is_gone(tmp_path: Path) -> None:
    """No way back to the operating system's network, though a server listens there."""
    from tests.faults.test_port import far_process

    heard: list[object] = []

    def note(sock: socket.socket) -> None:
        heard.append(sock.recv(10))

    server = TcpServer(note)
    with far_process(tmp_path / "tty") as process:
        program = GONE.format(pid=process.pid, port=server.port)
        done = run_strict(tmp_path, str(tmp_path / "tty"), program)
    server.close()
    assert done.stdout.count("closed") == 6 and "OPEN" not in done.stdout, done.stderr
    assert len(heard) == 1


@pytest.mark.parametrize("port", ["/dev/none", "sim://?nonsense=1"])
def test_strict_does_not_start_without_a_modem(tmp_path: Path, port: str) -> None:
    done = run_strict(tmp_path, port, "print('started')")
    assert done.returncode != 0 and "started" not in done.stdout


EVADE = """
import _socket, asyncio, socket, threading
import nbsocket
def evade(call):
    try:
        call()
    except PermissionError:
        print("closed")
    except BaseException as error:
        print("OTHER", repr(error))
    else:
        print("OPEN")
def direct(kind=1):
    _socket.socket(type=kind).connect(("203.0.113.1", 80))
nbsocket.unpatch()
evade(direct)
evade(lambda: direct(2))
evade(lambda: socket.create_connection(("203.0.113.1", 80)))
evade(lambda: socket.getaddrinfo("host.example", 80))
evade(lambda: asyncio.run(asyncio.open_connection("203.0.113.1", 80)))
thread = threading.Thread(target=evade, args=(direct,))
thread.start()
thread.join()
class Mine(_socket.socket):
    pass
evade(lambda: Mine(type=2).sendto(b"x", ("203.0.113.1", 53)))
evade(lambda: Mine(_socket.AF_INET6).connect(("2001:db8::1", 80)))
evade(lambda: _socket.socket(type=2).connect(("0xcb.0.0x71.1", 80)))
evade(lambda: _socket.socket(type=2).connect(("3405803777", 80)))
evade(lambda: _socket.socket(_socket.AF_INET6, 2).connect(("::ffff:203.0.113.1", 80)))
evade(lambda: _socket.socket(type=2).sendto(b"x", (bytearray(b"203.0.113.1"), 80)))
evade(lambda: _socket.socket(type=2).sendto(b"x", ("<broadcast>", 80)))
evade(lambda: _socket.getaddrinfo("host.localhost", 80))
"""


def test_strict_holds_whatever_way_is_taken(tmp_path: Path) -> None:
    """After unpatch(), on a thread, through asyncio, with subclasses of the C class, in odd spellings."""
    done = run_strict(tmp_path, "sim://", EVADE)
    assert done.stdout.split() == ["closed"] * 14, done.stdout + done.stderr


LIBRARIES = """
import importlib, sys
for name in ("uvloop", "pycares", "pycurl", "grpc"):
    for load in (importlib.import_module, __import__, lambda name: exec(f"import {name}"), importlib.util.find_spec):
        try:
            load(name)
        except ImportError as error:
            print("closed" if "refused by --strict" in str(error) else repr(error))
        else:
            print("OPEN", name)
"""


def test_strict_refuses_libraries_that_connect_in_c(tmp_path: Path) -> None:
    for name in ("uvloop", "pycares", "pycurl", "grpc"):
        (tmp_path / f"{name}.py").write_text("print('OPEN')")
    done = run_strict(tmp_path, "sim://", LIBRARIES)
    assert done.stdout.split() == ["closed"] * 16, done.stdout + done.stderr


MODULES = """
import importlib, os, sys, _socket
from importlib.machinery import ExtensionFileLoader, ModuleSpec
def evade(module):
    try:
        module.socket(type=2).connect(("203.0.113.1", 80))
    except PermissionError:
        return "closed"
    return "OPEN"
here, spec = _socket, importlib.util.find_spec("_socket")
del sys.modules["_socket"]
print(evade(importlib.import_module("_socket")), evade(here))
if spec.origin != "built-in":
    loader = ExtensionFileLoader("_socket", spec.origin)
    again = importlib.util.module_from_spec(ModuleSpec("_socket", loader, origin=spec.origin))
    loader.exec_module(again)
    print(evade(again))
pid = os.fork()
if not pid:
    print(evade(here), flush=True)
    os._exit(0)
os.waitpid(pid, 0)
"""


def test_strict_holds_in_other_copies_of_the_module_and_in_forks(tmp_path: Path) -> None:
    done = run_strict(tmp_path, "sim://", MODULES)
    assert len(done.stdout.split()) >= 4 and set(done.stdout.split()) == {"closed"}, done.stdout + done.stderr


EARLY = "import builtins, _socket, socket; builtins.early = [_socket.socket(type=2), socket.socket(type=2)]\n"
LATE = """
from nbsocket._channel import lookup
for sock in early:
    for call in (lambda: sock.connect(("203.0.113.1", 80)), lambda: sock.sendto(b"x", ("203.0.113.1", 80))):
        try:
            call()
        except PermissionError:
            print("closed")
        else:
            print("OPEN" if lookup(sock.fileno()) is None else "modem")
"""


def test_strict_holds_sockets_that_were_there_before(tmp_path: Path) -> None:
    """Made by the C class they are refused; those of the class that patch() wraps go over the modem."""
    (tmp_path / "sitecustomize.py").write_text(EARLY)
    done = run_strict(tmp_path, "sim://", LATE)
    assert done.stdout.split() == ["closed", "closed", "modem", "modem"], done.stdout + done.stderr


BIND = """
import _socket, socket
def bind(family, kind):
    socket.socket(family, kind).bind(("host.example", 0))
def create_server():
    socket.create_server(("host.example", 0))
def frames():
    _socket.socket(socket.AF_PACKET, 3, 0)
calls = [lambda: bind(socket.AF_INET, 1), lambda: bind(socket.AF_INET6, 1), create_server]
for call in calls + [frames] * hasattr(socket, "AF_PACKET"):
    try:
        call()
    except OSError as error:
        print("closed" if "refused by --strict" in str(error) else repr(error))
    else:
        print("OPEN")
socket.socket().bind(("localhost", 0))
print("closed")
"""


def test_strict_refuses_names_to_bind_and_sockets_for_frames(tmp_path: Path) -> None:
    """The C function bind() asks the host's name server before its audit event; frames name no destination."""
    done = run_strict(tmp_path, "sim://", BIND)
    assert set(done.stdout.splitlines()) == {"closed"}, done.stdout + done.stderr


def test_strict_tells_once_of_other_programs(tmp_path: Path) -> None:
    lines = ("import os, subprocess, sys", "subprocess.run([sys.executable, '-c', ''])", "os.system(':')")
    done = run_strict(tmp_path, "sim://", "\n".join(lines))
    assert done.returncode == 0
    assert done.stderr.count("--strict does not hold that") == 1, done.stderr

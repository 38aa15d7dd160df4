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
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

import nbsocket
from nbsocket import Modem
from nbsocket._cli import main
from nbsocket._modem_options import OPTIONS, SECRET_FILES
from nbsocket._parameter import check_host
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

#: Public strings of Modem that are never written to the module, or whose own test is among SETTINGS.
NEVER_WRITTEN = {"port", "model", "data_format", "power", "on_line"}
NEVER_WRITTEN |= {"pin", "pdp_type", "dns", "apn_user", "apn_password"}


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
    from nbsocket import _default_modem

    simulator = make_simulator()
    with Modem(simulator.path) as modem:
        monkeypatch.setattr(_default_modem, "_default", modem)
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
    "pin": lambda text: Modem("sim://", pin=text),
    "pdp_type": lambda text: Modem("sim://", pdp_type=text),  # type: ignore[arg-type]  # it is wrong
    "dns": lambda text: Modem("sim://", dns=(text,)),
    "apn_user": lambda text: Modem("sim://", apn_user=text, apn_password="x"),
    "apn_password": lambda text: Modem("sim://", apn_user="me", apn_password=text),
    "data_format": lambda text: Modem("sim://", data_format=text),  # type: ignore[arg-type]  # it is wrong
    "power": lambda text: Modem("sim://", power=text),  # type: ignore[arg-type]  # as above
}

#: Options that are refused without another one.
OTHER_HALF = {"apn_password": {"apn_user": "me"}, "apn_user": {"apn_password": "x"}}


def configure_with(options: dict[str, Any]) -> None:
    nbsocket.configure("sim://", **options)


#: Variables of the environment, and what reads them.
VARIABLES: dict[str, Callable[[], object]] = {
    "NBSOCKET_PORT": lambda: nbsocket.configure().open(),
    **{
        f"NBSOCKET_{name.upper()}": partial(configure_with, OTHER_HALF.get(name, {}))
        for name in (*OPTIONS, *SECRET_FILES)
    },
    "NBSOCKET_BYPASS": lambda: nbsocket.patch(Modem("sim://")),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_are_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """What is not known is refused when it is given, or when the port is opened: before anything is written."""
    from nbsocket import _default_modem

    monkeypatch.setattr(_default_modem, "_default", None)
    for text in HOSTILE:
        with pytest.raises((OSError, ValueError)):
            SETTINGS[name](text)


@pytest.mark.parametrize("name", VARIABLES)
def test_variables_of_the_environment_are_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    from nbsocket import _default_modem

    monkeypatch.setattr(_default_modem, "_default", None)
    for text in HOSTILE:
        if "\0" in text:
            continue  # the operating system has no such variables
        monkeypatch.setenv(name, text)
        with pytest.raises((OSError, ValueError)):
            VARIABLES[name]()


#: Variables of which any text means yes.
SWITCHES = {"NBSOCKET_DEBUG"}


def test_every_variable_of_the_environment_is_tried() -> None:
    source = "".join(path.read_text() for path in (Path(__file__).parents[2] / "nbsocket").rglob("*.py"))
    named = set(re.findall(r"environ[.a-z]*[(\[]\"(NBSOCKET_\w+)", source))
    of_options = {f"NBSOCKET_{name.upper()}" for name in (*OPTIONS, *SECRET_FILES)}
    assert named | of_options == set(VARIABLES) | SWITCHES


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


def run_strict(
    folder: Path, port: str, program: str, *words: str, option: str = "--strict"
) -> subprocess.CompletedProcess[str]:
    (folder / "program.py").write_text(program)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NBSOCKET_")}
    return subprocess.run(
        [sys.executable, "-m", "nbsocket", "--port", port, "run", "--bypass", "none", option, *words, "program.py"],
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


CHILDREN = """
import asyncio, concurrent.futures, multiprocessing, os, pathlib, pty, subprocess, sys
from multiprocessing import shared_memory
python, script, env = sys.executable, str(pathlib.Path("script").absolute()), "/usr/bin/env"
code = "open('started', 'a').close()"
async def by_asyncio():
    await (await asyncio.create_subprocess_exec(python, "-c", code)).wait()
def spawned(method):
    process = multiprocessing.get_context(method).Process(target=print)
    process.start()
    process.join()
def by_pool(method):
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context(method)) as pool:
        pool.submit(print).result()
def in_a_pool(method):
    with multiprocessing.get_context(method).Pool(1) as pool:
        pool.apply(print)
ways = {
    "spawn": lambda: spawned("spawn"),
    "forkserver": lambda: spawned("forkserver"),
    "executor": lambda: by_pool("spawn"),
    "pool": lambda: in_a_pool("forkserver"),
    "run": lambda: subprocess.run([python, "-c", code]),
    "shell": lambda: subprocess.run(f"cd / && X=1 exec '{python}' -c pass", shell=True),
    "env": lambda: subprocess.run([env, "-i", "X=1", python, "-c", code]),
    "script": lambda: subprocess.run([script]),
    "asyncio": lambda: asyncio.run(by_asyncio()),
    "system": lambda: os.system(f"{python} -c pass"),
    "popen": lambda: os.popen(f"{python} -c pass").close(),
    "posix_spawn": lambda: os.waitpid(os.posix_spawn(python, [python, "-c", code], os.environ), 0),
    "spawnv": lambda: os.spawnv(os.P_WAIT, python, [python, "-c", code]),
    "spawnlp": lambda: os.spawnlp(os.P_NOWAIT, "env", "env", python, "-c", code),
    "pty": lambda: pty.spawn([python, "-c", code]),
    "exec": lambda: os.execv(python, [python, "-c", code]),
    "execvpe": lambda: os.execvpe("python3", ["python3", "-c", code], os.environ),
}
def main():
    for name, way in ways.items():
        try:
            way()
        except PermissionError as error:
            print(name, "closed" if "refused by --strict: the Python program" in str(error) else error, flush=True)
        else:
            print(name, "OPEN", flush=True)
    assert not os.path.exists("started")
    # What only tidies up may start: no work of the program's is done in there.
    memory = shared_memory.SharedMemory(create=True, size=1)
    memory.close()
    memory.unlink()
    context = multiprocessing.get_context("fork")
    child = context.Process(target=print, args=("forked",))
    child.start()
    child.join()
if __name__ == "__main__":
    main()
"""


def test_strict_refuses_python_children(tmp_path: Path) -> None:
    """They would start without the patch; multiprocessing and os.spawn*() raise no audit event that could refuse."""
    script = tmp_path / "script"
    script.write_text("#!/usr/bin/env python3\n")
    script.chmod(0o755)
    done = run_strict(tmp_path, "sim://", CHILDREN)
    lines = done.stdout.splitlines()
    assert len(lines) == 18 and lines.pop() == "forked", done.stdout + done.stderr
    assert {line.split(maxsplit=1)[1] for line in lines} == {"closed"}, done.stdout
    assert (done.returncode, done.stderr) == (0, "")


FORKED = """
import multiprocessing, os, _socket, socket, sys
def attempt():
    for call in (
        lambda: socket.create_connection(("203.0.113.1", 80), 5),
        lambda: socket.getaddrinfo("host.example", 80),
        lambda: _socket.socket(type=2).connect(("203.0.113.1", 80)),
    ):
        try:
            call()
        except OSError as error:
            print("closed" if error.errno != 101 else error, flush=True)
        else:
            print("OPEN", flush=True)
child = os.fork()
if not child:
    attempt()
    os._exit(0)
os.waitpid(child, 0)
child, fd = os.forkpty()
if not child:
    attempt()
    os._exit(0)
said = b""
try:
    while piece := os.read(fd, 1000):
        said += piece
except OSError:
    pass
os.waitpid(child, 0)
print(said.decode())
process = multiprocessing.get_context("fork").Process(target=attempt)
process.start()
process.join()
"""


def test_strict_holds_in_forked_children(make_simulator: MakeSimulator, tmp_path: Path) -> None:
    """The port is their parent's, and nothing goes past the modem instead."""
    done = run_strict(tmp_path, make_simulator().path, FORKED)
    assert done.stdout.split() == ["closed"] * 9, done.stdout + done.stderr


OTHERS = """
import os, subprocess
for _ in range(2):
    subprocess.run(["true"], check=True)
    assert os.system("cd / && env X=1 nice -n 1 date >/dev/null; true") == 0
    assert os.spawnlp(os.P_WAIT, "cat", "cat", "/dev/null") == 0
"""


def test_strict_warns_of_other_programs_once_by_name(tmp_path: Path) -> None:
    done = run_strict(tmp_path, "sim://", OTHERS)
    told = re.findall(r"the program starts (\w+): --strict does not hold what that connects to", done.stderr)
    assert (done.returncode, told) == (0, ["true", "date", "cat"]), done.stderr
    assert len(done.stderr.splitlines()) == 3


ALL = """
import os, subprocess
for way in (
    lambda: subprocess.run(["true"]),
    lambda: os.system("cd /; exec env true"),
    lambda: os.spawnlp(os.P_WAIT, "true", "true"),
    lambda: os.execvp("true", ["true"]),
):
    try:
        print("OPEN", way())
    except PermissionError as error:
        print("closed" if "refused by --strict=all: what true connects to" in str(error) else error)
"""


def test_strict_all_refuses_other_programs(tmp_path: Path) -> None:
    done = run_strict(tmp_path, "sim://", ALL, option="--strict=all")
    assert (done.stdout.split(), done.stderr) == (["closed"] * 4, "")


FREE = """
import multiprocessing, os, subprocess, sys
def main():
    for _ in range(2):
        subprocess.run(["uname"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([sys.executable, "-c", ""], check=True)
        os.system("date >/dev/null")
        subprocess.run(["cat", "/dev/null"], check=True)
        process = multiprocessing.get_context("spawn").Process(target=print, args=("spawned",))
        process.start()
        process.join()
if __name__ == "__main__":
    main()
"""


def test_without_strict_each_kind_is_warned_of_once(tmp_path: Path) -> None:
    done = run_strict(tmp_path, "sim://", FREE, option="--bypass=none")
    assert (done.returncode, done.stdout.split()) == (0, ["spawned"] * 2)
    told = re.findall(r"the program starts (a Python program|another one) \((\S+)\)", done.stderr)
    assert told == [("a Python program", Path(sys.executable).name), ("another one", "date")], done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_without_strict_multiprocessing_is_warned_of(tmp_path: Path) -> None:
    """It calls a C function that raises no audit event."""
    (tmp_path / "work.py").write_text("")
    lines = (
        "import multiprocessing",
        "if __name__ == '__main__':",
        "    process = multiprocessing.get_context('spawn').Process(target=print)",
        "    process.start(); process.join()",
    )
    done = run_strict(tmp_path, "sim://", "\n".join(lines), option="--bypass=none")
    assert done.stderr.count("the program starts a Python program") == 1, done.stderr


RELAYS = """
import _socket, os, socket
os.environ["HTTPS_PROXY"] = "http://user:secret@localhost:3128"
os.environ["all_proxy"] = "socks5h://127.0.0.1"
os.environ["no_proxy"] = "127.0.0.1:9"
def attempt(make, kind, call, address):
    try:
        getattr(make(type=kind), call)(*((b"x",) if call == "sendto" else ()), address)
    except OSError as error:
        print("closed" if "refused by --strict: the " in str(error) else "open")
    else:
        print("open")
for make in (socket.socket, _socket.socket):
    attempt(make, 1, "connect", ("127.0.0.53", 53))
    attempt(make, 2, "sendto", ("127.0.0.1", 53))
    attempt(make, 2, "connect", ("127.0.0.1", 53))
    attempt(make, 1, "connect", ("localhost", 3128))
    attempt(make, 1, "connect", ("127.0.0.1", 3128))
    attempt(make, 1, "connect_ex", ("127.1.1.1", 1080))
    attempt(make, 1, "connect", ("127.0.0.1", 9))
if hasattr(socket, "AF_VSOCK"):
    for make in (socket.socket, _socket.socket):
        try:
            make(socket.AF_VSOCK, 1).close()
        except OSError as error:
            print("closed" if "refused by --strict: a socket to the host" in str(error) else error)
        else:
            print("open")
"""


def test_strict_refuses_name_servers_and_proxies_on_loopback(tmp_path: Path) -> None:
    done = run_strict(tmp_path, "sim://", RELAYS, "--bypass", "127.0.0.0/8")
    closed = ["closed"] * 6 + ["open"]
    assert done.stdout.split()[:14] == closed * 2, done.stdout + done.stderr
    assert set(done.stdout.split()[14:]) <= {"closed"}
    assert "secret" not in done.stderr


def test_strict_lets_relays_pass_that_the_bypass_list_names(tmp_path: Path) -> None:
    done = run_strict(tmp_path, "sim://", RELAYS, "--bypass", "127.0.0.1, 127.0.0.53, 127.1.1.1")
    assert done.stdout.split()[:14] == ["open"] * 14, done.stdout + done.stderr


def test_without_strict_relays_are_warned_of_once(tmp_path: Path) -> None:
    done = run_strict(tmp_path, "sim://", RELAYS, option="--bypass=127.0.0.0/8")
    assert set(done.stdout.split()[:14]) == {"open"}, done.stdout + done.stderr
    told = re.findall(r"a program asks (the .*) at \S+, which is bypassed", done.stderr)
    assert told == ["the name server", "the proxy of $HTTPS_PROXY", "the proxy of $all_proxy"], done.stderr

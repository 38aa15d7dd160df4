"""The command line: options, errors as one line with an exit code, and the subcommands on the simulator."""

from __future__ import annotations

import errno
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nbsocket._cli import SUBCOMMANDS
from nbsocket._cli._exit import MEANINGS, CommandError, ExitCode, exit_code_of, sentence_of
from nbsocket._errors import make_error

ROOT = Path(__file__).parents[1]


def environment() -> dict[str, str]:
    """An environment in which nothing of the caller's settings is left."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NBSOCKET_", "PYTHON"))}
    return {**kept, "PYTHONPATH": str(ROOT)}


def nbsocket(*words: str, **variables: str) -> tuple[int, str, str]:
    """Run the command line; return exit code, stdout and stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "nbsocket", *words],
        env={**environment(), **variables},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=50,
    )
    return done.returncode, done.stdout, done.stderr


def fails(code: ExitCode, *words: str, **variables: str) -> str:
    """Run the command line; it must fail with ``code`` and say why in one line, which is returned."""
    actual, output, error = nbsocket(*words, **variables)
    assert (actual, output) == (code, ""), error
    error = re.sub(r"nbsocket: \d+ s: [^\n]+\n", "", error)  # what was waited for
    assert re.fullmatch(r"nbsocket: [^\n]+\n", error), error
    return error


def test_help_lists_subcommands_and_exit_codes() -> None:
    code, output, _ = nbsocket("--help")
    assert code == 0
    assert all(name in output for name in SUBCOMMANDS)
    assert all(meaning in output for meaning in MEANINGS.values())


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_help_of_subcommand(name: str) -> None:
    code, output, _ = nbsocket(name, "--help")
    assert code == 0
    assert "usage: nbsocket" in output


@pytest.mark.parametrize(
    "words",
    [
        ("fly",),
        ("--speed", "9600", "info"),
        ("--baudrate", "fast", "info"),
        ("--data-format", "octal", "info"),
        ("info", "extra"),
        ("info",),
        ("--port", "sim://", "run"),
        ("--port", "sim://", "run", "--sloppy", "app.py"),
        ("--port", "sim://", "run", "-m"),
        ("--port", "sim://", "run", "--bypass", "10.0.0.0/99", "app.py"),
        ("--port", "sim://?colour=red", "info"),
        ("--port", "sim://", "--baudrate", "-1", "info"),
        ("sim", "--firmware", "A99"),
        ("sim", "--latency", "-1"),
    ],
    ids=" ".join,
)
def test_wrong_usage(words: tuple[str, ...]) -> None:
    fails(ExitCode.USAGE, *words)


@pytest.mark.parametrize("words", [["info"], ["run", "app.py"]], ids=" ".join)
def test_unknown_port(words: list[str]) -> None:
    assert "/dev/nosuch" in fails(ExitCode.PORT_UNKNOWN, "--port", "/dev/nosuch", *words)


def test_port_from_environment() -> None:
    fails(ExitCode.PORT_UNKNOWN, "info", NBSOCKET_PORT="/dev/nosuch")


def test_port_that_is_no_serial_device(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    fails(ExitCode.PORT_UNKNOWN, "--port", str(file), "info")


def test_silent_port() -> None:
    """Half a minute for each at one rate, so all at once; pseudo-terminals on which nobody answers."""
    commands = [["info"], ["resolve", "a.example"], ["run", "app.py"]]
    ends = [pty.openpty() for _ in commands]
    with ThreadPoolExecutor(len(commands)) as pool:
        port = ["--baudrate", "115200", "--port"]
        tries = [
            pool.submit(fails, ExitCode.MODULE_SILENT, *port, os.ttyname(theirs), *words)
            for words, (_, theirs) in zip(commands, ends, strict=True)
        ]
        for tried in tries:
            assert "no module answers AT at 115200 baud" in tried.result()
    for ours, theirs in ends:
        os.close(ours)
        os.close(theirs)


class Sim:
    """``nbsocket sim`` in a process of its own."""

    def __init__(self, *words: str) -> None:
        command = [sys.executable, "-m", "nbsocket", "sim", *words]
        self.process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = self.process.stdout.readline().strip()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it by a signal and return its exit code."""
        assert self.process.stdout is not None
        self.process.send_signal(number)
        code = self.process.wait(10)
        self.process.stdout.close()
        return code


@pytest.fixture
def sim() -> Iterator[Sim]:
    """A simulated module that any process can open."""
    sim = Sim()
    yield sim
    sim.stop()


def test_port_in_use(sim: Sim) -> None:
    import nbsocket as library

    with library.Modem(sim.port) as modem:
        assert modem.info().model
        assert str(os.getpid()) in fails(ExitCode.PORT_IN_USE, "--port", sim.port, "info")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_sim_ends_in_order(tmp_path: Path, number: int) -> None:
    link = tmp_path / "ttyNB"
    sim = Sim("--link", str(link), "--latency", "0.1", "--host", "broker.example=refused")
    assert os.path.realpath(link).startswith("/dev/")
    assert sim.stop(number) == 0
    assert not link.is_symlink()


def test_reader_of_the_output_goes_away() -> None:
    """As with ``| head``: no complaint, though not a success either."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "nbsocket", "--port", "sim://", "info"]
    with os.fdopen(writer, "w") as output:
        done = subprocess.run(command, env=environment(), stdout=output, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_closed_standard_streams(tmp_path: Path, closed: tuple[int, ...]) -> None:
    """As with ``>&-`` in a shell: nothing is written there, least of all into the serial port."""

    def start(*words: str) -> tuple[int, str, str]:
        redirections = "".join(f" {fd}>&-" for fd in closed)
        command = ["sh", "-c", f'exec "$@"{redirections}', "sh", sys.executable, *words]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout, done.stderr

    code, output, error = start("-m", "nbsocket", "--port", "sim://", "info")
    assert (code, "IMEI" in output, error) == (0, 1 not in closed, "")
    code, output, error = start("-m", "nbsocket", "--port", str(tmp_path / "none"), "info")
    assert (code, output, bool(error)) == (ExitCode.PORT_UNKNOWN, "", 2 not in closed)
    program = tmp_path / "show.py"
    program.write_text("import os, sys; print(sys.stdin is None, sys.stdout is None, sys.stderr is None)\n")
    assert start("-m", "nbsocket", "--port", "sim://", "run", str(program)) == start(str(program))
    program.write_text(f"import os\nfor fd in {closed}: os.write(fd, b'AT+CFUN=0\\r') if fd else os.read(fd, 9)\n")
    assert start("-m", "nbsocket", "--port", "sim://", "run", str(program)) == (0, "", "")
    assert start("-m", "nbsocket", "--port", "sim://", "at")[0] == 0


def test_pytest_where_warnings_are_errors(tmp_path: Path) -> None:
    """pytest rewrites plugins when it loads them, and warns of one that was imported before."""
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    (tmp_path / "test_it.py").write_text("def test_it(nb_modem): assert nb_modem.info().model\n")
    information = tmp_path / "nbsocket-0.dist-info"
    information.mkdir()
    # As where it is installed, and not in development mode: then pytest knows its files.
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: nbsocket\nVersion: 0\n")
    (information / "entry_points.txt").write_text("[pytest11]\nnbsocket = nbsocket.pytest_plugin\n")
    (information / "RECORD").write_text("nbsocket/__init__.py,,\nnbsocket/pytest_plugin.py,,\n")
    words = ["-m", "nbsocket", "--port", "sim://", "run", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, *words],
        cwd=tmp_path,
        env={**environment(), "PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert (done.returncode, "1 passed" in done.stdout) == (0, True), done.stdout + done.stderr


def test_verbose_shows_the_wire() -> None:
    assert "AT+CGMR" not in nbsocket("--port", "sim://", "info")[2]
    assert "AT+CGMR" in nbsocket("-vv", "--port", "sim://", "info")[2]


PROBE = """
import socket, sys
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=20)
print(connection.getpeername(), end=" ")
connection.sendall(b"hello")
connection.shutdown(socket.SHUT_WR)
print(connection.makefile("rb").read(5))
"""


@pytest.fixture
def echo_port() -> Iterator[int]:
    """The port of a TCP server on loopback that answers 5 bytes with 5 bytes, in a process of its own."""
    script = (
        "import socket; server = socket.create_server(('127.0.0.1', 0)); print(server.getsockname()[1], flush=True)\n"
        "while True:\n"
        "    with server.accept()[0] as connection: connection.sendall(connection.recv(5)); connection.recv(1)"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield int(process.stdout.readline())
    process.kill()
    process.wait()
    process.stdout.close()


def test_run_goes_over_the_module(tmp_path: Path, echo_port: int) -> None:
    (tmp_path / "probe.py").write_text(PROBE)
    words = ["--port", "sim://", "run", "--strict", "--bypass", "none", str(tmp_path / "probe.py")]
    code, output, error = nbsocket(*words, "server.example", str(echo_port))
    assert (code, error) == (0, "")
    assert output.startswith(("('198.18.", "('198.19."))
    assert "b'hello'" in output


def test_run_bypass(tmp_path: Path, echo_port: int) -> None:
    """By default loopback stays on the operating system; ``none`` sends even that over the modem."""
    (tmp_path / "probe.py").write_text(PROBE)
    words = ["-vv", "--port", "sim://", "run", str(tmp_path / "probe.py"), "127.0.0.1", str(echo_port)]
    code, output, error = nbsocket(*words)
    assert (code, "b'hello'" in output, "QIOPEN" in error) == (0, True, False)
    code, output, error = nbsocket(*words, NBSOCKET_BYPASS="none")
    assert (code, "b'hello'" in output, "QIOPEN" in error) == (0, True, True)


LEAKS = {
    "connect": "_socket.socket().connect(('203.0.113.1', 80))",
    "connect_ex": "_socket.socket().connect_ex(('203.0.113.1', 80))",
    "sendto": "_socket.socket(type=2).sendto(b'x', ('203.0.113.1', 53))",
    "sendmsg": "_socket.socket(type=2).sendmsg([b'x'], [], 0, ('203.0.113.1', 53))",
    "getaddrinfo": "sys.modules.pop('_socket'); import _socket; _socket.getaddrinfo('host.example', 80)",
    "gethostbyname": "_socket.gethostbyname('host.example')",
    "gethostbyaddr": "_socket.gethostbyaddr('203.0.113.1')",
    "getnameinfo": "_socket.getnameinfo(('203.0.113.1', 80), 0)",
}


@pytest.mark.parametrize("call", LEAKS)
def test_strict_refuses_leaks(tmp_path: Path, call: str) -> None:
    """The C functions, which no patch reaches, stand for a library that found its own way to the network."""
    (tmp_path / "leak.py").write_text(f"import _socket, sys\n{LEAKS[call]}\n")
    code, _, error = nbsocket("--port", "sim://", "run", "--strict", str(tmp_path / "leak.py"))
    assert code == 1
    assert "PermissionError: [Errno 13] refused by --strict: socket." in error


def test_strict_lets_bypassed_traffic_pass(tmp_path: Path, echo_port: int) -> None:
    lines = (
        "import _socket, socket",
        f"_socket.socket().connect(('127.0.0.1', {echo_port}))",
        "_socket.getaddrinfo('203.0.113.1', 80)",
        "_socket.gethostbyname('localhost')",
        "ours, theirs = socket.socketpair(); ours.send(b'x')",
    )
    (tmp_path / "fine.py").write_text("\n".join(lines))
    assert nbsocket("--port", "sim://", "run", "--strict", str(tmp_path / "fine.py")) == (0, "", "")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FileNotFoundError(errno.ENOENT, "no such port", "/dev/x"), ExitCode.PORT_UNKNOWN),
        (make_error(errno.ENODEV, "no module answers AT", command="AT"), ExitCode.MODULE_SILENT),
        (make_error(errno.EBUSY, "in use"), ExitCode.PORT_IN_USE),
        (make_error(errno.EBUSY, "the module is busy", result=568), ExitCode.FAILURE),
        (make_error(errno.EACCES, "not allowed by the module", result=572), ExitCode.FAILURE),
        (PermissionError(errno.EACCES, "Permission denied"), ExitCode.PORT_DENIED),
        (make_error(errno.ENETDOWN, "PDP context broke down", result=570), ExitCode.NOT_REGISTERED),
        (socket.gaierror(socket.EAI_NONAME, "unknown"), ExitCode.HOST_UNKNOWN),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), ExitCode.FAILURE),
        (ValueError("port must be 1-65535"), ExitCode.USAGE),
        (CommandError("x", ExitCode.TARGET_MISSING), ExitCode.TARGET_MISSING),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED),
    ],
    ids=repr,
)
def test_exit_code_of(error: BaseException, code: ExitCode) -> None:
    assert exit_code_of(error) is code


def test_sentence_is_one_line_without_errno() -> None:
    assert sentence_of(FileNotFoundError(errno.ENOENT, "no such port", "/dev/x")) == "/dev/x: no such port"
    assert sentence_of(ValueError("two\nlines")) == "two lines"
    assert sentence_of(RuntimeError()) == "RuntimeError"


def test_the_documents_have_the_exit_codes() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text()
    assert all(f"| {code.value} | {meaning} |" in page for code, meaning in MEANINGS.items())


def test_the_documents_name_every_subcommand() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text()
    assert all(re.search(rf"\| `nbsocket {name}\b", page) for name in SUBCOMMANDS)


def test_ci_runs_readmes_commands() -> None:
    """.ci/run takes the commands out of README by these markers."""
    readme, script = (ROOT / "README.md").read_text(), (ROOT / ".ci" / "run").read_text()
    for name, wanted in {"demo": "nbsocket demo", "tests": "pytest"}.items():
        assert re.search(rf"<!-- command: {name} -->\n```sh\n[^\n]*{wanted}[^\n]*\n```\n", readme)
        assert f"readme_command {name}" in script


def test_only_the_chosen_subcommand_is_imported() -> None:
    """Startup stays light: nothing of the demo, and no library that only it needs."""
    script = (
        "import sys; from nbsocket._cli import main\n"
        "main(['--port', 'sim://', 'info'])\n"
        "print([name for name in sys.modules if name.startswith(('paho', 'requests', 'amqtt', 'trustme')) "
        "or name in ('nbsocket._cli._demo', 'nbsocket._cli._run')])"
    )
    done = subprocess.run([sys.executable, "-c", script], env=environment(), capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def wait_until_asleep(pid: int) -> None:
    """Return when the main thread sleeps: CPython sees a signal just before a wait for a lock only after that wait."""
    state = Path(f"/proc/{pid}/stat")
    while state.exists() and state.read_text().rpartition(")")[2].split()[0] != "S":
        time.sleep(0.005)


def test_ctrl_c_ends_the_program_as_under_python(tmp_path: Path) -> None:
    """While it waits for a connection that never comes: its traceback, then death by SIGINT."""
    (tmp_path / "waits.py").write_text("import socket\nsocket.create_connection(('server.example', 80))\n")
    command = [sys.executable, "-m", "nbsocket", "-vv", "--port", "sim://?host=server.example=timeout", "run"]
    process = subprocess.Popen(
        [*command, str(tmp_path / "waits.py")], env=environment(), stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    while "AT+QIOPEN" not in (line := process.stderr.readline()):
        assert line, "the program ended by itself"
    wait_until_asleep(process.pid)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT
    assert f'Traceback (most recent call last):\n  File "{tmp_path}/waits.py", line 2, in <module>' in error
    assert "\nKeyboardInterrupt\n" in error

"""The far side: other people's servers on loopback, each in a process of its own, started when first asked for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from nbsocket._cli._demo_servers import find_mosquitto, free_ports, start_broker, start_http
from nbsocket._runtime._stdlib import GenuineSocket

START_TIMEOUT = 60.0
STOP_TIMEOUT = 10.0
#: Ordinary users do not have these on PATH, but Debian installs servers there.
_SYSTEM_PROGRAMS = "/usr/sbin"
#: A client's request of NTP version 4. Source: RFC 5905 §7.3.
_NTP_REQUEST = b"\x23" + bytes(47)


class ServerMissing(Exception):
    """The server is not installed on this machine."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a server listens on 127.0.0.1; ``tls`` is 0 when it has no TLS; ``file``: where its output goes."""

    plain: int
    tls: int
    file: Path


@dataclass(frozen=True, slots=True)
class Setup:
    """What a server is started with."""

    plain: int
    tls: int
    folder: Path
    certificate: Path

    def write(self, name: str, *lines: str) -> Path:
        """Write a configuration file and return its path."""
        path = self.folder / name
        path.write_text("\n".join(lines) + "\n")
        return path


def _find(program: str) -> str:
    path = shutil.which(program) or shutil.which(program, path=_SYSTEM_PROGRAMS)
    if path is None:
        raise ServerMissing(f"{program} is not installed")
    return path


def _redis(setup: Setup) -> list[str]:
    tls = ["--tls-port", str(setup.tls), "--tls-auth-clients", "no"]
    for option in ("--tls-cert-file", "--tls-key-file", "--tls-ca-cert-file"):
        tls += [option, str(setup.certificate)]
    return [_find("redis-server"), "--port", str(setup.plain), "--bind", "127.0.0.1", "--save", "", *tls]


def _nats(setup: Setup) -> list[str]:
    return [_find("nats-server"), "-a", "127.0.0.1", "-p", str(setup.plain)]


def _nats_tls(setup: Setup) -> list[str]:
    files = [f"--tlscert={setup.certificate}", f"--tlskey={setup.certificate}"]
    return [_find("nats-server"), "-a", "127.0.0.1", "-p", str(setup.plain), "--tls", *files]


def _rabbitmq(setup: Setup) -> list[str]:
    distribution, port_mapper = free_ports(2)
    config = setup.write(
        "rabbitmq.conf",
        f"listeners.tcp.1 = 127.0.0.1:{setup.plain}",
        f"listeners.ssl.1 = 127.0.0.1:{setup.tls}",
        *(f"ssl_options.{name} = {setup.certificate}" for name in ("cacertfile", "certfile", "keyfile")),
        "ssl_options.verify = verify_none",
        "loopback_users = none",
    )
    settings = {
        "RABBITMQ_CONFIG_FILE": config,
        "RABBITMQ_MNESIA_BASE": setup.folder / "data",
        "RABBITMQ_LOG_BASE": setup.folder / "log",
        "RABBITMQ_ENABLED_PLUGINS_FILE": setup.write("enabled_plugins", "[]."),
        "RABBITMQ_NODENAME": f"compat{setup.plain}@localhost",
        "RABBITMQ_DIST_PORT": distribution,
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1",
        "HOME": setup.folder,
    }
    program = _find_rabbitmq()
    # Else it would start a port mapper for the whole machine, which would outlive it.
    start = f"epmd -port {port_mapper} & exec {program}"
    environment = [f"{name}={value}" for name, value in settings.items()]
    return ["env", *environment, f"ERL_EPMD_PORT={port_mapper}", "sh", "-c", start]


def _find_rabbitmq() -> Path:
    """The broker's own program: Debian's on PATH changes to a user who may not read this run's folder."""
    programs = sorted(Path("/usr/lib/rabbitmq/lib").glob("*/sbin/rabbitmq-server"))
    if not programs:
        raise ServerMissing("rabbitmq-server is not installed")
    return programs[-1]


#: $1 folder of the programs, $2 port, $3 certificate. PostgreSQL refuses to run as root, and its user may not read the
#: folders of the tests.
_POSTGRESQL = """
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
printf 'open sesame' >"$folder/password"
cp "$3" "$folder/server.pem"
chmod 600 "$folder/server.pem"
as=
if [ "$(id -u)" = 0 ]; then chown -R postgres "$folder"; as="runuser -u postgres --"; fi
cd "$folder"
$as "$1/initdb" -D data -U meter --pwfile=password --auth=scram-sha-256
$as "$1/postgres" -D data -p "$2" -h 127.0.0.1 -k "$folder" -c ssl=on \\
  -c ssl_cert_file="$folder/server.pem" -c ssl_key_file="$folder/server.pem" &
trap 'kill -INT $!' TERM
wait; wait
"""


def _postgresql(setup: Setup) -> list[str]:
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        raise ServerMissing("postgresql is not installed")
    return ["sh", "-c", _POSTGRESQL, "sh", str(programs[-1]), str(setup.plain), str(setup.certificate)]


def _unbound(setup: Setup) -> list[str]:
    config = setup.write(
        "unbound.conf",
        "server:",
        *(f"  interface: 127.0.0.1@{port}" for port in (setup.plain, setup.tls)),
        f"  tls-port: {setup.tls}",
        f"  tls-service-pem: {setup.certificate}",
        f"  tls-service-key: {setup.certificate}",
        "  chroot: ''",
        "  username: ''",
        f"  pidfile: {setup.folder / 'unbound.pid'}",
        "  use-syslog: no",
        "  access-control: 127.0.0.0/8 allow",
        "  local-zone: 'meter.example.' static",
        "  local-data: 'meter.example. IN A 192.0.2.44'",
        "  local-data: 'meter.example. IN AAAA 2001:db8::44'",
        *(f"  local-data: 'meter.example. IN TXT \"{number:02} {'x' * 200}\"'" for number in range(12)),
        "remote-control:",
        "  control-enable: no",
    )
    return [_find("unbound"), "-d", "-c", str(config)]


def _chrony(setup: Setup) -> list[str]:
    config = setup.write(
        "chrony.conf",
        f"port {setup.plain}",
        "bindaddress 127.0.0.1",
        "cmdport 0",
        "local stratum 3",
        "allow 127.0.0.0/8",
        f"pidfile {setup.folder / 'chrony.pid'}",
        "bindcmdaddress /",
    )
    return [_find("chronyd"), "-x", "-d", "-U", "-u", "root" if os.geteuid() == 0 else "", "-f", str(config)]


def _rsyslog(setup: Setup) -> list[str]:
    config = setup.write(
        "rsyslog.conf",
        'module(load="imudp")',
        # Python's handler ends a record over TCP with NUL.
        'module(load="imtcp" AddtlFrameDelimiter="0")',
        f'input(type="imudp" address="127.0.0.1" port="{setup.plain}")',
        f'input(type="imtcp" address="127.0.0.1" port="{setup.plain}")',
        'template(name="plain" type="string"',
        '  string="%syslogfacility-text%.%syslogseverity-text% %rawmsg-after-pri%\\n")',
        f'action(type="omfile" file="{setup.folder / "output"}" template="plain")',
    )
    return [_find("rsyslogd"), "-n", "-f", str(config), "-i", str(setup.folder / "rsyslog.pid")]


def _python(kind: str) -> Callable[[Setup], list[str]]:
    def command(setup: Setup) -> list[str]:
        arguments = [kind, setup.plain, setup.tls, setup.certificate, setup.folder]
        return [sys.executable, "-m", "compat_tests._python_servers", *map(str, arguments)]

    return command


#: Server: (its command line, what tells that it serves: "tcp", "tls" for both ports, "ntp").
_COMMANDS: dict[str, tuple[Callable[[Setup], list[str]], str]] = {
    "redis": (_redis, "tls"),
    "nats": (_nats, "tcp"),
    "nats-tls": (_nats_tls, "tcp"),
    "rabbitmq": (_rabbitmq, "tls"),
    "unbound": (_unbound, "tls"),
    "chrony": (_chrony, "ntp"),
    "rsyslog": (_rsyslog, "tcp"),
    "postgresql": (_postgresql, "tcp"),
    **{
        kind: (_python(kind), "tls")
        for kind in ("echo", "websockets", "modbus", "smtp", "imap", "xmlrpc", "coap", "grpc", "aws")
    },
    **{kind: (_python(kind), "tcp") for kind in ("ftp", "kafka", "ssh", "opcua")},
}


class Servers:
    """Every server of the run.

    Args:
        stack: ends them.
        folder: for their files.
        certificate: key and chain of the servers.
    """

    def __init__(self, stack: ExitStack, folder: Path, certificate: Path) -> None:
        self._stack = stack
        self._folder = folder
        self._certificate = certificate
        self._running: dict[str, Ports] = {}

    def start(self, kind: str) -> Ports:
        """Start the server unless it runs, and return its ports.

        Raises:
            ServerMissing: it is not installed.
            OSError: it does not start.
        """
        if kind not in self._running:
            folder = self._folder / kind
            folder.mkdir()
            self._running[kind] = self._special(kind, folder) or self._start(kind, folder)
        return self._running[kind]

    def _special(self, kind: str, folder: Path) -> Ports | None:
        """The servers of the demo."""
        if kind == "mqtt":
            if not find_mosquitto():
                raise ServerMissing("mosquitto is not installed")
            broker = self._stack.enter_context(start_broker(folder, self._certificate, kind="mosquitto"))
            return Ports(broker.port, broker.tls_port, folder / "output")
        if kind == "http":
            plain, tls = (self._stack.enter_context(start_http(chosen)) for chosen in (None, self._certificate))
            return Ports(plain.port, tls.port, folder / "output")
        return None

    def _start(self, kind: str, folder: Path) -> Ports:
        make_command, readiness = _COMMANDS[kind]
        plain, tls = free_ports(2)
        setup = Setup(plain, tls, folder, self._certificate)
        command = make_command(setup)
        log = self._stack.enter_context((folder / "log.txt").open("w"))
        process = subprocess.Popen(
            [word for word in command if word],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            env=_environment(),
            start_new_session=True,
        )
        self._stack.callback(_stop, process)
        self._wait(kind, process, setup, readiness)
        return Ports(setup.plain, setup.tls if readiness == "tls" else 0, folder / "output")

    def _wait(self, kind: str, process: subprocess.Popen[bytes], setup: Setup, readiness: str) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        missing = [setup.plain, setup.tls] if readiness == "tls" else [setup.plain]
        answers = _answers_ntp if readiness == "ntp" else _listens
        while missing and time.monotonic() < deadline and process.poll() is None:
            if answers(missing[0]):
                del missing[0]
            else:
                time.sleep(0.1)
        if missing:
            text = (self._folder / kind / "log.txt").read_text()
            raise OSError(f"{kind} does not listen on port {missing[0]}:\n{text[-3000:]}")


def _environment() -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NBSOCKET_")}
    home = str(Path(__file__).parents[1])
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (home, environment.get("PYTHONPATH"))))
    return environment


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the server and what it started: RabbitMQ's command is a shell around the broker."""
    _signal(process, "-TERM")
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        _signal(process, "-KILL")
        process.wait()


def _signal(process: subprocess.Popen[bytes], signal: str) -> None:
    command: Sequence[str] = ["kill", signal, "--", f"-{process.pid}"]
    subprocess.run(command, stderr=subprocess.DEVNULL, check=False)


def _listens(port: int) -> bool:
    probe = GenuineSocket()
    try:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0
    finally:
        probe.close()


def _answers_ntp(port: int) -> bool:
    import socket

    probe = GenuineSocket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        probe.settimeout(0.5)
        probe.connect(("127.0.0.1", port))
        probe.send(_NTP_REQUEST)
        return len(probe.recv(100)) >= 48
    except OSError:
        return False
    finally:
        probe.close()

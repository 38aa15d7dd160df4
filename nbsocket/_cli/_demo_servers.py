"""Starts the demo's far side: an MQTT broker and an HTTPS server on loopback, each in a process of its own."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from nbsocket._dataclass import dataclass
from nbsocket._errors import make_error
from nbsocket._runtime._stdlib import GenuineSocket

START_TIMEOUT = 20.0
#: Ordinary users do not have this on PATH, but Debian installs mosquitto there.
_SYSTEM_PROGRAMS = "/usr/sbin"


@dataclass(slots=True)
class DemoServer:
    """A running server; stops when the ``with`` block ends."""

    name: str
    process: subprocess.Popen[str]
    port: int
    tls_port: int = 0

    def __enter__(self) -> DemoServer:
        """Return itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Stop the server."""
        self.stop()

    def stop(self) -> None:
        """End the process."""
        self.process.terminate()
        try:
            self.process.wait(5.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def make_certificates(folder: Path, *names: str) -> tuple[Path, Path]:
    """Make an authority and a server certificate; return the CA's file and the server's key-and-chain file."""
    import trustme

    authority = trustme.CA()
    server = authority.issue_cert(*names)
    ca_file, server_file = folder / "ca.pem", folder / "server.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    server.private_key_and_cert_chain_pem.write_to_path(str(server_file))
    return ca_file, server_file


def find_mosquitto() -> str | None:
    """Return the path of the mosquitto broker, or None when it is not installed."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path=_SYSTEM_PROGRAMS)


def start_broker(folder: Path, certificate: Path | None = None, *, kind: str | None = None) -> DemoServer:
    """Start a broker and wait until it listens.

    Args:
        folder: for the broker's files.
        certificate: key and chain; with it the broker listens for TLS on ``tls_port`` too.
        kind: "mosquitto" or "amqtt"; None takes mosquitto where it is installed.
    Raises:
        OSError: it did not start.
    """
    kind = kind or ("mosquitto" if find_mosquitto() else "amqtt")
    port, tls_port = free_ports(2)
    start = _start_mosquitto if kind == "mosquitto" else _start_amqtt
    server = DemoServer(kind, start(folder, port, tls_port, certificate), port, tls_port if certificate else 0)
    for used in (port, server.tls_port) if certificate else (port,):
        _wait_for_listener(server, used)
    return server


def start_http(certificate: Path | None = None) -> DemoServer:
    """Start the HTTP server, with ``certificate`` an HTTPS one, and wait until it listens."""
    arguments = ["--certificate", str(certificate)] if certificate else []
    process = _start([sys.executable, "-m", "nbsocket._cli._demo_http", *arguments], stdout=subprocess.PIPE)
    assert process.stdout is not None, "asked for above"
    line = process.stdout.readline()
    if not line.strip().isdigit():
        raise make_error(errno.EIO, "the demo's HTTP server did not start")
    return DemoServer("https" if certificate else "http", process, int(line))


def _start_mosquitto(folder: Path, port: int, tls_port: int, certificate: Path | None) -> subprocess.Popen[str]:
    program = find_mosquitto()
    if program is None:
        raise make_error(errno.EOPNOTSUPP, "mosquitto is not installed")
    lines = [f"listener {port} 127.0.0.1", "allow_anonymous true", "persistence false", "log_dest stderr"]
    if certificate:
        lines += [f"listener {tls_port} 127.0.0.1", f"certfile {certificate}", f"keyfile {certificate}"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        # mosquitto started by root becomes another user, who could not read this private folder.
        lines.append("user root")
    config = folder / "mosquitto.conf"
    config.write_text("\n".join(lines) + "\n")
    return _start([program, "-c", str(config)], stdout=subprocess.DEVNULL)


def _start_amqtt(folder: Path, port: int, tls_port: int, certificate: Path | None) -> subprocess.Popen[str]:
    arguments = [str(port)]
    if certificate:
        arguments += ["--tls-port", str(tls_port), "--certificate", str(certificate)]
    command = [sys.executable, "-m", "nbsocket._cli._demo_amqtt", *arguments]
    return _start(command, stdout=subprocess.DEVNULL, cwd=folder)


def _start(command: Sequence[str], *, stdout: int, cwd: Path | None = None) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NBSOCKET_")}
    package_home = str(Path(__file__).parents[2])
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (package_home, environment.get("PYTHONPATH"))))
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.DEVNULL, text=True, cwd=cwd, env=environment
    )


def free_ports(count: int) -> list[int]:
    """Return loopback ports that nobody listens on now; all are held until all are known, so they differ."""
    holders = [GenuineSocket() for _ in range(count)]
    try:
        for holder in holders:
            holder.bind(("127.0.0.1", 0))
        return [int(holder.getsockname()[1]) for holder in holders]
    finally:
        for holder in holders:
            holder.close()


def _wait_for_listener(server: DemoServer, port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and server.process.poll() is None:
        probe = GenuineSocket()
        try:
            probe.settimeout(1.0)
            probe.connect(("127.0.0.1", port))
        except OSError:
            time.sleep(0.05)
        else:
            return
        finally:
            probe.close()
    server.stop()
    raise make_error(errno.EIO, f"{server.name} did not start to listen on port {port}")

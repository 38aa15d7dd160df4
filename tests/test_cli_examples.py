"""The programs in examples/ and the Python of README, run against real servers on loopback."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbsocket._cli._demo_servers import start_broker

ROOT = Path(__file__).parents[1]


def run(*words: str) -> str:
    """Run python with ``words`` and a simulated module as the default port; return what it printed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NBSOCKET_")}
    environment = {**kept, "PYTHONPATH": str(ROOT), "NBSOCKET_PORT": "sim://"}
    done = subprocess.run(
        [sys.executable, *words], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=50
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_publish(tmp_path: Path) -> None:
    with start_broker(tmp_path, kind="amqtt") as broker:
        assert run("-m", "nbsocket", "run", "examples/publish.py", "broker.example", str(broker.port)) == "published\n"


@pytest.fixture
def udp_port() -> Iterator[int]:
    """The port of a server that answers each datagram in capitals; an empty datagram ends it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def serve() -> None:
            while (received := server.recvfrom(2000))[0]:
                server.sendto(received[0].upper(), received[1])

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", server.getsockname())
        thread.join()


def test_udp_report(udp_port: int) -> None:
    assert run("examples/udp_report.py", "server.example", str(udp_port)) == "VOLUME=123.4\n"


def test_readmes_python(tmp_path: Path) -> None:
    """README's block, with its ports simulated and its hosts led to real servers by the simulator's host table."""
    [block] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    handler = "import http.server as h\nclass H(h.BaseHTTPRequestHandler):\n    def do_GET(self):\n"
    handler += "        self.send_response(200); self.send_header('Content-Length', '2'); self.end_headers()\n"
    handler += "        self.wfile.write(b'{}')\n    def log_message(self, *a): pass\n"
    handler += "s = h.HTTPServer(('127.0.0.1', 0), H); print(s.server_address[1], flush=True); s.serve_forever()"
    with start_broker(tmp_path, kind="amqtt") as broker:
        web = subprocess.Popen([sys.executable, "-c", handler], stdout=subprocess.PIPE, text=True)
        try:
            assert web.stdout is not None
            routes = {"api.example:80": int(web.stdout.readline()), "broker.example": broker.port}
            url = "sim://?" + "&".join(f"host={name}=127.0.0.1:{port}" for name, port in routes.items())
            program = re.sub(r'"/dev/ttyUSB\d"', repr(url), block).replace("https://", "http://")
            (tmp_path / "readme.py").write_text(program)
            output = run(str(tmp_path / "readme.py")).splitlines()
        finally:
            web.kill()
            web.wait()
            assert web.stdout is not None
            web.stdout.close()
    assert output[0] == "{}"
    assert output[1].startswith("ModuleInfo(manufacturer=")
    assert "['198.1" in output[1]

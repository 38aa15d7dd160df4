"""A simulated module under a virtual clock."""

from __future__ import annotations

from typing import Any

from nbsocket.sim import ModelNetwork, Module, Options

OK = b"\r\nOK\r\n"
ERROR = b"\r\nERROR\r\n"
SENT = b"\r\nOK\r\n\r\nSEND OK\r\n"
FAILED = b"\r\nOK\r\n\r\nSEND FAIL\r\n"


def lines(*texts: str) -> bytes:
    """Frame each line as the module does."""
    return b"".join(b"\r\n" + text.encode("latin-1") + b"\r\n" for text in texts)


class Bench:
    """A module, its network and the time; echo is off unless asked for."""

    def __init__(self, network: ModelNetwork | None = None, **options: Any) -> None:
        options.setdefault("echo", False)
        self.network = network if network is not None else ModelNetwork()
        self.now = 1000.0
        self.module = Module(Options(**options), self.network, self.now)

    def write(self, data: bytes) -> bytes:
        """Write bytes and return what is out at the same moment."""
        self.module.receive_data(data, self.now)
        return self.module.data_to_send(self.now)

    def say(self, line: str) -> bytes:
        """Write a command line and return what is out at the same moment."""
        return self.write(line.encode("latin-1") + b"\r")

    def ask(self, line: str) -> list[str]:
        """Return the lines of the answer."""
        return [text for text in self.say(line).decode("latin-1").split("\r\n") if text]

    def read(self) -> bytes:
        """Return what is out now."""
        return self.module.data_to_send(self.now)

    def run(self, seconds: float) -> bytes:
        """Let time pass, from deadline to deadline, and return what came out."""
        end, output = self.now + seconds, bytearray()
        while True:
            output += self.module.data_to_send(self.now)
            deadline = self.module.next_deadline()
            if deadline is None or deadline > end:
                break
            self.now = max(self.now, deadline)
            self.module.handle_timeout(self.now)
        self.now = end
        return bytes(output + self.module.data_to_send(end))

    def open(self, socket_id: int = 0, service: str = "TCP", port: int = 2020, host: str = "hf.quectel.com") -> None:
        """Open a socket without further ado."""
        context = self.module.model.context_id
        output = self.say(f'AT+QIOPEN={context},{socket_id},"{service}","{host}",{port},0,1')
        if not output.endswith(lines(f"+QIOPEN: {socket_id},0")):
            self.run(5)
        assert self.module.sockets.table[socket_id].is_connected

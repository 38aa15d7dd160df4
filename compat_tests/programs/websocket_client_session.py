"""websocket-client: a connection of its own and WebSocketApp, over TCP and TLS.

Usage: websocket_client_session.py HOST PORT TLS_PORT CA_FILE
"""

from __future__ import annotations

import sys
from typing import Any

import websocket

TIMEOUT = 60.0


def main(argv: list[str]) -> int:
    host, port, tls_port, ca_file = argv[1:5]
    options: dict[str, Any] = {"ca_certs": ca_file}
    for uri in (f"ws://{host}:{port}", f"wss://{host}:{tls_port}"):
        connection = websocket.create_connection(uri, timeout=TIMEOUT, sslopt=options)
        connection.send_binary(b"\x00\xff" * 4000)
        assert connection.recv() == b"\x00\xff" * 4000
        connection.close()

        answers: list[str] = []

        def on_message(app: websocket.WebSocketApp, message: str, answers: list[str] = answers) -> None:
            answers.append(message)
            app.close()

        app = websocket.WebSocketApp(uri, on_open=lambda app: app.send("hello"), on_message=on_message)
        app.run_forever(sslopt=options)
        assert answers == ["hello"], answers
    for line in ("create_connection", "WebSocketApp", "TCP and TLS"):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))

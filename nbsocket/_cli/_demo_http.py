"""A small HTTP or HTTPS server on loopback, in a process of its own: the far side of the demo's requests.

``/bytes/N`` gives N bytes and ``/digest-of/N`` their SHA-256, ``/digest`` the SHA-256 of what was posted, ``/echo`` the
posted bytes, ``/redirect/N`` N redirects. The header ``X-Connection`` counts the connections, so that a client can see
one being used again.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_connection_numbers = itertools.count(1)


def body_of(size: int) -> bytes:
    """Return the ``size`` bytes that ``/bytes/<size>`` gives: pseudo-random, always the same."""
    return b"".join(hashlib.sha256(str(number).encode()).digest() for number in range(size // 32 + 1))[:size]


class RequestHandler(BaseHTTPRequestHandler):
    """Answers one connection's requests."""

    protocol_version = "HTTP/1.1"
    #: Small answers leave in one piece, as a production server's would.
    wbufsize = -1

    def setup(self) -> None:
        """Number the connection; the TLS handshake happens here, in the connection's own thread."""
        self._number = next(_connection_numbers)
        if isinstance(self.request, ssl.SSLSocket):
            self.request.do_handshake()
        super().setup()

    def do_GET(self) -> None:
        """Answer /bytes/N, /digest-of/N and /redirect/N."""
        kind, _, number = self.path.strip("/").partition("/")
        if kind == "bytes" and number.isdigit():
            self._answer(body_of(int(number)))
        elif kind == "digest-of" and number.isdigit():
            self._answer(hashlib.sha256(body_of(int(number))).hexdigest().encode())
        elif kind == "redirect" and number.isdigit():
            target = f"/redirect/{int(number) - 1}" if int(number) > 1 else "/bytes/100"
            self._answer(b"", status=302, location=target)
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        """Answer /digest and /echo."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/digest":
            self._answer(hashlib.sha256(body).hexdigest().encode())
        elif self.path == "/echo":
            self._answer(body)
        else:
            self.send_error(404)

    def _answer(self, body: bytes, *, status: int = 200, location: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Connection", str(self._number))
        if location is not None:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the clients' side is what is watched."""


class QuietServer(ThreadingHTTPServer):
    """An HTTP server that logs nothing when a connection fails: tests let clients refuse its certificate."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing."""


def main(argv: list[str] | None = None) -> None:
    """Serve for ever; the first line on stdout is the port."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--certificate", help="PEM file with key and chain: HTTPS; without it HTTP")
    options = parser.parse_args(argv)
    server = QuietServer(("127.0.0.1", 0), RequestHandler)
    if options.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])

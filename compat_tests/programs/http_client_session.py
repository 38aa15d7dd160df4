"""http.client: HTTP and HTTPS, chunked upload, keep-alive.

Usage: http_client_session.py HOST PORT TLS_PORT CA_FILE
"""

from __future__ import annotations

import hashlib
import http.client
import ssl
import sys

TIMEOUT = 60.0
BODY = bytes(range(256)) * 40


def main(argv: list[str]) -> int:
    host, port, tls_port, ca_file = argv[1], int(argv[2]), int(argv[3]), argv[4]
    context = ssl.create_default_context(cafile=ca_file)
    for connection in (
        http.client.HTTPConnection(host, port, timeout=TIMEOUT),
        http.client.HTTPSConnection(host, tls_port, timeout=TIMEOUT, context=context),
    ):
        connection.request("POST", "/digest", BODY, {"Content-Length": str(len(BODY))})
        answer = connection.getresponse()
        assert answer.read() == hashlib.sha256(BODY).hexdigest().encode()
        number = answer.headers["X-Connection"]
        for size in (0, 1, 9000):
            connection.request("GET", f"/bytes/{size}")
            answer = connection.getresponse()
            assert (len(answer.read()), answer.headers["X-Connection"]) == (size, number)
        connection.close()
    print("HTTP and HTTPS")
    print("keep-alive")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))

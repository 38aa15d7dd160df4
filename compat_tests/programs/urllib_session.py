"""urllib.request: HTTP and HTTPS, redirects, and an error as HTTPError or URLError.

Usage: urllib_session.py HOST PORT TLS_PORT CA_FILE
"""

from __future__ import annotations

import hashlib
import ssl
import sys
import urllib.error
import urllib.request

TIMEOUT = 60.0
BODY = bytes(range(256)) * 40


def main(argv: list[str]) -> int:
    host, port, tls_port, ca_file = argv[1:5]
    context = ssl.create_default_context(cafile=ca_file)
    for url in (f"http://{host}:{port}", f"https://{host}:{tls_port}"):
        with urllib.request.urlopen(f"{url}/digest", BODY, TIMEOUT, context=context) as answer:
            assert answer.read() == hashlib.sha256(BODY).hexdigest().encode()
        with urllib.request.urlopen(f"{url}/redirect/2", None, TIMEOUT, context=context) as answer:
            assert len(answer.read()) == 100
    print("HTTP and HTTPS")
    print("redirects")
    try:
        urllib.request.urlopen(f"http://{host}:1/", timeout=TIMEOUT)
    except urllib.error.URLError as error:
        assert isinstance(error.reason, ConnectionRefusedError), error.reason
        print("refusals")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))

"""An ordinary requests program: GET and POST over TLS in one session, the server's certificate verified.

Usage: https_hello.py URL CA_FILE
"""

from __future__ import annotations

import hashlib
import sys

import requests

TIMEOUT = 30.0


def main() -> int:
    url, ca_file = sys.argv[1], sys.argv[2]
    with requests.Session() as session:
        answer = session.get(f"{url}/bytes/2000", verify=ca_file, timeout=TIMEOUT)
        answer.raise_for_status()
        print(f"GET {answer.url}: {answer.status_code}, {len(answer.content)} bytes", flush=True)
        body = bytes(range(256)) * 6
        echo = session.post(f"{url}/digest", data=body, verify=ca_file, timeout=TIMEOUT)
        echo.raise_for_status()
        print(f"POST {echo.url}: {echo.status_code}, SHA-256 {echo.text[:16]}... of {len(body)} bytes", flush=True)
    is_right = len(answer.content) == 2000 and echo.text == hashlib.sha256(body).hexdigest()
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())

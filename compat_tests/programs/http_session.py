"""A requests program: GET and POST of 0 B, 1 B and 1 MiB, keep-alive, redirects, over HTTP or verified HTTPS.

Usage: http_session.py URL [CA_FILE [WRONG_CA_FILE]]
"""

from __future__ import annotations

import hashlib
import sys
from typing import Any

import requests
from requests import get, post

TIMEOUT = 120.0
SIZES = (0, 1, 1 << 20)


def main(argv: list[str]) -> int:
    url = argv[1]
    options: dict[str, Any] = {"timeout": TIMEOUT}
    if len(argv) > 2:
        options["verify"] = argv[2]
    for size in SIZES:
        body = hashlib.shake_128(b"body").digest(size)
        answer = post(f"{url}/digest", data=body, **options)
        assert (answer.status_code, answer.text) == (200, hashlib.sha256(body).hexdigest()), (size, answer.status_code)
        answer = get(f"{url}/bytes/{size}", **options)
        wanted = get(f"{url}/digest-of/{size}", **options).text
        assert (len(answer.content), hashlib.sha256(answer.content).hexdigest()) == (size, wanted), size
        print(f"{size} bytes each way")

    with requests.Session() as session:
        numbers = {session.get(f"{url}/bytes/{size}", **options).headers["X-Connection"] for size in (10, 2000, 0, 700)}
        assert len(numbers) == 1, f"not kept alive: {numbers}"
        redirected = session.get(f"{url}/redirect/3", **options)
        assert (len(redirected.history), len(redirected.content)) == (3, 100), redirected.history
        print("one connection for seven requests, three of them redirects")

    if len(argv) > 3:
        try:
            get(f"{url}/bytes/1", timeout=TIMEOUT, verify=argv[3])
        except requests.exceptions.SSLError:
            print("the wrong authority is refused")
        else:
            raise AssertionError("a certificate of an unknown authority was accepted")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))

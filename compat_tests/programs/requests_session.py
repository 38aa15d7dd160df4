"""requests: a session over HTTP and HTTPS that keeps its connection; streamed answer; threads.

Usage: requests_session.py HOST PORT TLS_PORT CA_FILE
"""

from __future__ import annotations

import hashlib
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import requests

TIMEOUT = 60.0


def fetch_size(session: requests.Session, url: str, size: int) -> int:
    # An answer that is kept keeps its connection, also after the session's end: only five can be.
    return len(session.get(f"{url}/bytes/{size}", timeout=TIMEOUT).content)


def main(argv: list[str]) -> int:
    host, port, tls_port, ca_file = argv[1:5]
    for kind, url in (("HTTP", f"http://{host}:{port}"), ("HTTPS", f"https://{host}:{tls_port}")):
        with requests.Session() as session:
            session.trust_env, session.verify = False, ca_file
            answer = session.post(f"{url}/digest", data=b"x" * 20_000, timeout=TIMEOUT)
            assert answer.text == hashlib.sha256(b"x" * 20_000).hexdigest()
            with session.get(f"{url}/bytes/30000", timeout=TIMEOUT, stream=True) as answer:
                assert sum(len(piece) for piece in answer.iter_content(1000)) == 30_000
            first, second = (session.get(f"{url}/bytes/{n}", timeout=TIMEOUT) for n in (10, 20))
            assert first.headers["X-Connection"] == second.headers["X-Connection"]
            with ThreadPoolExecutor(3) as pool:
                sizes = list(pool.map(partial(fetch_size, session, url), range(6)))
            assert sizes == list(range(6))
        print(kind)
    print("keep-alive")
    print("streaming")
    print("threads")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))

"""urllib3: a pool over HTTP and HTTPS, whose dropped connections are noticed; a refused connection; a time-out.

Usage: urllib3_session.py HOST PORT TLS_PORT CA_FILE
"""

from __future__ import annotations

import sys
import time

import urllib3
from urllib3.util import Timeout

TIMEOUT = 60.0


def main(argv: list[str]) -> int:
    host, port, tls_port, ca_file = argv[1:5]
    with urllib3.PoolManager(maxsize=2, ca_certs=ca_file, timeout=Timeout(TIMEOUT), retries=False) as pool:
        for kind, url in (("HTTP", f"http://{host}:{port}"), ("HTTPS", f"https://{host}:{tls_port}")):
            numbers = set()
            for size in (0, 1, 3000, 20_000):
                answer = pool.request("GET", f"{url}/bytes/{size}")
                assert (answer.status, len(answer.data)) == (200, size)
                numbers.add(answer.headers["X-Connection"])
            assert len(numbers) == 1, "not kept alive"
            answer = pool.request("GET", f"{url}/bytes/100", headers={"Connection": "close"})
            assert len(answer.data) == 100
            # As a meter does between its readings; meanwhile the server's end arrives.
            time.sleep(1.0)
            answer = pool.request("GET", f"{url}/bytes/5")
            assert answer.headers["X-Connection"] not in numbers
            partly = pool.request("GET", f"{url}/bytes/50000", preload_content=False)
            assert len(partly.read(10)) == 10
            partly.shutdown() if hasattr(partly, "shutdown") else None
            partly.close()
            print(kind)
        print("keep-alive")
        print("dropped connections")
        try:
            pool.request("GET", f"http://{host}:1/")
        except urllib3.exceptions.NewConnectionError:
            print("refusals")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))

"""Tornado: the HTTP client over HTTP and HTTPS, and a refused connection.

Usage: tornado_session.py HOST PORT TLS_PORT CA_FILE
"""

from __future__ import annotations

import asyncio
import sys

from tornado.httpclient import AsyncHTTPClient, HTTPRequest

TIMEOUT = 60.0


async def session(argv: list[str]) -> None:
    host, port, tls_port, ca_file = argv[1:5]
    client = AsyncHTTPClient()
    for kind, url in (("HTTP", f"http://{host}:{port}"), ("HTTPS", f"https://{host}:{tls_port}")):
        for size in (0, 1, 20_000):
            request = HTTPRequest(
                f"{url}/bytes/{size}", ca_certs=ca_file, connect_timeout=TIMEOUT, request_timeout=TIMEOUT
            )
            answer = await client.fetch(request)
            assert (answer.code, len(answer.body)) == (200, size)
        print(kind)
    try:
        await client.fetch(f"http://{host}:1/", connect_timeout=TIMEOUT)
    except ConnectionRefusedError:
        print("refusals")
    client.close()


def main(argv: list[str]) -> int:
    asyncio.run(session(argv))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))

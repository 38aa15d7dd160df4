"""aiohttp: a session over HTTP and HTTPS, three requests at a time.

Usage: aiohttp_session.py HOST PORT TLS_PORT CA_FILE
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import sys

import aiohttp

TIMEOUT = aiohttp.ClientTimeout(total=60.0, sock_connect=60.0)
BODY = bytes(range(256)) * 40


async def session(url: str, context: ssl.SSLContext) -> None:
    connector = aiohttp.TCPConnector(ssl=context, limit=3)
    async with aiohttp.ClientSession(connector=connector, timeout=TIMEOUT) as client:
        async with client.post(f"{url}/digest", data=BODY) as answer:
            assert await answer.text() == hashlib.sha256(BODY).hexdigest()

        async def fetch(size: int) -> int:
            async with client.get(f"{url}/bytes/{size}") as answer:
                return len(await answer.read())

        sizes = [0, 1, 9000, 3000, 700, 5]
        assert await asyncio.gather(*map(fetch, sizes)) == sizes


def main(argv: list[str]) -> int:
    host, port, tls_port, ca_file = argv[1:5]
    context = ssl.create_default_context(cafile=ca_file)
    asyncio.run(session(f"http://{host}:{port}", context))
    print("HTTP")
    asyncio.run(session(f"https://{host}:{tls_port}", context))
    print("HTTPS")
    print("several requests at a time")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))

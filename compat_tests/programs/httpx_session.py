"""httpx: the plain client, and the asynchronous one under asyncio and trio, over HTTP and HTTPS.

Usage: httpx_session.py HOST PORT TLS_PORT CA_FILE
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import sys

import httpx
import trio

TIMEOUT = 60.0
BODY = bytes(range(256)) * 40


def plain(urls: list[str], context: ssl.SSLContext) -> None:
    with httpx.Client(verify=context, timeout=TIMEOUT) as client:
        for url in urls:
            assert client.post(f"{url}/digest", content=BODY).text == hashlib.sha256(BODY).hexdigest()
            numbers = {client.get(f"{url}/bytes/{size}").headers["X-Connection"] for size in (0, 1, 9000)}
            assert len(numbers) == 1, "not kept alive"


async def asynchronous(urls: list[str], context: ssl.SSLContext) -> None:
    async with httpx.AsyncClient(verify=context, timeout=TIMEOUT) as client:
        for url in urls:
            assert (await client.post(f"{url}/digest", content=BODY)).text == hashlib.sha256(BODY).hexdigest()
            numbers = {(await client.get(f"{url}/bytes/{size}")).headers["X-Connection"] for size in (0, 1, 9000)}
            assert len(numbers) == 1, "not kept alive"


def main(argv: list[str]) -> int:
    host, port, tls_port, ca_file = argv[1:5]
    context = ssl.create_default_context(cafile=ca_file)
    urls = [f"http://{host}:{port}", f"https://{host}:{tls_port}"]
    plain(urls, context)
    print("sync")
    asyncio.run(asynchronous(urls, context))
    print("asyncio")
    trio.run(asynchronous, urls, context)
    print("trio")
    print("HTTP and HTTPS")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))

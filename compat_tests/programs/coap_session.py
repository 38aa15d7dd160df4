"""aiocoap: GET, PUT (in blocks) and observation over UDP (transport simple6), GET over TCP.

Usage: coap_session.py HOST PORT TCP_PORT CA_FILE
"""

from __future__ import annotations

import asyncio
import sys

import aiocoap

TIMEOUT = 60.0
BODY = bytes(range(256)) * 10
#: Blocks of 256 bytes: 2 ** (exponent + 4).
BLOCK_EXPONENT = 4


async def session(host: str, port: int, tcp_port: int) -> None:
    context = await aiocoap.Context.create_client_context()
    register = f"coap://{host}:{port}/register"
    answer = await context.request(put(register, b"17.25")).response
    assert answer.payload == b"changed"
    answer = await context.request(aiocoap.Message(code=aiocoap.GET, uri=register)).response
    assert answer.payload == b"17.25"
    print("GET and PUT over UDP")

    await context.request(put(register, BODY)).response
    # The module gives a datagram of more than 1024 bytes in pieces, so blocks must be smaller this way, too.
    get = aiocoap.Message(code=aiocoap.GET, uri=register, block2=(0, False, BLOCK_EXPONENT))
    answer = await context.request(get).response
    assert answer.payload == BODY
    print("blocks")

    observed = context.request(aiocoap.Message(code=aiocoap.GET, uri=f"coap://{host}:{port}/clock", observe=0))
    seen = [(await observed.response).payload]
    async for answer in observed.observation:
        seen.append(answer.payload)
        if len(seen) == 3:
            break
    assert len(set(seen)) == 3, seen
    print("observation")

    over_tcp = f"coap+tcp://{host}:{tcp_port}/register"
    await context.request(put(over_tcp, b"18")).response
    answer = await context.request(aiocoap.Message(code=aiocoap.GET, uri=over_tcp)).response
    assert answer.payload == b"18"
    print("TCP")
    await context.shutdown()


def put(uri: str, payload: bytes) -> aiocoap.Message:
    message = aiocoap.Message(code=aiocoap.PUT, uri=uri, payload=payload)
    # With its header a larger block does not fit a segment of the modem's.
    message.remote.maximum_block_size_exp = BLOCK_EXPONENT
    return message


def main(argv: list[str]) -> int:
    host, port, tcp_port = argv[1], int(argv[2]), int(argv[3])
    asyncio.run(asyncio.wait_for(session(host, port, tcp_port), TIMEOUT))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))

"""pymodbus: the plain and the asyncio client over TCP, and over TLS.

Usage: modbus_session.py HOST PORT TLS_PORT CA_FILE
"""

from __future__ import annotations

import asyncio
import ssl
import sys

from pymodbus.client import AsyncModbusTcpClient, AsyncModbusTlsClient, ModbusTcpClient, ModbusTlsClient

TIMEOUT = 60.0


def main(argv: list[str]) -> int:
    host, port, tls_port, ca_file = argv[1], int(argv[2]), int(argv[3]), argv[4]
    context = ssl.create_default_context(cafile=ca_file)
    # The plain client does not tell ssl the name that it wants to see.
    nameless = ssl.create_default_context(cafile=ca_file)
    nameless.check_hostname = False
    plain = [
        ModbusTcpClient(host, port=port, timeout=TIMEOUT),
        ModbusTlsClient(host, port=tls_port, sslctx=nameless, timeout=TIMEOUT),
    ]
    for client in plain:
        assert client.connect()
        assert client.write_register(3, 4711, device_id=1).registers == [4711]
        assert client.read_holding_registers(3, count=2, device_id=1).registers == [4711, 17]
        client.close()
    print("sync")

    async def asynchronous() -> None:
        for client in (
            AsyncModbusTcpClient(host, port=port, timeout=TIMEOUT),
            AsyncModbusTlsClient(host, port=tls_port, sslctx=context, timeout=TIMEOUT),
        ):
            assert await client.connect()
            assert (await client.write_register(5, 1234, device_id=1)).registers == [1234]
            assert (await client.read_holding_registers(5, count=2, device_id=1)).registers == [1234, 17]
            client.close()

    asyncio.run(asynchronous())
    print("asyncio")
    print("TCP and TLS")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))

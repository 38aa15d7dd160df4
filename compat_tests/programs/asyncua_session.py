"""asyncua: OPC UA over TCP: values read and written, a subscription, a method call.

Usage: asyncua_session.py HOST PORT TLS_PORT CA_FILE
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from asyncua import Client

TIMEOUT = 60.0
NAMESPACE = "http://meter.example"


class Changes:
    def __init__(self) -> None:
        self.values: asyncio.Queue[Any] = asyncio.Queue()

    def datachange_notification(self, _node: Any, value: Any, _data: Any) -> None:
        self.values.put_nowait(value)


async def session(url: str) -> None:
    async with Client(url, timeout=TIMEOUT) as client:
        index = await client.get_namespace_index(NAMESPACE)
        meter = await client.nodes.objects.get_child([f"{index}:Meter"])
        reading = await meter.get_child([f"{index}:Reading"])
        assert await reading.read_value() == 17
        print("values")
        changes = Changes()
        subscription = await client.create_subscription(100, changes)
        await subscription.subscribe_data_change(reading)
        assert await changes.values.get() == 17
        await reading.write_value(18)
        assert await changes.values.get() == 18
        await subscription.delete()
        await reading.write_value(17)
        print("subscriptions")
        assert await meter.call_method(f"{index}:double", 21) == 42
        print("methods")


def main(argv: list[str]) -> int:
    asyncio.run(asyncio.wait_for(session(f"opc.tcp://{argv[1]}:{argv[2]}/"), 2 * TIMEOUT))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))

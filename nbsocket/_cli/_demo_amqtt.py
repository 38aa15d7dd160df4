"""The MQTT broker amqtt on loopback, in a process of its own: for machines without mosquitto."""

from __future__ import annotations

import argparse
import asyncio
import logging
from typing import Any

from amqtt.broker import Broker


def main() -> None:
    """Serve for ever on the ports given."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--tls-port", type=int)
    parser.add_argument("--certificate", help="PEM file with key and chain, for the TLS port")
    options = parser.parse_args()
    listeners: dict[str, Any] = {"default": {"type": "tcp", "bind": f"127.0.0.1:{options.port}"}}
    if options.tls_port:
        listeners["tls"] = {
            "type": "tcp",
            "bind": f"127.0.0.1:{options.tls_port}",
            "ssl": True,
            "certfile": options.certificate,
            "keyfile": options.certificate,
        }
    logging.disable(logging.ERROR)
    asyncio.run(_serve({"listeners": listeners, "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {}}}))


async def _serve(config: dict[str, Any]) -> None:
    broker = Broker(config)
    await broker.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    main()

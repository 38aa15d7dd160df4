"""aiohttp's resolver that asks c-ares is led back to socket.getaddrinfo while patched; here a stand-in for aiohttp.

The real one, with aiodns installed, is among the programs of compat_tests. Argument: "first" or "later", when it is
imported.
"""

from __future__ import annotations

import asyncio
import importlib.abc
import importlib.machinery
import socket
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import nbsocket

SOURCE = """
import socket

class AsyncResolver:
    async def resolve(self, host, port=0, family=0):
        raise AssertionError("c-ares was asked")

class ThreadedResolver:
    async def resolve(self, host, port=0, family=0):
        return socket.getaddrinfo(host, port, family)
"""


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        known = name in ("aiohttp", "aiohttp.resolver")
        return importlib.machinery.ModuleSpec(name, self, is_package=name == "aiohttp") if known else None

    def exec_module(self, module: ModuleType) -> None:
        if module.__name__ == "aiohttp.resolver":
            exec(SOURCE, vars(module))


def ask() -> Any:
    module = importlib.import_module("aiohttp.resolver")
    return asyncio.run(module.AsyncResolver().resolve("server.example", 80, socket.AF_INET))


sys.meta_path.insert(0, Finder())
if sys.argv[1] == "first":
    importlib.import_module("aiohttp.resolver")
with nbsocket.configure("sim://"):
    for _ in range(2):
        with nbsocket.patch():
            assert ask()[0][4][1] == 80
        try:
            ask()
        except AssertionError as error:
            assert str(error) == "c-ares was asked"
        else:
            raise AssertionError("unpatch() left something behind")
print("done")

"""``import nbsocket as socket``: the whole namespace is there, and what is ours is ours."""

from __future__ import annotations

import inspect
import socket
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

import nbsocket

#: Replaced, because they reach the network.
OURS = {
    "socket",
    "getaddrinfo",
    "gethostbyname",
    "gethostbyname_ex",
    "gethostbyaddr",
    "getnameinfo",
    "getfqdn",
    "create_connection",
    "create_server",
    "fromfd",
    "fromshare",
    "socketpair",
    "has_dualstack_ipv6",
}

#: Names of ``socket.__all__`` that are not offered, and why.
UNSUPPORTED: dict[str, str] = {}

#: Not in ``socket.__all__``, but used by programs.
PRIVATE = [
    "_GLOBAL_DEFAULT_TIMEOUT",
    "SocketIO",
    "AddressInfo",
    "MsgFlag",
    "EAGAIN",
    "EBADF",
    "EWOULDBLOCK",
    "errno",
    "os",
]


@pytest.mark.parametrize("name", sorted(set(socket.__all__) - OURS - set(UNSUPPORTED)))
def test_what_is_not_ours_is_the_standard_librarys(name: str) -> None:
    assert getattr(nbsocket, name) is getattr(socket, name)
    assert name in nbsocket.__all__


@pytest.mark.parametrize("name", sorted(OURS & set(dir(socket))))
def test_what_is_ours_takes_the_same_arguments(name: str) -> None:
    ours = getattr(nbsocket, name)
    theirs = getattr(socket, name)
    assert ours is not theirs
    assert name in nbsocket.__all__
    if inspect.isfunction(theirs):
        assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters)


@pytest.mark.parametrize("name", PRIVATE)
def test_private_names(name: str) -> None:
    assert getattr(nbsocket, name) is getattr(socket, name)


def test_unsupported_names_are_absent() -> None:
    assert not [name for name in UNSUPPORTED if hasattr(nbsocket, name)]


def test_our_own_names() -> None:
    own = {"Modem", "configure", "patch", "unpatch", "SOL_NB", "NB_RAI", "NB_UNACKED", "__version__"}
    assert own <= set(nbsocket.__all__)
    assert not own & set(dir(socket))
    assert [name for name in nbsocket.__all__ if not hasattr(nbsocket, name)] == []
    assert len(nbsocket.__all__) == len(set(nbsocket.__all__))


def test_no_module_hides_a_name_of_the_namespace() -> None:
    modules = {name for name, value in vars(nbsocket).items() if isinstance(value, ModuleType)}
    assert not modules & set(socket.__all__)


def test_a_name_that_neither_has_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'nbsocket' has no attribute 'no_such_name'"):
        nbsocket.no_such_name  # type: ignore[attr-defined]  # noqa: B018
    assert not hasattr(nbsocket, "no_such_name")


def test_star_import() -> None:
    namespace: dict[str, Any] = {}
    exec("from nbsocket import *", namespace)
    assert namespace["socket"] is nbsocket.socket
    assert namespace["AF_INET"] is socket.AF_INET


def test_the_class() -> None:
    assert issubclass(nbsocket.socket, socket.socket)
    assert nbsocket.socket.__module__ == "nbsocket"
    missing = set(dir(socket.socket)) - set(dir(nbsocket.socket))
    assert missing == set()


def test_option_numbers_are_clear_of_the_platforms() -> None:
    levels = {value for name, value in vars(socket).items() if name.startswith(("SOL_", "IPPROTO_"))}
    assert nbsocket.SOL_NB not in levels
    assert nbsocket.NB_RAI != nbsocket.NB_UNACKED


def test_importing_does_nothing_to_the_standard_library() -> None:
    code = (
        "import socket, threading; before = dict(vars(socket)), dict(vars(socket.socket)); import nbsocket; "
        "assert (dict(vars(socket)), dict(vars(socket.socket))) == before; assert threading.active_count() == 1"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_values_that_modem_returns_have_public_names() -> None:
    for method in vars(nbsocket.Modem).values():
        answer = inspect.signature(method).return_annotation if inspect.isfunction(method) else ""
        for name in ("Info", "Settings", "Status", "Servers", "Result", "Reply", "State", "Stats"):
            if str(answer).strip("]").endswith(name):
                public = str(answer).strip("]").rpartition("[")[2]
                assert getattr(nbsocket, public).__name__ == public and public in nbsocket.__all__


def test_import_loads_neither_engine_nor_wrapt() -> None:
    code = """
import sys
import nbsocket
heavy = {"wrapt", "asyncio", "ssl", "serial", "nbsocket._modem", "nbsocket._engine", "nbsocket._driver", "nbsocket.sim"}
assert not heavy & set(sys.modules), sorted(heavy & set(sys.modules))
names = set(dir(nbsocket))
assert set(nbsocket.__all__) <= names, set(nbsocket.__all__) - names
from nbsocket import *
assert Modem is nbsocket.Modem and Modem.__module__ == "nbsocket._modem" and "Modem" in vars(nbsocket)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

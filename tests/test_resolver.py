"""The resolver functions: the module is asked for names and for nothing else."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from socket import (
    AF_INET,
    AF_INET6,
    AI_ADDRCONFIG,
    AI_CANONNAME,
    AI_NUMERICHOST,
    AI_NUMERICSERV,
    AI_PASSIVE,
    AI_V4MAPPED,
    EAI_AGAIN,
    EAI_NONAME,
    NI_DGRAM,
    NI_NAMEREQD,
    NI_NUMERICHOST,
    NI_NUMERICSERV,
    SOCK_DGRAM,
    SOCK_STREAM,
    gaierror,
    herror,
)
from typing import Any, cast

import pytest

import nbsocket
from nbsocket import _default_modem
from nbsocket._driver import Resolve, Settings
from nbsocket._engine._stats import Accounts
from nbsocket._routing import _hosts, _resolver
from nbsocket._routing._bypass import Bypass
from nbsocket._routing._route import Route
from nbsocket._runtime import _stdlib


def native_class(error: BaseException) -> type[BaseException]:
    return next(kind for kind in type(error).__mro__ if not kind.__module__.startswith("nbsocket"))


class FakeModem:
    """Answers look-ups from a table; everything else fails the test."""

    def __init__(self, table: dict[str, list[str] | OSError] | None = None) -> None:
        self.table = table or {}
        self.asked: list[str] = []
        self.dns_cache = 60.0
        self.accounts = Accounts()
        self.local_address = "10.1.2.3"

    @property
    def engine(self) -> FakeModem:
        return self

    @property
    def settings(self) -> Settings:
        return Settings()

    def ask(self, request: Resolve, timeout: float | None) -> list[str]:
        self.asked.append(request.name)
        answer = self.table[request.name]
        if isinstance(answer, OSError):
            raise answer
        return answer


@pytest.fixture
def fake() -> FakeModem:
    return FakeModem(
        {
            "a.example": ["192.0.2.1"],
            "both.example": ["192.0.2.1", "2001:db8::1"],
            "six.example": ["2001:db8::1"],
            "xn--bcher-kva.example": ["192.0.2.9"],
            "busy.example": gaierror(EAI_AGAIN, "busy"),
            "detached.example": OSError(errno.ENETDOWN, "not registered"),
            "late.example": TimeoutError(errno.ETIMEDOUT, "no answer"),
            "unknown.example": gaierror(EAI_NONAME, "unknown"),
        }
    )


@pytest.fixture
def route(fake: FakeModem) -> Route:
    return Route(own_modem=cast(nbsocket.Modem, fake))


def outcome(function: Callable[..., Any], *args: Any) -> Any:
    """Return what the call gives: its value, or type and errno of its error."""
    try:
        return function(*args)
    except (OSError, TypeError, UnicodeError) as error:
        # Ours is the same and a ModemError besides.
        return native_class(error), error.args[0] if isinstance(error, gaierror) else None


NO_LOOKUP: list[tuple[Any, ...]] = [
    ("192.0.2.1", 80),
    (b"192.0.2.1", "80"),
    ("192.0.2.1", b"80"),
    ("192.0.2.1", "http"),
    ("192.0.2.1", "ntp"),
    ("192.0.2.1", "ntp", 0, SOCK_DGRAM),
    ("192.0.2.1", None, 0, SOCK_STREAM),
    ("192.0.2.1", 0, AF_INET, SOCK_STREAM),
    ("192.0.2.1", 80, AF_INET6),
    ("192.0.2.1", 80, AF_INET6, SOCK_STREAM, 0, AI_V4MAPPED),
    ("192.0.2.1", 80, 0, SOCK_STREAM, socket.IPPROTO_TCP, AI_NUMERICHOST | AI_NUMERICSERV),
    ("192.0.2.1", 80, 0, SOCK_STREAM, 0, AI_CANONNAME),
    ("192.0.2.1", "no-such-service"),
    ("192.0.2.1", "http", 0, 0, 0, AI_NUMERICSERV),
    ("192.0.2.1", 80.5),
    ("192.0.2.1", 80, 99),
    ("192.0.2.1", 80, 0, 99),
    ("127.1", 80),
    ("2001:db8::1", 80),
    ("2001:db8::1", 80, AF_INET),
    (None, 80),
    (None, "http", AF_INET, SOCK_STREAM, 0, AI_PASSIVE),
    (None, None),
    ("", 80),
    (b"", 80),
    (3, 80),
    ("name.example", 80, 0, 0, 0, AI_NUMERICHOST),
    ("name.example", 80, 0, SOCK_STREAM, 0, AI_NUMERICHOST | AI_NUMERICSERV),
    ("a b", 80, 0, 0, 0, AI_NUMERICHOST),
    ("x" * 64, 80),
]


@pytest.mark.parametrize("args", NO_LOOKUP, ids=str)
def test_what_needs_no_look_up_is_as_from_the_standard_library(route: Route, fake: FakeModem, args: Any) -> None:
    hook_safe = not (args[0] and isinstance(args[0], str) and "example" in args[0])
    expected = outcome(socket.getaddrinfo, *args) if hook_safe and " " not in str(args[0]) else (gaierror, EAI_NONAME)
    assert outcome(_resolver.getaddrinfo, route, *args) == expected
    assert fake.asked == []


@pytest.mark.parametrize("name", ["localhost", "a.localhost", socket.gethostname(), "LOCALHOST."])
def test_local_names_are_loopback_and_cost_nothing(route: Route, fake: FakeModem, name: str) -> None:
    found = _resolver.getaddrinfo(route, name, 80, 0, SOCK_STREAM)
    assert [entry[4] for entry in found] == [
        (address, 80) if ":" not in address else (address, 80, 0, 0) for address in _hosts.find(name).addresses
    ]
    assert [entry[4][0] for entry in _resolver.getaddrinfo(route, name, 80, AF_INET6, SOCK_STREAM)] == ["::1"]
    assert _resolver.gethostbyname(route, name) == _hosts.find(name).of_version(4)[0]
    assert fake.asked == []


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (("a.example", 80, 0, SOCK_STREAM), [(AF_INET, SOCK_STREAM, 6, "", ("192.0.2.1", 80))]),
        ((b"a.example", "http", 0, SOCK_STREAM), [(AF_INET, SOCK_STREAM, 6, "", ("192.0.2.1", 80))]),
        (("A.Example", 80, AF_INET, SOCK_DGRAM), [(AF_INET, SOCK_DGRAM, 17, "", ("192.0.2.1", 80))]),
        (("a.example", None, 0, SOCK_STREAM), [(AF_INET, SOCK_STREAM, 6, "", ("192.0.2.1", 0))]),
        (("a.example", "ntp", 0, SOCK_DGRAM), [(AF_INET, SOCK_DGRAM, 17, "", ("192.0.2.1", 123))]),
        (("bücher.example", 80, 0, SOCK_STREAM), [(AF_INET, SOCK_STREAM, 6, "", ("192.0.2.9", 80))]),
        (("a.example", 80, 0, SOCK_STREAM, 6, AI_ADDRCONFIG), [(AF_INET, SOCK_STREAM, 6, "", ("192.0.2.1", 80))]),
        (
            ("a.example", 80, 0, SOCK_STREAM, 0, AI_CANONNAME),
            [(AF_INET, SOCK_STREAM, 6, "a.example", ("192.0.2.1", 80))],
        ),
        (
            ("both.example", 80, 0, SOCK_STREAM),
            [
                (AF_INET, SOCK_STREAM, 6, "", ("192.0.2.1", 80)),
                (AF_INET6, SOCK_STREAM, 6, "", ("2001:db8::1", 80, 0, 0)),
            ],
        ),
        (("both.example", 80, AF_INET6, SOCK_STREAM), [(AF_INET6, SOCK_STREAM, 6, "", ("2001:db8::1", 80, 0, 0))]),
        (
            ("a.example", 80, AF_INET6, SOCK_STREAM, 0, AI_V4MAPPED),
            [(AF_INET6, SOCK_STREAM, 6, "", ("::ffff:192.0.2.1", 80, 0, 0))],
        ),
    ],
    ids=str,
)
def test_names(route: Route, args: Any, expected: list[Any]) -> None:
    found = _resolver.getaddrinfo(route, *args)
    assert found == expected
    assert isinstance(found[0][0], socket.AddressFamily)
    assert isinstance(found[0][1], socket.SocketKind)


def test_a_name_without_type_gives_what_a_literal_gives(route: Route) -> None:
    assert _resolver.getaddrinfo(route, "a.example", 80) == socket.getaddrinfo("192.0.2.1", 80)


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("unknown.example", 80), EAI_NONAME),
        (("busy.example", 80), EAI_AGAIN),
        (("detached.example", 80), EAI_AGAIN),
        (("late.example", 80), EAI_AGAIN),
        (("a.example", 80, AF_INET6), getattr(socket, "EAI_ADDRFAMILY", EAI_NONAME)),
        (("six.example", 80, AF_INET), getattr(socket, "EAI_ADDRFAMILY", EAI_NONAME)),
    ],
)
def test_failures(route: Route, args: Any, code: int) -> None:
    with pytest.raises(gaierror) as caught:
        _resolver.getaddrinfo(route, *args)
    assert caught.value.args[0] == code


@pytest.mark.parametrize(
    "args",
    [
        ("a.example", "no-such-service"),
        ("a.example", 80, 99),
        ("a.example", 80, 0, 99),
        ("a.example", 80.5),
        ('a",1\r\nAT+CFUN=0\r', 80),
        ("a b", 80),
        ("x" * 151, 80),
    ],
    ids=str,
)
def test_bad_arguments_never_reach_the_module(route: Route, fake: FakeModem, args: Any) -> None:
    with pytest.raises((OSError, UnicodeError)):
        _resolver.getaddrinfo(route, *args)
    assert fake.asked == []


@pytest.mark.parametrize("host", ["", "<broadcast>", "192.0.2.1", b"192.0.2.1", "127.1", "::1", None, 3])
def test_gethostbyname_of_what_needs_no_look_up(route: Route, fake: FakeModem, host: Any) -> None:
    assert outcome(_resolver.gethostbyname, route, host) == outcome(socket.gethostbyname, host)
    assert fake.asked == []


def test_gethostbyname(route: Route) -> None:
    assert _resolver.gethostbyname(route, "a.example") == "192.0.2.1"
    assert _resolver.gethostbyname_ex(route, "a.example") == ("a.example", [], ["192.0.2.1"])
    with pytest.raises(gaierror):
        _resolver.gethostbyname(route, "six.example")


def test_there_is_no_reverse_look_up(route: Route, fake: FakeModem) -> None:
    with pytest.raises(herror) as caught:
        _resolver.gethostbyaddr(route, "192.0.2.1")
    assert caught.value.args == (1, "Unknown host")
    assert _resolver.gethostbyaddr(route, "127.0.0.1")[2] == ["127.0.0.1"]
    assert _resolver.gethostbyaddr(route, "a.example") == ("a.example", [], ["192.0.2.1"])
    assert fake.asked == ["a.example"]


@pytest.mark.parametrize(
    ("sockaddr", "flags", "expected"),
    [
        (("192.0.2.1", 80), 0, ("192.0.2.1", "http")),
        (("192.0.2.1", 80), NI_NUMERICSERV, ("192.0.2.1", "80")),
        (("192.0.2.1", 123), NI_DGRAM | NI_NUMERICHOST, ("192.0.2.1", "ntp")),
        (("2001:db8::1", 80, 0, 0), 0, ("2001:db8::1", "http")),
        (("127.0.0.1", 80), 0, ("localhost", "http")),
        (("127.0.0.1", 80), NI_NUMERICHOST, ("127.0.0.1", "http")),
    ],
)
def test_getnameinfo(route: Route, sockaddr: Any, flags: int, expected: tuple[str, str]) -> None:
    assert _resolver.getnameinfo(route, sockaddr, flags) == expected


def test_getnameinfo_with_a_name_required(route: Route) -> None:
    with pytest.raises(gaierror) as caught:
        _resolver.getnameinfo(route, ("192.0.2.1", 80), NI_NAMEREQD)
    assert caught.value.args[0] == EAI_NONAME


def test_getfqdn(route: Route, fake: FakeModem) -> None:
    assert _resolver.getfqdn(route, "192.0.2.1") == "192.0.2.1"
    assert _resolver.getfqdn(route, " a.example ") == "a.example"
    assert _resolver.getfqdn(route) == socket.gethostname()
    assert fake.asked == ["a.example"]


def test_bypassed_names_are_the_operating_systems(fake: FakeModem, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake stands for the host's resolver: a genuine look-up of a name would leave the machine."""
    entry = (AF_INET, SOCK_STREAM, 6, "", ("192.0.2.77", 80))
    monkeypatch.setattr(_stdlib, "getaddrinfo", lambda host, *rest: [entry] if host else [])
    route = Route(Bypass.parse(".lan"), cast(nbsocket.Modem, fake))
    assert _resolver.getaddrinfo(route, "printer.lan", 80) == [entry]
    assert _resolver.resolve_one(route, "printer.lan", AF_INET) == "192.0.2.77"
    assert route.covers("192.0.2.77")
    assert not route.covers("192.0.2.78")
    assert fake.asked == []


def test_without_a_modem_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_default_modem, "_default", None)
    monkeypatch.delenv("NBSOCKET_PORT", raising=False)
    with pytest.raises(OSError, match="no modem"):
        nbsocket.getaddrinfo("a.example", 80)

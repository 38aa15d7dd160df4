"""The engine's end of a connection, driven by hand; what the application's descriptor then does is the kernel's."""

from __future__ import annotations

import errno
import gc
import os
import select
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from nbsocket._channel import ChannelState, DatagramChannel, StreamChannel, lookup
from nbsocket._channel import _registry as registry
from nbsocket._channel import _stream as stream_module
from nbsocket._errors import make_error
from nbsocket._runtime._stdlib import GenuineSocket
from tests.helpers import EVERY_BYTE, pattern

PEER = ("198.51.100.7", 4000)
RESET = make_error(errno.ECONNRESET, "cut")

SEND, RECV = GenuineSocket.send, GenuineSocket.recv


class FakeCarrier:
    """Notes what a channel tells its engine."""

    segment_size = 512

    def __init__(self) -> None:
        self.options: list[tuple[str, float]] = []
        self.detached: list[Any] = []

    def own_address(self, timeout: float) -> str | None:
        return "10.0.0.9"

    def set_option(self, channel: Any, name: str, value: float) -> None:
        self.options.append((name, value))

    def linger(self, channel: Any, timeout: float) -> None:
        raise NotImplementedError

    def catch_up(self, timeout: float) -> None:
        """Has nothing to catch up with."""

    def get_unacked(self, channel: Any) -> int:
        raise NotImplementedError

    def interrupt(self, channel: Any) -> None:
        raise NotImplementedError

    def run(self, function: Callable[[], None]) -> None:
        function()

    def detach(self, channel: Any) -> None:
        self.detached.append(channel)
        channel.discard()


@pytest.fixture
def sock() -> Iterator[socket.socket]:
    with socket.socket() as sock:
        yield sock


@pytest.fixture
def udp() -> Iterator[socket.socket]:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        yield sock


@pytest.fixture
def channel(sock: socket.socket) -> Iterator[StreamChannel]:
    """A connected one, installed over ``sock``, which has a time-out so that a fault does not hang."""
    sock.settimeout(5)
    channel = connecting(sock)
    channel.opened("10.0.0.9")
    channel.install(sock)
    yield channel
    channel.abandon()


def connecting(sock: socket.socket) -> StreamChannel:
    channel = StreamChannel(sock, PEER)
    channel.prepare()
    channel.state = ChannelState.CONNECTING
    return channel


def is_ready(fd: int, mask: int) -> bool:
    poll = select.poll()
    poll.register(fd, mask)
    return bool(poll.poll(0))


def open_descriptors() -> int:
    gc.collect()
    return len(os.listdir("/dev/fd"))


# -- identity


def test_found_by_every_name_of_the_descriptor(sock: socket.socket, channel: StreamChannel) -> None:
    copy = sock.dup()
    with copy:
        assert lookup(sock.fileno()) is lookup(copy.fileno()) is channel
        with socket.socket(fileno=os.dup(sock.fileno())) as wrapped:
            assert lookup(wrapped.fileno()) is channel


def test_other_descriptors_are_not_ours(sock: socket.socket, channel: StreamChannel, tmp_path: Any) -> None:
    with (tmp_path / "file").open("w") as file, socket.socket() as other:
        assert lookup(file.fileno()) is None
        assert lookup(other.fileno()) is None
    assert lookup(-1) is None
    assert lookup(99999) is None


def test_detached_descriptor_keeps_the_channel(sock: socket.socket, channel: StreamChannel) -> None:
    with socket.socket(fileno=sock.detach()) as again:
        assert lookup(again.fileno()) is channel
        channel.deliver(b"x")
        assert again.recv(10) == b"x"


def test_entry_goes_with_the_last_descriptor(sock: socket.socket, channel: StreamChannel) -> None:
    channel.finish()
    assert lookup(sock.fileno()) is channel
    sock.close()
    registry.sweep()
    assert channel not in registry._channels.values()


def test_no_descriptor_is_left(sock: socket.socket) -> None:
    before = open_descriptors()
    for _ in range(3):
        with socket.socket() as app:
            channel = connecting(app)
            channel.opened(None)
            channel.install(app)
            channel.finish()
        registry.sweep()
    del channel
    assert open_descriptors() == before


def test_entry_stays_with_a_duplicate_that_was_seen(sock: socket.socket, channel: StreamChannel) -> None:
    copy = sock.dup()
    with copy:
        assert lookup(copy.fileno()) is channel
        sock.close()
        channel.finish()
        registry.sweep()
        assert lookup(copy.fileno()) is channel
    registry.sweep()
    assert channel not in registry._channels.values()


def test_many_duplicates_are_forgotten_again(sock: socket.socket, channel: StreamChannel) -> None:
    copies = [os.dup(sock.fileno()) for _ in range(100)]
    for fd in copies:
        assert lookup(fd) is channel
        os.close(fd)
    assert len(channel.numbers) <= registry.MAX_NUMBERS
    channel.finish()
    registry.sweep()
    assert lookup(sock.fileno()) is channel, "its own was not forgotten"


def test_an_end_does_not_look_at_every_descriptor_of_the_process(
    sock: socket.socket, channel: StreamChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    genuine = registry.inode_of
    monkeypatch.setattr(registry, "inode_of", lambda fd: looks.append(fd) or genuine(fd))  # type: ignore[func-returns-value]
    with ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(socket.socket())
        channel.reset(RESET)
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
        sock.close()
        registry.sweep()
    assert channel not in registry._channels.values()
    assert len(looks) < 20


# -- taking over the descriptor


@pytest.mark.parametrize("timeout", [None, 0.0, 3.0])
@pytest.mark.parametrize("inheritable", [False, True])
def test_install_keeps_mode_and_inheritance(sock: socket.socket, timeout: float | None, inheritable: bool) -> None:
    sock.settimeout(timeout)
    os.set_inheritable(sock.fileno(), inheritable)
    number = sock.fileno()
    channel = connecting(sock)
    channel.opened(None)
    channel.install(sock)
    assert sock.fileno() == number
    assert os.get_inheritable(number) is inheritable
    assert os.get_blocking(number) is (timeout is None)
    channel.abandon()


def test_install_over_a_closed_socket(sock: socket.socket) -> None:
    channel = connecting(sock)
    sock.close()
    with pytest.raises(OSError) as caught:
        channel.install(sock)
    assert caught.value.errno == errno.EBADF
    channel.abandon()


def test_default_timeout_leaves_the_mode_alone() -> None:
    with socket.socket() as app:
        before = socket.getdefaulttimeout()
        socket.setdefaulttimeout(7)
        try:
            channel = connecting(app)
            assert os.get_blocking(app.fileno())
            channel.opened(None)
            channel.install(app)
            assert os.get_blocking(app.fileno())
            assert channel.engine_end.gettimeout() == 0
        finally:
            socket.setdefaulttimeout(before)
            channel.abandon()


def test_connecting_is_not_writable_and_nothing_of_it_is_sent(sock: socket.socket) -> None:
    sock.setblocking(False)
    channel = connecting(sock)
    channel.install(sock)
    assert not is_ready(sock.fileno(), select.POLLOUT | select.POLLIN)
    with pytest.raises(BlockingIOError):
        sock.send(b"early")
    assert channel.available() == 0 and channel.take(100) == b""
    channel.opened("10.0.0.9")
    assert is_ready(sock.fileno(), select.POLLOUT)
    assert channel.available() == 0
    sock.send(b"late")
    assert channel.take(100) == b"late"
    channel.abandon()


def test_connect_before_install_needs_no_filler(sock: socket.socket, channel: StreamChannel) -> None:
    assert is_ready(sock.fileno(), select.POLLOUT)
    assert channel.available() == 0
    assert channel.state is ChannelState.CONNECTED
    assert (channel.peername, channel.sockname) == (PEER, ("10.0.0.9", 0))


def test_failed_connect(sock: socket.socket) -> None:
    sock.setblocking(False)
    channel = connecting(sock)
    channel.install(sock)
    channel.failed(make_error(errno.ECONNREFUSED, "refused"))
    assert is_ready(sock.fileno(), select.POLLOUT) and is_ready(sock.fileno(), select.POLLIN)
    assert channel.getsockopt(sock, socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED
    assert channel.getsockopt(sock, socket.SOL_SOCKET, socket.SO_ERROR) == 0
    assert sock.recv(10) == b""
    assert channel.state is ChannelState.FAILED
    channel.restore(sock)
    assert lookup(sock.fileno()) is None
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN) == socket.AF_INET


# -- data


def test_every_byte_both_ways(sock: socket.socket, channel: StreamChannel) -> None:
    sock.sendall(EVERY_BYTE)
    assert channel.available() == 256
    assert channel.take(100) + channel.take(1000) == EVERY_BYTE
    assert channel.take(10) == b""
    assert channel.deliver(EVERY_BYTE)
    assert sock.recv(1000) == EVERY_BYTE
    assert (channel.bytes_up, channel.bytes_down) == (256, 256)


def test_queue_beyond_the_kernel_buffer(sock: socket.socket, channel: StreamChannel) -> None:
    data = pattern(1_000_000)
    for start in range(0, len(data), 1024):
        assert channel.deliver(data[start : start + 1024])
    assert channel.wants_write
    received = b""
    while len(received) < len(data):
        received += sock.recv(65536)
        channel.flush()
    assert received == data
    assert not channel.wants_write


def test_queue_has_a_bound(channel: StreamChannel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "QUEUE_LIMIT", 100_000)
    size = 0
    while channel.deliver(bytes(1024)):
        size += 1024
        assert size < 2_000_000
    assert size >= 100_000


def test_kernel_holds_the_application_back(sock: socket.socket, channel: StreamChannel) -> None:
    sock.setblocking(False)
    size = 0
    with pytest.raises(BlockingIOError):
        while True:
            size += sock.send(bytes(1024))
    assert size < 200_000
    while channel.take(65536):
        pass
    assert sock.send(b"x") == 1


# -- ends of connection, as the application sees them


def test_fin_after_data(sock: socket.socket, channel: StreamChannel) -> None:
    sock.sendall(b"not taken")
    channel.deliver(b"last words")
    channel.end()
    assert channel.is_due_to_finish
    channel.finish()
    assert sock.recv(100) == b"last words"
    assert sock.recv(100) == b""
    with pytest.raises(BrokenPipeError):
        sock.send(b"x")


def test_fin_waits_for_the_queue(sock: socket.socket, channel: StreamChannel) -> None:
    data = pattern(600_000)
    channel.deliver(data)
    channel.end()
    assert not channel.is_due_to_finish
    received = b""
    while not channel.is_due_to_finish:
        received += sock.recv(65536)
        channel.flush()
    channel.finish()
    while piece := sock.recv(65536):
        received += piece
    assert received == data


@pytest.mark.parametrize("unread", [b"", b"on its way"])
def test_reset_after_data(sock: socket.socket, channel: StreamChannel, unread: bytes) -> None:
    if unread:
        sock.sendall(unread)
    channel.deliver(b"last words")
    channel.reset(RESET)
    assert sock.recv(100) == b"last words"
    with pytest.raises(ConnectionResetError):
        sock.recv(100)
    assert sock.recv(100) == b""


def test_reset_reaches_a_duplicate_and_leaves_no_descriptor(sock: socket.socket, channel: StreamChannel) -> None:
    copy = sock.dup()
    copy.settimeout(5)
    sock.close()
    before = open_descriptors()
    channel.reset(RESET)
    assert open_descriptors() == before - 1
    with copy, pytest.raises(ConnectionResetError):
        copy.recv(100)


def test_reset_after_the_application_shut_its_direction(sock: socket.socket, channel: StreamChannel) -> None:
    sock.sendall(b"request")
    assert channel.take(100) == b"request"
    channel.shutdown(sock, socket.SHUT_WR)
    assert channel.is_at_end() and channel.available() == 0
    channel.deliver(b"half an ans")
    channel.reset(RESET)
    assert sock.recv(100) == b"half an ans"
    with pytest.raises(ConnectionResetError):
        sock.recv(100)


def test_reason_of_a_reset_in_so_error(sock: socket.socket, channel: StreamChannel) -> None:
    channel.reset(make_error(errno.ETIMEDOUT, "nobody acknowledged"))
    assert channel.getsockopt(sock, socket.SOL_SOCKET, socket.SO_ERROR) == errno.ETIMEDOUT


# -- the application's ends


def test_half_close_is_end_without_hang_up(sock: socket.socket, channel: StreamChannel) -> None:
    sock.sendall(b"last")
    channel.shutdown(sock, socket.SHUT_WR)
    assert not channel.is_at_end()
    assert channel.take(100) == b"last"
    assert channel.is_at_end() and channel.take(100) == b""
    assert not is_ready(channel.engine_end.fileno(), 0)
    channel.deliver(b"answer")
    assert sock.recv(100) == b"answer"


def test_half_close_with_a_full_buffer(sock: socket.socket, channel: StreamChannel) -> None:
    sock.setblocking(False)
    size = 0
    with pytest.raises(BlockingIOError):
        while True:
            size += sock.send(bytes(100))
    channel.shutdown(sock, socket.SHUT_WR)
    taken = 0
    while data := channel.take(4096):
        taken += len(data)
    assert taken == size and channel.is_at_end()


def test_close_hangs_up_while_data_waits(sock: socket.socket, channel: StreamChannel) -> None:
    sock.sendall(b"parting words")
    sock.close()
    assert is_ready(channel.engine_end.fileno(), 0)
    assert channel.take(5) + channel.take(100) == b"parting words"
    assert channel.is_at_end()


def test_close_with_unread_data_loses_nothing_of_the_application(sock: socket.socket, channel: StreamChannel) -> None:
    channel.deliver(b"never read")
    sock.sendall(b"parting words")
    sock.close()
    assert channel.take(100) == b"parting words"
    assert channel.is_at_end()
    assert channel.deliver(b"too late")
    assert not channel.wants_write


def test_shutdown_before_there_is_a_connection(sock: socket.socket) -> None:
    channel = connecting(sock)
    channel.install(sock)
    with pytest.raises(OSError) as caught:
        channel.shutdown(sock, socket.SHUT_RDWR)
    assert caught.value.errno == errno.ENOTCONN
    channel.abandon()


# -- options


def test_options_are_the_kernels(sock: socket.socket, channel: StreamChannel) -> None:
    carrier = FakeCarrier()
    channel.engine = carrier
    channel.setsockopt(sock, socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 5)
    assert channel.getsockopt(sock, socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 5
    channel.setsockopt(sock, socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    assert channel.getsockopt(sock, socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    idle = channel.getsockopt(sock, socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
    assert carrier.options == [("keepalive", idle)]
    channel.setsockopt(sock, socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30)
    channel.setsockopt(sock, socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)
    channel.setsockopt(sock, socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 40)
    assert carrier.options[1:] == [("keepalive", 30), ("keepalive", 0), ("keepalive", 0)]
    carrier.options.clear()
    channel.setsockopt(sock, socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    channel.setsockopt(sock, socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000)
    assert carrier.options == [("nodelay", 1), ("user_timeout", 30)]
    with pytest.raises(OSError) as caught:
        channel.setsockopt(sock, socket.IPPROTO_TCP, 9999, 1)
    assert caught.value.errno == errno.ENOPROTOOPT


def test_options_set_before(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 7))
    channel = connecting(sock)
    assert channel.options == {"nodelay": 1}
    assert channel.linger == 7
    channel.abandon()


def test_type_and_domain_as_made(sock: socket.socket, channel: StreamChannel) -> None:
    wanted = {socket.SO_TYPE: socket.SOCK_STREAM, socket.SO_DOMAIN: socket.AF_INET, socket.SO_PROTOCOL: 6}
    for name, value in wanted.items():
        if name == socket.SO_PROTOCOL:
            continue
        assert channel.getsockopt(sock, socket.SOL_SOCKET, name) == value


def test_buffer_sizes_are_native(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 100_000)
    channel = connecting(sock)
    channel.opened(None)
    channel.install(sock)
    assert GenuineSocket.getsockopt(sock, socket.SOL_SOCKET, socket.SO_SNDBUF) == 200_000
    channel.setsockopt(sock, socket.SOL_SOCKET, socket.SO_SNDBUF, 50_000)
    assert channel.getsockopt(sock, socket.SOL_SOCKET, socket.SO_SNDBUF) == 100_000
    channel.abandon()


def test_no_linger_is_none_and_zero_is_zero(sock: socket.socket, channel: StreamChannel) -> None:
    assert channel.linger is None
    channel.setsockopt(sock, socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert channel.linger == 0


# -- datagrams


@pytest.fixture
def datagrams(udp: socket.socket) -> Iterator[DatagramChannel]:
    udp.settimeout(5)
    channel = DatagramChannel(udp)
    channel.engine = FakeCarrier()
    yield channel
    channel.discard()


def test_unconnected_frames_name_the_peer(udp: socket.socket, datagrams: DatagramChannel) -> None:
    assert lookup(udp.fileno()) is datagrams
    SEND(udp, datagrams.pack(EVERY_BYTE, ("192.0.2.1", 53)))
    SEND(udp, datagrams.pack(b"two", ("2001:db8::1", 54, 0, 0)))
    assert datagrams.read() == (("192.0.2.1", 53), EVERY_BYTE)
    assert datagrams.read() == (("2001:db8::1", 54), b"two")
    assert datagrams.read() is None
    datagrams.deliver(("192.0.2.1", 53), b"")
    datagrams.deliver(("192.0.2.1", 53), EVERY_BYTE)
    assert datagrams.unpack(RECV(udp, 1000)) == (b"", ("192.0.2.1", 53))
    assert datagrams.unpack(RECV(udp, 1000)) == (EVERY_BYTE, ("192.0.2.1", 53))


def test_connected_frames_are_bare(udp: socket.socket, datagrams: DatagramChannel) -> None:
    datagrams.connect(udp, ("192.0.2.1", 53))
    assert datagrams.is_connected
    udp.send(b"question")
    assert datagrams.read() == (("192.0.2.1", 53), b"question")
    datagrams.deliver(("192.0.2.2", 53), b"of a stranger")
    datagrams.deliver(("192.0.2.1", 53), b"")
    datagrams.deliver(("192.0.2.1", 53), b"answer")
    assert RECV(udp, 100) == b""
    assert RECV(udp, 100) == b"answer"


def test_connect_keeps_what_waits(udp: socket.socket, datagrams: DatagramChannel) -> None:
    SEND(udp, datagrams.pack(b"one", ("192.0.2.1", 1)))
    datagrams.deliver(("192.0.2.2", 2), b"kept")
    datagrams.deliver(("192.0.2.3", 3), b"dropped")
    datagrams.connect(udp, ("192.0.2.2", 2))
    udp.send(b"two")
    datagrams.connect(udp, None)
    SEND(udp, datagrams.pack(b"three", ("192.0.2.3", 3)))
    assert [datagrams.read() for _ in range(3)] == [
        (("192.0.2.1", 1), b"one"),
        (("192.0.2.2", 2), b"two"),
        (("192.0.2.3", 3), b"three"),
    ]
    assert datagrams.unpack(RECV(udp, 100)) == (b"kept", ("192.0.2.2", 2))
    udp.setblocking(False)
    with pytest.raises(BlockingIOError):
        RECV(udp, 100)


def test_end_of_file_after_what_was_sent(udp: socket.socket, datagrams: DatagramChannel) -> None:
    SEND(udp, datagrams.pack(b"one", ("192.0.2.1", 1)))
    assert not datagrams.is_deserted()
    udp.close()
    assert datagrams.is_deserted()
    assert datagrams.read() == (("192.0.2.1", 1), b"one")
    with pytest.raises(EOFError):
        datagrams.read()


def test_empty_bare_datagrams_are_not_the_end(udp: socket.socket, datagrams: DatagramChannel) -> None:
    datagrams.connect(udp, ("192.0.2.1", 1))
    udp.send(b"")
    udp.send(b"x")
    udp.close()
    assert datagrams.read() == (("192.0.2.1", 1), b"")
    assert datagrams.read() == (("192.0.2.1", 1), b"x")
    with pytest.raises(EOFError):
        datagrams.read()


def test_too_long_and_empty(datagrams: DatagramChannel) -> None:
    datagrams.pack(bytes(512), PEER)
    with pytest.raises(OSError) as caught:
        datagrams.pack(bytes(513), PEER)
    assert caught.value.errno == errno.EMSGSIZE
    with pytest.raises(OSError) as caught:
        datagrams.pack(b"", PEER)
    assert caught.value.errno == errno.EINVAL


def test_bypassed_addresses_have_no_such_limit(udp: socket.socket) -> None:
    channel = DatagramChannel(udp, bypass=lambda host: host == "127.0.0.1")
    channel.engine = FakeCarrier()
    assert len(channel.pack(bytes(9000), ("127.0.0.1", 9))) > 9000
    channel.pack(b"", ("127.0.0.1", 9))
    with pytest.raises(OSError):
        channel.pack(bytes(9000), PEER)
    channel.discard()


def test_wreck_of_a_frame_is_dropped(udp: socket.socket, datagrams: DatagramChannel) -> None:
    for frame in (b"x", b"\0\x50\xffshort", b"\0\x50\x01\xff"):
        SEND(udp, frame)
    assert datagrams.read() is None and datagrams.read() is None and datagrams.read() is None
    assert datagrams.dropped == 3


def test_waiting_datagrams_are_bounded(datagrams: DatagramChannel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbsocket._channel._datagram.QUEUE_LIMIT", 10_000)
    for _ in range(2000):
        datagrams.deliver(PEER, bytes(1000))
    assert datagrams.dropped > 1000
    assert datagrams.wants_write


def test_restore_gives_the_system_socket_back(udp: socket.socket) -> None:
    udp.setblocking(False)
    channel = DatagramChannel(udp, bypass=lambda host: True)
    channel.restore(udp)
    assert lookup(udp.fileno()) is None
    assert udp.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_DGRAM
    assert not os.get_blocking(udp.fileno())
    udp.bind(("127.0.0.1", 0))


def test_unused_channels_are_swept() -> None:
    before = open_descriptors()
    for _ in range(20):
        with socket.socket(type=socket.SOCK_DGRAM) as app:
            DatagramChannel(app)
    registry.sweep()
    assert open_descriptors() == before


def test_channel_that_is_attached_while_it_is_looked_at_is_not_over(
    datagrams: DatagramChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system is asked whether anybody has its other end; meanwhile the application attaches, writes and closes."""

    def attach_meanwhile(channel: DatagramChannel) -> bool:
        channel.engine = FakeCarrier()
        return True

    monkeypatch.setattr(DatagramChannel, "is_deserted", attach_meanwhile)
    assert not datagrams.is_over()


def test_bind_remembers_a_chosen_port_only(udp: socket.socket) -> None:
    channel = DatagramChannel(udp, bypass=lambda host: False)
    channel.bind(("", 0))
    assert channel.local_port == 0 and channel.sockname[1] > 0
    channel.discard()
    with socket.socket(type=socket.SOCK_DGRAM) as other:
        channel = DatagramChannel(other)
        channel.bind(("", 5683))
        assert channel.local_port == 5683 and channel.sockname == ("0.0.0.0", 5683)
        with pytest.raises(OSError):
            channel.bind(("", 5684))
        channel.discard()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_inherited_by_a_forked_child(sock: socket.socket, channel: StreamChannel) -> None:
    """The child's copy of the engine's end must not keep the connection open, nor answer for it."""
    child = os.fork()
    if not child:
        ok = lookup(sock.fileno()) is channel and channel.is_over()
        os._exit(0 if ok and sock.send(b"from the child") else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert channel.take(100) == b"from the child"
    channel.end()
    channel.finish()
    assert sock.recv(10) == b""

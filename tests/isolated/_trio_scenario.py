"""TCP and UDP through trio's own sockets."""

import trio

from tests.isolated._far_side import ADDRESS, HOST, echo, tcp_server, udp_server


async def talk(port: int, udp_port: int) -> None:
    with trio.fail_after(20):
        stream = await trio.open_tcp_stream(HOST, port)
        async with stream:
            await stream.send_all(b"hello")
            assert await stream.receive_some(10) == b"hello"
        with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as sock:
            await sock.sendto(b"one", (ADDRESS, udp_port))
            assert await sock.recvfrom(100) == (b"one", (ADDRESS, udp_port))
            await sock.sendto(b"two", (ADDRESS, udp_port))
            assert await sock.recv(100) == b"two"
            buffer = bytearray(10)
            await sock.sendto(b"three", (ADDRESS, udp_port))
            assert await sock.recv_into(buffer) == 5
            assert buffer[:5] == b"three"
            await sock.connect((ADDRESS, udp_port))
            await sock.send(b"four")
            assert await sock.recvfrom(100) == (b"four", (ADDRESS, udp_port))


def main() -> None:
    with tcp_server(echo) as port, udp_server() as udp_port:
        trio.run(talk, port, udp_port)

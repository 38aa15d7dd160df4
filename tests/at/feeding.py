"""Feeds bytes to a chat in every way that a serial port may split them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nbsocket._at import NEED_DATA, Chat, Event


def drain(chat: Chat, chunks: Iterable[bytes], now: float = 0.0) -> list[Event]:
    """Feed the chunks, and give the events after each of them."""
    seen: list[Event] = []
    for chunk in chunks:
        chat.receive_data(chunk, now)
        while (event := chat.next_event()) is not NEED_DATA:
            seen.append(event)
    return seen


def chunkings(data: bytes) -> dict[str, list[bytes]]:
    """Some ways to split the data, by name."""
    half = len(data) // 2
    return {
        "whole": [data],
        "bytes": [data[index : index + 1] for index in range(len(data))],
        "halves": [data[:half], data[half:]],
    }


def every_chunking(data: bytes) -> Iterator[list[bytes]]:
    """The data whole, byte by byte, and in every two-way split."""
    yield [data]
    yield [data[index : index + 1] for index in range(len(data))]
    for index in range(1, len(data)):
        yield [data[:index], data[index:]]

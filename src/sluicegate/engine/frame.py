"""Messages on a pipe: eight bytes that tell the length, then the message. What is too long is refused, never cut."""

from __future__ import annotations

from typing import BinaryIO

from sluicegate.base.errors import TooLarge

FRAME_MAX = 16 << 20
"""Bytes of one message."""
_HEAD = 8


def send(pipe: BinaryIO, message: bytes, most: int = FRAME_MAX) -> None:
    """Write one message. Raises ``TooLarge``, and then nothing of it is written."""
    if len(message) > most:
        raise TooLarge(
            f"What came out takes {len(message)} bytes; {most} are allowed.", hint="Ask for fewer rows or columns."
        )
    pipe.write(len(message).to_bytes(_HEAD, "big") + message)
    pipe.flush()


def take(pipe: BinaryIO, most: int = FRAME_MAX) -> bytes | None:
    """Read one message; ``None`` when the other side ended, between two or within one. Raises ``TooLarge``."""
    head = pipe.read(_HEAD)
    if len(head) < _HEAD:
        return None
    size = int.from_bytes(head, "big")
    if size > most:
        raise TooLarge(f"A message of {size} bytes was announced; {most} are allowed.")
    message = pipe.read(size)
    return message if len(message) == size else None

"""How large messages of the shared cache are, on both sides."""

from __future__ import annotations

from collections.abc import Iterator

MAX_MESSAGE = 4 * 1024**2
"""Bytes."""
MAX_INLINE = 3 * 1024**2
"""Bytes of a body that go in one message, with room for what belongs to it; more are streamed."""
MAX_BODY = 64 * 1024**2
"""Bytes; what is larger is not kept."""
MAX_TIME_LEFT = 60.0
"""Seconds that anyone may hold a lease or wait for it."""
_PIECE = 1024**2

MESSAGE_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_send_message_length", MAX_MESSAGE),
)
"""For a channel as for a server."""


def pieces(body: bytes) -> Iterator[bytes]:
    """Cut a body for a stream."""
    for start in range(0, len(body), _PIECE):
        yield body[start : start + _PIECE]

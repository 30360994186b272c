"""A name server that knows a few names, and of no other."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Self

_A, _AAAA = 1, 28
_IS_ANSWER = 0x8180
_NO_SUCH_NAME = 3
_QUESTION_AT = 12
_NAME_OF_QUESTION = b"\xc0\x0c"


class Names:
    """Answers on one UDP port of the loopback (RFC 1035), each name with its addresses or never."""

    def __init__(self, addresses: Mapping[str, Sequence[str] | None]) -> None:
        self._addresses = addresses
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._socket.bind(("127.0.0.1", 0))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    @property
    def authority(self) -> str:
        """Address and port."""
        host, port = self._socket.getsockname()
        return f"{host}:{port}"

    def _run(self) -> None:
        while True:
            query, client = self._socket.recvfrom(512)
            if not query:
                return
            if answer := self._answer(query):
                self._socket.sendto(answer, client)

    def _answer(self, query: bytes) -> bytes:
        labels, at = [], _QUESTION_AT
        while length := query[at]:
            labels.append(query[at + 1 : at + 1 + length].decode())
            at += 1 + length
        question = query[_QUESTION_AT : at + 5]
        (kind,) = struct.unpack("!H", question[-4:-2])
        known = self._addresses.get(".".join(labels).lower(), ())
        if known is None:
            return b""
        packed = [ip_address(address).packed for address in known]
        found = [each for each in packed if len(each) == {_A: 4, _AAAA: 16}.get(kind)]
        flags = _IS_ANSWER if known else _IS_ANSWER | _NO_SUCH_NAME
        head = query[:2] + struct.pack("!5H", flags, 1, len(found), 0, 0)
        records = (
            _NAME_OF_QUESTION + struct.pack("!2HIH", kind, 1, 0, len(each)) + each for each in found
        )
        return head + question + b"".join(records)

from micropic.v1 import preview_pb2 as _preview_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetRequest(_message.Message):
    __slots__ = ("key", "stored_at", "offset", "length", "check")
    KEY_FIELD_NUMBER: _ClassVar[int]
    STORED_AT_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    CHECK_FIELD_NUMBER: _ClassVar[int]
    key: str
    stored_at: float
    offset: int
    length: int
    check: bool
    def __init__(self, key: _Optional[str] = ..., stored_at: _Optional[float] = ..., offset: _Optional[int] = ..., length: _Optional[int] = ..., check: _Optional[bool] = ...) -> None: ...

class GetReply(_message.Message):
    __slots__ = ("preview", "large", "length")
    PREVIEW_FIELD_NUMBER: _ClassVar[int]
    LARGE_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    preview: _preview_pb2.Preview
    large: bool
    length: int
    def __init__(self, preview: _Optional[_Union[_preview_pb2.Preview, _Mapping]] = ..., large: _Optional[bool] = ..., length: _Optional[int] = ...) -> None: ...

class GetManyRequest(_message.Message):
    __slots__ = ("keys",)
    KEYS_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, keys: _Optional[_Iterable[str]] = ...) -> None: ...

class GetManyReply(_message.Message):
    __slots__ = ("replies",)
    REPLIES_FIELD_NUMBER: _ClassVar[int]
    replies: _containers.RepeatedCompositeFieldContainer[GetReply]
    def __init__(self, replies: _Optional[_Iterable[_Union[GetReply, _Mapping]]] = ...) -> None: ...

class Piece(_message.Message):
    __slots__ = ("preview", "body")
    PREVIEW_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    preview: _preview_pb2.Preview
    body: bytes
    def __init__(self, preview: _Optional[_Union[_preview_pb2.Preview, _Mapping]] = ..., body: _Optional[bytes] = ...) -> None: ...

class LeaseRequest(_message.Message):
    __slots__ = ("key", "time_left")
    KEY_FIELD_NUMBER: _ClassVar[int]
    TIME_LEFT_FIELD_NUMBER: _ClassVar[int]
    key: str
    time_left: float
    def __init__(self, key: _Optional[str] = ..., time_left: _Optional[float] = ...) -> None: ...

class LeaseReply(_message.Message):
    __slots__ = ("token", "preview", "problem", "large")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    PREVIEW_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    LARGE_FIELD_NUMBER: _ClassVar[int]
    token: str
    preview: _preview_pb2.Preview
    problem: _preview_pb2.Problem
    large: bool
    def __init__(self, token: _Optional[str] = ..., preview: _Optional[_Union[_preview_pb2.Preview, _Mapping]] = ..., problem: _Optional[_Union[_preview_pb2.Problem, _Mapping]] = ..., large: _Optional[bool] = ...) -> None: ...

class PutRequest(_message.Message):
    __slots__ = ("key", "preview", "lease", "length")
    KEY_FIELD_NUMBER: _ClassVar[int]
    PREVIEW_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    key: str
    preview: _preview_pb2.Preview
    lease: str
    length: int
    def __init__(self, key: _Optional[str] = ..., preview: _Optional[_Union[_preview_pb2.Preview, _Mapping]] = ..., lease: _Optional[str] = ..., length: _Optional[int] = ...) -> None: ...

class PutPiece(_message.Message):
    __slots__ = ("request", "body")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    request: PutRequest
    body: bytes
    def __init__(self, request: _Optional[_Union[PutRequest, _Mapping]] = ..., body: _Optional[bytes] = ...) -> None: ...

class PutReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class FailRequest(_message.Message):
    __slots__ = ("key", "lease", "problem")
    KEY_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    key: str
    lease: str
    problem: _preview_pb2.Problem
    def __init__(self, key: _Optional[str] = ..., lease: _Optional[str] = ..., problem: _Optional[_Union[_preview_pb2.Problem, _Mapping]] = ...) -> None: ...

class FailReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DeleteRequest(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: str
    def __init__(self, key: _Optional[str] = ...) -> None: ...

class DeleteReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PurgeRequest(_message.Message):
    __slots__ = ("sources", "prefixes", "everything")
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    PREFIXES_FIELD_NUMBER: _ClassVar[int]
    EVERYTHING_FIELD_NUMBER: _ClassVar[int]
    sources: _containers.RepeatedScalarFieldContainer[str]
    prefixes: _containers.RepeatedScalarFieldContainer[str]
    everything: bool
    def __init__(self, sources: _Optional[_Iterable[str]] = ..., prefixes: _Optional[_Iterable[str]] = ..., everything: _Optional[bool] = ...) -> None: ...

class PurgeReply(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: int
    def __init__(self, entries: _Optional[int] = ...) -> None: ...

class StatsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StatsReply(_message.Message):
    __slots__ = ("entries", "bytes", "max_bytes", "hits", "misses", "evictions", "leases")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    HITS_FIELD_NUMBER: _ClassVar[int]
    MISSES_FIELD_NUMBER: _ClassVar[int]
    EVICTIONS_FIELD_NUMBER: _ClassVar[int]
    LEASES_FIELD_NUMBER: _ClassVar[int]
    entries: int
    bytes: int
    max_bytes: int
    hits: int
    misses: int
    evictions: int
    leases: int
    def __init__(self, entries: _Optional[int] = ..., bytes: _Optional[int] = ..., max_bytes: _Optional[int] = ..., hits: _Optional[int] = ..., misses: _Optional[int] = ..., evictions: _Optional[int] = ..., leases: _Optional[int] = ...) -> None: ...

from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SourceFacts(_message.Message):
    __slots__ = ("etag", "last_modified", "cache_control", "expires", "date", "age", "vary", "sha256", "length")
    ETAG_FIELD_NUMBER: _ClassVar[int]
    LAST_MODIFIED_FIELD_NUMBER: _ClassVar[int]
    CACHE_CONTROL_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    DATE_FIELD_NUMBER: _ClassVar[int]
    AGE_FIELD_NUMBER: _ClassVar[int]
    VARY_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    etag: str
    last_modified: str
    cache_control: str
    expires: str
    date: str
    age: str
    vary: str
    sha256: str
    length: int
    def __init__(self, etag: _Optional[str] = ..., last_modified: _Optional[str] = ..., cache_control: _Optional[str] = ..., expires: _Optional[str] = ..., date: _Optional[str] = ..., age: _Optional[str] = ..., vary: _Optional[str] = ..., sha256: _Optional[str] = ..., length: _Optional[int] = ...) -> None: ...

class Preview(_message.Message):
    __slots__ = ("body", "media_type", "stored_at", "source", "timing", "etag", "lifetime", "variant")
    BODY_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    STORED_AT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    LIFETIME_FIELD_NUMBER: _ClassVar[int]
    VARIANT_FIELD_NUMBER: _ClassVar[int]
    body: bytes
    media_type: str
    stored_at: float
    source: SourceFacts
    timing: Timing
    etag: str
    lifetime: float
    variant: str
    def __init__(self, body: _Optional[bytes] = ..., media_type: _Optional[str] = ..., stored_at: _Optional[float] = ..., source: _Optional[_Union[SourceFacts, _Mapping]] = ..., timing: _Optional[_Union[Timing, _Mapping]] = ..., etag: _Optional[str] = ..., lifetime: _Optional[float] = ..., variant: _Optional[str] = ...) -> None: ...

class Timing(_message.Message):
    __slots__ = ("queue", "fetch", "render", "detail")
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    FETCH_FIELD_NUMBER: _ClassVar[int]
    RENDER_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    queue: float
    fetch: float
    render: float
    detail: str
    def __init__(self, queue: _Optional[float] = ..., fetch: _Optional[float] = ..., render: _Optional[float] = ..., detail: _Optional[str] = ...) -> None: ...

class Problem(_message.Message):
    __slots__ = ("code", "detail", "status", "headers", "retry_after")
    class HeadersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CODE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_FIELD_NUMBER: _ClassVar[int]
    code: str
    detail: str
    status: int
    headers: _containers.ScalarMap[str, str]
    retry_after: int
    def __init__(self, code: _Optional[str] = ..., detail: _Optional[str] = ..., status: _Optional[int] = ..., headers: _Optional[_Mapping[str, str]] = ..., retry_after: _Optional[int] = ...) -> None: ...

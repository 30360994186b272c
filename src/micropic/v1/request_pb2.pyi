from micropic.v1 import preview_pb2 as _preview_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Header(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class PreviewRequest(_message.Message):
    __slots__ = ("key", "headers", "private", "time_left", "lease", "sent_at", "reload", "recall", "request_id", "client")
    KEY_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    PRIVATE_FIELD_NUMBER: _ClassVar[int]
    TIME_LEFT_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    SENT_AT_FIELD_NUMBER: _ClassVar[int]
    RELOAD_FIELD_NUMBER: _ClassVar[int]
    RECALL_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    key: str
    headers: _containers.RepeatedCompositeFieldContainer[Header]
    private: bool
    time_left: float
    lease: str
    sent_at: float
    reload: bool
    recall: bool
    request_id: str
    client: str
    def __init__(self, key: _Optional[str] = ..., headers: _Optional[_Iterable[_Union[Header, _Mapping]]] = ..., private: _Optional[bool] = ..., time_left: _Optional[float] = ..., lease: _Optional[str] = ..., sent_at: _Optional[float] = ..., reload: _Optional[bool] = ..., recall: _Optional[bool] = ..., request_id: _Optional[str] = ..., client: _Optional[str] = ...) -> None: ...

class PreviewReply(_message.Message):
    __slots__ = ("preview", "problem")
    PREVIEW_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    preview: _preview_pb2.Preview
    problem: _preview_pb2.Problem
    def __init__(self, preview: _Optional[_Union[_preview_pb2.Preview, _Mapping]] = ..., problem: _Optional[_Union[_preview_pb2.Problem, _Mapping]] = ...) -> None: ...

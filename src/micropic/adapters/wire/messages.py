"""Nouns to protobuf messages, and back."""

from __future__ import annotations

import math
import re
import time
from dataclasses import fields

from google.protobuf.message import DecodeError

from micropic.domain import errors, headers, urls
from micropic.domain.errors import MicropicError
from micropic.domain.model import Format, Preview, PreviewRequest, Provenance, SourceFacts
from micropic.domain.purge import Purge
from micropic.v1 import cache_pb2, preview_pb2, request_pb2

_FACTS = tuple(field.name for field in fields(SourceFacts))
_MEDIA_TYPES = {known.media_type for known in Format}
_ETAG = re.compile(r'"[!#-~]*"')
_MEANINGFUL = {"www-authenticate", "retry-after", "vary"}
"""The header fields that an origin's refusal may bring: `OriginRefused.headers`."""
_VALUE = re.compile(r"[ -~]{1,4096}")
_DETAIL = re.compile(r"[a-z-]{0,40}")
"""Of a provenance: it goes into Cache-Status (RFC 9211) as it is."""
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_LONGEST_DETAIL = 1000
_LONGEST_PAUSE = 3600
"""Seconds; RFC 9110, section 10.2.3, has no bound."""
_LONGEST_NAME = 128
"""Characters of a request's id, and of a client's name."""
_LONGEST_WAY = 3600.0
"""Seconds; a request expires in the queue before."""
_AS_IT_IS = "application/octet-stream"
"""The media type of sources, and what any other is taken for but those of previews."""


def preview_to_message(preview: Preview) -> preview_pb2.Preview:
    """Give a preview as a message; what a cache had to do with it stays behind."""
    provenance, source = preview.provenance, preview.source
    return preview_pb2.Preview(
        body=preview.body,
        media_type=preview.media_type,
        stored_at=preview.stored_at,
        source=preview_pb2.SourceFacts(**{name: getattr(source, name) for name in _FACTS}),
        timing=preview_pb2.Timing(
            queue=provenance.queue,
            fetch=provenance.fetch,
            render=provenance.render,
            detail=provenance.detail,
        ),
        etag=preview.etag,
        lifetime=preview.lifetime,
        variant=preview.variant,
    )


def preview_from_message(
    message: preview_pb2.Preview, provenance: Provenance | None = None
) -> Preview:
    """Make a preview again; `provenance` where it is not what the message says.

    What no answer could say is left out: a time that is no number counts as long ago.
    """
    # An optional field that was not set is None here, not empty.
    facts = {field.name: value for field, value in message.source.ListFields()}
    source = SourceFacts(**facts)
    return Preview(
        message.body,
        message.media_type if message.media_type in _MEDIA_TYPES else _AS_IT_IS,
        _finite(message.stored_at),
        _finite(message.lifetime),
        source,
        provenance or _provenance(message.timing),
        message.etag if _ETAG.fullmatch(message.etag) else "",
        message.variant,
    )


def _finite(number: float) -> float:
    return number if math.isfinite(number) else 0.0


def _duration(seconds: float) -> float:
    return max(0.0, _finite(seconds))


def _provenance(timing: preview_pb2.Timing) -> Provenance:
    return Provenance(
        queue=_duration(timing.queue),
        fetch=_duration(timing.fetch),
        render=_duration(timing.render),
        detail=timing.detail if _DETAIL.fullmatch(timing.detail) else "",
    )


def problem_to_message(error: MicropicError) -> preview_pb2.Problem:
    """Give an error as a message."""
    return preview_pb2.Problem(**error.to_wire())


def problem_from_message(message: preview_pb2.Problem) -> MicropicError:
    """Make the error again; one that another version knows alone is a MicropicError.

    Who sent it may say what went wrong and when to come again, but neither choose the answer's
    status, beyond an origin's own 4xx, nor its header.
    """
    members = {field.name: value for field, value in message.ListFields()}
    members["detail"] = _CONTROLS.sub(" ", message.detail)[:_LONGEST_DETAIL]
    members["headers"] = {
        name: value
        for name, value in message.headers.items()
        if name.lower() in _MEANINGFUL and _VALUE.fullmatch(value)
    }
    if message.HasField("retry_after"):
        members["retry_after"] = min(message.retry_after, _LONGEST_PAUSE)
    refuses = message.code == errors.OriginRefused.code
    if message.code not in errors.BY_CODE or (refuses and not 400 <= message.status < 500):  # noqa: PLR2004
        return MicropicError(members["detail"])
    return errors.from_wire(members)


def purge_to_message(what: Purge) -> cache_pb2.PurgeRequest:
    """Give what is to be forgotten as a message."""
    return cache_pb2.PurgeRequest(
        sources=sorted(what.sources), prefixes=what.prefixes, everything=what.everything
    )


def purge_from_message(message: cache_pb2.PurgeRequest) -> Purge:
    """Make it again."""
    return Purge(frozenset(message.sources), tuple(message.prefixes), everything=message.everything)


def request_to_message(request: PreviewRequest) -> request_pb2.PreviewRequest:
    """Give a request as a message; its deadline becomes the time that is left."""
    return request_pb2.PreviewRequest(
        key=request.key,
        headers=[request_pb2.Header(name=name, value=value) for name, value in request.headers],
        private=request.private,
        time_left=request.deadline - time.monotonic(),
        lease=request.lease,
        sent_at=time.time(),
        reload=request.reload,
        recall=request.stale is not None,
        request_id=request.request_id,
        client=request.client,
    )


def on_its_way(message: request_pb2.PreviewRequest) -> float:
    """Give the seconds since it was sent, as far as the clocks of both sides agree."""
    sent_at = _finite(message.sent_at)
    return min(max(time.time() - sent_at, 0.0), _LONGEST_WAY) if sent_at else 0.0


def request_from_message(message: request_pb2.PreviewRequest) -> PreviewRequest:
    """Make the request again; what it spent on its way is off the time that was left.

    Raises:
        BadRequest: it was not made by `request_to_message`.

    """
    transform, source = urls.parse_key(message.key)
    sent = tuple((header.name, header.value) for header in message.headers)
    fields = headers.only_sendable(sent)
    return PreviewRequest(
        transform,
        source,
        key=message.key,
        headers=fields,
        private=message.private or headers.carries_credentials(fields),
        lease=message.lease,
        reload=message.reload,
        recall=message.recall,
        request_id=message.request_id[:_LONGEST_NAME],
        client=message.client[:_LONGEST_NAME],
        deadline=time.monotonic()
        + min(_finite(message.time_left), _LONGEST_WAY)
        - on_its_way(message),
    )


def outcome_to_bytes(outcome: Preview | MicropicError) -> bytes:
    """Give a worker's answer as it goes over the wire."""
    if isinstance(outcome, Preview):
        reply = request_pb2.PreviewReply(preview=preview_to_message(outcome))
    else:
        reply = request_pb2.PreviewReply(problem=problem_to_message(outcome))
    return reply.SerializeToString()


def outcome_from_bytes(data: bytes) -> Preview:
    """Give the preview, or raise the error, that a worker answered.

    Raises:
        MicropicError: what the worker raised, or that it answered what is no answer.

    """
    try:
        reply = request_pb2.PreviewReply.FromString(data)
    except DecodeError:
        reply = request_pb2.PreviewReply()
    if reply.HasField("problem"):
        raise problem_from_message(reply.problem)
    if reply.preview.media_type not in _MEDIA_TYPES:
        msg = "What a worker of micropic answered is not understood. Is it of another version?"
        raise MicropicError(msg)
    return preview_from_message(reply.preview)

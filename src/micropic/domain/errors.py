"""Every error that micropic raises on purpose.

```
MicropicError
├── BadRequest            the path, a size, an option or the source is not understood
├── NotAuthorized         a token is missing or wrong
├── BadSignature          the address is not signed as it has to be, or has expired
├── PreviewForbidden      a size or transform that is not on the operator's list
├── SourceForbidden       the source's address or host is not allowed
├── LoopDetected          the request has been through micropic already (RFC 8586)
├── OriginRefused         the origin's own 4xx, handed on
├── OriginFailed          the origin is out of reach, failed, or answered what is no answer
├── OriginTimeout         the origin did not answer in time
├── SourceTooLarge        more bytes than allowed
├── TooManyPixels         more pixels than allowed
├── PreviewTooLarge       a preview with more pixels or bytes than allowed
├── NotAnImage            the bytes are not a picture, or of a kind that is not decoded
├── BrokenImage           a picture that is damaged or lacks data
├── RenderCrashed         the render process died
├── TooMuchMemory         the render ran out of memory
├── TooMuchWork           the preview takes more work than allowed
├── TooComplex            a drawing that takes too much time to draw
├── RenderTimeout         the render took too long
├── Quarantined           the picture has crashed or hung the renderer too often
├── TooManyRequests       one client asks for more than it may
├── Overloaded            too much work is waiting
├── NotCached             only what is kept was asked for, and it is not
└── DeadlineExceeded      the time of the whole request is up
```

`code` is stable and meant for programs, `detail` for people. Which HTTP status an error
becomes is known by `micropic.web.problems` alone. An error crosses a process boundary as
`to_wire()` and is raised there again, equal, from `from_wire()`.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self


class MicropicError(Exception):
    """The root of the tree; `retry_after`: in how many seconds to try again, if that is known."""

    code: ClassVar[str] = "internal_error"
    _retry_after: ClassVar[int | None] = None
    ended_process = False
    """Whether it cost a render process: known where the picture was rendered, and not beyond."""

    def __init__(self, detail: str, *, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = self._retry_after if retry_after is None else retry_after

    def to_wire(self) -> dict[str, Any]:
        """Give what `from_wire` needs, as values that JSON can hold."""
        return {"code": self.code, "detail": self.detail, "retry_after": self.retry_after}

    @classmethod
    def from_members(cls, wire: dict[str, Any]) -> Self:
        """Make an error of this class from what `to_wire` gave."""
        return cls(wire["detail"], retry_after=wire.get("retry_after"))


class BadRequest(MicropicError):
    """The path, a size, an option or the source is not understood."""

    code = "bad_request"


class NotAuthorized(MicropicError):
    """The request does not carry the token that it needs."""

    code = "not_authorized"


class BadSignature(MicropicError):
    """The address is not signed with a key that is in use, or its time is over."""

    code = "bad_signature"


class PreviewForbidden(MicropicError):
    """The size or the transform is not among those that the operator allows."""

    code = "preview_forbidden"


class SourceForbidden(MicropicError):
    """The source's address or host is not one that this service may fetch from."""

    code = "source_forbidden"


class LoopDetected(MicropicError):
    """The request has been through micropic already (RFC 8586, section 2)."""

    code = "loop_detected"


GONE = frozenset({404, 410})
"""What an origin says of an image, not of a client: another one would hear the same."""


class OriginRefused(MicropicError):
    """The origin answered with a 4xx of its own, which is handed on with its `status`.

    `headers` are those that give the status its meaning (`WWW-Authenticate`, `Retry-After`), and
    `Vary`: the fields of clients, out of those that are in no key, that the origin decided by.
    """

    code = "origin_refused"

    def __init__(self, detail: str, status: int, headers: dict[str, str]) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = headers

    @property
    def varies_by(self) -> set[str]:
        """The names in `Vary`, in lower case."""
        return {name.strip().lower() for name in self.headers.get("Vary", "").split(",")} - {""}

    def to_wire(self) -> dict[str, Any]:
        """Give what `from_wire` needs, as values that JSON can hold."""
        return {**super().to_wire(), "status": self.status, "headers": self.headers}

    @classmethod
    def from_members(cls, wire: dict[str, Any]) -> Self:
        """Make an error of this class from what `to_wire` gave."""
        return cls(wire["detail"], wire["status"], wire["headers"])


class OriginFailed(MicropicError):
    """The origin cannot be reached, failed, or gave something that is no answer."""

    code = "origin_failed"


class OriginTimeout(MicropicError):
    """The origin did not answer, or not whole, in time."""

    code = "origin_timeout"


class SourceTooLarge(MicropicError):
    """The source has more bytes than `source.max_bytes`."""

    code = "source_too_large"


class TooManyPixels(MicropicError):
    """The picture's header claims more pixels than `render.max_pixels`."""

    code = "too_many_pixels"


class PreviewTooLarge(MicropicError):
    """The preview has more pixels or bytes than the settings or its format allow."""

    code = "preview_too_large"


class NotAnImage(MicropicError):
    """The bytes are not a picture, or one of a kind that is not decoded."""

    code = "not_an_image"


class BrokenImage(MicropicError):
    """The picture is damaged or lacks picture data."""

    code = "broken_image"


class RenderCrashed(MicropicError):
    """The render process died over this picture.

    Whether it was still `decoding` is known only in the process that started it.
    """

    code = "render_crashed"

    def __init__(
        self, detail: str, *, decoding: bool = False, retry_after: int | None = None
    ) -> None:
        super().__init__(detail, retry_after=retry_after)
        self.decoding = decoding


class TooMuchMemory(MicropicError):
    """The render needed more memory than `render.max_memory`."""

    code = "too_much_memory"


class TooMuchWork(MicropicError):
    """The preview takes more work than `render.max_cost` allows."""

    code = "too_much_work"


class TooComplex(MicropicError):
    """The SVG took more CPU time to draw than `render.max_drawing_time`."""

    code = "too_complex"


class RenderTimeout(MicropicError):
    """The render took longer than `render.timeout`, or than the request had left.

    Which `seconds` it had, and whether it was still `decoding` at their end, is known only in the
    process that gave them.
    """

    code = "render_timeout"

    def __init__(
        self,
        detail: str,
        seconds: float = 0.0,
        *,
        decoding: bool = False,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(detail, retry_after=retry_after)
        self.seconds = seconds
        self.decoding = decoding


class Quarantined(MicropicError):
    """The image, or this preview of it, has crashed or hung render processes three times."""

    code = "quarantined"


class TooManyRequests(MicropicError):
    """The client exceeds `proxy.rate` and `proxy.burst`, or has sent too many wrong tokens."""

    code = "too_many_requests"


class Overloaded(MicropicError):
    """Too much work is waiting already."""

    code = "overloaded"
    _retry_after = 1


class NotCached(MicropicError):
    """Only what is kept was asked for, and it is not (RFC 9111, section 5.2.1.7)."""

    code = "not_cached"


class DeadlineExceeded(MicropicError):
    """The time of the whole request (`proxy.timeout`) is up."""

    code = "timeout"


USELESS = (NotAnImage, BrokenImage, TooManyPixels)
"""What is wrong with a source, so that it is of no use in a cache."""
BY_CLIENT = (OriginRefused, SourceTooLarge, *USELESS)
"""What an origin may answer to one client alone: a refusal, or a page instead of an image."""
OUT_OF_TIME = (DeadlineExceeded, OriginTimeout, RenderTimeout)
"""What came about by the time that its caller had, and not by the picture."""


def too_late() -> DeadlineExceeded:
    """Give the error for a request whose time is up, whoever notices."""
    return DeadlineExceeded("The preview could not be made in time; try again later.")


_TREE: list[type[MicropicError]] = [MicropicError, *MicropicError.__subclasses__()]
BY_CODE = {cls.code: cls for cls in _TREE}


def from_wire(wire: dict[str, Any]) -> MicropicError:
    """Make the error again that `to_wire` described."""
    return BY_CODE[wire["code"]].from_members(wire)

"""The nouns: what is asked for, and what is answered."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

Headers = tuple[tuple[str, str], ...]
"""Header fields in their order, names in lower case; a name may stand more than once."""


class Mode(StrEnum):
    """How a picture meets its box."""

    FILL = "fill"
    """Cover the box exactly, enlarging if needed; what does not fit is cut off."""
    FIT = "fit"
    """Whole and inside the box, never enlarged."""


class Size(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int


class Box(NamedTuple):
    """A rectangle in pixels, from the top left corner."""

    left: int
    top: int
    width: int
    height: int


class Anchor(StrEnum):
    """A gravity with a name: which part `fill` keeps."""

    SMART = "smart"
    FACE = "face"
    CENTER = "center"
    NORTH = "north"
    NORTHEAST = "northeast"
    EAST = "east"
    SOUTHEAST = "southeast"
    SOUTH = "south"
    SOUTHWEST = "southwest"
    WEST = "west"
    NORTHWEST = "northwest"


class FocusPoint(NamedTuple):
    """A gravity as a point to keep near the middle, each coordinate from 0 to 1."""

    x: float
    y: float


Gravity = Anchor | FocusPoint


class Format(StrEnum):
    """What previews are encoded as."""

    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    AVIF = "avif"
    GIF = "gif"
    """For animations alone."""

    @property
    def media_type(self) -> str:
        """As in Content-Type."""
        return f"image/{self}"


class Formats(NamedTuple):
    """The format of a preview, by what its picture turns out to be."""

    opaque: Format = Format.JPEG
    transparent: Format = Format.PNG
    animated: Format | None = None
    """None: an animation is answered by its first frame."""


class Colour(NamedTuple):
    """A colour in sRGB, 0 to 255 each."""

    red: int
    green: int
    blue: int


@dataclass(frozen=True, slots=True)
class Transform:
    """What is done to a picture, in the order of the fields from `turn` on.

    Equal transforms of equal sources give equal previews.
    """

    mode: Mode
    size: Size
    """The box, in pixels of the answer."""
    gravity: Gravity = Anchor.SMART
    quality: int = 80
    """1 to 100, on the scale of the format."""
    formats: Formats = field(default_factory=Formats)
    turn: int = 1
    """What `rot` and `flip` come to, as the EXIF orientation that asks for the same."""
    trim: int | None = None
    """The colour tolerance, in levels of 255, up to which a border of one colour is cut off."""
    enlarge: bool = True
    """Let `fill` enlarge a picture that is smaller than the box."""
    background: Colour | None = None
    """What transparent parts are laid on; None: white, and only where the format needs it."""
    blur: float = 0.0
    """Sigma of a Gaussian, in pixels of the answer."""
    sharpen: float = 0.0
    """Sigma of the Gaussian of an unsharp mask, in pixels of the answer."""
    explain: bool = False
    """Draw the whole picture, with what stands out and what is kept, in the place of the cut."""


class Scheme(StrEnum):
    """Where a source is read from."""

    HTTP = "http"
    HTTPS = "https"
    SAMPLE = "sample"
    """A picture that is bundled with the package."""


DEFAULT_PORTS = {Scheme.HTTP: 80, Scheme.HTTPS: 443}


@dataclass(frozen=True, slots=True)
class SourceUrl:
    """Where the picture is, in normal form.

    `host` is in lower case and ASCII (an IPv6 address stands in brackets), `port` is None
    where it is the scheme's own, and `target` is what goes on the request line, byte for
    byte. For a sample, `target` is its file name and `host` is empty.
    """

    scheme: Scheme
    host: str
    port: int | None
    target: str

    @property
    def authority(self) -> str:
        """`host` or `host:port`, as in the Host header."""
        return self.host if self.port is None else f"{self.host}:{self.port}"

    @property
    def origin(self) -> str:
        """Scheme, host and port (RFC 6454)."""
        return f"{self.scheme}://{self.authority}"

    def __str__(self) -> str:
        if self.scheme is Scheme.SAMPLE:
            return f"sample:{self.target}"
        return f"{self.scheme}://{self.authority}{self.target}"


@dataclass(frozen=True, slots=True)
class PreviewRequest:
    """One request for a preview, on its way through the previewers."""

    transform: Transform
    source: SourceUrl
    key: str
    """The normal form of transform and source: equal keys ask for equal previews."""
    negotiated: frozenset[str] = frozenset()
    """The media types of answers that would be others for a client with another Accept."""
    only_if_cached: bool = False
    """The client wants what is kept, or nothing (RFC 9111, section 5.2.1.7)."""
    headers: Headers = ()
    """Those of the client's headers that the origin is to see."""
    private: bool = False
    """A credential of the client's is among `headers`: the answer is for this client alone."""
    lease: str = ""
    """The shared cache's token for making this preview; empty where there is none."""
    reload: bool = False
    """The client wants the origin to be asked, whatever is kept (RFC 9111, section 5.2.1.4)."""
    stale: Preview | None = None
    """What a cache on the way has kept, but may not answer with as it is."""
    recall: bool = False
    """The shared cache has such a thing, which this process has not got from there yet."""
    deadline: float = float("inf")
    """When the answer is of no use any more, in seconds of the monotonic clock."""
    request_id: str = ""
    """By which the log knows the client's request; of those that are joined the first one's."""
    client: str = ""
    """Whose share of the work it takes, as an opaque name (`clients.opaque`); never logged."""

    @property
    def forwarded(self) -> CacheResult:
        """Why it went past the caches, once it has."""
        return CacheResult.STALE if self.stale else CacheResult.MISS


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What the origin said of a picture (its header fields, as sent), and what its body is."""

    etag: str | None = None
    last_modified: str | None = None
    cache_control: str | None = None
    expires: str | None = None
    date: str | None = None
    age: str | None = None
    vary: str | None = None
    sha256: str = ""
    length: int = 0
    """That of the body, in bytes; 0: not known."""


@dataclass(frozen=True, slots=True)
class SourcePicture:
    """A picture as its origin gave it."""

    body: bytes | None
    """None: the origin says that the one that is known has not changed."""
    facts: SourceFacts


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a renderer made: an encoded picture, with the seconds it waited and worked."""

    body: bytes
    media_type: str
    queue: float = 0.0
    render: float = 0.0


class CacheResult(StrEnum):
    """What the cache had to do with an answer (RFC 9211)."""

    HIT = "hit"
    MISS = "miss"
    STALE = "stale"
    """What was kept had to be revalidated."""
    BYPASS = "bypass"


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a preview came from, and how long each step took, in seconds."""

    cache: CacheResult = CacheResult.MISS
    collapsed: bool = False
    """This request waited for another one's work (RFC 9211, section 2.6)."""
    detail: str = ""
    """Why something stale was the answer, or that it was found `unchanged`."""
    queue: float = 0.0
    fetch: float = 0.0
    render: float = 0.0
    in_memory: bool = field(default=False, compare=False)
    """It was found in this process's own memory."""


FROM_CACHE = Provenance(cache=CacheResult.HIT)
FROM_MEMORY = Provenance(cache=CacheResult.HIT, in_memory=True)
UNCHANGED = "unchanged"
"""What was kept turned out to be right still: nothing was rendered."""


def strong_etag(body: bytes) -> str:
    """Give the entity tag of these bytes: equal bytes, equal tags, on every machine."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


@dataclass(frozen=True, slots=True)
class Preview:
    """An encoded picture with all that is known of it.

    A source is kept as the preview of itself, with a key of its own (`urls.source_key`).
    """

    body: bytes
    media_type: str
    stored_at: float
    """When its source was fetched or revalidated, in seconds of the Unix epoch."""
    lifetime: float
    """For how many seconds from then it is fresh."""
    source: SourceFacts = field(default_factory=SourceFacts)
    provenance: Provenance = field(default_factory=Provenance, compare=False)
    etag: str = ""
    """A strong validator of the body, quoted (RFC 9110, section 8.8.3)."""
    variant: str = ""
    """Which clients it is for, by `freshness.variant`; empty: all."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to make a preview that others wait for, until it is made or the time is up."""

    token: str

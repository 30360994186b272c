"""Addresses of previews, for those who write pages: Django, Flask, Jinja or anything else.

```python
from micropic.client import Client, url_for

url_for("https://www.example.com/owl.jpg", width=300, height=200, q=70)

pictures = Client("https://img.example.com", key="a key that the service knows")
pictures.url_for("https://www.example.com/owl.jpg", width=300, height=200, q=70)
pictures.srcset("https://www.example.com/owl.jpg", widths=(320, 640, 1280), ratio=3 / 2)
```

It stands on the standard library alone, and asks nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, TypedDict, Unpack
from urllib.parse import quote

from micropic.domain import signing
from micropic.domain.errors import BadRequest
from micropic.domain.urls import DEFAULT, parse_path

Mode = Literal["fill", "fit"]


class Options(TypedDict, total=False):
    """The options of an address; the README says what each does."""

    q: int
    f: str
    g: str
    dpr: float
    rot: Literal[0, 90, 180, 270]
    flip: Literal["h", "v"]
    trim: int
    enlarge: bool
    bg: str
    blur: float
    sharpen: float
    anim: bool | Literal["webp", "gif"]
    exp: int
    """Seconds of the Unix epoch, after which the address is of no use any more."""
    explain: bool


def url_for(  # noqa: PLR0913 # an address, in words
    source: str,
    *,
    width: int,
    height: int | None = None,
    mode: Mode = "fill",
    base: str = "",
    key: str = "",
    **options: Unpack[Options],
) -> str:
    """Give the address of a preview; without a height it is as high as it is wide.

    `base` is where the service is, with its prefix, if it has one; empty: on the same host. With
    a `key` the address is signed. Whatever a value holds, what is signed is a preview of
    `source`: values may come from who asks for a page.

    Raises:
        ValueError: the service would not understand it.

    """
    segment = ",".join(f"{name}={_written(value)}" for name, value in options.items())
    sides = str(width), str(width if height is None else height)
    # None of them has a slash left, so none can end early and name another source than this,
    # which arrives as it is, whatever it holds.
    steps = [quote(step, safe=":=,") for step in (mode, *sides, segment) if step]
    target = "/".join(["", *steps, quote(source, safe=":")])
    try:
        parse_path(target.encode(), b"", DEFAULT)
    except BadRequest as error:
        raise ValueError(error.detail) from None
    return base.rstrip("/") + (signing.sign(target, key) if key else target)


@dataclass(frozen=True, slots=True)
class Client:
    """Writes addresses of a service at `base`, signed where there is a `key`."""

    base: str = ""
    """With the prefix, if the service has one; empty: on the same host."""
    key: str = ""

    def url_for(
        self,
        source: str,
        *,
        width: int,
        height: int | None = None,
        mode: Mode = "fill",
        **options: Unpack[Options],
    ) -> str:
        """Give the address of a preview, as `url_for` of this module.

        Raises:
            ValueError: the service would not understand it.

        """
        return url_for(
            source, width=width, height=height, mode=mode, base=self.base, key=self.key, **options
        )

    def srcset(
        self,
        source: str,
        *,
        widths: Iterable[int],
        ratio: float | None = None,
        mode: Mode | None = None,
        **options: Unpack[Options],
    ) -> str:
        """Give the value of `srcset` for an `<img>`, by width.

        With a `ratio` (width by height) each is cut to it, else none is cut at all.

        Raises:
            ValueError: the service would not understand one.

        """
        chosen: Mode = mode or ("fill" if ratio else "fit")
        shape = ratio or 1

        def at(width: int) -> str:
            height = max(1, round(width / shape))
            return self.url_for(source, width=width, height=height, mode=chosen, **options)

        return ", ".join(f"{at(width)} {width}w" for width in widths)

    def filters(self) -> dict[str, Callable[..., str]]:
        """Give `preview` and `srcset`, for the `filters` of a Jinja environment."""
        return {"preview": self.url_for, "srcset": self.srcset}


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(int(value))
    written = f"{round(value, 2):g}" if isinstance(value, float) else str(value)
    if "," in written:  # it would begin another option
        msg = f"The value of an option holds no comma, unlike {written!a}."
        raise ValueError(msg)
    return written

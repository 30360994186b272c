"""Addresses of previews, for those who write pages: Django, Flask, Jinja or anything else.

```python
from micropic.client import Client

pictures = Client("https://img.example.com", key="a key that the service knows")
pictures.url_for("https://www.example.com/owl.jpg", width=300, height=200, q=70)
pictures.srcset("https://www.example.com/owl.jpg", widths=(320, 640, 1280), ratio=3 / 2)
```

It stands on the standard library alone, and asks nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

from micropic.domain import signing
from micropic.domain.errors import BadRequest
from micropic.domain.urls import DEFAULT, parse_path


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
        mode: str = "fill",
        **options: object,
    ) -> str:
        """Give the address of a preview; without a height it is as high as it is wide.

        `options` are those of the address (`q=70`, `f="webp"`); `exp` is seconds of the Unix
        epoch, after which the address is of no use any more. Whatever a value holds, what is
        signed is a preview of `source`: values may come from who asks for a page.

        Raises:
            ValueError: the service would not understand it.

        """
        segment = ",".join(f"{key}={_written(value)}" for key, value in options.items())
        sides = str(width), str(width if height is None else height)
        # None of them has a slash left, so none can end early and name another source than this,
        # which arrives as it is, whatever it holds.
        steps = [quote(step, safe=":=,") for step in (mode, *sides, segment) if step]
        target = "/".join(["", *steps, quote(source, safe=":")])
        try:
            parse_path(target.encode(), b"", DEFAULT)
        except BadRequest as error:
            raise ValueError(error.detail) from None
        return self.base.rstrip("/") + (signing.sign(target, self.key) if self.key else target)

    def srcset(
        self,
        source: str,
        *,
        widths: Iterable[int],
        ratio: float | None = None,
        **options: object,
    ) -> str:
        """Give the value of `srcset` for an `<img>`, by width.

        With a `ratio` (width by height) each is cut to it, else none is cut at all.

        Raises:
            ValueError: the service would not understand one.

        """
        options.setdefault("mode", "fill" if ratio else "fit")
        shape = ratio or 1
        return ", ".join(
            f"{self.url_for(source, width=width, height=max(1, round(width / shape)), **options)}"  # type: ignore[arg-type] # mode is among them
            f" {width}w"
            for width in widths
        )


def _written(value: object) -> str:
    written = str(int(value)) if isinstance(value, bool) else str(value)
    if "," in written:  # it would begin another option
        msg = f"The value of an option holds no comma, unlike {written!a}."
        raise ValueError(msg)
    return written

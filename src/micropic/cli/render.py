"""`micropic render`."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from micropic.cli.failure import fail
from micropic.domain import urls
from micropic.domain.errors import BadRequest, MicropicError
from micropic.domain.options import Defaults
from micropic.imaging import engine, extras


def render(  # noqa: PLR0913 # each one a flag
    picture: Annotated[Path, typer.Argument(help="The picture.")],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the preview goes.")],
    size: Annotated[str, typer.Option(help="Width and height, such as 300x200.")] = "300x200",
    mode: Annotated[str, typer.Option(help="fill: cover the box; fit: inside it.")] = "fill",
    gravity: Annotated[
        str, typer.Option(help="What fill keeps: smart, face, center, a compass point or x:y.")
    ] = "smart",
    quality: Annotated[int, typer.Option(help="Quality, 1 to 100.")] = 80,
    options: Annotated[str, typer.Option(help="More options, such as f=webp,blur=2.")] = "",
    explain: Annotated[
        Path | None, typer.Option(help="Where a drawing of how the cut was chosen goes.")
    ] = None,
) -> None:
    """Render one picture from a file, as the service would, but with no bound on an SVG's time."""
    if not re.fullmatch("[0-9]+x[0-9]+", size):
        fail(f"The size must be two numbers such as 300x200, not {size!r}.")
    width, height = size.split("x")
    segment = ",".join(filter(None, [f"g={gravity}", f"q={quality}", options]))
    path = f"/{mode}/{width}/{height}/{segment}/sample:file"
    try:
        grammar = replace(urls.DEFAULT, defaults=Defaults(faces=extras.has_faces()))
        transform = urls.parse_path(path.encode(), b"", grammar).transform
        data = picture.read_bytes()
        preview = engine.render(data, transform)
        output.write_bytes(preview.body)
        if explain is not None:
            drawing = engine.render(data, replace(transform, explain=True))
            explain.write_bytes(drawing.body)
    except (BadRequest, MicropicError) as error:
        fail(error.detail)
    except OSError as error:
        fail(str(error))
    typer.echo(f"{output}: {preview.size.width}x{preview.size.height}, {len(preview.body)} bytes")

"""A picture's frames: one, or those of an animation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from micropic.imaging.pixels import Pixels


@dataclass(frozen=True, slots=True)
class Frames:
    """Decoded frames, all of one size."""

    pixels: tuple[Pixels, ...]
    delays: tuple[int, ...] = ()
    """For how long each frame is shown, in milliseconds; empty for one that does not move."""
    loop: int = 0
    """How many times an animation is shown; 0: without end."""

    @property
    def first(self) -> Pixels:
        """What is shown of it where nothing moves."""
        return self.pixels[0]

    def each(self, change: Callable[[Pixels], Pixels]) -> Frames:
        """Give the frames with each one changed."""
        return Frames(tuple(change(pixels) for pixels in self.pixels), self.delays, self.loop)

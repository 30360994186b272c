"""The table of results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_HEADINGS = ("what", "figure", "limit", "ratio", "target")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure beside a limit of the same run, both in the same unit."""

    what: str
    figure: float
    unit: str
    limit: float
    limit_name: str
    least_ratio: float | None = None
    """Target: the ratio is this or more."""
    most_ratio: float | None = None
    """Target: the ratio is this or less."""
    figure_below: float | None = None
    """Target: the figure is less than this."""
    least_figure: float | None = None
    """Target: the figure is this or more."""
    detail: str = ""
    digits: int = 0
    """Of figure and limit, after the point."""

    @property
    def ratio(self) -> float:
        """The figure in units of the limit."""
        return self.figure / self.limit

    def cells(self) -> tuple[str, ...]:
        """Give the columns."""
        return (
            self.what,
            f"{self.figure:,.{self.digits}f} {self.unit}"
            + (f", {self.detail}" if self.detail else ""),
            f"{self.limit:,.{self.digits}f} {self.limit_name}",
            f"{self.ratio:.2f}",
            self._target(),
        )

    def _target(self) -> str:
        if self.least_ratio is not None:
            return f">= {self.least_ratio:g}: {_verdict(met=self.ratio >= self.least_ratio)}"
        if self.most_ratio is not None:
            return f"<= {self.most_ratio:g}: {_verdict(met=self.ratio <= self.most_ratio)}"
        if self.least_figure is not None:
            met = self.figure >= self.least_figure
            return f">= {self.least_figure:,g} {self.unit}: {_verdict(met=met)}"
        if self.figure_below is not None:
            met = self.figure < self.figure_below
            return f"< {self.figure_below:g} {self.unit}: {_verdict(met=met)}"
        return ""


def format_table(rows: Sequence[Row]) -> str:
    """Give the rows as a Markdown table, aligned."""
    return aligned(_HEADINGS, [row.cells() for row in rows])


def aligned(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Give cells as a Markdown table, each column as wide as it has to be."""
    lines = [headings, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join(_line(cells, widths) for cells in lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return f"| {' | '.join(padded)} |"


def _verdict(*, met: bool) -> str:
    return "met" if met else "missed"

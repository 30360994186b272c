"""Requests for previews, for tests of what stands behind the reading of addresses."""

from __future__ import annotations

from micropic.domain.model import PreviewRequest
from micropic.domain.urls import DEFAULT, build_path, parse_path


def preview_request(path: str = "/fill/30/20/h/x") -> PreviewRequest:
    """Give what a client's address asks for."""
    transform, source, *_ = parse_path(path.encode(), b"", DEFAULT)
    return PreviewRequest(transform, source, build_path(transform, source))

"""A picture in the place of an error, where the operator wants one."""

from __future__ import annotations

import time
from dataclasses import dataclass

from micropic.domain import headers, urls
from micropic.domain.errors import MicropicError
from micropic.domain.model import PreviewRequest, SourceUrl
from micropic.ports import Previewer
from micropic.web.responses import Response, from_preview

_TIME = 1.0
"""Seconds beyond the request's own: mostly the picture is in the cache."""


@dataclass(frozen=True, slots=True)
class Fallback:
    """Has a preview of `source` made for what fails; without a source nothing changes."""

    previewer: Previewer
    source: SourceUrl | None = None
    status: int | None = None
    """That of such an answer; None: the error's own."""

    async def instead(self, problem: Response, request: PreviewRequest | None) -> Response:
        """Give the answer in the place of `problem`; if that fails too, the problem."""
        if self.source is None or request is None:
            return problem
        asked = PreviewRequest(
            request.transform,
            self.source,
            key=urls.build_path(request.transform, self.source),
            negotiated=request.negotiated,
            headers=headers.only_plain(request.headers),
            deadline=time.monotonic() + _TIME,
            request_id=request.request_id,
        )
        try:
            preview = await self.previewer.preview(asked)
        except MicropicError:
            return problem
        # Clients may keep it as briefly as the problem, and it is no answer to their conditions.
        brief = [pair for pair in problem.headers if pair[0] in {b"cache-control", b"retry-after"}]
        dropped = {b"cache-control", b"etag", b"last-modified", b"accept-ranges", b"age"}
        response = from_preview(preview, asked, time.time())
        fields = [pair for pair in response.headers if pair[0] not in dropped]
        return response._replace(status=self.status or problem.status, headers=[*fields, *brief])

"""The page at `/` and the files that belong to it."""

from __future__ import annotations

from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_FOLDER = files("micropic.web") / "static"
_FACE = b'name="g" value="face"'
_MEDIA_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_HEADERS = {
    "Cache-Control": "public, max-age=300",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def page_routes(*, faces: bool) -> list[Route]:
    """Give the routes of the page, its style and its scripts; without `faces` none can be kept."""
    return [_route(path, name, faces=faces) for path, name in _files().items()]


def page_types() -> dict[str, str]:
    """Give the media types of these, by their paths."""
    return {path: _media_type(name) for path, name in _files().items()}


def _files() -> dict[str, str]:
    names = sorted(file.name for file in _FOLDER.iterdir())
    return {"/": "index.html"} | {f"/static/{name}": name for name in names}


def _media_type(name: str) -> str:
    return _MEDIA_TYPES[name.rpartition(".")[2]]


def _route(path: str, name: str, *, faces: bool) -> Route:
    content = (_FOLDER / name).read_bytes()
    media_type = _media_type(name)
    if not faces:
        content = content.replace(_FACE, _FACE + b' disabled title="needs micropic[faces]"')

    async def endpoint(_: Request) -> Response:
        return Response(content, media_type=media_type, headers=_HEADERS)

    return Route(path, endpoint)

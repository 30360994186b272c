"""What the service's port answers, as OpenAPI 3.1 says it; made from what answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from micropic.domain import urls
from micropic.domain.model import Anchor, Format, Mode
from micropic.domain.options import OPTIONS
from micropic.web import problems

PATH = "/openapi.json"

_Schema = dict[str, Any]
_MEDIA_TYPES = [known.media_type for known in Format]
_HEADERS = {
    "Accept": "chooses among formats",
    "Cache-Control": "only-if-cached has nothing made, no-cache has the origin asked",
    "If-None-Match": "ETags that the client has; the answer is a 304 if it is one of them",
    "Range": "a part of the preview",
}
"""Fields of a client's that change what is answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What there is to describe."""

    version: str
    grammar: urls.Grammar
    prefix: str = ""
    """What stands before every path."""
    signed: bool = False
    """Addresses have to be signed."""
    purging: bool = False
    """There is a token for purging."""
    pages: Mapping[str, str]
    """The media types of what is sent as it is, by its path."""


def openapi_route(described: Described) -> Route:
    """Give the route that describes all others."""
    content = orjson.dumps(describe(described))
    headers = {"Cache-Control": "public, max-age=300", "X-Content-Type-Options": "nosniff"}

    async def endpoint(_: Request) -> Response:
        return Response(content, media_type="application/json", headers=headers)

    return Route(PATH, endpoint)


def describe(described: Described) -> _Schema:
    """Give the description."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "micropic",
            "version": described.version,
            "description": "Small pictures of big ones that live on other people's servers.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": described.prefix or "/"}],
        "paths": {
            **_previews(described),
            **({"/purge": {"post": _purge()}} if described.purging else {}),
            **{path: {"get": _health(path)} for path in ("/healthz", "/readyz")},
            **_pages(described.pages),
            PATH: {"get": _file("This description", {"application/json"})},
        },
        "components": {
            "schemas": {"Problem": problems.schema()},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


# --- previews --------------------------------------------------------------------------------


def _previews(described: Described) -> _Schema:
    """Give both forms of a preview's path, with and without options."""
    signature = "/{signature}" if described.signed else ""
    grammar = described.grammar
    sides = [_side("width", 0, grammar), _side("height", 1, grammar)]
    common = [*([_signature()] if signature else []), _mode(), *sides, _source()]
    forms = {
        f"{signature}/{{mode}}/{{width}}/{{height}}/{{source}}": common,
        f"{signature}/{{mode}}/{{width}}/{{height}}/{{options}}/{{source}}": [
            *common,
            _options(grammar),
        ],
    }
    return {
        path: {"parameters": parameters, **_methods(described)}
        for path, parameters in forms.items()
    }


def _methods(described: Described) -> _Schema:
    fields = [_header(name, text) for name, text in _HEADERS.items()]
    methods: _Schema = {
        "get": {
            "summary": "A preview of a picture",
            "parameters": fields,
            "responses": {**_pictures(with_body=True), **_failures()},
        },
        "head": {
            "summary": "The header of a preview",
            "parameters": fields,
            "responses": {**_pictures(with_body=False), **_bodiless(_failures())},
        },
    }
    if described.purging:
        methods["delete"] = {
            "summary": "Forget a picture and all that was made of it",
            "security": [{"token": []}],
            "responses": {"200": _purged(), **_failures({400, 403, 404, 405, 429})},
        }
    return methods


def _mode() -> _Schema:
    text = "fill covers the box and cuts; fit stays inside of it and is never enlarged"
    return _in_path("mode", text, {"enum": [*Mode]})


def _side(name: str, index: int, grammar: urls.Grammar) -> _Schema:
    schema: _Schema = {"type": "integer", "minimum": 1, "maximum": grammar.defaults.max_side}
    if grammar.sizes:
        schema["maximum"] = max(size[index] for size in grammar.sizes)
    return _in_path(name, "in pixels", schema)


def _source() -> _Schema:
    text = (
        "host[:port][/path], http[s]://host[:port][/path] or sample:name, with its query, "
        "percent-encoded as a whole; it need not be encoded where a client can send slashes"
    )
    schema = {"type": "string", "minLength": 1, "maxLength": urls.MAX_LENGTH}
    return {**_in_path("source", text, schema), "example": "sample:cat.jpg"}


def _signature() -> _Schema:
    return _in_path(
        "signature",
        "HMAC-SHA256 of what follows it, base64url",
        {"type": "string", "pattern": "^[A-Za-z0-9_-]{43}$"},
    )


def _options(grammar: urls.Grammar) -> _Schema:
    defaults = grammar.defaults
    hidden = set() if defaults.explain else {"explain"}
    properties = {
        key: {**option.read.schema, "description": f"{option.meaning}: {option.expected}"}
        for key, option in OPTIONS.items()
        if key not in hidden
    }
    if not defaults.faces:
        gravity = properties["g"]
        properties["g"] = {**gravity, "not": {"const": Anchor.FACE}}
    schema = {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "minProperties": 1,
    }
    text = "key=value joined by commas"
    return {**_in_path("options", text, schema), "style": "simple", "explode": True}


def _in_path(name: str, description: str, schema: _Schema) -> _Schema:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": schema,
    }


def _header(name: str, description: str) -> _Schema:
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string"}}


def _pictures(*, with_body: bool) -> _Schema:
    content: _Schema = {"content": {kind: {} for kind in _MEDIA_TYPES}} if with_body else {}
    fields = _fields("ETag", "Cache-Control", "Cache-Status", "X-Request-Id")
    found = {
        "200": {"description": "The preview", "headers": fields, **content},
        "304": {"description": "The client has it already", "headers": _fields("ETag")},
    }
    if with_body:
        found["206"] = {
            "description": "Part of the preview",
            "headers": _fields("ETag", "Content-Range"),
            **content,
        }
        found["416"] = {
            "description": "The range begins behind its end",
            "headers": _fields("Content-Range"),
        }
    return found


def _fields(*names: str) -> _Schema:
    return {name: {"schema": {"type": "string"}} for name in names}


# --- what may go wrong -----------------------------------------------------------------------


def _failures(only: Collection[int] | None = None) -> _Schema:
    """Give the statuses of problems, by what they mean; without `only` those of previews."""
    found = {
        str(status): _problem(meanings)
        for status, meanings in problems.meanings().items()
        if only is None or status in only
    }
    if only is None:
        found["4XX"] = _problem({"origin_refused": "The origin's own status, handed on."})
    return found


def _problem(meanings: Mapping[str, str]) -> _Schema:
    text = "\n".join(f"- `{code}`: {meaning}" for code, meaning in meanings.items())
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {"description": text, "content": {problems.MEDIA_TYPE: schema}}


def _bodiless(responses: _Schema) -> _Schema:
    return {status: {"description": each["description"]} for status, each in responses.items()}


# --- everything else -------------------------------------------------------------------------


def _purge() -> _Schema:
    addresses = {"type": "array", "items": {"type": "string"}}
    members = {"sources": addresses, "prefixes": addresses, "all": {"type": "boolean"}}
    schema = {"type": "object", "properties": members, "additionalProperties": False}
    return {
        "summary": "Forget pictures and all that was made of them",
        "security": [{"token": []}],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {**schema, "minProperties": 1}}},
        },
        "responses": {"200": _purged(), **_failures({400, 403, 404, 405, 429})},
    }


def _purged() -> _Schema:
    number = {"type": "integer", "minimum": 0}
    schema = {"type": "object", "properties": {"purged": number}, "required": ["purged"]}
    return {
        "description": "How many entries that were",
        "content": {"application/json": {"schema": schema}},
    }


def _health(path: str) -> _Schema:
    schema = {
        "type": "object",
        "properties": {"status": {"enum": ["ok", "ready", "degraded", "not ready"]}},
        "required": ["status"],
    }
    content = {"application/json": {"schema": schema}}
    answers = {"200": {"description": "It is", "content": content}}
    if path == "/readyz":
        answers["503"] = {"description": "It is not, yet", "content": content}
    return {
        "summary": "Whether it can do its work" if path == "/readyz" else "Whether it runs",
        "responses": {**answers, **_failures({405})},
    }


def _pages(pages: Mapping[str, str]) -> _Schema:
    if not pages:
        return {}
    folders = {path: path.rpartition("/") for path in pages if path != "/"}
    names = [name for _, _, name in folders.values()]
    kinds = {pages[path] for path in folders}
    of_it = [_in_path("name", "of the file", {"enum": names})]
    return {
        "/": {"get": _file("The page", {pages["/"]})},
        "/static/{name}": {
            "parameters": of_it,
            "get": _file("What belongs to the page", kinds, {404, 405}),
        },
    }


def _file(
    summary: str, kinds: Collection[str], failures: Collection[int] = frozenset({405})
) -> _Schema:
    content: _Schema = {kind.partition(";")[0]: {} for kind in sorted(kinds)}
    return {
        "summary": summary,
        "responses": {"200": {"description": "It", "content": content}, **_failures(failures)},
    }

"""Answers that are good HTTP: their statuses, codings and fields."""

from __future__ import annotations

import gzip
import zlib
from http import HTTPStatus

from tests.hostile.cases.base import (
    FAILED,
    LIMIT,
    NO_IMAGE,
    PAYLOAD,
    PHOTO,
    SHOWN,
    TIMEOUT,
    TOO_LARGE,
    Case,
    endless,
    head,
    says,
    shows,
    trickles,
    whole,
)
from tests.support.rude_origin import Act

# --- statuses --------------------------------------------------------------------------------

_NOT_FOR_THE_CLIENT = {407, 421}


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "no RFC knows it"


def with_status(status: int) -> Act:
    """Answer with a picture, but such a status."""
    return _says_status(b"%d %s" % (status, _phrase(status).encode()))


def _says_status(status: bytes) -> Act:
    return says(whole(PHOTO, status=status))


_REFUSALS = [
    Case(
        f"{status}",
        _phrase(status),
        FAILED if status in _NOT_FOR_THE_CLIENT else f"{status} origin_refused",
        with_status(status),
    )
    for status in (*range(400, 427), 428, 429, 431, 444, 451, 499)
]
_FAILURES = [
    Case(f"{status}", _phrase(status), FAILED, with_status(status))
    for status in (201, 202, 203, 206, 207, 208, 226, 299, 300, 305, 306, 500, 501, 502, 503, 504, 505,
                   506, 507, 508, 510, 511, 520, 599, 600, 999)
]  # fmt: skip
_BODILESS = [
    Case(f"{status}", _phrase(status), FAILED, says(head(status=b"%d No" % status)))
    for status in (101, 204, 205, 304)
]
_NUMBERS = [
    Case(f"status {status.decode()!r}", "is none", FAILED, _says_status(status))
    for status in (b"0 OK", b"99 OK", b"2 OK", b"20O OK", b"-200 OK", b"1000 OK", b"20000 OK", b"", b"OK")
]  # fmt: skip
_STATUSES = [
    *_REFUSALS,
    *_FAILURES,
    *_BODILESS,
    *_NUMBERS,
    Case("206 of a range", "that nobody asked for", FAILED, says(whole(PHOTO, b"Content-Range: bytes 0-9/10", status=b"206 Partial Content"))),
    Case("404 without end", "with an endless body", "404 origin_refused", endless(head(status=b"404 Not Found"), bytes(9999))),
    Case("500 without end", "with an endless body", FAILED, endless(head(status=b"500 Oh"), bytes(9999))),
    Case("404 and a page", "that is not handed on", "404 origin_refused", says(whole(b"<script>" + PAYLOAD, status=b"404 Not Found"))),
    Case("401 with fields", "that are not ours", "401 origin_refused", says(whole(b"", b"WWW-Authenticate: Basic realm=x", b"Set-Cookie: a=b", b"X-Evil: 1", status=b"401 No"))),
    Case("429 for a century", "in its Retry-After", "429 origin_refused", says(whole(b"", b"Retry-After: 99999999999999999999", status=b"429 No"))),
    Case("a reason of markup", "in the status line", "404 origin_refused", says(whole(b"", status=b"404 <script>" + PAYLOAD))),
]  # fmt: skip

# --- codings ---------------------------------------------------------------------------------

_ZEROS = bytes(200 * LIMIT)


def _coded(coding: bytes, body: bytes, expected: str, does: str) -> Case:
    return Case(
        f"{coding[:20]!a}: {does}", does, expected, shows(body, b"Content-Encoding: " + coding)
    )


_CODINGS = [
    _coded(b"gzip", gzip.compress(_ZEROS, 6), TOO_LARGE, "200 MiB in 200 kB"),
    _coded(b"deflate", zlib.compress(_ZEROS), TOO_LARGE, "200 MiB in 200 kB"),
    _coded(b"gzip", gzip.compress(PHOTO), SHOWN, "a picture"),
    _coded(b"gzip", gzip.compress(PHOTO)[:-20], FAILED, "cut short"),
    _coded(b"gzip", gzip.compress(PHOTO)[:-8] + bytes(8), FAILED, "a wrong sum"),
    _coded(b"gzip", PHOTO, FAILED, "none"),
    _coded(b"gzip", gzip.compress(b"") * 50_000, FAILED, "nothing, 50,000 times"),
    _coded(b"gzip", gzip.compress(gzip.compress(PHOTO)), NO_IMAGE, "twice, said once"),
    _coded(b"gzip, gzip", gzip.compress(gzip.compress(PHOTO)), FAILED, "twice"),
    _coded(b"identity, gzip", gzip.compress(PHOTO), FAILED, "a list"),
    _coded(b"br", b"\x8b\x02\x80" + bytes(99), FAILED, "not asked for"),
    _coded(b"zstd", b"\x28\xb5\x2f\xfd" + bytes(99), FAILED, "not asked for"),
    _coded(b"compress", b"\x1f\x9d\x90" + bytes(99), FAILED, "not asked for"),
    _coded(b"aes128gcm", PHOTO, FAILED, "not asked for"),
    _coded(b"\xff\xfe", PHOTO, FAILED, "no text"),
    _coded(b"a" * 5000, PHOTO, FAILED, "5,000 letters"),
    Case("gzip, then noise", "a MiB after its end", TOO_LARGE, shows(zlib.compress(PHOTO) + bytes(LIMIT), b"Content-Encoding: gzip")),
    Case("gzip at a trickle", "a byte each 20 ms", TIMEOUT, trickles(head(b"Content-Encoding: gzip"), gzip.compress(PHOTO))),
]  # fmt: skip

# --- fields that a preview takes along, or must not ------------------------------------------

_SAID = {
    "cookies": b"Set-Cookie: a=b; Domain=micropic.local",
    "X-Evil": b"X-Evil: 1",
    "X-Accel-Redirect": b"X-Accel-Redirect: /etc/passwd",
    "X-Sendfile": b"X-Sendfile: /etc/passwd",
    "Refresh": b"Refresh: 0; url=http://evil.example/",
    "Clear-Site-Data": b'Clear-Site-Data: "*"',
    "Link": b"Link: <http://evil.example/>; rel=preload",
    "Access-Control": b"Access-Control-Allow-Origin: *",
    "CSP": b"Content-Security-Policy: report-uri http://evil.example/",
    "HSTS": b"Strict-Transport-Security: max-age=99999999",
    "Alt-Svc": b'Alt-Svc: h3="evil.example:443"',
    "an attachment": b'Content-Disposition: attachment; filename="evil.exe"',
    "a page's type": b"Content-Type: text/html",
    "a script's type": b"Content-Type: text/javascript",
    "a type of 5 kB": b"Content-Type: image/" + b"a" * 5000,
    "no type": b"Content-Type:",
    "a language": b"Content-Language: \xff",
    "an age of aeons": b"Age: 99999999999999999999999999",
    "a negative age": b"Age: -99999999999",
    "an age of words": b"Age: old",
    "fresh for ever": b"Cache-Control: max-age=99999999999999999999999",
    "fresh for less than nothing": b"Cache-Control: max-age=-1",
    "directives by the hundred": b"Cache-Control: " + b", ".join([b"a=b"] * 900),
    "an open quote": b'Cache-Control: private="a, b',
    "expired in the year 0": b"Expires: Sat, 00 Jan 0000 00:00:00 GMT",
    "expires in the year 99999": b"Expires: Fri, 31 Dec 99999 23:59:59 GMT",
    "from the future": b"Date: Fri, 31 Dec 9999 23:59:59 GMT",
    "a date of words": b"Date: today",
    "changed in the year 0": b"Last-Modified: Sat, 00 Jan 0000 00:00:00 GMT",
    "changed in the far future": b"Last-Modified: Fri, 31 Dec 9999 23:59:59 +9999",
    "a tag of 5 kB": b'ETag: "' + b"a" * 5000 + b'"',
    "a tag with no quotes": b"ETag: a, b; c",
    "a tag of no text": b'ETag: "\xff\xfe"',
    "varies by all": b"Vary: *",
    "varies by 900 fields": b"Vary: " + b", ".join([b"a"] * 900),
    "varies by cookies": b"Vary: Cookie, Authorization, Host",
    "varies by no field": b"Vary: a b, \xff, :",
    "a length in its range": b"Content-Range: bytes 0-9/99999999",
}
_FIELDS = [
    Case(f"says {name}", ascii(field)[2:40], SHOWN, shows(PHOTO, field))
    for name, field in _SAID.items()
]

CASES = [*_STATUSES, *_CODINGS, *_FIELDS]

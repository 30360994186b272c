"""Answers that are hardly HTTP, never end, or end too early."""

from __future__ import annotations

import gzip

from tests.hostile.cases.base import (
    CHUNKED,
    FAILED,
    LIMIT,
    NO_IMAGE,
    PHOTO,
    SHOWN,
    TIMEOUT,
    TOO_LARGE,
    Case,
    breaks,
    chunk,
    endless,
    head,
    says,
    stays,
    trickles,
    whole,
)
from tests.support.rude_origin import Visit

_LENGTH = b"Content-Length: %d" % len(PHOTO)
_NOISE = bytes(range(256)) * 64


async def _closes(_: Visit) -> None:
    """Close before anything was said."""


async def _resets(visit: Visit) -> None:
    visit.reset()


async def _resets_when_asked(visit: Visit) -> None:
    await visit.asked()
    visit.reset()


async def _is_silent(visit: Visit) -> None:
    await visit.gone()


async def _is_silent_with_its_end_closed(visit: Visit) -> None:
    visit.end()
    await visit.gone()


async def _says_before_it_is_asked(visit: Visit) -> None:
    """Send an answer to nothing: it must not count as that to the request which comes then."""
    await visit.send(whole(b"x", status=b"404 Not Found"))
    while await visit.asked():
        await visit.send(whole(PHOTO))


async def _says_more_than_it_is_asked(visit: Visit) -> None:
    """Send two answers to a request, of which the second must not count as that to the next."""
    while await visit.asked():
        if visit.target == "/a":
            there = whole(b"", b"Location: /b", status=b"302 Found")
            await visit.send(there + whole(b"x", status=b"404 Not Found"))
        else:
            await visit.send(whole(PHOTO))


async def _says_on_and_on(visit: Visit) -> None:
    """Answer, then go on answering what nobody has asked, on a connection that is kept."""
    if await visit.asked():
        await visit.send(whole(PHOTO))
        while True:
            await visit.send(whole(b"", status=b"404 Not Found") * 100)


_SILENCE = [
    Case("closes", "closes at once", FAILED, _closes),
    Case("resets", "resets at once", FAILED, _resets),
    Case("resets when asked", "resets once it was asked", FAILED, _resets_when_asked),
    Case("silent", "never answers", TIMEOUT, _is_silent),
    Case("silent, closed", "closes its end, never answers", FAILED, _is_silent_with_its_end_closed),
    Case("stops in the status line", "falls silent there", TIMEOUT, stays(b"HTTP/1.1 20")),
    Case("stops in the header", "falls silent there", TIMEOUT, stays(head(b"X-A: b")[:-2])),
    Case("stops before the body", "falls silent there", TIMEOUT, stays(head(_LENGTH))),
    Case("stops in the body", "falls silent there", TIMEOUT, stays(whole(PHOTO)[:-100])),
    Case("stops in a chunk", "falls silent there", TIMEOUT, stays(CHUNKED + chunk(PHOTO)[:-100])),
    Case("stops after the chunks", "never sends the last", TIMEOUT, stays(CHUNKED + chunk(PHOTO))),
    Case("stops, no length", "never closes", TIMEOUT, stays(head() + PHOTO)),
    Case("trickles the header", "a byte each 20 ms", TIMEOUT, trickles(b"", head(b"A: " + b"a" * 999))),
    Case("trickles the body", "a byte each 20 ms", TIMEOUT, trickles(head(_LENGTH), PHOTO)),
    Case("trickles chunks", "a byte each 20 ms", TIMEOUT, trickles(CHUNKED, chunk(b"a") * 999)),
    Case("resets in the header", "breaks off there", FAILED, breaks(head(b"X-A: b")[:-2])),
    Case("resets in the body", "breaks off there", FAILED, breaks(whole(PHOTO)[:-100])),
    Case("resets, no length", "breaks off there", FAILED, breaks(head() + PHOTO[:-100])),
    Case("closes after a 103", "breaks off there", FAILED, says(head(status=b"103 Early Hints"))),
    Case("resets after a 103", "breaks off there", FAILED, breaks(head(status=b"103 Early Hints"))),
    Case("stops after a 103", "falls silent there", TIMEOUT, stays(head(status=b"103 Early Hints"))),
    Case("closes in the status line", "breaks off there", FAILED, says(b"HTTP/1.1 20")),
    Case("closes in the header", "breaks off there", FAILED, says(head(b"X-A: b")[:-2])),
    Case("closes before the body", "breaks off there", FAILED, says(head(_LENGTH))),
    Case("closes in the body", "breaks off there", FAILED, says(whole(PHOTO)[:-100])),
    Case("closes in a chunk", "breaks off there", FAILED, says(CHUNKED + chunk(PHOTO)[:-100])),
    Case("closes after the chunks", "sends no last one", FAILED, says(CHUNKED + chunk(PHOTO))),
    Case("closed port", "nobody listens", FAILED, _closes, source="{closed}/a"),
    Case("full backlog", "takes no connection", TIMEOUT, _closes, source="{full}/a"),
    Case("speaks first", "answers before it is asked", "404 origin_refused", _says_before_it_is_asked),
    Case("speaks on and on", "answers nobody asked for", SHOWN, _says_on_and_on),
    Case("speaks twice", "two answers to one request", SHOWN, _says_more_than_it_is_asked),
]  # fmt: skip

_ENDLESS = [
    Case("endless body", "without a length", TOO_LARGE, endless(head(), _NOISE)),
    Case("endless photo", "a picture, then noise", TOO_LARGE, endless(head() + PHOTO, _NOISE)),
    Case("endless chunks", "of 16 kB", TOO_LARGE, endless(CHUNKED, chunk(_NOISE))),
    Case("a chunk of exabytes", "16 hex digits", TOO_LARGE, endless(CHUNKED + b"7ffffffffffffff0\r\n", _NOISE)),
    Case("1 MiB and a byte", "says so", TOO_LARGE, says(head(b"Content-Length: %d" % (LIMIT + 1)))),
    Case("a terabyte", "says so, sends nothing", TOO_LARGE, stays(head(b"Content-Length: 1099511627776"))),
    Case("2^63 bytes", "says so", TOO_LARGE, stays(head(b"Content-Length: 9223372036854775808"))),
    Case("10^40 bytes", "says so", FAILED, stays(head(b"Content-Length: 1" + b"0" * 40))),
    Case("endless status line", "never ends it", FAILED, endless(b"HTTP/1.1 200 ", _NOISE.replace(b"\n", b""))),
    Case("endless field", "one value", FAILED, endless(head(b"X-A: ")[:-4], b"a" * 4096)),
    Case("endless name", "one name", FAILED, endless(head()[:-2], b"a" * 4096)),
    Case("endless fields", "short ones", FAILED, endless(head()[:-2], b"X-A: b\r\n" * 100)),
    Case("endless folds", "one value in lines", FAILED, endless(head(b"X-A: b")[:-2], b" c\r\n" * 100)),
    Case("endless empty lines", "before a header", FAILED, endless(b"", b"\r\n" * 1000)),
    Case("endless 100s", "100 Continue", FAILED, endless(b"", head(status=b"100 Continue"))),
    Case("endless 103s", "103 Early Hints", FAILED, endless(b"", head(b"Link: </a>", status=b"103 Early Hints"))),
    Case("endless trailers", "after the last chunk", FAILED, endless(CHUNKED + chunk(PHOTO) + b"0\r\n", b"X-A: b\r\n" * 100)),
    Case("endless trailer", "one value", FAILED, endless(CHUNKED + chunk(PHOTO) + b"0\r\nX-A: ", b"a" * 4096)),
    Case("endless chunk size", "digits", FAILED, endless(CHUNKED, b"0" * 4096)),
    Case("endless chunk extension", "one", FAILED, endless(CHUNKED + b"5;a=", b"a" * 4096)),
    Case("chunk extensions", "more than chunks", FAILED, endless(CHUNKED, b"1;a=" + b"a" * 4096 + b"\r\na\r\n")),
    Case("9 kB of a field", "one value", FAILED, says(whole(PHOTO, b"X-A: " + b"a" * 9000))),
    Case("9 kB of a reason", "in the status line", FAILED, says(whole(PHOTO, status=b"200 " + b"a" * 9000))),
    Case("1,000 fields", "short ones", FAILED, says(whole(PHOTO, *[b"X-A: b"] * 1000))),
    Case("100 fields of 8 kB", "more than is needed", FAILED, says(whole(PHOTO, *[b"X-A: " + b"a" * 8000] * 100))),
    Case("1,000 cookies", "Set-Cookie", FAILED, says(whole(PHOTO, *[b"Set-Cookie: a=b"] * 1000))),
    Case("endless gzip head", "a file name in it", TOO_LARGE, endless(head(b"Content-Encoding: gzip") + b"\x1f\x8b\x08\x08" + bytes(6), b"a" * 16384)),
]  # fmt: skip


def _length(value: bytes) -> bytes:
    return head(b"Content-Length: " + value) + PHOTO


def _chunked(body: bytes) -> bytes:
    return CHUNKED + body + b"0\r\n\r\n"


_FRAMING = [
    Case("too long by 100", "says more than it sends", FAILED, says(_length(b"%d" % (len(PHOTO) + 100)))),
    Case("length -1", "no length", FAILED, says(_length(b"-1"))),
    Case("length +5", "no length", FAILED, says(_length(b"+5"))),
    Case("length 0x10", "no length", FAILED, says(_length(b"0x10"))),
    Case("length of words", "no length", FAILED, says(_length(b"much"))),
    Case("length empty", "no length", FAILED, says(_length(b""))),
    Case("length '5, 5'", "no length", FAILED, says(_length(b"5, 5"))),
    Case("two lengths", "that differ", FAILED, says(head(_LENGTH, b"Content-Length: 5") + PHOTO)),
    Case("length twice", "the same", FAILED, says(head(_LENGTH, _LENGTH) + PHOTO)),
    Case("length and chunks", "both framings", FAILED, says(head(_LENGTH, b"Transfer-Encoding: chunked") + chunk(PHOTO) + b"0\r\n\r\n")),
    Case("chunked, then not", "so the end of the connection counts", SHOWN, says(head(b"Transfer-Encoding: chunked, identity") + PHOTO)),
    Case("a coding on the way", "Transfer-Encoding: gzip, chunked", NO_IMAGE, says(head(b"Transfer-Encoding: gzip, chunked") + chunk(gzip.compress(PHOTO)) + b"0\r\n\r\n")),
    Case("xchunked", "so the end of the connection counts", SHOWN, says(head(b"Transfer-Encoding: xchunked") + PHOTO)),
    Case("no chunk size", "is no number", FAILED, says(_chunked(b"zz\r\na\r\n"))),
    Case("negative chunk", "-5", FAILED, says(_chunked(b"-5\r\nabcde\r\n"))),
    Case("chunk of 2^80", "more than 64 bits", FAILED, says(_chunked(b"f" * 20 + b"\r\na\r\n"))),
    Case("chunk too long", "more than it says", FAILED, says(_chunked(b"3\r\nabcde\r\n"))),
    Case("chunk without its end", "no CR LF", FAILED, says(_chunked(b"5\r\nabcde"))),
    Case("chunk size 0x5", "with a prefix", FAILED, says(_chunked(b"0x5\r\nabcde\r\n"))),
    Case("bytes after the end", "of the last chunk", FAILED, says(_chunked(chunk(PHOTO)) + _NOISE)),
    Case("a length in a trailer", "after the chunks", FAILED, says(CHUNKED + chunk(PHOTO) + b"0\r\nContent-Length: 5\r\n\r\n")),
    Case("trailers", "that would be fields", SHOWN, says(CHUNKED + chunk(PHOTO) + b"0\r\nX-Evil: 1\r\n\r\n")),
]  # fmt: skip

_BANNERS = {
    "HTTP/0.9": (b"", "a picture and no header"),
    "HTTP/2": (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64", "SETTINGS"),
    "HTTP/3.7": (head(version=b"HTTP/3.7"), "such a version"),
    "HTTP/1.10": (head(version=b"HTTP/1.10"), "such a version"),
    "http/1.1": (head(version=b"http/1.1"), "in lower case"),
    "ICY": (head(version=b"ICY"), "as radio stations do"),
    "SSH": (b"SSH-2.0-OpenSSH_9.2\r\n", "another protocol"),
    "SMTP": (b"220 mail.example ESMTP\r\n", "another protocol"),
    "Redis": (b"-ERR unknown command 'GET'\r\n", "another protocol"),
    "a TLS alert": (b"\x15\x03\x01\x00\x02\x02\x28", "as to plain HTTP"),
    "AMQP": (b"AMQP\x00\x00\x09\x01", "another protocol"),
    "noise": (_NOISE, "16 kB of it"),
    "NULs": (bytes(16384), "16 kB of them"),
    "a request": (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "to us"),
}
_NO_HTTP = [Case(name, does, FAILED, says(data + PHOTO)) for name, (data, does) in _BANNERS.items()]

_FIELDS = {
    "NUL in a value": b"X-A: a\0b",
    "NUL in a name": b"X-\0A: b",
    "a bare CR": b"X-A: a\rX-Evil: 1",
    "a blank before the colon": b"X-A : b",
    "no colon": b"X-A",
    "no name": b": b",
    "a name of two words": b"X A: b",
}
_BAD_FIELDS = [
    Case(name, f"{field!r}", FAILED, says(whole(PHOTO, field))) for name, field in _FIELDS.items()
]
_ODD = [
    Case("RTSP", "and a picture", SHOWN, says(whole(PHOTO).replace(b"HTTP/1.1", b"RTSP/1.0"))),
    Case("ESC in a value", "of a field that is not looked at", SHOWN, says(whole(PHOTO, b"X-A: \x1b[2J"))),
    Case("bare LFs", "end its lines", SHOWN, says(whole(PHOTO).replace(b"\r\n", b"\n", 2))),
    Case("folded lines", "obs-fold", SHOWN, says(whole(PHOTO, b"X-A: a\r\n b"))),
    Case("Latin-1 in a value", "bytes over 127", SHOWN, says(whole(PHOTO, b"X-A: \xff\xfe"))),
    Case("a fake end", "blank first line", FAILED, says(b"\r\n\0\r\n" + whole(PHOTO))),
    Case("HTTP/1.0, no length", "closes at the end", SHOWN, says(head(version=b"HTTP/1.0") + PHOTO)),
    Case("Upgrade", "to h2c, with a 200", SHOWN, says(whole(PHOTO, b"Connection: Upgrade", b"Upgrade: h2c"))),
    Case("three 103s", "then a picture", SHOWN, says(head(status=b"103 Early Hints") * 3 + whole(PHOTO))),
]  # fmt: skip

CASES = [*_SILENCE, *_ENDLESS, *_FRAMING, *_NO_HTTP, *_BAD_FIELDS, *_ODD]

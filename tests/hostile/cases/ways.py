"""Where an origin leads to: redirects, names, other protocols, and back to the service."""

from __future__ import annotations

from tests.hostile.cases.answers import with_status
from tests.hostile.cases.base import (
    FAILED,
    FORBIDDEN,
    LOOP,
    NO_ADDRESS,
    PHOTO,
    SHOWN,
    TIMEOUT,
    Case,
    head,
    is_clean,
    moves,
    says,
    shows,
    trickles,
    whole,
)
from tests.support.rude_origin import Act, Visit

# --- redirects -------------------------------------------------------------------------------


def _moves_on(steps: int, *, last: bool = True) -> Act:
    """Redirect so many times, to a new place each time, then show a picture; or never."""

    async def act(visit: Visit) -> None:
        while await visit.asked():
            number = len(visit.target) - 2
            if number < steps or not last:
                there = b"Location: " + visit.target.encode() + b"a"
                await visit.send(whole(b"", there, status=b"302 Found"))
            else:
                await visit.send(whole(PHOTO))

    return act


async def _moves_in_a_ring(visit: Visit) -> None:
    while await visit.asked():
        there = b"/b" if visit.target == "/a" else b"/a"
        await visit.send(whole(b"", b"Location: " + there, status=b"302 Found"))


async def _moves_with_an_endless_body(visit: Visit) -> None:
    await visit.asked()
    if visit.target == "/a":
        await visit.send(head(b"Location: /b", status=_MOVED))
        while True:
            await visit.send(bytes(9999))
    await visit.send(whole(PHOTO))


_MOVED = b"302 Found"
_NOWHERE = [
    Case(f"{status} to nowhere", "no Location", FAILED, with_status(status))
    for status in (301, 302, 303, 307, 308)
]
_PLACES = {
    "a private host": (b"http://10.0.0.1/", FORBIDDEN),
    "the loopback": (b"http://127.0.0.2/", FORBIDDEN),
    "the loopback in decimal": (b"http://2130706434/", FORBIDDEN),
    "the loopback in hex": (b"http://0x7f.0.0.2/", FORBIDDEN),
    "the loopback in octal": (b"http://0177.0.0.2/", FORBIDDEN),
    "the loopback, short": (b"http://127.2/", FORBIDDEN),
    "the loopback in IPv6": (b"http://[::1]/", FORBIDDEN),
    "the loopback, mapped": (b"http://[::ffff:127.0.0.2]/", FORBIDDEN),
    "the loopback by NAT64": (b"http://[64:ff9b::7f00:2]/", FORBIDDEN),
    "the loopback, by another scheme": (b"https://127.0.0.2/", FORBIDDEN),
    "the loopback, by no scheme": (b"//127.0.0.2/", FORBIDDEN),
    "the loopback, backslashed": (rb"http:\\127.0.0.2/", SHOWN),
    "a zone": (b"http://[fe80::1%25lo]/", FAILED),
    "metadata": (b"http://169.254.169.254/latest/meta-data/", FORBIDDEN),
    "metadata in IPv6": (b"http://[fd00:ec2::254]/", FORBIDDEN),
    "a private name": (b"http://private.example/", FORBIDDEN),
    "a private name with a dot": (b"http://PRIVATE.example./", FORBIDDEN),
    "a name of two minds": (b"http://both.example/", FORBIDDEN),
    "a name of nobody": (b"http://nobody.example/", FAILED),
    "SSH": (b"http://127.0.0.1:22/", FORBIDDEN),
    "Redis by IRC": (b"http://127.0.0.1:6667/", FORBIDDEN),
    "SMTP": (b"http://127.0.0.1:25/", FORBIDDEN),
    "port 0": (b"http://127.0.0.1:0/", FAILED),
    "port 65536": (b"http://127.0.0.1:65536/", FAILED),
    "a file": (b"file:///etc/passwd", FAILED),
    "FTP": (b"ftp://127.0.0.1/a.png", FAILED),
    "gopher": (b"gopher://127.0.0.1:6379/_FLUSHALL", FAILED),
    "data": (b"data:image/png;base64,iVBORw0KGgo=", FAILED),
    "a script": (b"javascript:alert(1)", FAILED),
    "a sample": (b"sample:cat.jpg", FAILED),
    "a user": (b"http://user:secret@{here}/b", FAILED),
    "a user that looks like a host": (b"http://www.example.com@127.0.0.2/", FAILED),
    "two hosts": (b"http://{here}/b, http://127.0.0.2/", SHOWN),
    "no host": (b"http:///", SHOWN),
    "no host at all": (b"http://", FAILED),
    "a host of 300 letters": (b"http://" + b"a" * 300 + b"/", FAILED),
    "an open bracket": (b"http://[::1/", FAILED),
    "itself": (b"", FAILED),
    "8,200 bytes": (b"/b" + b"b" * 8200, FAILED),
    "a new line": (b"/b%0d%0aX-Evil:%201%0d%0a%0d%0a", SHOWN),
    "a new line in a host": (b"http://{here}%0d%0aX-Evil:%201/b", FAILED),
    "blanks": (b"/b HTTP/1.1 X-Evil: 1", SHOWN),
    "Latin-1": (b"/b\xff\xfe", SHOWN),
    "NUL, encoded": (b"/b%00", SHOWN),
    "a fragment": (b"/b#X-Evil", SHOWN),
    "many dots": (b"/../../../../b", SHOWN),
    "plain HTTP by TLS": (b"https://{here}/b", TIMEOUT),
    "a closed port": (b"http://{closed}/", FAILED),
    "ourselves": (b"http://{service}/fill/30/20/{here}/b", FAILED),
}
_REDIRECTS = [
    *_NOWHERE,
    *(Case(f"to {name}", f"{where.decode('latin-1')[:40]}", expected, moves(where))
      for name, (where, expected) in _PLACES.items()),
    Case("in a ring", "of two", FAILED, _moves_in_a_ring),
    Case("on and on", "each to a new place", FAILED, _moves_on(0, last=False)),
    Case("ten times", "then a picture", SHOWN, _moves_on(10)),
    Case("eleven times", "then a picture", FAILED, _moves_on(11)),
    Case("with a cookie", "for the next hop", SHOWN, moves(b"/b", b"Set-Cookie: a=b")),
    Case("with two Locations", "the second private", SHOWN, moves(b"/b", b"Location: http://127.0.0.2/")),
    Case("with an endless body", "that is not read", SHOWN, _moves_with_an_endless_body),
    Case("with a NUL", "in its Location", FAILED, says(whole(b"", b"Location: /b\0", status=_MOVED))),
    Case("at a trickle", "the Location", TIMEOUT, trickles(b"", whole(b"", b"Location: /" + b"b" * 999, status=_MOVED))),
]  # fmt: skip

# --- no such place -------------------------------------------------------------------------------


async def _looks_at_the_request(visit: Visit) -> None:
    if await visit.asked():
        clean = is_clean(visit.head) and b"forwarded" not in visit.head.lower()
        await visit.send(whole(PHOTO if clean else b"", status=b"200 OK" if clean else b"404 No"))


def _blurts(data: bytes) -> Act:
    async def act(visit: Visit) -> None:
        await visit.heard()
        await visit.send(data)

    return act


async def _listens(visit: Visit) -> None:
    await visit.gone()


_PHOTO_ACT = shows(PHOTO)
_ALERT = b"\x15\x03\x03\x00\x02\x02\x28"
_PLACELESS = [
    Case("no such name", "NXDOMAIN", FAILED, _PHOTO_ACT, source="nobody.example/a"),
    Case("a silent name server", "says nothing", TIMEOUT, _PHOTO_ACT, source="silent.example/a"),
    Case("a private name", "10.0.0.1", FORBIDDEN, _PHOTO_ACT, source="private.example/a"),
    Case("a name of two minds", "all of them private", FORBIDDEN, _PHOTO_ACT, source="both.example/a"),
    Case("TLS to plain HTTP", "says 400 to a ClientHello", FAILED, _blurts(head(status=b"400 Bad Request")), source="https://{here}/a"),
    Case("TLS: noise", "for a ServerHello", FAILED, _blurts(bytes(range(256))), source="https://{here}/a"),
    Case("TLS: an alert", "for a ServerHello", FAILED, _blurts(_ALERT), source="https://{here}/a"),
    Case("TLS to nothing", "waits for a request", TIMEOUT, _PHOTO_ACT, source="https://{here}/a"),
    Case("TLS: silence", "for a ServerHello", TIMEOUT, _listens, source="https://{here}/a"),
    Case("TLS: a reset", "for a ServerHello", FAILED, _blurts(b""), source="https://{here}/a"),
    Case("ourselves", "the service's own address", FAILED, _PHOTO_ACT, source="{service}/fill/9/9/{here}/a"),
    Case("our purge", "the service's own", "404 origin_refused", _PHOTO_ACT, source="{service}/purge"),
    Case("a loop", "a client that has been here", LOOP, _PHOTO_ACT, headers={"CDN-Loop": "micropic"}),
    Case("a long way", "CDN-Loop with others on it", SHOWN, _looks_at_the_request, headers={"CDN-Loop": "a, b;v=1"}),
    Case("a client's own word", "on who it is", SHOWN, _looks_at_the_request, headers={"X-Forwarded-For": "10.0.0.1", "Forwarded": "for=10.0.0.1", "Cookie": "a=b"}),
    Case("a user in the source", "credentials in a URL", NO_ADDRESS, _PHOTO_ACT, source="user:secret@{here}/a"),
    Case("a file", "another scheme", NO_ADDRESS, _PHOTO_ACT, source="file:///etc/passwd"),
    Case("port 0", "is none", NO_ADDRESS, _PHOTO_ACT, source="127.0.0.1:0/a"),
    Case("port 6667", "another protocol's", FORBIDDEN, _PHOTO_ACT, source="127.0.0.1:6667/a"),
]  # fmt: skip

CASES = [*_REDIRECTS, *_PLACELESS]

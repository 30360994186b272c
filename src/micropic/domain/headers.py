r"""Which of the client's header fields reach the origin, and what they make of the response.

Every field is of one kind. Names are compared in lower case; all that is neither letter nor digit
is equal in all lists but the plain one, because CGI, WSGI and PHP cannot tell `_`, `-` and `.` apart.

| kind | which | to the origin | the response |
|---|---|---|---|
| withheld | hop-by-hop fields, fields that micropic sets itself (`Host`, `Accept`, `Range`, ...), those about the way here (`Forwarded`, `X-Forwarded-*`, `X-Real-IP`, ...), those that unlock a cloud's metadata service | never | |
| hop | added by proxies, CDNs and tracing: `Via`, `traceparent`, `X-Request-Id`, `CF-*` but for `Cf-Access-*`, ..., and `source.hop_headers` | only if `source.forward_headers` names the field | shared |
| identity | `Authorization`, `Cookie`, and `source.identity_headers`: tokens, API keys, sessions and the fields of access proxies | only to `source.credential_hosts` | `private, no-store`, never stored |
| plain | what browsers send as a matter of course: `User-Agent`, `Accept-Language`, `Referer`, `Origin`, `Sec-*`, ... | yes | shared |
| keyed | all others | yes | stored per value, as if the origin had sent `Vary`; `private` for caches in front |

A redirect to another origin takes only the plain fields along.
"""  # noqa: E501 # a table, shown in docs/http.md

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from dataclasses import field as member
from enum import Enum
from fnmatch import fnmatchcase
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple

from micropic.domain.errors import LoopDetected
from micropic.domain.model import Headers

CDN_ID = "micropic"
"""How this service calls itself in CDN-Loop (RFC 8586)."""

ALL = "all"
"""In `FieldRules.forward`: every field that may reach an origin, but for those of hops."""

CREDENTIALS = frozenset({"authorization", "cookie"})
"""Identity, whatever the operator lists."""

_HOP_BY_HOP = {
    "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "http2-settings",
}  # fmt: skip
_OURS = {
    "host", "range", "accept", "accept-encoding", "expect", "cdn-loop",
    "content-length", "content-type", "content-encoding",
    # RFC 9842: what Accept-Encoding refers to.
    "available-dictionary", "dictionary-id",
}  # fmt: skip
_ABOUT_THE_WAY = {
    "forwarded", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip", "x-host",
}  # fmt: skip
_METADATA = {"metadata", "metadata-flavor", "x-google-metadata-request"}
_NEVER = frozenset(_HOP_BY_HOP | _OURS | _ABOUT_THE_WAY | _METADATA)
_NEVER_PREFIXES = (
    "proxy-", "x-forwarded-", "if-", "x-aws-ec2-metadata-", "x-aliyun-ecs-metadata-",
    # These can make an origin answer for another address than the one that it is asked for.
    "x-original-", "x-rewrite-", "x-http-method",
)  # fmt: skip

_LONGEST_CONNECTION = 1024
"""Characters of Connection that are read: clients name two or three fields in it."""
# The name comes first, so that it is searched for at the speed of `in`.
_THROUGH_US = re.compile(rf"{CDN_ID}(?<![^, \t]{CDN_ID})[ \t]*(?:[;,]|$)")

PLAIN = (
    "user-agent", "accept-language", "referer", "origin", "sec-*", "dnt", "priority", "save-data",
    "upgrade-insecure-requests", "cache-control", "pragma", "attribution-reporting-*",
)  # fmt: skip
"""What browsers send with every image, without a page's doing."""

HOPS = (
    # HTTP, and tracing
    "via", "alt-used", "early-data", "max-forwards", "surrogate-capability",
    "traceparent", "tracestate", "baggage", "b3", "x-b3-*", "uber-trace-id", "sentry-trace",
    "x-datadog-*", "x-request-id", "x-correlation-id", "x-trace-id", "request-id",
    "correlation-id", "x-amzn-trace-id", "x-amzn-requestid", "x-cloud-trace-context",
    # CDNs and clouds
    "cf-*", "x-amz-cf-*", "cloudfront-*", "x-varnish", "fastly-*", "akamai-*", "x-akamai-*",
    "x-azure-*", "x-fd-healthprobe", "x-vercel-*", "x-nf-*", "fly-*", "do-connecting-ip",
    "incap-client-ip", "x-sucuri-*", "x-arr-log-id", "x-arr-ssl", "x-site-deployment-id",
    "was-default-hostname", "disguised-host", "x-appservice-proto", "x-waws-*",
    # reverse proxies and meshes
    "x-envoy-*", "x-scheme", "x-url-scheme", "x-request-start", "x-queue-start", "connect-time",
    "total-route-time", "x-cluster-client-ip", "client-ip", "front-end-https",
)  # fmt: skip
"""What proxies on the way add, mostly another value for each request."""

_NO_HOPS = ("cf-access-*",)

IDENTITY = (
    # by what names have in common
    "*token*", "*jwt*", "*secret*", "*api-key*", "*apikey*", "*authorization*", "*session*",
    "*cookie*", "*csrf*", "*xsrf*", "*password*", "*passwd*", "*bearer*", "*credential*",
    "*access-key*", "*subscription-key*", "*-otp", "*signature*", "x-functions-key", "dpop",
    # access proxies and single sign-on
    "cf-access-*", "x-goog-iap-*", "x-goog-authenticated-user-*", "x-amzn-oidc-*",
    "x-appengine-user-*", "x-auth", "x-auth-*", "auth-*",
    "x-authenticated-*", "x-authentik-*", "x-authelia-*", "x-ms-client-principal*",
    "x-pomerium-*", "x-vouch-*", "x-webauth-*", "x-consumer-*", "x-oidc-*", "oidc-*",
    "remote-*", "x-remote-*", "tailscale-*", "teleport-*", "mellon-*", "shib-*", "iv-user",
    "iv-groups", "iv-creds", "sm-user*", "smuser", "oam-remote-user", "x-user", "x-user-id",
    "x-user-name", "x-user-email", "x-user-groups", "x-user-roles", "x-username", "x-userinfo",
    "x-email", "x-*-user", "x-*-user-id", "x-*-user-email", "x-*-username", "x-*-email",
    # client certificates
    "ssl-*", "x-ssl-*", "x-amzn-mtls-*", "client-cert*", "x-client-cert*", "x-arr-clientcert",
    "x-tls-client-*",
)  # fmt: skip
"""What tells an origin who the client is, beside `CREDENTIALS`."""

_OUR_LOOP = ("cdn-loop", CDN_ID)
_DIGITS = 40
"""Of a hash, in hexadecimal: 160 bits, more than a client can find a collision for."""
_TRACE = frozenset({"traceparent", "tracestate"})

_ODD = re.compile("[^a-z0-9]")
_WORD = re.compile(r"\*[^*]+\*")
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LOWER_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
# Neither control characters nor marks that break lines or turn the direction of writing.
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]*")


class Kind(Enum):
    """What is done with a field; see the table of this module."""

    WITHHELD = "withheld"
    HOP = "hop"
    IDENTITY = "identity"
    PLAIN = "plain"
    KEYED = "keyed"


class _Names(NamedTuple):
    """Names and patterns of names; a header full of unknown names takes about 2 ms."""

    words: tuple[str, ...]
    """Of patterns such as `*token*`."""
    others: re.Pattern[str]

    def have(self, folded: str) -> bool:
        """Return True if a name is among them."""
        return bool(self.others.fullmatch(folded)) or any(word in folded for word in self.words)


def _names(patterns: Iterable[str]) -> _Names:
    folded = {"*".join(map(_fold, pattern.split("*"))) for pattern in patterns}
    words = {pattern for pattern in folded if _WORD.fullmatch(pattern)}
    others = [re.escape(pattern).replace(r"\*", ".*") for pattern in sorted(folded - words)]
    return _Names(tuple(sorted(word.strip("*") for word in words)), re.compile("|".join(others)))


@dataclass(frozen=True, eq=False)
class FieldRules:
    """The operator's choice; compared by identity, so that a look-up by it costs nothing."""

    forward: Collection[str] = frozenset({ALL})
    """The only names that may reach an origin, in lower case; `ALL` with hop fields beside it."""
    hops: Collection[str] = ()
    """More hop fields; `*` stands for anything, as in the lists of this module."""
    identity: Collection[str] = IDENTITY
    """The identity fields, beside `CREDENTIALS`."""
    _hops: _Names = member(init=False)
    _identity: _Names = member(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hops", _names([*HOPS, *self.hops]))
        object.__setattr__(self, "_identity", _names([*CREDENTIALS, *self.identity]))

    def kind(self, name: str) -> Kind:
        """Return the kind of a field, by its name in lower case."""
        return _kind(self, name)

    def is_hop(self, folded: str) -> bool:
        """Return True if proxies on the way add it."""
        return self._hops.have(folded) and not _MATCH_NO_HOPS.have(folded)

    def is_identity(self, folded: str) -> bool:
        """Return True if it tells an origin who the client is."""
        return self._identity.have(folded)


class ClientFields(NamedTuple):
    """A request's header fields, as far as they concern the origin."""

    headers: Headers
    """Those that may reach an origin, identity included, and our CDN-Loop."""
    public: Headers
    """The same without identity: for hosts outside `source.credential_hosts`."""
    keyed_by: tuple[str, ...]
    """The names of the keyed fields, sorted."""
    digest: str
    """Hash of the keyed fields, the same whatever their order; empty if there are none."""
    trace: Headers
    """The client's trace context, for our own spans."""

    @property
    def has_identity(self) -> bool:
        """Whether a response may be meant for this client alone."""
        return len(self.headers) != len(self.public)


def _fold(name: str) -> str:
    return _ODD.sub("-", name)


_MATCH_PLAIN = _names(PLAIN)
_MATCH_NO_HOPS = _names(_NO_HOPS)


@lru_cache(1024)
def _kind(rules: FieldRules, name: str) -> Kind:
    """Classify a name; remembered, since a request has a dozen and most are the same."""
    folded = _fold(name)
    is_named, is_hop = name in rules.forward, rules.is_hop(folded)
    if _is_never_sent(folded) or not (is_named or (ALL in rules.forward and not is_hop)):
        return Kind.WITHHELD
    if rules.is_identity(folded):
        return Kind.IDENTITY
    if is_hop:
        return Kind.HOP
    # Not folded: no browser sends `User_Agent`.
    return Kind.PLAIN if _MATCH_PLAIN.have(name) else Kind.KEYED


def _is_never_sent(folded: str) -> bool:
    return folded in _NEVER or folded.startswith(_NEVER_PREFIXES)


DEFAULT = FieldRules()


def client_fields(
    fields: Iterable[tuple[bytes, bytes]], rules: FieldRules = DEFAULT
) -> ClientFields:
    """Choose the fields that may reach an origin, and tell what they make of the response.

    A field that is not valid HTTP, or whose value is not UTF-8, is left out.

    Raises:
        LoopDetected: the request has been through this service already (RFC 8586, section 2).

    """
    decoded = [pair for field in fields if (pair := _decode(*field))]
    connection = _tokens(", ".join([value for name, value in decoded if name == "connection"]))
    loop = [value for name, value in decoded if name == "cdn-loop"]
    if any(_THROUGH_US.search(value.lower()) for value in loop):
        msg = "This request has been through micropic already: the source leads back to it."
        raise LoopDetected(msg)
    sent: list[tuple[str, str]] = []
    public: list[tuple[str, str]] = []
    keyed: list[tuple[str, str]] = []
    for pair in decoded:
        kind = _kind(rules, pair[0])
        if kind is Kind.WITHHELD or pair[0] in connection:
            continue
        sent.append(pair)
        if kind is not Kind.IDENTITY:
            public.append(pair)
        if kind is Kind.KEYED:
            keyed.append(pair)
    ours = ("cdn-loop", ", ".join([*loop, CDN_ID]))
    # Sorted by name alone: the order of equal names is part of the request (RFC 9110, 5.3).
    keyed.sort(key=itemgetter(0))
    return ClientFields(
        (*sent, ours),
        (*public, ours),
        keyed_by=tuple(dict.fromkeys(name for name, _ in keyed)) if keyed else (),
        digest=_digest(keyed) if keyed else "",
        trace=tuple(pair for pair in decoded if pair[0] in _TRACE),
    )


def field(fields: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes:
    """Give the value of a field, several of them joined by commas (RFC 9110, section 5.3)."""
    return b", ".join(value for key, value in fields if key == name)


def only_sendable(headers: Headers) -> Headers:
    """Return those of a list of unchecked fields that a request to an origin may have."""
    return tuple(
        (name, value)
        for name, value in headers
        if (name == "cdn-loop" or not _is_never_sent(_fold(name)))
        and _LOWER_TOKEN.fullmatch(name)
        and _VALUE.fullmatch(value)
    )


def only_plain(headers: Headers, rules: FieldRules = DEFAULT) -> Headers:
    """Return the fields that may go to an origin that the client did not name."""
    return tuple(
        pair for pair in headers if pair[0] == "cdn-loop" or rules.kind(pair[0]) is Kind.PLAIN
    )


def carries_credentials(headers: Headers) -> bool:
    """Return True if these headers hold `Authorization` or `Cookie`."""
    return any(name in CREDENTIALS for name, _ in headers)


def plain_digest(headers: Headers) -> str:
    """Return a hash of what no key has in it; empty if none was sent.

    An origin, or a firewall in front of it, may refuse a client for any of it: a robot for its
    User-Agent, an attacker for what it wrote into Accept-Language, a CDN for its own CDN-Loop.
    """
    said = [pair for pair in headers if pair != _OUR_LOOP and _is_plain(pair[0])]
    return _digest(sorted(said, key=itemgetter(0))) if said else ""


def client_digest(headers: Headers, keyed: str) -> str:
    """Return a hash of all that an origin sees of a client, `keyed` being that of keyed fields."""
    return _digest([("keyed", keyed), ("plain", plain_digest(headers))])


def _is_plain(name: str) -> bool:
    return name == "cdn-loop" or DEFAULT.kind(name) is Kind.PLAIN


def _digest(fields: list[tuple[str, str]]) -> str:
    return hashlib.sha256(repr(fields).encode()).hexdigest()[:_DIGITS]


def host_matches(host: str, patterns: Iterable[str]) -> bool:
    """Tell whether `host` (lower case) is one of the patterns: `a.example`, `*.example`, `*`."""
    name = host.rstrip(".")
    # Brackets stand around an IPv6 address here, not around a set of characters.
    return any(fnmatchcase(name, pattern.replace("[", "[[]")) for pattern in patterns)


def _decode(name: bytes, value: bytes) -> tuple[str, str] | None:
    if not _TOKEN.fullmatch(name):
        return None
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    return (name.decode().lower(), text) if _VALUE.fullmatch(text) else None


def _tokens(connection: str) -> set[str]:
    """Return the options of a Connection field in lower case (RFC 9110, section 7.6.1)."""
    return {part.strip().lower() for part in connection[:_LONGEST_CONNECTION].split(",")}

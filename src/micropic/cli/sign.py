"""`micropic sign`."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from micropic.cli.failure import fail
from micropic.cli.signing_key import KEY_HELP, first_key
from micropic.domain import signing, urls
from micropic.domain.errors import BadRequest


def sign(
    targets: Annotated[
        list[str], typer.Argument(help="Paths, with their queries, such as /fill/300/200/a.org/x.")
    ],
    *,
    key: Annotated[str, typer.Option(envvar="PROXY_KEYS", help=KEY_HELP)] = "",
    expires: Annotated[
        int | None, typer.Option(min=1, help="Seconds from now, after which they are of no use.")
    ] = None,
) -> None:
    """Sign addresses of previews, for a service with proxy.keys."""
    key = first_key(key)
    if not key:
        fail("Give a key, by --key or PROXY_KEYS.")
    try:
        key.encode()
    except UnicodeEncodeError:
        fail("The key must be UTF-8.")
    for given in targets:
        target = signing.as_sent(given)
        path, _, query = target.partition("?")
        try:
            address = urls.parse_path(path.encode(), query.encode(), urls.DEFAULT)
        except BadRequest as error:
            fail(f"{given}: {error.detail}")
        if expires is not None:
            if address.expires is not None:
                fail(f"{given}: It has an exp= of its own.")
            target = urls.with_option(target, "exp", int(time.time()) + expires)
        typer.echo(signing.sign(target, key))

"""Elements of SVG that ask for much, or for what lies elsewhere."""

from __future__ import annotations

LAUGHS = '<g id="a0"><rect width="9" height="9"/></g>' + "".join(
    f'<g id="a{n}">{f"""<use xlink:href="#a{n - 1}"/>""" * 10}</g>' for n in range(1, 10)
)
ENTITIES = (
    '<!DOCTYPE svg [<!ENTITY a0 "aaaaaaaaaa">'
    + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    + "]>"
)
HUGE = 'x="-1e6" y="-1e6" width="1e9" height="1e9"'


def references(url: str) -> list[str]:
    """Give every way of which we know to have an SVG show what lies at an address."""
    area = 'width="64" height="48"'
    return [
        f'<image {area} href="{url}"/>',
        f'<image {area} xlink:href="{url}"/>',
        f'<use href="{url}#a"/>',
        f'<style>@import url("{url}");</style>',
        f'<style>rect {{ fill: url("{url}#a") }}</style><rect {area}/>',
        f'<rect {area} fill="url({url}#a)"/>',
        f'<filter id="f"><feImage href="{url}"/></filter><rect {area} filter="url(#f)"/>',
        f'<foreignObject {area}><img src="{url}"/></foreignObject>',
        f'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{url}"/>',
    ]

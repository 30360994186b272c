"""A kind that is not decoded is refused by its name."""

from __future__ import annotations

import pytest

from micropic.domain.drawings import is_drawing
from micropic.domain.errors import NotAnImage
from micropic.imaging.kinds import Kind, sniff
from tests.support.pictures import FORMATS, SVG, drawing, photo

_BOX = b"\x00\x00\x00\x18ftyp"


@pytest.mark.parametrize("form", FORMATS)
def test_each_kind_is_told_by_its_first_bytes(form: str) -> None:
    assert sniff(photo(form=form)[:4096]).upper() == form


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (_BOX + b"heic\x00\x00\x00\x00mif1heic", "HEIC"),
        (_BOX + b"heix\x00\x00\x00\x00mif1heix", "HEIC"),
        (_BOX + b"mif1\x00\x00\x00\x00mif1heic", "HEIC"),
        (_BOX + b"hevc\x00\x00\x00\x00hevcmsf1", "HEIC"),
        (_BOX + b"isom\x00\x00\x02\x00isommp41", "a video"),
        (b"\x1a\x45\xdf\xa3\x01", "a video (Matroska or WebM)"),
        (b"\xff\x0a\xfa\x7f", "JPEG XL"),
        (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"8BPS\x00\x01", "a Photoshop document"),
        (b"%PDF-1.7\n%\xe2\xe3", "a PDF document"),
        (b"\n<!DOCTYPE html><title>", "a web page (HTML)"),
        (b'{"error": "none"}', "JSON"),
        (b"<rss>", "XML or HTML"),
        (b"PK\x03\x04\x14\x00", "a ZIP archive"),
        (b"\x1f\x8b\x08\x00", "gzip data"),
        (b"Not found\r\n", "plain text"),
        (b"\x00\x01\x02", "data of no known kind"),
        (b"", "data of no known kind"),
    ],
)
def test_what_was_found_is_named(head: bytes, name: str) -> None:
    with pytest.raises(NotAnImage) as raised:
        sniff(head)
    assert f"but {name}. Known are {', '.join(Kind)}." in raised.value.detail


def test_avif_is_told_from_other_pictures_in_the_same_box() -> None:
    for brands in (b"avif\x00\x00\x00\x00avifmif1", b"mif1\x00\x00\x00\x00mif1avif"):
        assert sniff(_BOX + brands) is Kind.AVIF


def test_a_drawing_is_told_with_what_may_stand_before_it() -> None:
    for before in ("", "\ufeff", "\n ", '<?xml version="1.0"?>', "<!-- a -->", "<!DOCTYPE svg>"):
        assert is_drawing(drawing("<rect/>", before=before))
    assert is_drawing(SVG)
    for other in (b"<?xml version='1.0'?><rss/>", b"<html><svg>", photo()[:4096], b""):
        assert not is_drawing(other)

"""What the service believes of a render process: little, and only in its form."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from micropic import imaging
from micropic.domain import errors, urls
from micropic.domain.errors import MicropicError
from micropic.domain.model import Format
from micropic.imaging import replies
from micropic.imaging.replies import Made, ReplyError
from tests.support.pictures import photo

TRANSFORM = urls.parse_transform("fill/30/20/f=jpeg+png,g=smart,q=80")
ANIMATED = urls.parse_transform("fill/30/20/anim=webp,f=jpeg+png,g=smart,q=80")
OF_THE_SERVICE = {"render_process", "slots", "free_processes", "replies", "worker"}
"""Modules of `imaging` that no picture runs in, or that raise nothing of their own."""


def read(said: object, transform: Any = TRANSFORM) -> Made | MicropicError:
    return replies.reply(json.dumps(said).encode() + b"\n", transform, 1000)


def test_all_that_the_engine_raises_is_believed_and_nothing_else() -> None:
    raised: set[str] = set()
    for path in Path(imaging.__path__[0]).glob("*.py"):
        if path.stem not in OF_THE_SERVICE:
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom) and node.module == "micropic.domain.errors":
                    raised.update(name.name for name in node.names)
    raised.discard("MicropicError")  # only the name of what is raised
    assert raised == {error.__name__ for error in replies.ENGINE_ERRORS.values()}


@pytest.mark.parametrize("code", replies.ENGINE_ERRORS)
def test_an_error_of_the_engine_comes_with_its_text_alone(code: str) -> None:
    found = read({"error": {"code": code, "detail": "It is damaged."}})
    assert isinstance(found, MicropicError)
    assert found.to_wire() == {"code": code, "detail": "It is damaged.", "retry_after": None}


@pytest.mark.parametrize("code", sorted(errors.BY_CODE.keys() - replies.ENGINE_ERRORS))
def test_no_other_error_is_believed(code: str) -> None:
    with pytest.raises(ReplyError, match=code):
        read({"error": {"code": code, "detail": "x"}})


@pytest.mark.parametrize(
    "error",
    [
        {"code": "broken_image", "detail": "x", "retry_after": 5},
        {"code": "broken_image", "detail": "x", "retry_after": None},
        {"code": "broken_image", "detail": "x", "status": 200},
        {"code": "broken_image", "detail": "x", "headers": {}},
        {"code": "broken_image"},
        {"code": "broken_image", "detail": ""},
        {"code": "broken_image", "detail": "a\r\nb"},
        {"code": "broken_image", "detail": "\x1b[2J"},
        {"code": "broken_image", "detail": "\u202e"},
        {"code": "broken_image", "detail": "x" * 301},
        {"code": "broken_image", "detail": 5},
        {"code": "broken_image", "detail": ["x"]},
        {"code": ["broken_image"], "detail": "x"},
        {"code": None, "detail": "x"},
        "broken_image",
        [],
        None,
    ],
)
def test_an_error_in_another_form_is_none(error: object) -> None:
    with pytest.raises(ReplyError):
        read({"error": error})


def test_a_preview_is_of_a_format_that_was_asked_for() -> None:
    assert read({"media_type": "image/jpeg", "length": 1000}) == Made(Format.JPEG, 1000)
    assert read({"media_type": "image/png", "length": 1}) == Made(Format.PNG, 1)
    assert read({"media_type": "image/webp", "length": 1}, ANIMATED) == Made(Format.WEBP, 1)


@pytest.mark.parametrize(
    "said",
    [
        {"media_type": "image/webp", "length": 9},
        {"media_type": "image/gif", "length": 9},
        {"media_type": "image/svg+xml", "length": 9},
        {"media_type": "text/html", "length": 9},
        {"media_type": "image/jpeg\r\nSet-Cookie: a=b", "length": 9},
        {"media_type": None, "length": 9},
        {"media_type": ["image/jpeg"], "length": 9},
        *(
            {"media_type": "image/jpeg", "length": length}
            for length in (0, -1, 1001, 2**64, True, 9.0, "9", None, [9])
        ),
        {"media_type": "image/jpeg"},
        {"length": 9},
        {"media_type": "image/jpeg", "length": 9, "headers": {"Set-Cookie": "a=b"}},
        {"media_type": "image/jpeg", "length": 9, "error": None},
        {"error": {"code": "broken_image", "detail": "x"}, "length": 9},
        {"ready": True, "sandbox": {"active": [], "missing": []}},
        {},
        [],
        None,
        1,
        "image/jpeg",
    ],
)
def test_what_is_no_reply_is_refused(said: object) -> None:
    with pytest.raises(ReplyError):
        read(said)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["error", "code", "detail", "media_type", "length", "headers"]),
                inner | st.sampled_from(["image/jpeg", "broken_image", "text/html"]),
                max_size=4,
            )
        ),
    )
)
def test_whatever_is_said_is_a_preview_an_error_of_the_engine_or_refused(said: object) -> None:
    try:
        found = read(said)
    except ReplyError:
        return
    if isinstance(found, Made):
        assert (found.format in {Format.JPEG, Format.PNG}, 0 < found.length <= 1000) == (True, True)
    else:
        assert type(found) in replies.ENGINE_ERRORS.values()


@pytest.mark.parametrize("form", list(Format))
def test_a_preview_begins_as_its_format_does(form: Format) -> None:
    body = photo(form=form.name)
    replies.check_preview(body, Made(form, len(body)))
    for other in Format:
        if other is not form:
            with pytest.raises(ReplyError):
                replies.check_preview(body, Made(other, len(body)))
    for wrong in (body[:-1], b"", b"<script>" + body, b"\xff\xd8"):
        with pytest.raises(ReplyError):
            replies.check_preview(wrong, Made(form, len(body)))


@pytest.mark.parametrize(
    "said",
    [
        {"ready": True, "sandbox": {"active": ["a"] * 11, "missing": []}},
        {"ready": True, "sandbox": {"active": ["a" * 201], "missing": []}},
        {"ready": True, "sandbox": {"active": ["a\nb"], "missing": []}},
        {"ready": True, "sandbox": {"active": [5], "missing": []}},
        {"ready": True, "sandbox": {"active": "limits", "missing": []}},
        {"ready": True, "sandbox": {"active": []}},
        {"ready": True, "sandbox": {"active": [], "missing": [], "x": []}},
        {"ready": True, "sandbox": []},
        {"ready": True, "sandbox": {"active": [], "missing": []}, "x": 1},
        {"sandbox": {"active": [], "missing": []}},
        [],
    ],
)
def test_a_start_in_another_form_is_none(said: object) -> None:
    with pytest.raises(ReplyError):
        replies.ready(json.dumps(said).encode())


def test_a_start_names_what_holds_a_process() -> None:
    sandbox = {"active": ["limits", "landlock (ABI 7)"], "missing": ["seccomp: Invalid argument"]}
    assert replies.ready(json.dumps({"ready": True, "sandbox": sandbox}).encode()) == sandbox


def test_last_words_are_one_line_that_no_terminal_obeys() -> None:
    written = b"\x1b[2Ja\r\n\0b\tc\xe2\x80\xaed\xff\x85 e\n"
    assert replies.printable(written) == "[2Ja b c d e"

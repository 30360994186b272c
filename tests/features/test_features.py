from __future__ import annotations

import time
from dataclasses import dataclass, field

import pytest
from pytest_bdd import given, parsers, scenarios, then, when

from micropic.domain.signing import sign
from micropic.domain.urls import with_option
from tests.support.client import Answer
from tests.support.origin import Origin, Reply
from tests.support.pictures import photo
from tests.support.service import Service
from tests.support.shape import Shape

scenarios(".")

_PATH = "/owl.jpg"
_KEYS = {name: f"the {name} key is long enough" for name in ("new", "old", "wrong")}


@dataclass
class Story:
    """What happened so far in a scenario."""

    service: Service
    source: str = ""
    answers: list[Answer] = field(default_factory=list)

    @property
    def answer(self) -> Answer:
        """The last one."""
        return self.answers[-1]


@pytest.fixture(autouse=True)
def every_shape(shape: Shape) -> Shape:
    """Run each scenario on every shape."""
    return shape


@given("a service", target_fixture="story")
def a_service(shape: Shape) -> Story:
    return Story(shape.shared())


@given(parsers.parse("a service that gives up after {seconds} second"), target_fixture="story")
def an_impatient_service(shape: Shape, seconds: str) -> Story:
    return Story(shape.start(PROXY_TIMEOUT=seconds))


@given("a service with keys", target_fixture="story")
def a_service_with_keys(shape: Shape) -> Story:
    return Story(shape.start(PROXY_KEYS=f"{_KEYS['new']},{_KEYS['old']}"))


@given(parsers.parse("a service with the sizes {sizes}"), target_fixture="story")
def a_service_with_sizes(shape: Shape, sizes: str) -> Story:
    return Story(shape.start(PROXY_SIZES=sizes))


@given(parsers.parse("an origin with a picture of {width:d}x{height:d}"))
def a_picture(story: Story, origin: Origin, width: int, height: int) -> None:
    story.source = origin.on(_PATH, Reply(photo(width, height)))


@given("an origin with a web page")
def a_web_page(story: Story, origin: Origin) -> None:
    page = Reply(b"<!doctype html><title>Owls</title>", headers={"Content-Type": "image/jpeg"})
    story.source = origin.on(_PATH, page)


@given(parsers.parse("an origin that answers {status:d}"))
def a_status(story: Story, origin: Origin, status: int) -> None:
    story.source = origin.on(_PATH, Reply(b"no", status))


@given("an origin that never answers")
def a_silent_origin(story: Story, origin: Origin) -> None:
    story.source = origin.on(_PATH, Reply(photo(), gate=origin.gate()))


@given("an origin that is down")
def an_absent_origin(story: Story) -> None:
    with Origin() as gone:
        story.source = f"{gone.authority}{_PATH}"


@when(parsers.re(r"I ask for (?P<mode>fill|fit) (?P<size>\d+x\d+)"))
def i_ask(story: Story, mode: str, size: str) -> None:
    story.answers.append(story.service.get(_target(story, mode, size)))


@when(
    parsers.re(r'I ask for (?P<mode>fill|fit) (?P<size>\d+x\d+) with the header "(?P<line>[^"]+)"')
)
def i_ask_with_a_header(story: Story, mode: str, size: str, line: str) -> None:
    story.answers.append(story.service.get(_target(story, mode, size), [_field(line)]))


@when(parsers.parse("I ask for {mode} {size}, signed with the {name} key"))
def i_ask_with_a_signature(story: Story, mode: str, size: str, name: str) -> None:
    story.answers.append(story.service.get(sign(_target(story, mode, size), _KEYS[name])))


@when(parsers.parse("I ask for {mode} {size}, signed until {when}"))
def i_ask_with_an_expiry(story: Story, mode: str, size: str, when: str) -> None:
    expires = int(time.time()) + {"an hour from now": 3600, "a second ago": -1}[when]
    target = with_option(_target(story, mode, size), "exp", expires)
    story.answers.append(story.service.get(sign(target, _KEYS["new"])))


@then(parsers.parse("I get a picture of {width:d}x{height:d}"))
def a_picture_comes(story: Story, width: int, height: int) -> None:
    assert story.answer.picture.size == (width, height)
    assert story.answer.headers["Content-Type"] == "image/jpeg"


@then(parsers.parse("I get the problem {status:d} {code}"))
def a_problem_comes(story: Story, status: int, code: str) -> None:
    assert story.answer.error == (status, code)


@then(parsers.parse("the preview comes from the {place}"))
def it_comes_from(story: Story, place: str) -> None:
    cache_status = {"cache": "micropic; hit", "previewer": "micropic; fwd=miss"}
    assert story.answer.cache_status == cache_status[place]
    assert story.answer.headers["Test-PreviewLocation"] == place


@then("the answer is the same as before")
def it_is_the_same(story: Story) -> None:
    assert story.answers[-1].body == story.answers[-2].body


@then("the origin was not asked")
def not_asked(origin: Origin) -> None:
    assert origin.targets == []


@then("the origin was asked once")
def asked_once(origin: Origin) -> None:
    assert origin.targets == [_PATH]


@then(parsers.parse('the origin received the header "{line}"'))
def it_received(origin: Origin, line: str) -> None:
    name, value = _field(line)
    assert origin.requests[-1].values(name) == [value]


def _target(story: Story, mode: str, size: str) -> str:
    return f"/{mode}/{size.replace('x', '/')}/{story.source}"


def _field(line: str) -> tuple[str, str]:
    name, _, value = line.partition(": ")
    return name, value

"""A picture that has taken over its render process: what it can say, reach and see.

The hole in the codec is ours (`tests/support/hijack.py`); the process, its sandbox and the service
are the real ones.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

import pytest

from tests.support.client import Answer
from tests.support.hijack import hijacking, holes
from tests.support.origin import Origin, Reply
from tests.support.pictures import photo
from tests.support.scrape import Scrape
from tests.support.service import Service, StartService
from tests.support.shape import running
from tests.support.waiting import wait_until

SECRET = b"the bytes of a private picture" * 40
JPEG = rb"b'\xff\xd8\xff'".decode()


@pytest.fixture(scope="module", params=["embedded", "distributed"])
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("hijack")
    yield from running(
        request,
        directory,
        PYTHONPATH=holes(directory),
        RENDER_SLOTS="1",
        CACHE_NEGATIVE_AGE="0",
        SOURCE_CREDENTIAL_HOSTS="127.0.0.1",
    )


def hijacked(service: Service, origin: Origin, script: str, size: int = 0) -> Answer:
    """Ask for a picture that runs a script in its render process."""
    source = origin.on(f"/{zlib.crc32(script.encode())}", Reply(hijacking(script, size)))
    return service.get(f"/fill/30/20/{source}")


_LIES = {
    "a page with a cookie": """say({"error": {"code": "origin_refused", "detail": "<script>",
        "status": 200, "headers": {"Set-Cookie": "a=b", "Content-Type": "text/html"}}})""",
    "a login": """say({"error": {"code": "origin_refused", "detail": "x", "status": 401,
        "headers": {"WWW-Authenticate": "Basic"}}})""",
    "an overload": 'say({"error": {"code": "overloaded", "detail": "x", "retry_after": 9}})',
    "a quarantine": 'say({"error": {"code": "quarantined", "detail": "x"}})',
    "a bad request": 'say({"error": {"code": "bad_request", "detail": "x"}})',
    "a field more": """say({"error": {"code": "broken_image", "detail": "x", "headers": {}}})""",
    "a detail of two lines": r'say({"error": {"code": "broken_image", "detail": "a\r\nb"}})',
    "a long detail": 'say({"error": {"code": "broken_image", "detail": 400 * "x"}})',
    "a page": 'say({"media_type": "text/html", "length": 9})',
    "a drawing": 'say({"media_type": "image/svg+xml", "length": 9})',
    "a format that was not asked for": 'say({"media_type": "image/gif", "length": 9})',
    "a page that is called a picture": 'show(b"<script>alert(1)</script>")',
    "another picture": r'show(b"\x89PNG\r\n\x1a\n" + bytes(99))',
    "more than there is": 'say({"media_type": "image/jpeg", "length": 1 << 40})',
    "no length": 'say({"media_type": "image/jpeg", "length": True})',
    "less than nothing": 'say({"media_type": "image/jpeg", "length": -1})',
    "two answers": 'say(2 * b\'{"media_type": "image/jpeg", "length": 9}\\n\')',
    "a line without end": 'say(b"x" * 5000)',
    "no JSON": r'say(b"<script>\n")',
    "a lack of memory, and a lie": r'os.write(2, b"out of memory"); say(b"x\n")',
    "a drawing that takes too long, of a photo": """
os.write(2, b"The drawing was given up: it took too much CPU time."); os._exit(1)""",
}


@pytest.mark.parametrize("lie", _LIES)
def test_what_is_no_answer_of_the_engine_is_a_crash(
    service: Service, origin: Origin, lie: str
) -> None:
    answer = hijacked(service, origin, f"{_LIES[lie]}\nhang()")
    assert answer.error == (422, "render_crashed")
    assert answer.headers["Content-Type"] == "application/problem+json"
    names = [name.lower() for name, _ in answer.headers.items()]
    assert not {"set-cookie", "www-authenticate", "retry-after"} & {*names}
    assert b"script" not in answer.body
    width = 30 + [*_LIES].index(lie)
    assert service.get(f"/fill/{width}/20/sample:cat.jpg").picture.size == (width, 20)


def test_who_speaks_out_of_turn_is_ended(service: Service, origin: Origin) -> None:
    script = f"""
show({JPEG})
while os.pread(body, 3, 0) == {JPEG}: pass  # until it was taken
say({{"media_type": "image/jpeg", "length": 3}})
hang()
"""
    before = len(events(service, "render_process_died"))
    assert hijacked(service, origin, script).body == b"\xff\xd8\xff"
    wait_until(lambda: len(events(service, "render_process_died")) > before)


def test_the_last_words_of_a_process_are_one_line(service: Service, origin: Origin) -> None:
    script = r'os.write(2, b"\x1b[2J\r\n\x00" + 9999 * b"y\xe2\x80\xae"); os._exit(3)'
    assert hijacked(service, origin, script).error == (422, "render_crashed")
    said = [event["said"] for event in events(service, "render_process_died")]
    assert any("y y" in each for each in said)
    assert all(re.fullmatch(r"[ -~]{0,4096}", each) for each in said)


def test_a_process_holds_no_descriptor_of_the_services(service: Service, origin: Origin) -> None:
    script = f"""
held = []
for number in range(64):
    try:
        held.append(os.readlink(f"/proc/self/fd/{{number}}"))
    except FileNotFoundError:
        pass
answer = {JPEG} + chr(10).join(held).encode()
"""
    held = hijacked(service, origin, script).body[3:].decode().split("\n")
    assert sum(name.startswith("socket:") for name in held) == 1
    its_own = (
        r"/dev/(null|urandom)|socket:.*|/memfd:micropic-(render|words|phase) .*"
        r"|/proc/\d+/statm|.*\.ttf"
    )
    assert [name for name in held if not re.fullmatch(its_own, name)] == []


def test_it_can_signal_neither_the_service_nor_others(service: Service, origin: Origin) -> None:
    script = f"""
import fcntl, struct
service, done = os.getppid(), []
for act in (
    lambda: os.kill(service, 9),
    lambda: fcntl.fcntl(control, fcntl.F_SETOWN, service),
    lambda: fcntl.fcntl(control, fcntl.F_SETSIG, 9),
    lambda: fcntl.fcntl(control, fcntl.F_SETFL, os.O_ASYNC),
    lambda: fcntl.ioctl(control, 0x8901, struct.pack("i", service)),
    lambda: fcntl.ioctl(control, 0x5452, struct.pack("i", 1)),
    lambda: os.sched_setaffinity(service, {{0}}),
):
    try:
        done.append(act())
    except PermissionError:
        pass
answer = {JPEG} + repr(done).encode()
"""
    assert hijacked(service, origin, script).body[3:] == b"[]"


# --- what it can see -------------------------------------------------------------------------

_LOOK = f"""
seen = os.pread(body, 64 << 20, 0)
assert seen.startswith(data)
answer = {JPEG} + b"%d " % os.getpid() + seen[len(data):].strip(bytes(1))
"""


@pytest.fixture(scope="module")
def one_slot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("one-slot")
    service = Service(
        directory,
        PYTHONPATH=holes(directory),
        RENDER_SLOTS="1",
        SOURCE_CREDENTIAL_HOSTS="127.0.0.1",
    )
    try:
        yield service.start()
    finally:
        service.close()


@pytest.mark.parametrize("size", [0, 100_000, 9_000_000], ids=["small", "kept", "large"])
@pytest.mark.parametrize("preview", ["fill/30/20", "fill/2000/2000/f=png"], ids=["icon", "large"])
def test_nothing_of_a_picture_is_left_for_the_next_one(
    one_slot: Service, origin: Origin, size: int, preview: str
) -> None:
    wait_until(one_slot.renderers)
    assert one_slot.get("/fill/99/20/sample:cat.jpg").status == 200
    before = one_slot.renderers()
    source = origin.on("/a", Reply(photo() + bytes(size) + SECRET))
    assert one_slot.get(f"/{preview}/{source}").status == 200
    broken = origin.on("/b", Reply(photo(form="PNG")[:900] + bytes(size) + SECRET))
    assert one_slot.get(f"/{preview}/{broken}").error == (422, "broken_image")
    pid, _, left = hijacked(one_slot, origin, _LOOK).body[3:].partition(b" ")
    assert int(pid) in before
    assert left == b""


def test_what_a_process_adds_to_the_memory_file_is_given_back(
    one_slot: Service, origin: Origin
) -> None:
    tell = f'answer = {JPEG} + b"%d %d" % (os.getpid(), os.fstat(body).st_size)'
    add = f"os.pwrite(body, bytes(1 << 20), 64 << 20)\n{tell}"
    added, left = (hijacked(one_slot, origin, script).body[3:] for script in (add, tell))
    assert added.split()[0] == left.split()[0]
    assert int(added.split()[1]) == 65 << 20
    assert int(left.split()[1]) <= 4 << 20


def test_a_private_picture_is_rendered_by_a_process_of_its_own(
    one_slot: Service, origin: Origin
) -> None:
    (public,) = wait_until(one_slot.renderers)
    source = origin.on("/a", Reply(photo() + SECRET))
    credentials = {"Authorization": "Bearer owl"}
    for width in range(30, 34):
        assert one_slot.get(f"/fill/{width}/20/{source}", credentials).status == 200
    assert len(one_slot.renderers()) == 2  # started when it was needed, and no more than there may
    private = {*one_slot.renderers()} - {public}
    pid, _, left = hijacked(one_slot, origin, _LOOK).body[3:].partition(b" ")
    assert ([int(pid)], left) == ([public], b"")
    assert one_slot.get(f"/fill/40/20/{source}", credentials).status == 200
    assert private <= {*one_slot.renderers()}


def test_a_worn_process_is_replaced_and_no_request_notices(
    start_service: StartService, origin: Origin
) -> None:
    service = start_service(RENDER_SLOTS="2", RENDER_MAX_RENDERS_PER_PROCESS="5")
    before = {*service.renderers()}
    source = origin.on("/a", Reply(photo()))
    with service.crowd(6) as crowd:
        answers = [crowd.ask(f"/fill/{width}/20/{source}") for width in range(30, 90)]
        sizes = [answer.result().picture.size for answer in answers]
    assert sizes == [(width, 20) for width in range(30, 90)]
    wait_until(lambda: not before & {*service.renderers()} and len(service.renderers()) == 2)
    recycled = "micropic_render_processes_recycled_total"
    wait_until(lambda: Scrape(service).value(recycled) >= 2)
    assert Scrape(service).value("micropic_render_process_ends_total") == 0
    assert service.events("render_process_died") == []


def events(service: Service, name: str) -> list[dict[str, str]]:
    services: list[Service] = getattr(service, "workers", [service])
    return [event for each in services for event in each.events(name)]

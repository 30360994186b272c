"""The page at `/` in a real browser: what people do there, and what it must never do."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from micropic.domain.options import OPTIONS
from tests.support.browser import accessibility_faults, chromium, well_behaved
from tests.support.origin import Origin, Reply
from tests.support.pictures import photo
from tests.support.service import Service, StartService

_DROP = """([type, text]) => {
  const dataTransfer = new DataTransfer();
  dataTransfer.setData(type, text);
  document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true }));
}"""
_DROP_FILE = """() => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File(["x"], "owl.jpg", { type: "image/jpeg" }));
  document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true }));
}"""
_PASTE = """(text) => {
  const clipboardData = new DataTransfer();
  clipboardData.setData("text/plain", text);
  document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }));
}"""
X = "\N{MULTIPLICATION SIGN}"
_WIDTH = "document.documentElement.scrollWidth"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser: Browser, service: Service) -> Iterator[Page]:
    with well_behaved(browser) as opened:
        _open(opened, service)
        yield opened


def _open(page: Page, service: Service, path: str = "/") -> None:
    page.goto(f"http://127.0.0.1:{service.port}{path}")
    _settle(page)


def _settle(page: Page) -> None:
    page.locator("#result[aria-busy=false]").wait_for()


def _pixels(page: Page, selector: str) -> tuple[int, int]:
    width, height = page.locator(selector).evaluate("i => [i.naturalWidth, i.naturalHeight]")
    return width, height


def _address(page: Page) -> str:
    return (page.locator("#url").text_content() or "").partition("/f")[2]


def test_a_sample_appears_in_the_size_that_was_chosen(page: Page) -> None:
    page.get_by_label("Width").fill("120")
    page.get_by_label("Height").fill("80")
    page.get_by_role("button", name="coffee").click()
    expect(page.get_by_role("status")).to_contain_text(f"120 {X} 80 pixels, JPEG")
    expect(page.get_by_alt_text("Preview of sample:coffee.jpg")).to_be_visible()
    expect(page.locator("#numbers")).to_contain_text("64 kB")
    _settle(page)
    assert _pixels(page, "#preview") == (120, 80)
    assert _address(page) == "ill/120/80/sample:coffee.jpg"


def test_the_drawing_and_the_original_are_shown_whole(page: Page) -> None:
    shapes = []
    for drawn in (True, False):
        page.get_by_label("explain the cut").set_checked(drawn)
        _settle(page)
        width, height = _pixels(page, "#original")
        shapes.append(round(width / height, 2))
    assert shapes == [1.5, 1.5]


def test_every_option_has_a_control_that_goes_into_the_address(
    page: Page, service: Service
) -> None:
    names = page.locator("[name]").evaluate_all("all => all.map((one) => one.name)")
    assert {*OPTIONS} - {"explain", "exp"} <= {*names}  # one is the page's own, one the signer's
    table = service.get("/static/address.js").body.decode().partition("UNCHANGED = {")[2]
    assert {*re.findall(r"(\w+): \"", table.partition("}")[0])} == {*OPTIONS} - {"exp"}
    page.get_by_text("More options").click()
    page.get_by_label("Format").select_option("WebP")
    page.get_by_label("Quality").fill("42")
    page.get_by_label("Device pixel ratio").select_option("2")
    page.get_by_label("Rotate").select_option("90°")
    page.get_by_label("Mirror").select_option("left and right")
    page.get_by_label("Trim a border").fill("8")
    page.get_by_label("Blur").fill("1.5")
    page.get_by_label("Sharpen").fill("2")
    page.get_by_label("Animation").select_option("moving")
    page.get_by_label("Never enlarge").check()
    page.get_by_label("Background", exact=True).check()
    page.get_by_label("Background colour").fill("#aabbcc")
    page.get_by_role("radio", name="southeast").check()
    page.get_by_role("button", name="Show", exact=True).click()
    _settle(page)
    expect(page.get_by_role("status")).to_contain_text("WebP")
    options = _address(page).split("/")[3].split(",")
    assert {*options} == {
        "q=42", "f=webp", "g=southeast", "dpr=2", "rot=90", "flip=h", "trim=8", "enlarge=0",
        "bg=aabbcc", "blur=1.5", "sharpen=2", "anim=1",
    }  # fmt: skip


def test_what_is_kept_can_be_clicked(page: Page) -> None:
    box = page.locator("#original").bounding_box()
    assert box
    page.locator("#original").click(position={"x": box["width"] * 0.9, "y": box["height"] * 0.5})
    _settle(page)
    assert re.match(r"ill/300/300/g=0\.(89|9|90|91):0\.(49|5|50|51)/sample", _address(page))


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("sample:owl.jpg", ["404 Not Found", "There is no sample 'owl.jpg'", "origin_refused"]),
        ("ftp://www.example.com/owl.jpg", ["400 Bad Request", "by http or https"]),
        ("10.0.0.1/owl.jpg", ["403 Forbidden", "private, local or reserved"]),
        ("no host at all", ["400 Bad Request", "is not a host name", "request "]),
    ],
)
def test_an_error_is_told_in_words(page: Page, source: str, told: list[str]) -> None:
    page.get_by_label("Picture address").fill(source)
    page.keyboard.press("Enter")
    for words in told:
        expect(page.get_by_role("alert")).to_contain_text(words)
    expect(page.locator("#shown")).to_be_hidden()
    _settle(page)
    assert accessibility_faults(page) == []
    page.get_by_role("button", name="rocket").click()
    expect(page.get_by_role("status")).to_contain_text(f"300 {X} 300")
    expect(page.get_by_role("alert")).to_be_empty()


def test_what_is_to_be_copied_is_copied(browser: Browser, service: Service) -> None:
    with well_behaved(browser, permissions=["clipboard-read", "clipboard-write"]) as page:
        _open(page, service)
        base = f"http://127.0.0.1:{service.port}/fill/300/300"
        for name, text in {
            "address": f"{base}/sample:cat.jpg",
            "HTML": f'<img src="{base}/sample:cat.jpg" srcset="{base}/sample:cat.jpg 1x, '
            f'{base}/dpr=2/sample:cat.jpg 2x" width="300" height="300" alt="">',
            "curl line": f"curl -OJ '{base}/sample:cat.jpg'",
        }.items():
            page.get_by_role("button", name=f"Copy the {name}").click()
            expect(page.get_by_role("status")).to_have_text("Copied.")
            assert page.evaluate("navigator.clipboard.readText()") == text


def test_the_keyboard_is_enough(page: Page) -> None:
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the preview")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.type("sample:rocket.jpg")
    for _ in range(6):  # the button and the four samples, then the mode
        page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="fit it whole")).to_be_checked()
    page.keyboard.press("Tab")
    page.keyboard.type("90")
    page.keyboard.press("Enter")
    expect(page.get_by_alt_text("Preview of sample:rocket.jpg")).to_be_visible()
    expect(page.get_by_role("status")).to_contain_text(f"90 {X} ")
    assert _address(page) == "it/90/300/sample:rocket.jpg"


@pytest.mark.parametrize(
    ("kind", "text", "source"),
    [
        ("text/uri-list", "# a link\r\nhttp://127.0.0.1:4/a.jpg", "http://127.0.0.1:4/a.jpg"),
        (
            "text/html",
            '<a href="/x"><img src="https://127.0.0.1:4/b.jpg"></a>',
            "https://127.0.0.1:4/b.jpg",
        ),
        ("text/plain", " sample:coffee.jpg ", "sample:coffee.jpg"),
    ],
)
def test_an_address_can_be_dropped(page: Page, kind: str, text: str, source: str) -> None:
    page.evaluate(_DROP, [kind, text])
    expect(page.get_by_label("Picture address")).to_have_value(source)
    _settle(page)


def test_an_address_can_be_pasted_anywhere(page: Page) -> None:
    page.evaluate(_PASTE, "sample:rocket.jpg")
    expect(page.get_by_alt_text("Preview of sample:rocket.jpg")).to_be_visible()


def test_a_file_is_told_that_it_has_no_address(page: Page) -> None:
    page.evaluate(_DROP_FILE)
    expect(page.get_by_role("status")).to_contain_text("A file has no address")
    expect(page.get_by_label("Picture address")).to_have_value("sample:cat.jpg")


def test_faces_can_be_chosen_where_they_are_found(page: Page, service: Service) -> None:
    answer = service.get("/fill/40/30/g=face/sample:astronaut.jpg")
    expect(page.get_by_role("radio", name="face")).to_be_enabled(enabled=answer.status == 200)


def test_formats_and_qualities_stand_side_by_side(page: Page) -> None:
    page.get_by_text("Formats and qualities side by side").click()
    _settle(page)
    cells = page.get_by_role("table").get_by_role("button")
    expect(cells).to_have_count(9)
    expect(cells).to_contain_text(["kB"] * 9)
    page.get_by_role("button", name="WebP, quality 60").click()
    expect(page.get_by_label("Quality")).to_have_value("60")
    _settle(page)
    assert "q=60,f=webp" in _address(page)
    pressed = page.get_by_role("table").get_by_role("button", pressed=True)
    expect(pressed).to_have_count(1)
    expect(pressed).to_have_accessible_name(re.compile("WebP, quality 60"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everyone_can_use_it_in_light_and_in_the_dark(
    browser: Browser, service: Service, scheme: str
) -> None:
    with well_behaved(browser, color_scheme=scheme) as page:
        _open(page, service)
        for summary in page.locator("summary").all():
            summary.click()
        page.get_by_role("radio", name="a point").check()
        _settle(page)
        assert accessibility_faults(page) == []
        ground = page.locator("body").evaluate("b => getComputedStyle(b).backgroundColor")
        brightness = sum(map(int, re.findall(r"\d+", ground)))
        assert (brightness > 3 * 128) == (scheme == "light")


def test_a_phone_needs_no_scrolling_to_the_side(browser: Browser, service: Service) -> None:
    with well_behaved(browser, viewport={"width": 360, "height": 740}) as page:
        _open(page, service)
        for summary in page.locator("summary").all():
            summary.click()
        _settle(page)
        assert page.evaluate(_WIDTH) == 360
        page.get_by_label("Picture address").fill("http://127.0.0.1:4/" + "a" * 300)
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("502 Bad Gateway")
        assert page.evaluate(_WIDTH) == 360


def test_on_a_phone_the_preview_is_seen_beside_its_options(
    browser: Browser, service: Service
) -> None:
    with well_behaved(browser, viewport={"width": 390, "height": 844}) as page:
        _open(page, service)
        small = page.get_by_role("link", name="See the preview")
        expect(small).to_be_visible()
        shown = small.locator("img").get_attribute("src")
        page.get_by_role("radio", name="fit it whole").check()
        expect(page.get_by_role("status")).to_contain_text(f"300 {X} 200")
        expect(small.locator("img")).not_to_have_attribute("src", shown or "")
        assert _pixels(page, "#glance img") == (300, 200)
        assert accessibility_faults(page) == []
        small.click()
        expect(page.locator("#result")).to_be_focused()
        expect(small).to_be_hidden()
        expect(page.locator("#preview")).to_be_in_viewport()


def test_it_works_behind_the_prefix_of_a_path(browser: Browser, service: Service) -> None:
    def without_prefix(route: Route) -> None:
        inner = route.request.url.replace("/img/", "/", 1)
        route.fulfill(response=route.fetch(url=inner))

    with well_behaved(browser) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.route("**/img/**", without_prefix)
        _open(page, service, "/img/")
        expect(page.get_by_role("status")).to_contain_text(f"300 {X} 300")
        base = f"http://127.0.0.1:{service.port}/img/"
        assert page.locator("#url").text_content() == f"{base}fill/300/300/sample:cat.jpg"
        outside = [url for url in asked if not url.startswith((base, "blob:"))]
        assert outside == []


def test_where_addresses_are_signed_the_page_says_so(
    browser: Browser, start_service: StartService
) -> None:
    service = start_service(PROXY_KEYS="a key of many letters")
    with well_behaved(browser) as page:
        _open(page, service)
        expect(page.get_by_role("alert")).to_contain_text("403 Forbidden")
        expect(page.get_by_role("alert")).to_contain_text("bad_signature")


def test_a_size_that_is_allowed_is_shown_where_that_of_the_original_is_not(
    browser: Browser, start_service: StartService
) -> None:
    service = start_service(PROXY_SIZES="300x300")
    with well_behaved(browser) as page:
        _open(page, service)
        expect(page.get_by_role("status")).to_contain_text(f"300 {X} 300 pixels")
        expect(page.locator("#no-original")).to_contain_text("300x300")
        assert accessibility_faults(page) == []


def test_the_origin_is_asked_once(
    browser: Browser, start_service: StartService, origin: Origin
) -> None:
    """A browser's `no-cache` would have the origin asked, where clients may do so."""
    service = start_service(PROXY_RELOAD_NETWORKS="127.0.0.0/8")
    with well_behaved(browser) as page:
        _open(page, service)
        source = origin.on("/owl.jpg", Reply(photo()))
        page.get_by_label("Picture address").fill(f"{source}?size=1#top")
        page.get_by_role("button", name="Show", exact=True).click()
        expect(page.get_by_role("status")).to_contain_text("made just now")
        _settle(page)
        page.get_by_role("button", name="Show", exact=True).click()
        expect(page.get_by_role("status")).to_contain_text("from the cache")
        _settle(page)
    assert origin.targets == ["/owl.jpg?size=1"]

"""The pages over a real projection, in a real Chromium: no errors, no other host, readable on a phone."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request, sync_playwright

from certifier.alarms import raise_alarm
from certifier.store import Store
from contracts.hour import format_day
from contracts.verification import verify
from tests.certifier.conftest import copied, serving
from tests.certifier.small_run import FIRST_DAY, SmallRun

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
PAGES = [
    "/",
    "/districts/barlovento",
    "/districts/garafia",
    "/certificates/1",
    "/certificates/2",
    "/districts/none",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    if not CHROMIUM.exists():
        pytest.skip("no Chromium here (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


class Visit:
    """A page that was opened, with everything that went wrong on the way."""

    def __init__(self, browser: Browser, url: str, width: int = 1200, scheme: str = "light") -> None:
        self.page: Page = browser.new_page(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        self.problems: list[str] = []
        self.hosts: set[str] = set()
        self.page.on("console", lambda message: self.problems.append(message.text))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("requestfailed", lambda request: self.problems.append(f"failed: {request.url}"))
        self.page.on("request", self._note)
        response = self.page.goto(url)
        assert response is not None
        self.status = response.status

    def _note(self, request: Request) -> None:
        self.hosts.add(urlsplit(request.url).netloc)

    def text(self) -> str:
        return self.page.inner_text("main")


def fetch(url: str, accept: str = "text/html") -> tuple[int, str, dict[str, str]]:
    request = urllib.request.Request(url, headers={"Accept": accept})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read().decode(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), dict(error.headers)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("path", PAGES)
def test_a_page_opens_cleanly(website: str, browser: Browser, path: str, width: int, scheme: str) -> None:
    visit = Visit(browser, website + path, width, scheme)
    expected = 404 if path == "/districts/none" else 200
    assert visit.status == expected
    # Chromium itself reports the 404 of a page that is meant to be one.
    assert [text for text in visit.problems if "404" not in text or expected == 200] == []
    assert visit.hosts == {urlsplit(website).netloc}
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    assert visit.page.evaluate("getComputedStyle(document.body).fontSize") == "16px"
    visit.page.close()


def test_contrast_of_text_is_enough_in_both_schemes(website: str, browser: Browser) -> None:
    """Every text on the district's page has a contrast of 4.5 or more with what is behind it (WCAG AA)."""
    script = """() => {
      const parse = c => { const m = c.match(/[\\d.]+/g).map(Number); return m.length > 3 ? m : [...m, 1] };
      const part = v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4 };
      const light = c => 0.2126 * part(c[0]) + 0.7152 * part(c[1]) + 0.0722 * part(c[2]);
      const found = [];
      const texts = 'p, a, dt, dd, th, td, h1, h2, li, span.badge, summary, .mark';
      for (const element of document.querySelectorAll(texts)) {
        if (!element.innerText || !element.innerText.trim()) continue;
        let back = element, ground = [0, 0, 0, 0];
        while (back && ground[3] === 0) {
          ground = parse(getComputedStyle(back).backgroundColor);
          back = back.parentElement;
        }
        const a = light(parse(getComputedStyle(element).color)), b = light(ground);
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        const name = element.className || element.tagName;
        if (ratio < 4.5) found.push([name, element.innerText.slice(0, 30), ratio]);
      }
      return found;
    }"""
    for scheme in ("light", "dark"):
        for path in ("/", "/districts/barlovento", "/certificates/1"):
            visit = Visit(browser, website + path, scheme=scheme)
            assert visit.page.evaluate(script) == []
            visit.page.close()


def test_the_overview_lists_every_district_with_its_state(website: str, browser: Browser) -> None:
    visit = Visit(browser, website + "/")
    cards = visit.page.locator("li.card").all_inner_texts()
    assert len(cards) == 2
    assert all("Provisional" in card for card in cards)
    assert "less than twelve months" in cards[0]
    visit.page.click("text=barlovento")
    assert visit.page.url.endswith("/districts/barlovento")


def test_the_year_shows_the_hours_of_the_projection(website: str, browser: Browser) -> None:
    visit = Visit(browser, website + "/districts/barlovento")
    page = visit.page
    columns = page.locator(".heat svg rect.day")
    assert columns.count() == 4
    gaps = page.locator("details:has(summary:text('with gaps'))")
    gaps.locator("summary").click()
    assert "00–04, 09–11" in gaps.inner_text()
    columns.nth(2).click()
    assert f"day={format_day(FIRST_DAY + 2)}" in page.url
    assert page.locator("#day").inner_text() == "4\u00a0December\u00a02018"
    page.locator("summary:text('The hours as a table')").click()
    rows = page.locator("details[open] tbody tr")
    assert rows.count() == 24
    hour = json.loads(
        fetch(
            f"{website}/v1/districts/barlovento/hours?from={format_day(FIRST_DAY + 2)}&limit=24",
            "application/json",
        )[1]
    )["items"][9]
    assert f"{hour['production_wh'] / 1000:.2f}" in rows.nth(9).inner_text()
    visit.page.close()


def test_charts_and_tables_can_be_read_without_seeing(website: str, browser: Browser) -> None:
    visit = Visit(browser, website + "/districts/barlovento")
    page = visit.page
    for picture in page.locator("svg[role=img]").all():
        assert picture.get_attribute("aria-label")
    for table in page.locator("table").all():
        assert table.locator("caption").count() == 1
        assert table.locator("thead th[scope=col]").count() > 1
    assert page.locator("figure p.visually-hidden").count() == page.locator("figure").count() >= 4
    assert page.locator("h1").count() == 1
    assert page.get_attribute("html", "lang") == "en"
    visit.page.close()


def test_the_certificate_says_how_to_check_it_and_its_bundle_verifies(
    website: str, browser: Browser, small_run: SmallRun, tmp_path: Path
) -> None:
    visit = Visit(browser, website + "/certificates/1")
    page = visit.page
    assert "Provisional" in page.inner_text(".badge")
    assert "ped verify certificate-1.json --block-hash" in page.inner_text("pre")
    assert page.locator(".qr svg").bounding_box() is not None
    assert [event.split("\n")[0] for event in page.locator(".timeline li").all_inner_texts()] == [
        "Applied for by cabildo",
        "Registered provisionally by audit",
    ]
    with page.expect_download() as download:
        page.click("text=Download the proof bundle")
    assert download.value.suggested_filename == "certificate-1.json"
    file = tmp_path / "bundle.json"
    download.value.save_as(file)
    report = verify(file.read_bytes(), small_run.chain.block().hash)
    assert report.claim.district_id == "barlovento"
    visit.page.close()


def test_what_is_not_there_is_said_in_words(website: str) -> None:
    for path, words in (
        ("/districts/none", "district “none”"),
        ("/certificates/99", "certificate “99”"),
        ("/certificates/first", "page “/certificates/first”"),
        ("/districts/barlovento?assessment=0x00", "assessment of barlovento"),
        ("/nowhere", "page “/nowhere”"),
    ):
        status, html, headers = fetch(website + path)
        assert status == 404, path
        assert words in html, path
        assert headers["content-type"].startswith("text/html")
    status, html, _ = fetch(website + "/districts/barlovento?day=soon")
    assert status == 400
    assert "2019-03-31" in html
    status, html, _ = fetch(website + "/districts/%3Cscript%3E")
    assert status == 404
    assert "<script>" not in html
    status, _, headers = fetch(website + "/v1/certificates/99/bundle", "application/json")
    assert status in (404, 503)
    assert headers["content-type"] == "application/problem+json"
    status, _, headers = fetch(website + "/v1/nowhere")
    assert status == 404
    assert headers["content-type"] == "application/problem+json"


def test_no_script_and_no_other_host_is_allowed(website: str) -> None:
    for path in PAGES:
        _, html, headers = fetch(website + path)
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "<script" not in html
        outside = [url for url in re.findall(r'(?:href|src)="(https?://[^"]+)"', html) if website not in url]
        assert outside == []


def test_an_empty_projection_has_a_page_too(tmp_path: Path) -> None:
    with serving(f"sqlite:///{tmp_path / 'empty.sqlite'}") as url:
        status, html, _ = fetch(url + "/")
        assert status == 200
        assert "No district is registered yet" in html
        assert "No block has been read yet" in html
        assert fetch(url + "/districts/barlovento")[0] == 404
        status, text, _ = fetch(url + "/v1/certificates/1/bundle")
        assert status == 503
        assert "without a deployment file" in text


def test_an_alarm_stands_on_top_of_every_page(projection: Store, tmp_path: Path) -> None:
    store = copied(projection, tmp_path / "copy.sqlite")
    with store.write() as connection:
        raise_alarm(
            connection,
            "day",
            "test",
            block_number=7,
            chain_figure=-120,
            own_figure=-118,
            explanation="The balance of a final day differs.",
            district_id="barlovento",
            day=FIRST_DAY,
        )
    store.close()
    with serving(store.url) as url:
        for path in ("/", "/districts/garafia", "/certificates/1", "/nowhere"):
            _, html, _ = fetch(url + path)
            alarm = html.split('role="alert"')[1].split("</section>")[0]
            assert "1 alarm: our own computation and the chain do not agree." in alarm
            assert "Chain: -120; own computation: -118 (block 7)" in alarm
            assert html.index('role="alert"') < html.index("<main")

# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a rollout's report in a browser, as an operator sees it: on a telephone and a desk, by day and by night."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import browser
import pytest
import rollout_results as results

from ansible_collections.agnes.host.plugins.filter.report import rollout_page, rollout_report

REASON = "no browser, or nothing to drive it: 'make browser' installs both and runs this"
sync_api = pytest.importorskip("playwright.sync_api", reason=REASON)
pytestmark = pytest.mark.skipif(not browser.path(), reason=REASON)

PAGES = {"3": results.few, "100": results.many}
SHOTS = browser.SHOTS
EVIL = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages as files."""
    pages = tmp_path_factory.mktemp("pages")
    for name, result in PAGES.items():
        (pages / f"{name}.html").write_text(rollout_page(rollout_report(result())))
    hostile = results.few()
    hostile["hosts"] += [
        results.host(f"h{EVIL}", f"d{EVIL}", "failed", message=f"AH145: {EVIL}", log=[EVIL], proofs=[EVIL]),
        results.host("x" * 200, "y" * 200, "failed", message="z" * 2000, log=["w" * 2000], wave="v" * 100),
    ]  # fmt: skip
    (pages / "hostile.html").write_text(rollout_page(rollout_report(hostile)))
    return pages


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=browser.path(), args=browser.ARGUMENTS)
        yield running
        running.close()


class Opened:
    """A page in a window of its own, and what went wrong in it or was asked of another place."""

    def __init__(self, chromium: Any, path: Path, **settings: Any) -> None:
        self.context = chromium.new_context(**settings)
        self.page = self.context.new_page()
        self.wrong: list[str] = []
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", self._request)
        self.page.goto(path.as_uri())

    def _request(self, request: Any) -> None:
        if (
            request.url.partition("#")[0] != self.page.url.partition("#")[0]
            and self.page.url != "about:blank"
        ):
            self.wrong.append(f"asks for {request.url}")

    def shown(self) -> list[str]:
        """The names of the hosts that are to be seen, in their order."""
        return list(self.page.locator(".host:visible .name").all_inner_texts())

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_error: object) -> None:
        self.context.close()
        assert self.wrong == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1100, 1400])
@pytest.mark.parametrize("name", [*PAGES, "hostile"])
def test_a_page_fits_its_window_and_has_nothing_to_complain_of(
    chromium: Any, folder: Path, name: str, width: int, scheme: str
) -> None:
    settings = {"viewport": {"width": width, "height": 1000}, "color_scheme": scheme}
    with Opened(chromium, folder / f"{name}.html", **settings) as opened:
        page = opened.page
        wide = "document.documentElement.scrollWidth"
        assert page.evaluate(wide) == width
        page.evaluate("for (const host of document.querySelectorAll('.host')) host.open = true")
        assert page.evaluate(wide) == width
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (int(paper[4:].split(",")[0]) < 100) == (scheme == "dark")
        assert "taken" not in page.title()
        page.evaluate("for (const host of document.querySelectorAll('.host')) host.open = false")
        SHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SHOTS / f"rollout-{name}-{width}-{scheme}.png")


def test_hosts_are_found_by_outcome_by_word_by_deployment_and_by_wave(
    chromium: Any, folder: Path
) -> None:
    with Opened(chromium, folder / "100.html", viewport={"width": 1400, "height": 1000}) as opened:
        page = opened.page
        assert len(opened.shown()) == 100
        page.click("#chips [data-outcome=refused]")
        assert len(opened.shown()) == 4 and page.inner_text("#shown") == "4 of 100"
        page.fill("#search", "shadows GLOBEX-021")
        assert [name[:10] for name in opened.shown()] == ["globex-021"]
        page.fill("#search", "")
        page.click("#chips [data-outcome=refused]")
        page.select_option("#deployment", "hooli")
        assert len(opened.shown()) == 25
        page.select_option("#deployment", "*")
        page.click("button[data-wave='wave 1 of 5']")
        assert len(opened.shown()) == 1
        page.select_option("#wave", "*")
        page.select_option("#sort", "worst")
        outcomes = page.locator(".host").evaluate_all("all => all.map(one => one.dataset.outcome)")
        assert outcomes[:4] == ["failed", "lost", "back", "refused"] and outcomes[-1] == "nothing"
        page.select_option("#sort", "downtime")
        downtimes = page.locator(".host").evaluate_all(
            "all => all.map(one => +one.dataset.downtime)"
        )
        assert downtimes == sorted(downtimes, reverse=True) and downtimes[0] > downtimes[-1]


def test_a_link_to_a_host_shows_it_whatever_the_filters_hide(chromium: Any, folder: Path) -> None:
    with Opened(chromium, folder / "100.html") as opened:
        page = opened.page
        page.select_option("#outcome", "done")
        page.locator(".care a").first.click()
        assert page.locator(".host[open]").count() == 1
        assert page.locator(".host[open] pre").is_visible()


def test_on_paper_there_are_no_tools_and_what_failed_is_open(chromium: Any, folder: Path) -> None:
    with Opened(chromium, folder / "100.html") as opened:
        page = opened.page
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert not page.locator("#tools").is_visible()
        assert page.locator(".host[open]").count() == 7
        assert page.pdf().startswith(b"%PDF")


def test_without_scripts_all_hosts_are_there_and_the_tools_are_not(
    chromium: Any, folder: Path
) -> None:
    with Opened(chromium, folder / "100.html", java_script_enabled=False) as opened:
        assert len(opened.shown()) == 100
        assert not opened.page.locator("#tools").is_visible()
        assert "UTC" in opened.page.locator("header").inner_text()


def test_times_are_in_the_zone_of_the_reader(chromium: Any, folder: Path) -> None:
    with Opened(chromium, folder / "3.html", timezone_id="Asia/Kolkata", locale="en-GB") as opened:
        header = opened.page.locator("header").inner_text()
        assert "02:30:00 GMT+5:30" in header

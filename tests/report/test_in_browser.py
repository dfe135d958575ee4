"""The page in a real Chromium: it renders without errors, works by mouse and by keyboard, fits a phone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from axe_core_python.selenium import Axe
from reported import small_dataset, trained
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from smec.report import write_report

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    (CHROMIUM is None or DRIVER is None) and "SMEC_BROWSER_TESTS" not in os.environ,
    reason="no chromium and chromedriver (Debian: chromium-driver)",
)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    dataset = small_dataset()
    models = {"with a budget": trained(dataset, budget=12), "paper": trained(dataset, "paper")}
    file = tmp_path_factory.mktemp("browser") / "report.html"
    write_report(file, models, dataset)
    return file.as_uri()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    yield driver
    driver.quit()


@pytest.fixture
def browser(chromium: webdriver.Chrome, address: str) -> webdriver.Chrome:
    screen(chromium, 1280)
    chromium.get("about:blank")  # a new page, whatever was in the address
    chromium.get(address)
    # On a busy machine `get` may return while the page is still being read.
    WebDriverWait(chromium, 30).until(
        lambda driver: driver.execute_script(
            "return location.href === arguments[0] && document.readyState === 'complete'", address
        )
    )
    return chromium


def screen(browser: webdriver.Chrome, width: int, theme: str = "light") -> None:
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    feature = {"name": "prefers-color-scheme", "value": theme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


def shown_rows(browser: webdriver.Chrome) -> list[WebElement]:
    return [row for row in browser.find_elements(By.CSS_SELECTOR, "#results tbody tr") if row.is_displayed()]


def first_point(browser: webdriver.Chrome) -> WebElement:
    return browser.find_element(By.CSS_SELECTOR, "#quality-bytes svg.wide a")


def test_no_errors_and_nothing_in_the_data_ran(browser: webdriver.Chrome) -> None:
    assert browser.get_log("browser") == []  # type: ignore[no-untyped-call]
    assert browser.execute_script("return window.broken") is None
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    # Even a script that got into the page would not run.
    browser.execute_script(
        "const script = document.createElement('script');"
        "script.textContent = 'window.broken = true';"
        "document.body.append(script)"
    )
    assert browser.execute_script("return window.broken") is None


@pytest.mark.parametrize("width", [380, 768, 1280])
def test_it_never_scrolls_sideways(browser: webdriver.Chrome, width: int) -> None:
    screen(browser, width)
    inner, page = browser.execute_script("return [innerWidth, document.documentElement.scrollWidth]")
    assert inner == width
    assert page <= width
    drawn = browser.find_elements(By.CSS_SELECTOR, "#quality-bytes svg")
    assert [svg.is_displayed() for svg in drawn] == [width > 640, width <= 640]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [380, 1280])
def test_an_audit_finds_no_barrier(browser: webdriver.Chrome, width: int, theme: str) -> None:
    screen(browser, width, theme)
    browser.execute_script("for (const one of document.querySelectorAll('details')) one.open = true")
    found = Axe().run(browser)
    assert [(v["id"], [node["target"] for node in v["nodes"]][:3]) for v in found["violations"]] == []
    assert len(found["passes"]) > 20


def test_light_and_dark_differ_and_both_can_be_read(browser: webdriver.Chrome) -> None:
    colours = "const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]"
    light = browser.execute_script(colours)
    screen(browser, 1280, "dark")
    assert browser.execute_script(colours) != light


def test_rows_are_sorted_by_mouse_and_by_keyboard(browser: webdriver.Chrome) -> None:
    head = browser.find_elements(By.CSS_SELECTOR, "#results th button")[2]
    column = "return [...document.querySelectorAll('#results tbody tr')].map(r => +r.cells[2].dataset.value)"
    head.click()
    rising = browser.execute_script(column)
    assert rising == sorted(rising)
    head.send_keys(Keys.ENTER)
    assert browser.execute_script(column) == sorted(rising, reverse=True)
    ordered = head.find_element(By.XPATH, "..").get_attribute("aria-sort")
    assert ordered == "descending"


def test_the_table_is_filtered(browser: webdriver.Chrome) -> None:
    everything = browser.find_elements(By.CSS_SELECTOR, "#results tbody tr")
    assert 0 < len(shown_rows(browser)) < len(everything)
    browser.find_element(By.ID, "best").send_keys(Keys.SPACE)
    assert len(shown_rows(browser)) == len(everything)
    browser.find_element(By.ID, "method").send_keys("PCA")
    rows = shown_rows(browser)
    assert rows and all(row.get_attribute("data-method") == "PCA" for row in rows)
    assert browser.find_element(By.ID, "count").text == f"{len(rows)} of {len(everything)} rows"


def test_a_point_tells_its_name_and_leads_to_its_row(browser: webdriver.Chrome) -> None:
    point = first_point(browser)
    ActionChains(browser).move_to_element(point).perform()
    # Another point may lie upon it.
    top = browser.execute_script(
        "const box = arguments[0].getBoundingClientRect();"
        "const above = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);"
        "return above.closest('a').getAttribute('aria-label')",
        point,
    )
    assert browser.find_element(By.ID, "tip").text == top
    browser.find_element(By.ID, "method").send_keys("truncation")  # hides the row
    browser.execute_script("arguments[0].focus()", point)
    assert browser.find_element(By.ID, "tip").is_displayed()
    ActionChains(browser).send_keys(Keys.ENTER).perform()
    row = browser.find_element(By.CSS_SELECTOR, "tr:target")
    assert row.is_displayed()
    assert (point.get_attribute("aria-label") or "").startswith(row.get_attribute("data-method") or "none")
    ActionChains(browser).send_keys(Keys.ESCAPE).perform()
    assert not browser.find_element(By.ID, "tip").is_displayed()


def test_the_tab_key_reaches_the_answer_the_points_and_the_controls(browser: webdriver.Chrome) -> None:
    seen = []
    for _ in range(200):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        focused = browser.switch_to.active_element
        seen.append((focused.tag_name.lower(), focused.get_attribute("id") or focused.get_attribute("class")))
        if focused.tag_name == "summary":
            break
    assert seen[0] == ("a", "skip")
    names = {name for _, name in seen}
    assert {"method", "best"} <= names
    assert sum(tag == "a" for tag, _ in seen) > 20  # the contents and the points
    assert seen[-1][0] == "summary"


def test_queries_open_by_keyboard_and_are_searched(browser: webdriver.Chrome) -> None:
    listed = browser.find_elements(By.CSS_SELECTOR, "#queries-0 details")
    assert listed
    listed[0].find_element(By.TAG_NAME, "summary").send_keys(Keys.ENTER)
    rankings = listed[0].find_elements(By.CSS_SELECTOR, ".rankings ol")
    assert [len(ranking.find_elements(By.TAG_NAME, "li")) for ranking in rankings] == [3, 3]
    assert rankings[0].is_displayed()
    browser.find_element(By.CSS_SELECTOR, "input[type=search]").send_keys("no such words anywhere")
    assert not any(one.is_displayed() for one in listed)
    assert browser.find_element(By.ID, "queries-status-0").text == "0 queries contain it"


def test_on_paper_everything_is_open(browser: webdriver.Chrome) -> None:
    opened = "return document.querySelectorAll('details[open]').length"
    browser.execute_script(
        f"addEventListener('beforeprint', () => {{ window.printed = (() => {{ {opened} }})() }})"
    )
    assert len(browser.print_page()) > 10_000
    details = browser.find_elements(By.TAG_NAME, "details")
    assert browser.execute_script("return window.printed") == len(details) > 0
    assert browser.execute_script(opened) == 0

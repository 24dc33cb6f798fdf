#!/usr/bin/env python3
"""The bridge's chat page in Chromium. TOKFS_TEST_SELENIUM names a Python that has selenium; else, and without chromium and
chromedriver, a visible skip. TOKFS_TEST_SHOTS is a directory for pictures of it."""
import os
import shutil
import sys

from wire import need, serving

os.environ["TOKFS_TEST_PYTHON"] = os.environ.get("TOKFS_TEST_SELENIUM", "")
need("selenium")

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from bridge import BRIDGE
from mount import run_tests, transact, until


class Page:
    def __init__(self, wire, scheme="light", width=1300, height=850):
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--window-size={width},{height}"):
            options.add_argument(argument)
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1,
                                                                           "mobile": False})
        self.driver.get(wire.base_url.removesuffix("v1"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        errors = [entry for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE" and "favicon" not in entry["message"]]
        self.driver.quit()
        assert not errors, errors

    def find(self, css):
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def texts(self, css):
        return self.driver.execute_script("return [...document.querySelectorAll(arguments[0])].map(e => e.innerText)", css)

    def say(self, text):
        self.find("#say").send_keys(text + Keys.ENTER)

    def answered(self):
        return self.find("#send").is_enabled() and self.texts(".turn.assistant .text") and self.texts(".turn.assistant .note")

    def shot(self, name):
        if "TOKFS_TEST_SHOTS" in os.environ:
            self.driver.save_screenshot(os.path.join(os.environ["TOKFS_TEST_SHOTS"], name + ".png"))


def fill(mount):
    """Conversations that share how they begin."""
    for system in ("You are a patient teacher of small children. " * 3, "Answer in one word. " * 8):
        for i in range(12):
            request = {"messages": [{"role": "system", "content": system}, {"role": "user", "content": f"What is {i // 3} + {i}? " * 4}],
                       "max_tokens": 4 + i}
            transact(mount, "v1/chat/completions", request)


def test_it_converses_and_shows_the_cache():
    with serving() as (m, wire):
        fill(m)
        for scheme in ("light", "dark"):
            with Page(wire, scheme) as page:
                until(lambda: page.texts("#model option"), "models are listed")
                for question in ("Hi, my name is Bob.", "What is my name?", "What is 12 + 30?"):
                    before = len(page.texts(".turn.assistant .note"))
                    page.say(question)
                    until(lambda: page.find("#send").is_enabled() and len(page.texts(".turn.assistant .note")) > before, "it has answered")
                assert page.texts(".turn.assistant .text")[-1] == "12 + 30 = 42.", page.texts(".turn")
                page.find("#new").click()
                page.say("What is 12 + 31?")
                until(page.answered, "it has answered")
                until(lambda: "blocks of" in page.find("#cache-hint").text, "the tree is drawn")
                assert len(page.texts("#list li")) >= 2
                page.shot(scheme)


def test_it_stops_and_keeps_what_was_said():
    with serving() as (m, wire), Page(wire) as page:
        until(lambda: page.texts("#model option"), "models are listed")
        page.find("#temperature").send_keys("0" + Keys.TAB)
        page.driver.execute_script("document.querySelector('#max_tokens').value = 1500; document.querySelector('#max_tokens').onchange()")
        page.say("count 5000")
        until(lambda: page.texts(".turn.assistant .text") or page.answered(), "it speaks")
        page.find("#say").send_keys(Keys.ESCAPE)
        until(lambda: page.find("#send").is_enabled(), "it has stopped", 30)
        until(lambda: m.metric("requests_running") == 0, "nothing runs")
        page.driver.refresh()
        until(lambda: page.texts(".turn.user"), "the conversation is there again")


def test_markdown_is_shown_and_no_markup_of_answers_runs():
    text = "# T\n\n- a **b** `c`\n- <img src=x onerror=alert(1)>\n\n| x | y |\n|---|---|\n| 1 | 2 |\n\n```py\nprint(1 < 2)\n```\n\n[l](javascript:alert(1))"
    with serving() as (m, wire), Page(wire) as page:
        page.driver.execute_script("markdown(arguments[0], document.querySelector('#log'))", text)
        assert page.texts("#log li") == ["a b c", "<img src=x onerror=alert(1)>"] and page.texts("#log td") == ["1", "2"]
        assert page.texts("#log pre code") == ["print(1 < 2)"] and not page.texts("#log img") and not page.texts("#log a")


def test_narrow_window_and_labels():
    with serving() as (m, wire):
        fill(m)
        for scheme in ("light", "dark"):
            with Page(wire, scheme, 420, 800) as page:
                until(lambda: m.read("health") and page.driver.execute_script("return document.querySelector('#model').options.length"), "models")
                page.say("Spell cat.")
                until(page.answered, "it has answered")
                assert not page.find("nav").is_displayed() and not page.find("aside").is_displayed()
                page.shot("narrow-" + scheme)
                page.find("[data-panel=aside]").click()
                assert page.find("#temperature").is_displayed()
                until(lambda: "blocks of" in page.find("#cache-hint").text, "the tree is drawn")
                page.shot("narrow-settings-" + scheme)
                page.find("[data-panel=nav]").click()
                assert page.find("#new").is_displayed() and not page.find("#temperature").is_displayed()
                page.find("#list button").click()
                assert not page.find("nav").is_displayed()
                assert page.driver.execute_script("return document.documentElement.scrollWidth <= innerWidth")
                unnamed = page.driver.execute_script("""return [...document.querySelectorAll("input, select, textarea, button, canvas")].filter(e =>
                    !(e.labels?.length || e.ariaLabel || e.getAttribute("aria-labelledby") || e.textContent.trim())).map(e => e.outerHTML)""")
                assert not unnamed, unnamed


def test_stranger_to_the_cache_sees_figures():
    """With a key whose user may not read the cache there is no tree."""
    with serving() as (m, wire), Page(wire) as page:
        page.driver.execute_script("tree.is_refused = true")
        until(lambda: "Pages:" in page.find("#cache-hint").text, "the grid is drawn")
        page.shot("grid")


if __name__ == "__main__":
    if not os.access(BRIDGE, os.X_OK) or not shutil.which("chromium") or not shutil.which("chromedriver"):
        print("skipped: no bridge, or no chromium and chromedriver")
        sys.exit(77)
    run_tests([value for name, value in list(globals().items()) if name.startswith("test_")])

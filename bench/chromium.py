"""The browser under measurement: one headless Chromium, and the memory of its processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, expect, sync_playwright

from bench.processes import pss_kib
from tests.conftest import CHROMIUM
from tests.e2e.conftest import FLAGS

PATIENCE = 120_000  # ms for a control to be there; nothing of it is measured


@contextmanager
def chromium() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def renderers_kib(browser: Browser) -> int:
    """Memory of the processes that run pages and their workers."""
    session = browser.new_browser_cdp_session()
    processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()
    return sum(pss_kib(process["id"]) for process in processes if process["type"] == "renderer")

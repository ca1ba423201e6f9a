"""A second factor in the browser: asked for by the tenant, set up, asked for again, and proved once more."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

import pyotp
import pytest

from tests.fixtures.chromium import Window
from tests.fixtures.home import PASSWORD, sluice
from tests.journeys.test_ui import site

__all__ = ["site"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.xdist_group("chromium")]


class Phone:
    """An authenticator app: it shows each code once."""

    def __init__(self, seed):
        self.totp, self.last = pyotp.TOTP(seed), ""

    def code(self):
        while self.totp.now() == self.last:
            time.sleep(0.5)
        self.last = self.totp.now()
        return self.last


def shot(page, name):
    if folder := os.environ.get("SHOTS"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


@pytest.mark.security
@pytest.mark.req("SEC-A09", "SEC-A10", "SEC-A12", "SEC-W05")
def test_a_second_factor_in_the_browser(site):
    server, browser = site
    server.settle()
    sluice(server.folder / "root", "policy", "set", "--factor-required")
    window = Window(browser, server.url)
    page = window.page
    page.goto(server.url)

    window.sign_in("editor@example.org", PASSWORD, "acme")
    window.heading("Set up a second factor")
    window.press("Begin")
    phone = Phone(page.locator(".seed").inner_text().replace(" ", ""))
    page.get_by_label("Code").fill("000000")
    window.press("Confirm")
    page.get_by_text("wrong or has been used").wait_for()
    shot(page, "enrol")
    page.get_by_label("Code").fill(phone.code())
    window.press("Confirm")
    window.heading("Recovery codes")
    codes = page.locator(".codes li").all_inner_texts()
    assert len(codes) == 10
    window.press("I have kept them")
    window.heading("Flows")
    window.sign_out()

    window.sign_in("editor@example.org", PASSWORD, "acme")
    window.heading("Second factor")
    shot(page, "factor")
    page.get_by_label("Code").fill(codes[0])
    window.press("Sign in")
    window.heading("Flows")

    with sqlite3.connect(server.home / "store.db", timeout=10) as store:  # five minutes pass
        store.execute("update grants set proved = proved - 301")
    store.close()
    window.go("Secrets")
    window.press("Set secret")
    page.get_by_role("dialog").get_by_label("Name").fill("warehouse-password")
    page.get_by_role("dialog").get_by_label("Value").fill("a value")
    page.get_by_role("dialog").get_by_role("button", name="Set secret").click()
    proof = page.get_by_role("dialog", name="Is it still you?")
    proof.get_by_label("Password").fill(PASSWORD)
    proof.get_by_label("Code").fill(phone.code())
    shot(page, "step-up")
    proof.get_by_role("button", name="Go on").click()
    page.get_by_role("cell", name="warehouse-password", exact=True).wait_for()

    page.get_by_role("link", name="Your account").click()
    window.heading("Your account")
    page.get_by_text("9 recovery codes left").wait_for()
    shot(page, "factors")
    assert window.broken == []
    window.context.close()

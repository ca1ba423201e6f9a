"""Single sign-on in the browser: set up by an administrator, tested, used, proved anew, and made the only way in."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from tests.fixtures.chromium import Window
from tests.fixtures.home import PASSWORD, sluice
from tests.fixtures.identity import CLIENT, SECRET, real_provider
from tests.journeys.test_ui import site

__all__ = ["site"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("chromium")]


def shot(page, name):
    if folder := os.environ.get("SHOTS"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


def be(page, name):
    """Sign in at the provider as ``name``."""
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Sign in").click()


@pytest.mark.security
@pytest.mark.req("SEC-A13", "SEC-A12", "SEC-W01", "SEC-T18")
def test_single_sign_on_in_the_browser(site, tmp_path):
    server, browser = site
    with (server.home / "sluice.toml").open("a") as out:
        out.write('\n[[egress]]\nhost = "localhost"\n')
    server.stop()
    server.start()
    server.settle()
    root = server.folder / "root"
    tenant = next(each["id"] for each in sluice(root, "tenant", "list")["items"] if each["name"] == "acme")
    redirect = f"{server.url}/sso/callback/{tenant}"
    groups = {"ann": ["eng"], "bob": ["other"]}
    with real_provider(tmp_path / "provider", [redirect], groups, authority=server.home / "tls") as real:
        window = Window(browser, server.url)
        page = window.page
        page.goto(server.url)
        window.sign_in("root@example.org", PASSWORD, "acme")
        window.go("Single sign-on")
        page.get_by_text(redirect).wait_for()
        window.fill(Issuer=real.issuer, Client_id=CLIENT, Client_secret=SECRET, Mail_domains="corp.example")
        window.press("Add a group")
        page.get_by_label("Group 1", exact=True).fill("eng")
        page.get_by_label("Role 1", exact=True).select_option("administrator")
        page.get_by_text("More", exact=True).click()
        page.locator('textarea[name="ca"]').fill(real.ca)
        window.press("Save")
        page.get_by_text("There is one. Leave this empty").wait_for()
        window.press("Test")
        page.get_by_text("Nothing is wrong.").wait_for()
        shot(page, "sso-set-up")
        page.get_by_label("Issuer", exact=True).fill("http://id.example.org")
        window.press("Save")
        page.get_by_text("must be an https address").wait_for()
        window.sign_out()

        window.press("Continue with single sign-on")
        page.get_by_text("Say first which tenant you belong to.").wait_for()
        window.fill(Tenant="nowhere")
        window.press("Continue with single sign-on")
        page.get_by_text("Single sign-on is not set up for this tenant").wait_for()
        window.fill(Tenant="acme")
        shot(page, "sso-sign-in")
        window.press("Continue with single sign-on")
        be(page, "bob")
        page.get_by_text("Single sign-on did not let you in.").wait_for()
        window.heading("Sign in")
        assert page.url == f"{server.url}/"
        window.context.clear_cookies()

        window.fill(Tenant="acme")
        window.press("Continue with single sign-on")
        be(page, "ann")
        window.heading("Flows")
        assert page.url == f"{server.url}/flows"
        page.get_by_text("Ann", exact=True).wait_for()
        history = window.context.new_cdp_session(page).send("Page.getNavigationHistory")["entries"]
        assert [each["url"] for each in history if "code=" in each["url"]] == []
        page.goto(server.url)
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
        with window.context.expect_page() as opened:
            proof.get_by_role("button", name="Continue with single sign-on").click()
        shot(page, "sso-step-up")
        be(opened.value, "ann")
        page.get_by_role("cell", name="warehouse-password", exact=True).wait_for()

        window.go("Single sign-on")
        page.get_by_label("Everybody in this tenant signs in this way").click()
        page.get_by_role("checkbox", name="Everybody in this tenant signs in this way", checked=True).wait_for()
        window.sign_out()
        window.sign_in("editor@example.org", PASSWORD, "acme")
        page.get_by_text("Wrong tenant, email or password.").wait_for()

        assert window.broken == []
        assert [each for each in window.strangers() if not each.startswith(real.issuer)] == []
        held = [each for each in window.cookies() if server.url in each]
        assert held == []
        window.context.close()
    log = (server.folder / "server.log").read_text()
    assert "sso.finish" in log
    assert "code=" not in log

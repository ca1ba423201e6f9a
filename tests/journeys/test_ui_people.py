"""People, keys and policy in the browser, against a real server: what is done there holds outside at once."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from tests.fixtures.chromium import Window
from tests.fixtures.home import PASSWORD, sluice
from tests.fixtures.relay import relay
from tests.journeys.test_ui import site

__all__ = ["relay", "site"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.xdist_group("chromium")]


def shot(page, name):
    if folder := os.environ.get("SHOTS"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


def wait_five_minutes(server):
    with sqlite3.connect(server.home / "store.db", timeout=10) as store:
        store.execute("update grants set proved = proved - 301")
    store.close()


def administrator(server):
    """Make an administrator of ``acme`` and return the one-time password."""
    return sluice(server.folder / "root", "user", "create", "ada@example.org", "--role", "administrator")["password"]


def with_key(server, key, *words, expect=0):
    """Run a command with an API key and nothing else, as a program does."""
    return sluice(
        server.folder / "nobody", *words, expect=expect, SLUICE_URL=server.url, SLUICE_CA=str(server.ca), SLUICE_API_KEY=key
    )  # fmt: skip


@pytest.mark.security
@pytest.mark.req("SEC-K01", "SEC-A12", "SEC-A16")
def test_what_an_administrator_does_in_the_browser_holds_at_once(site):
    server, browser = site
    server.settle()
    first = administrator(server)
    window = Window(browser, server.url)
    page = window.page
    dialog = page.get_by_role("dialog")
    page.goto(server.url)
    window.sign_in("ada@example.org", first, "acme")
    window.heading("Choose your own password")
    window.fill(Current_password=first, New_password=PASSWORD, New_password_again=PASSWORD)
    window.press("Change password")
    window.heading("Flows")

    # A key for a program, shown once, works from the command line, as far as its scopes go.
    window.go("API keys")
    window.press("New service user")
    dialog.get_by_label("Name").fill("nightly")
    window.press("Create service user")
    window.press("Make a key")
    dialog.get_by_label("Name").fill("nightly-run")
    dialog.get_by_role("checkbox", name="flow:read").check()
    dialog.get_by_role("checkbox", name="run:read").check()
    dialog.get_by_label("Days").fill("30")
    window.press("Create key")
    key = dialog.locator(".copy code").inner_text()
    assert key.startswith("slg_")
    shot(page, "key")
    window.press("I have it")
    assert key not in page.content()
    assert with_key(server, key, "flow", "list")["items"] == []
    assert with_key(server, key, "secret", "list", expect=None).returncode == 4
    page.reload()
    row = page.get_by_role("row", name="nightly-run")
    row.get_by_text("127.0.0.1").wait_for()
    row.get_by_text("in 30 days").wait_for()

    # A policy needs a fresh proof, and holds for everybody.
    window.go("Policy")
    page.get_by_label("Days of an API key").fill("60")
    page.get_by_label("Length of passwords").fill("18")
    wait_five_minutes(server)
    window.press("Save policy")
    proof = page.get_by_role("dialog", name="Is it still you?")
    proof.get_by_label("Password").fill(PASSWORD)
    proof.get_by_role("button", name="Go on").click()
    page.get_by_text("Saved. It holds now").wait_for()
    shot(page, "policy")
    policy = sluice(server.folder / "root", "policy", "get")
    assert (policy["key_days"], policy["password_length"]) == (60, 18)
    window.go("API keys")
    window.press("New key")
    dialog.get_by_text("60 at the most here").wait_for()
    page.keyboard.press("Escape")

    # Who is deactivated is out, and so is the program whose key is revoked.
    assert sluice(server.editor, "whoami")["email"] == "editor@example.org"
    window.go("Users")
    page.get_by_role("link", name="editor", exact=True).click()
    window.heading("editor")
    window.press("Deactivate")
    dialog.get_by_role("button", name="Deactivate").click()
    page.get_by_role("main").get_by_text("deactivated").wait_for()
    shot(page, "user")
    assert sluice(server.editor, "whoami", expect=None).returncode != 0
    window.go("API keys")
    window.press("Revoke nightly-run")
    window.press("Revoke key")
    page.get_by_role("row", name="nightly-run").wait_for(state="detached")
    assert with_key(server, key, "flow", "list", expect=None).returncode != 0

    assert window.broken == []
    assert window.strangers() == []
    assert window.cookies() == []
    window.context.close()


@pytest.mark.security
@pytest.mark.req("SEC-Z08")
def test_a_superadmin_sees_where_they_are_and_who_lets_them_see_rows(site, relay):
    server, browser = site
    server.settle()
    server.stop()
    with (server.home / "sluice.toml").open("a") as out:
        out.write(f'\n[mail]\nrelay = "127.0.0.1"\nport = {relay.port}\ntls = "off"\nsender = "sluice@example.org"\n')
    server.start()
    first = administrator(server)
    root, ada = Window(browser, server.url), Window(browser, server.url)
    root.page.goto(server.url)
    root.sign_in("root@example.org", PASSWORD)
    root.heading("Tenants")
    root.press("Enter acme")
    root.page.get_by_role("dialog").get_by_role("button", name="Enter acme").click()
    root.page.get_by_text("You are in tenant acme as SuperAdmin, without its rows.").wait_for()
    root.go("Support access")
    assert root.page.get_by_role("button", name="Give support access").count() == 0

    ada.page.goto(server.url)
    ada.sign_in("ada@example.org", first, "acme")
    ada.fill(Current_password=first, New_password=PASSWORD, New_password_again=PASSWORD)
    ada.press("Change password")
    ada.heading("Flows")
    ada.go("Support access")
    ada.press("Give support access")
    ada.page.get_by_role("dialog").get_by_label("Reason").fill("ticket 4711")
    ada.press("Give access")
    ada.page.get_by_text("may see the rows of this tenant").wait_for()
    shot(ada.page, "support")
    root.page.get_by_text("All you ask is on its audit trail.").wait_for(timeout=40_000)
    shot(root.page, "inside")
    ada.press("End ticket 4711")
    ada.press("End access")
    root.page.get_by_text("without its rows").wait_for(timeout=40_000)

    # A relay is set up: whether it takes a mail is seen there.
    ada.go("Mail")
    ada.press("Send a test mail")
    ada.page.get_by_text("A test mail to ada@example.org is on its way.").wait_for()
    ada.page.get_by_role("row", name="ada@example.org Test").get_by_text("sent").wait_for(timeout=40_000)
    assert "Sluicegate: Test" in [each["Subject"] for each in relay.got.to("ada@example.org")]
    shot(ada.page, "mail")

    root.press("Leave the tenant")
    root.heading("Tenants")
    assert root.page.get_by_text("You are in tenant").count() == 0
    assert root.broken == ada.broken == []
    root.context.close()
    ada.context.close()


@pytest.mark.security
@pytest.mark.req("SEC-A17", "SEC-A18")
def test_somebody_is_invited_comes_forgets_their_password_and_comes_back(site):
    """No relay is set up, so the links are handed over; each works once, and none stays in an address or a page."""
    server, browser = site
    server.settle()
    first = administrator(server)
    ada, lea = Window(browser, server.url), Window(browser, server.url)
    dialog = ada.page.get_by_role("dialog")
    ada.page.goto(server.url)
    ada.sign_in("ada@example.org", first, "acme")
    ada.fill(Current_password=first, New_password=PASSWORD, New_password_again=PASSWORD)
    ada.press("Change password")
    ada.heading("Flows")
    ada.go("Users")
    ada.press("Invite")
    dialog.get_by_label("Email").fill("lea@example.org")
    dialog.get_by_role("button", name="Invite", exact=True).click()
    link = dialog.locator(".copy code").inner_text()
    ada.press("I have it")
    assert link not in ada.page.content()

    lea.page.goto(f"{server.url}/#{link.partition('#')[2]}")
    lea.heading("Welcome")
    assert lea.page.url == f"{server.url}/"
    shot(lea.page, "welcome")
    lea.fill(Name="Lea Bourne", Password=PASSWORD, Once_more=PASSWORD)
    lea.press("Accept invitation")
    lea.heading("Flows")
    lea.page.reload()
    lea.heading("Flows")
    lea.page.get_by_role("link", name="Your account").click()
    lea.page.get_by_text("Chrome on Linux").first.wait_for()
    shot(lea.page, "account")

    # The link is dead now.
    other = Window(browser, server.url)
    other.page.goto(f"{server.url}/#{link.partition('#')[2]}")
    other.fill(Name="Mallory", Password=PASSWORD, Once_more=PASSWORD)
    other.press("Accept invitation")
    other.page.get_by_text("The link is wrong, has been used, or is over.").wait_for()
    other.press("Not now")
    other.press("Password forgotten?")
    other.page.get_by_text("This server sends no mail.").wait_for()

    ada.page.reload()
    ada.page.get_by_role("link", name="Lea Bourne").click()
    ada.press("Send a reset link")
    reset = dialog.locator(".copy code").inner_text()
    ada.press("I have it")
    other.page.goto(f"{server.url}/#{reset.partition('#')[2]}")
    other.heading("Choose a new password")
    fresh = "nine grey herons on a weir"
    other.fill(Password=fresh, Once_more=fresh)
    other.press("Change password")
    other.heading("Your password is changed")
    other.press("Go on")
    other.sign_in("lea@example.org", fresh, "acme")
    other.heading("Flows")
    # Whoever was signed in by the old password is out.
    lea.page.reload()
    lea.heading("Sign in")

    assert ada.broken == lea.broken == other.broken == []
    assert ada.cookies() + lea.cookies() + other.cookies() == []
    for each in (ada, lea, other):
        each.context.close()

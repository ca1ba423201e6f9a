"""The built page in Debian's Chromium against a real server over TLS: a day's work, and what an attacker tries."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.fixtures.chromium import Window, chromium
from tests.fixtures.home import PASSWORD, Served, sluice

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.xdist_group("chromium")]

ROWS = 1_000_000  # enough to be seen running
FLOW = """kind: connection
name: here
type: files
root: .
---
kind: flow
name: fruit
params: { most: { type: int64, default: 96 } }
steps:
  - read: { name: rows, connection: here, item: rows.csv }
  - map: { name: more, from: rows, where: "value <= :most", columns: { id: id, value: value, hash: "sha256(text)" } }
  - check: { name: valid, from: more, rules: [ { column: id, between: [5, 1000000] } ], on_fail: quarantine }
  - write: { from: valid, connection: here, item: out.parquet }
"""


@pytest.fixture
def site():
    """A server at its very first start, and a browser that trusts it."""
    with tempfile.TemporaryDirectory(prefix="sluice-ui-") as folder:
        server = Served(Path(folder))
        server.start()
        try:
            with chromium(Path(folder) / "person", server.home) as browser:
                yield server, browser
        finally:
            server.stop()
            server.close()


@pytest.mark.security
@pytest.mark.req("SEC-W01", "SEC-W06", "SEC-T18", "SEC-A16")
def test_a_day_in_the_browser(site):
    """From the one-time code to signing out: no cookie, no stranger asked, no breach of the content policy."""
    server, browser = site
    window = Window(browser, server.url)
    page = window.page
    page.goto(server.url)

    window.heading("First administrator")
    window.fill(Code=server.code, Email="root@example.org", Name="Root", Password=PASSWORD)
    window.press("Create administrator")
    window.heading("Tenants")
    window.press("New tenant")
    window.fill(Name="acme")
    window.press("Create tenant")
    page.get_by_role("cell", name="acme", exact=True).wait_for()
    window.sign_out()

    window.sign_in("root@example.org", PASSWORD, "acme")
    window.heading("Flows")
    window.go("Users")
    window.press("New user")
    page.get_by_role("dialog").get_by_label("Email").fill("ed@example.org")
    page.get_by_role("dialog").get_by_label("Name").fill("Ed")
    page.get_by_role("dialog").get_by_label("Role").select_option("editor")
    window.press("Create user")
    first = page.get_by_role("dialog").locator("code").first.inner_text()
    window.press("I have it")
    window.sign_out()

    window.sign_in("ed@example.org", first, "acme")
    window.heading("Choose your own password")
    window.fill(Current_password=first, New_password=PASSWORD, New_password_again=PASSWORD)
    window.press("Change password")
    window.heading("Flows")

    (tenant,) = (each for each in sluice_tenants(server) if each["name"] == "acme")
    data = server.data({"tenant": tenant["id"]})
    with (data / "rows.csv").open("w") as out:
        out.write("id,value,text\n")
        out.writelines(f"{n},{n % 97},text {n}\n" for n in range(ROWS))

    page.get_by_role("link", name="New flow").first.click()
    window.heading("New flow")
    window.write(FLOW.replace("between", "betwen"))
    window.press("Save")
    page.get_by_role("alert").get_by_text("betwen: unknown key").wait_for()
    page.locator(".cm-lint-marker-error").wait_for()
    window.write(FLOW)
    window.press("Save")
    window.heading("fruit")
    window.write(FLOW.split("---\n")[1].replace("default: 96", "default: 95"))
    page.get_by_text("unsaved changes").wait_for()
    page.keyboard.press("Control+s")
    page.get_by_text("Saved flow fruit as version 2.").wait_for()
    shot(page, "flow")

    window.press("Run")
    window.press("Start run")
    state = page.get_by_role("main").get_by_role("status").first
    state.get_by_text("running").wait_for()
    page.get_by_role("progressbar", name="Step rows").wait_for()
    shot(page, "running")
    state.get_by_text("finished with rejects").wait_for(timeout=60_000)
    read = page.locator(".number", has_text="Rows read")
    read.get_by_text(f"{ROWS:,}").wait_for()
    page.get_by_role("heading", name="What landed").wait_for()
    log = page.get_by_role("log")
    log.get_by_text("exactly-once").wait_for()
    log.get_by_text("finished_with_rejects").wait_for()
    window.press("Show rejected rows")
    page.get_by_role("region", name="Rows in quarantine").get_by_role("row").nth(5).wait_for()
    shot(page, "rejects")
    (data / "people.csv").write_text("id,contact\n" + "".join(f"{n},canary{n}@example.org\n" for n in range(20)))
    window.go("Connections")
    page.get_by_role("link", name="here", exact=True).click()
    window.press("Find personal data")
    window.fill(Item="people.csv")
    window.press("Look")
    page.get_by_role("cell", name="email", exact=True).wait_for()
    page.get_by_text("columns: [contact], method: hash").wait_for()
    assert "canary" not in page.content()
    page.get_by_role("dialog").get_by_role("button", name="Close", exact=True).first.click()
    for room in ("Runs", "Connections", "Recipients", "Secrets", "Flows"):
        window.go(room)
    page.reload()
    window.heading("Flows")
    window.sign_out()
    page.go_back()
    window.heading("Sign in")

    assert window.broken == []
    assert window.strangers() == []
    assert window.cookies() == []
    window.context.close()


def sluice_tenants(server: Served) -> list[dict]:
    password = server.folder / "password.txt"
    password.write_text(PASSWORD)
    here = ("--url", server.url, "--ca", str(server.ca))
    home = server.folder / "root"
    sluice(home, "login", *here, "--email", "root@example.org", "--password-file", str(password))
    return sluice(home, "tenant", "list")["items"]


def shot(page, name: str) -> None:
    """Keep a picture where the one who runs the tests asks for it."""
    import os

    if folder := os.environ.get("SHOTS"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)

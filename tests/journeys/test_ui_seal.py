"""A sealed server in the browser: those who hold shares bring them, and the sign-in page comes."""

from __future__ import annotations

import pytest

from tests.cli.test_seal import wait
from tests.fixtures.chromium import Window
from tests.fixtures.home import PASSWORD, sluice
from tests.journeys.test_ui import site
from tests.journeys.test_ui_factor import shot

__all__ = ["site"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.xdist_group("chromium")]


@pytest.mark.security
@pytest.mark.req("SEC-V06", "SEC-W05")
def test_a_sealed_server_is_opened_by_the_shares_of_three_and_by_nothing_less(site):
    server, browser = site
    server.settle()
    root = server.folder / "root"
    shares = sluice(root, "seal", "change", "--to", "shamir")["shares"]
    sluice(root, "seal", "confirm", "--file", "-", told="\n".join(shares[:3]))
    sluice(root, "seal", "close")
    wait(server, root, sealed=True)
    holders = [Window(browser, server.url) for _ in range(2)]
    for each in holders:
        each.page.goto(server.url)
        each.heading("Sealed")
    first, other = holders
    other.page.get_by_text("0 of 3 shares are there").wait_for()
    assert other.page.get_by_label("Password").count() == 0
    first.fill(Your_share="sgs1-nothing")
    first.press("Give my share")
    first.page.get_by_role("alert").wait_for()
    first.page.get_by_label("Your share").fill(shares[0])
    first.press("Give my share")
    other.page.get_by_text("1 of 3 shares are there").wait_for()
    shot(other.page, "unseal")
    for share in shares[2:4]:
        assert other.page.get_by_label("Your share").input_value() == ""
        other.page.get_by_label("Your share").fill(share)
        other.press("Give my share")
        other.page.get_by_text("2 of 3 shares are there").or_(other.page.get_by_label("Password")).first.wait_for()
    for each in holders:
        each.heading("Sign in")
    text = first.page.content() + other.page.content()
    assert not any(each[12:40] in text for each in shares)
    first.sign_in("editor@example.org", PASSWORD, "acme")
    first.heading("Flows")
    for each in holders:
        each.context.close()

"""Where a request comes from, whoever claims what (SEC-N08)."""

from __future__ import annotations

import pytest

from sluicegate.base.networks import networks
from sluicegate.base.principal import Role
from sluicegate.base.settings import Server
from sluicegate.web.peer import client_address
from tests.fixtures.server import Place

PROXIES = networks(["10.0.0.0/24", "2001:db8:f::/48"])


@pytest.mark.security
@pytest.mark.req("SEC-N08")
@pytest.mark.parametrize(
    ("wire", "forwarded", "expected"),
    [
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", ["192.0.2.9"], "203.0.113.7"),
        ("10.0.0.5", [], "10.0.0.5"),
        ("10.0.0.5", ["192.0.2.9"], "192.0.2.9"),
        ("::ffff:10.0.0.5", ["192.0.2.9"], "192.0.2.9"),
        ("10.0.0.5", ["6.6.6.6, 192.0.2.9"], "192.0.2.9"),
        ("10.0.0.5", ["6.6.6.6", "192.0.2.9"], "192.0.2.9"),
        ("10.0.0.5", ["192.0.2.9", "6.6.6.6"], "6.6.6.6"),
        ("10.0.0.5", ["6.6.6.6, 192.0.2.9, 10.0.0.6"], "192.0.2.9"),
        ("10.0.0.5", ["10.0.0.7, 10.0.0.6"], "10.0.0.7"),
        ("10.0.0.5", ["192.0.2.9, garbage"], "10.0.0.5"),
        ("10.0.0.5", ["192.0.2.9, garbage, 10.0.0.6"], "10.0.0.6"),
        ("10.0.0.5", ["192.0.2.9,"], "10.0.0.5"),
        ("10.0.0.5", [""], "10.0.0.5"),
        ("10.0.0.5", ["192.0.2.9:4711"], "192.0.2.9"),
        ("10.0.0.5", ["[2001:db8::9]:4711"], "2001:db8::9"),
        ("2001:db8:f::1", ["::ffff:192.0.2.9"], "192.0.2.9"),
        ("::ffff:203.0.113.7", ["192.0.2.9"], "203.0.113.7"),
        ("10.0.0.5", [", ".join(["10.0.0.6"] * 1000)], "10.0.0.6"),
        ("", ["192.0.2.9"], ""),
    ],
)  # fmt: skip
def test_the_list_is_read_from_the_right_and_only_from_trusted_proxies(wire, forwarded, expected):
    assert client_address(wire, forwarded, PROXIES) == expected


@pytest.mark.security
@pytest.mark.req("SEC-N08")
def test_without_proxies_nobody_is_believed():
    assert client_address("10.0.0.5", ["192.0.2.9"], ()) == "10.0.0.5"


@pytest.mark.security
@pytest.mark.req("SEC-N08")
def test_the_address_behind_a_proxy_is_in_the_trail_and_no_spoofed_one(tmp_path):
    server = Server(access_log=False, proxies=("10.0.0.0/8",))  # where the tests' requests come from
    place = Place(tmp_path / "home", server=server).settle()
    try:
        token, before = place.token(Role.VIEWER), place.head()
        for value in ("198.51.100.1", "6.6.6.6, 198.51.100.1"):
            headers = {"x-forwarded-for": value, "x-real-ip": "6.6.6.6", "forwarded": "for=6.6.6.6"}
            assert place.request("GET", "/api/v1/users", token, headers=headers).status_code == 403
        assert [each["address"] for each in place.records(after=before)] == ["198.51.100.1"] * 2
    finally:
        place.close()

from __future__ import annotations

import pytest

from sluicegate.base.networks import networks, read_address, read_network, site, within


@pytest.mark.security
@pytest.mark.req("SEC-N08")
@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.1", "192.0.2.1"), ("::FFFF:c000:201", "192.0.2.1"), ("2001:DB8:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"), ("", None), ("unknown", None), ("192.0.2", None), ("192.0.2.01", None), ("192.0.2.1, 10.0.0.1", None),
        ("192.0.2.1:80", None), ("[::1]", None), ("3221225985", None), ("１９２.0.2.1", None), (" 192.0.2.1", None),
    ],
)  # fmt: skip
def test_an_address_has_one_spelling(text, spelled):
    found = read_address(text)
    assert (str(found) if found else None) == spelled


def test_a_network_has_one_spelling():
    told = {"10.0.0.0/8": "10.0.0.0/8", "192.0.2.1": "192.0.2.1/32", "2001:DB8::/32": "2001:db8::/32",
            "::ffff:10.0.0.0/104": "10.0.0.0/8", "0.0.0.0/0": "0.0.0.0/0", "::/0": "::/0"}  # fmt: skip
    assert {text: str(read_network(text)) for text in told} == told


@pytest.mark.security
@pytest.mark.parametrize(
    "text", ["", "10.0.0.1/8", "10.0.0.0/33", "10/8", "example.org", "*", "10.0.0.0/-1", "::1%lo/128"]
)
def test_what_is_no_network_is_refused(text):
    with pytest.raises(ValueError, match="no address and no network"):
        read_network(text)


@pytest.mark.security
@pytest.mark.req("SEC-A06")
@pytest.mark.parametrize(
    ("text", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.1", "192.0.2.1"), ("2001:db8:0:1::5", "2001:db8:0:1::/64"),
        ("2001:DB8:0:1:ffff:ffff:ffff:ffff", "2001:db8:0:1::/64"), ("fe80::1%eth0", "fe80::/64"), ("", ""), ("a:b", "a:b"),
    ],
)  # fmt: skip
def test_what_one_customer_has_is_counted_as_one_place(text, counted):
    assert site(text) == counted


@pytest.mark.security
@pytest.mark.req("SEC-K01")
def test_an_address_lies_within_or_not():
    listed = networks(["10.0.0.0/8", "2001:db8::/32"])
    for inside in ("10.1.2.3", "::ffff:10.1.2.3", "2001:db8::5"):
        assert within(inside, listed)
    for outside in ("11.0.0.1", "::ffff:11.0.0.1", "2001:db9::1", "", "unix:", "10.1.2.3.4", "::10.1.2.3"):
        assert not within(outside, listed)
    assert not within("10.0.0.1", ())

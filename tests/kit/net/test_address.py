"""What the egress policy refuses is never touched, whatever it is called."""

from __future__ import annotations

import ipaddress
import json
import socket
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sluicegate.base.errors import Egress as EgressRefused
from sluicegate.base.errors import Unreachable
from sluicegate.kit.net import (
    Egress,
    Grant,
    Net,
    Pinned,
    clean_host,
)
from sluicegate.kit.net import (
    address as addresses,
)
from tests.fixtures.web import Names, grants

METADATA = ["169.254.169.254", "169.254.170.2", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"]
REFUSED = [
    *METADATA, "127.0.0.1", "127.255.255.255", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "0.0.0.0",
    "0.1.2.3", "100.64.0.1", "169.254.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1",
    "239.255.255.255", "240.0.0.1", "255.255.255.255", "192.88.99.1", "::", "::1", "fe80::1", "fc00::1", "fd12:3456::1",
    "fec0::1", "ff02::1", "2001:db8::1", "3fff::1", "100::1", "5f00::1", "4000::1", "::ffff:169.254.169.254",
    "::ffff:127.0.0.1", "::ffff:a00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::7f00:1", "64:ff9b:1::a9fe:a9fe", "64:ff9b:1::1",
    "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:0:7f00:1:8000:63bf:f7f7:f7f7",
    "2001:0:808:808::f7f7:f7f7", "::7f00:1", "::808:808", "::ffff:0:7f00:1", "2606:4700::5efe:7f00:1",
    "2606:4700::200:5efe:a00:1",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "192.0.1.1", "2606:4700::1111", "64:ff9b::808:808"]
ODD = [
    "0177.0.0.1", "2130706433", "0x7f.1", "127.1", "0x7f000001", "017700000001", "127.0.1", "127.0.0.01", "0", "00",
    "0x0", "0x", "127.0.0.1.", "localhost.", "example.com.", "a..b", ".a", "", ".", "1.2.3.4.5", "256.1.1.1", "a.0x7f",
    "a.1", "user@127.0.0.1", "user:pw@example.com", "example.com@10.0.0.1", "exa mple.com", " example.com",
    "example.com\n", "example.com\t", "a\0.example.com", "127.0.0.1\0.example.com", "%31%32%37.0.0.1", "fe80::1%eth0",
    "::1%25lo", "127。0。0。1", "１２７.0.0.1", "ⓔxample.com", "localhost。", "example．com", "ex｡com",
    "\u212aafka.example", "[", "[]", "[::1", "::1]", "[127.0.0.1]", "[[::1]]", "example.com:80", "127.0.0.1:80",
    "http://example.com", "example.com/x", "example.com#x", "example.com?x", "a\\b", "-a.com", "a-.com",
    "a" * 64 + ".com", ".".join(["a" * 60] * 5),
]  # fmt: skip


CLOSED = Egress()


# --- addresses -------------------------------------------------------------------------------------------------------


@pytest.mark.security
@pytest.mark.req("SEC-E02")
@pytest.mark.parametrize("address", REFUSED)
def test_an_address_that_is_not_public_is_refused_by_literal_and_by_name(address):
    with pytest.raises(EgressRefused):
        Net(CLOSED, Names()).dial(address, 443)
    with pytest.raises(EgressRefused, match=r"^data.example.org:443: The egress policy refuses data\.example\.org"):
        Net(CLOSED, Names([address])).dial("data.example.org", 443)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_open(address):
    assert Net(CLOSED, Names()).dial(address, 443) == Pinned(address, address, 443)
    assert Net(CLOSED, Names([address])).dial("Data.example.ORG", 443) == Pinned("data.example.org", address, 443)


NETWORKS = [network for network, _ in addresses.REFUSED] + addresses.METADATA
PUBLIC4 = ipaddress.ip_address("8.8.4.4")


def within(network):
    return st.integers(int(network.network_address), int(network.broadcast_address)).map(type(network.network_address))


def embedded(inner):
    """Return every known way to write IPv4 address ``inner`` into an IPv6 address."""
    bits, public = int(inner), int(PUBLIC4)
    nat64, local = int(ipaddress.ip_address("64:ff9b::")), int(ipaddress.ip_address("64:ff9b:1::"))
    found = [
        0xFFFF << 32 | bits,  # IPv4-mapped
        bits,  # IPv4-compatible
        0xFFFF << 48 | bits,  # IPv4-translated
        nat64 | bits,
        local | bits,
        local | (bits >> 16) << 64 | (bits & 0xFFFF) << 40,
        local | (bits >> 24) << 64 | (bits & 0xFFFFFF) << 32,
        local | bits << 24,
        0x2002 << 112 | bits << 80,  # 6to4
        0x2001 << 112 | bits << 64 | (public ^ 0xFFFFFFFF),  # Teredo server
        0x2001 << 112 | public << 64 | (bits ^ 0xFFFFFFFF),  # Teredo client
        0x2606_4700 << 96 | 0x5EFE << 32 | bits,  # ISATAP
        0x2606_4700 << 96 | 0x0200_5EFE << 32 | bits,
    ]
    return [ipaddress.IPv6Address(each) for each in found]


@pytest.mark.security
@pytest.mark.req("SEC-E02")
@given(st.sampled_from(NETWORKS).flatmap(within))
@settings(max_examples=100, deadline=None)
def test_every_address_of_a_refused_network_is_refused_in_every_embedded_form(address):
    forms = [address] if address.version == 6 else [address, *embedded(address)]
    for form in forms:
        for text in {str(form), form.exploded}:
            with pytest.raises(EgressRefused):
                Net(CLOSED, Names()).dial(text, 80)
            with pytest.raises(EgressRefused):
                Net(CLOSED, Names([text])).dial("a.example", 80)


@pytest.mark.security
@pytest.mark.req("SEC-E02")
@given(st.integers(0, 2**128 - 1).map(ipaddress.IPv6Address))
@settings(max_examples=100, deadline=None)
def test_ipv6_outside_the_assigned_global_space_is_refused(address):
    special = address in ipaddress.ip_network("2000::/3") or address in ipaddress.ip_network("64:ff9b::/96")
    if special or address.ipv4_mapped:
        return
    with pytest.raises(EgressRefused):
        Net(CLOSED).dial(str(address), 80)


@pytest.mark.security
@pytest.mark.req("SEC-E02")
@pytest.mark.parametrize("inner", METADATA[:1] + METADATA[3:])
def test_no_grant_but_the_exact_address_opens_a_metadata_service_in_any_form(inner):
    wide = grants("0.0.0.0/0", "::/0", "*.example", "a.example", inner + "/32")
    for form in (inner, *map(str, embedded(ipaddress.ip_address(inner)))):
        for net in (Net(wide, Names()), Net(Egress.local(), Names())):
            with pytest.raises(EgressRefused):
                net.dial(form, 80)
        with pytest.raises(EgressRefused, match="metadata"):
            Net(wide, Names([form])).dial("a.example", 80)
    assert Net(grants(inner)).dial(inner, 80).address == inner
    with pytest.raises(EgressRefused):
        Net(grants("169.254.169.253")).dial(inner, 80)


@pytest.mark.security
@pytest.mark.req("SEC-E02")
def test_no_grant_opens_unspecified_multicast_or_broadcast():
    for address in ("0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "::ffff:0.0.0.0", "64:ff9b::"):
        with pytest.raises(EgressRefused):
            Net(grants("0.0.0.0/0", "::/0", address)).dial(address, 80)


@pytest.mark.security
@pytest.mark.req("SEC-E02")
def test_one_refused_address_among_public_ones_refuses_the_name():
    for answer in (["8.8.8.8", "127.0.0.1"], ["127.0.0.1", "8.8.8.8"], ["8.8.8.8", "fd00:ec2::254"]):
        with pytest.raises(EgressRefused):
            Net(CLOSED, Names(answer)).dial("a.example", 80)


@pytest.mark.security
@pytest.mark.req("SEC-E02")
def test_a_public_address_of_this_machine_is_refused():
    """In a network namespace of its own, whose loopback interface carries a public address."""
    script = (
        "import fcntl, socket, struct\n"
        "with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:\n"
        "    fcntl.ioctl(sock, 0x8916, struct.pack('16sH2s4s8s', b'lo', 2, b'', socket.inet_aton('8.8.8.8'), b''))\n"
        "    fcntl.ioctl(sock, 0x8914, struct.pack('16sH14s', b'lo', 0x49, b''))\n"
        "from sluicegate.base.errors import Egress as Refused\n"
        "from sluicegate.kit.net import Egress, Grant, Net\n"
        "try:\n"
        "    Net(Egress()).dial('8.8.8.8', 80)\n"
        "except Refused as fault:\n"
        "    print('own' in fault.message, Net(Egress(allow=(Grant(host='8.8.8.8'),))).dial('8.8.8.8', 80).address)\n"
    )
    ran = subprocess.run(["unshare", "-rn", sys.executable, "-c", script], capture_output=True, text=True, check=False)
    if ran.returncode and "unshare" in ran.stderr:
        pytest.skip("no user namespaces here")
    assert ran.stdout.strip() == "True 8.8.8.8", ran.stderr


# --- hosts -----------------------------------------------------------------------------------------------------------


@pytest.mark.security
@pytest.mark.req("SEC-E03")
@pytest.mark.parametrize("host", ODD)
def test_an_odd_host_is_refused_before_anyone_is_asked(host):
    names = Names(["8.8.8.8"])
    with pytest.raises(EgressRefused):
        Net(Egress.local(), names).dial(host, 80)
    assert names.asked == []


@pytest.mark.security
@pytest.mark.req("SEC-E03")
def test_a_refused_host_is_not_shown_for_it_may_hold_a_password():
    for host in ("user:canary@db", "canary pass", "canary%40", "postgres://u:canary@h/d"):
        with pytest.raises(EgressRefused) as caught:
            clean_host(host)
        assert "canary" not in json.dumps(caught.value.problem())


@pytest.mark.security
@pytest.mark.req("SEC-E03")
@given(st.text(st.sampled_from("0123456789abcdefx.:[]@%-_ \0。１"), max_size=20))
@settings(max_examples=100, deadline=None)
def test_what_passes_as_a_host_means_one_thing(text):
    try:
        host = clean_host(text)
    except EgressRefused:
        return
    assert clean_host(host) == host
    try:
        ipaddress.ip_address(host)
    except ValueError:
        with pytest.raises(OSError):  # the C library must not read a name as an address
            socket.inet_aton(host)


def test_spellings_of_one_host_become_one():
    assert clean_host("EXAMPLE.com") == "example.com"
    assert clean_host("[2606:4700:0:0::1111]") == clean_host("2606:4700::1111") == "2606:4700::1111"
    assert clean_host("::ffff:8.8.8.8") == "8.8.8.8"
    assert clean_host("_service.my_host.xn--bcher-kva.example") == "_service.my_host.xn--bcher-kva.example"


@pytest.mark.security
@pytest.mark.parametrize("port", [0, -1, 65536, 10**9])
def test_an_impossible_port_is_refused(port):
    with pytest.raises(EgressRefused):
        Net(CLOSED).dial("8.8.8.8", port)


def test_dns_failures_are_unreachable():
    def fail(host):
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    for resolver in (fail, lambda _host: []):
        with pytest.raises(Unreachable, match=r"a\.example"):
            Net(CLOSED, resolver).dial("a.example", 80)
    with pytest.raises(Unreachable):
        Net(Egress.local()).dial("no-such-name.invalid", 80)


@pytest.mark.security
def test_a_resolver_that_answers_oddly_is_refused():
    for answer in ("127.1", "fe80::1%lo", "localhost", ""):
        with pytest.raises(EgressRefused):
            Net(Egress.local(), Names([answer])).dial("a.example", 80)


# --- grants ----------------------------------------------------------------------------------------------------------


@pytest.mark.security
@pytest.mark.req("SEC-E02")
def test_a_grant_opens_what_it_names_and_no_more():
    names = Names(["10.1.2.3"])
    for grant in ("db.corp.example", "DB.corp.example", "*.corp.example", "10.0.0.0/8", "10.1.2.3"):
        assert Net(grants(grant), names).dial("db.corp.example", 5432).address == "10.1.2.3"
    others = ("corp.example", "*.db.corp.example", "b.corp.example", "*.orp.example", "10.2.0.0/16", "10.1.2.4", "::/0")
    for grant in others:
        with pytest.raises(EgressRefused):
            Net(grants(grant), names).dial("db.corp.example", 5432)
    with pytest.raises(EgressRefused):
        Net(grants("*.corp.example"), names).dial("corp.example", 5432)
    with pytest.raises(EgressRefused):
        Net(grants("*.corp.example"), names).dial("evilcorp.example", 5432)


@pytest.mark.security
@pytest.mark.req("SEC-E02")
def test_a_grant_holds_for_its_ports_only():
    net = Net(grants("10.0.0.0/8", ports=(5432, 5433)))
    assert net.dial("10.0.0.1", 5433).port == 5433
    with pytest.raises(EgressRefused):
        net.dial("10.0.0.1", 22)


@pytest.mark.security
def test_a_grant_of_a_gateway_does_not_open_what_lies_behind():
    net = Net(grants("2002::/16", "64:ff9b::/96"))
    assert net.dial("2002:808:808::1", 80)
    for address in ("2002:7f00:1::", "64:ff9b::10.0.0.1"):
        with pytest.raises(EgressRefused):
            net.dial(address, 80)
    assert Net(grants("64:ff9b::/96", "10.0.0.0/8")).dial("64:ff9b::10.0.0.1", 80)


@pytest.mark.security
def test_local_opens_loopback_and_private_but_no_metadata():
    net = Net(Egress.local(), Names())
    for address in ("127.0.0.1", "::1", "10.0.0.1", "192.168.0.1", "fd12::1", "100.64.0.1", "8.8.8.8"):
        assert net.dial(address, 80).address == address
    for address in (*METADATA, "0.0.0.0", "169.254.1.1", "224.0.0.1"):
        with pytest.raises(EgressRefused):
            net.dial(address, 80)


@pytest.mark.security
@pytest.mark.parametrize(
    "fields",
    [{"host": text} for text in ("*", "*.", "*.10.0.0.1", "a.*.b", "10.0.0.1/8", "10.1", "", "a b", "a%", "é.com")]
    + [{"host": "a", "ports": [0]}, {"host": "a", "ports": [65536]}, {"host": "a", "port": 1}],
)
def test_a_grant_that_means_nothing_is_invalid(fields):
    with pytest.raises(ValidationError):
        Grant(**fields)

"""The way out: what the egress policy refuses is never touched, whatever it is called."""

from __future__ import annotations

import array
import datetime as dt
import http.server
import ipaddress
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections import Counter
from contextlib import contextmanager

import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sluicegate.base.errors import Egress as EgressRefused
from sluicegate.base.errors import Failed, Invalid, Unreachable
from sluicegate.kit import net as module
from sluicegate.kit.net import (
    Egress,
    Grant,
    HttpsClient,
    Net,
    Pinned,
    clean_host,
    free_port,
    local_pair,
    receive_descriptors,
    send_descriptors,
)

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
    "::1%25lo", "127。0。0。1", "１２７.0.0.1", "ⓔxample.com", "localhost。", "example．com", "ex｡com",  # noqa: RUF001 - the attack
    "\u212aafka.example", "[", "[]", "[::1", "::1]", "[127.0.0.1]", "[[::1]]", "example.com:80", "127.0.0.1:80",
    "http://example.com", "example.com/x", "example.com#x", "example.com?x", "a\\b", "-a.com", "a-.com",
    "a" * 64 + ".com", ".".join(["a" * 60] * 5),
]  # fmt: skip


class Names:
    """A DNS that counts and, asked again, answers with its next list."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def __call__(self, host):
        self.asked.append(host)
        return self.answers[min(len(self.asked), len(self.answers)) - 1]


def grants(*hosts, ports=()):
    return Egress(allow=tuple(Grant(host=host, ports=ports) for host in hosts))


CLOSED = Egress()


# --- addresses -------------------------------------------------------------------------------------------------------


@pytest.mark.security
@pytest.mark.req("SEC-E02")
@pytest.mark.parametrize("address", REFUSED)
def test_an_address_that_is_not_public_is_refused_by_literal_and_by_name(address):
    with pytest.raises(EgressRefused):
        Net(CLOSED, Names()).dial(address, 443)
    with pytest.raises(EgressRefused, match=r"^port 443: The egress policy refuses data\.example\.org"):
        Net(CLOSED, Names([address])).dial("data.example.org", 443)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_open(address):
    assert Net(CLOSED, Names()).dial(address, 443) == Pinned(address, address, 443)
    assert Net(CLOSED, Names([address])).dial("Data.example.ORG", 443) == Pinned("data.example.org", address, 443)


NETWORKS = [network for network, _ in module._REFUSED] + module._METADATA
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
@given(st.text(st.sampled_from("0123456789abcdefx.:[]@%-_ \0。１"), max_size=20))  # noqa: RUF001 - the attack
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


# --- connecting ------------------------------------------------------------------------------------------------------


class Listener:
    """A real loopback listener that tells how many connections it got."""

    def __init__(self):
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.sock.settimeout(0.2)
        self.port = self.sock.getsockname()[1]

    def met(self):
        count = 0
        while True:
            try:
                self.sock.accept()[0].close()
            except TimeoutError:
                return count
            count += 1


@pytest.fixture
def listener():
    held = Listener()
    yield held
    held.sock.close()


class Web(http.server.ThreadingHTTPServer):
    """A real HTTP server on loopback: ``routes`` maps a path to (status, headers, body); ``seen`` is what was asked."""

    daemon_threads = True

    def __init__(self, context=None):
        self.routes, self.seen, self.lines = {}, [], Counter()
        super().__init__(("127.0.0.1", 0), Answer)
        self.port, self.scheme = self.server_address[1], "https" if context else "http"
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def url(self, path="/", host="127.0.0.1"):
        return f"{self.scheme}://{host}:{self.port}{path}"

    def handle_error(self, request, client_address):
        """A handshake that the client ends is what some tests are about."""


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10

    def setup(self):
        super().setup()
        self.server.lines[self.client_address] += 1

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append((self.command, self.path, headers, body))
        status, extra, reply = self.server.routes.get(self.path, (200, {}, b"fine"))
        self.send_response(status)
        for name, value in extra.items():
            self.send_header(name, value.encode().decode("latin-1"))
        self.send_header("content-length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply if self.command != "HEAD" else b"")

    do_GET = do_POST = do_PUT = do_HEAD = answer  # noqa: N815 - http.server's names

    def log_message(self, *_):
        pass


@contextmanager
def serve(context=None):
    web = Web(context)
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield web
    finally:
        web.shutdown()
        thread.join()
        web.server_close()


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def certified(authority, *names, least=ssl.TLSVersion.TLSv1_2, most=ssl.TLSVersion.TLSv1_3, **about):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version, context.maximum_version = least, most
    authority.issue_cert(*names, **about).configure_cert(context)
    return context


def pem(authority):
    return authority.cert_pem.bytes().decode()


@pytest.fixture
def pem_file(authority, tmp_path):
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return tmp_path / "ca.pem"


@pytest.fixture
def web():
    with serve() as held:
        yield held


@pytest.fixture
def dialled(monkeypatch):
    """Where connections went to: public addresses are noted and time out, loopback is really connected to."""
    real, noted = socket.create_connection, []

    def create(address, *how, **more):
        noted.append(address)
        if not ipaddress.ip_address(address[0]).is_loopback:
            raise TimeoutError  # tests send nothing to the internet
        return real(address, *how, **more)

    monkeypatch.setattr(socket, "create_connection", create)
    return noted


@pytest.mark.security
@pytest.mark.req("SEC-E01")
def test_a_rebinding_name_is_asked_once_and_loopback_is_never_touched(listener, dialled):
    """The name is public when it is checked and 127.0.0.1 when it is asked again: only the first answer counts."""
    names = Names(["203.0.112.7"], ["127.0.0.1"])
    with pytest.raises(Unreachable):
        Net(CLOSED, names).connect("rebind.example", listener.port)
    assert names.asked == ["rebind.example"]
    with pytest.raises(EgressRefused):
        Net(CLOSED, names).connect("rebind.example", listener.port)
    assert dialled == [("203.0.112.7", listener.port)]
    assert listener.met() == 0


@pytest.mark.security
@pytest.mark.req("SEC-E01")
def test_a_rebinding_name_is_asked_once_by_http_too(listener, dialled):
    names = Names(["203.0.112.7"], ["127.0.0.1"])
    with Net(CLOSED, names).http() as client, pytest.raises(Unreachable, match="in time"):
        client.get(f"http://rebind.example:{listener.port}/")
    assert names.asked == ["rebind.example"]
    with Net(CLOSED, names).http() as client, pytest.raises(EgressRefused):
        client.get(f"http://rebind.example:{listener.port}/")
    assert dialled == [("203.0.112.7", listener.port)]
    assert listener.met() == 0


@pytest.mark.security
@pytest.mark.req("SEC-E01")
def test_refused_means_no_connection(listener):
    net = Net(CLOSED, Names(["127.0.0.1"]))
    for host in ("127.0.0.1", "a.example", "::ffff:127.0.0.1"):
        with pytest.raises(EgressRefused):
            net.connect(host, listener.port)
    with net.http() as client:
        for host in ("127.0.0.1", "a.example", "[::ffff:127.0.0.1]", "[::1]"):
            with pytest.raises(EgressRefused):
                client.get(f"http://{host}:{listener.port}/")
    assert listener.met() == 0


def test_a_granted_name_connects_and_speaks(listener):
    with Net(grants("db.example"), Names(["127.0.0.1"])).connect("db.example", listener.port) as sock:
        assert sock.getpeername() == ("127.0.0.1", listener.port)
        assert sock.gettimeout() == 10.0
    assert listener.met() == 1


def test_the_next_checked_address_is_tried(listener):
    names = Names(["127.0.0.2", "127.0.0.1"])
    with Net(Egress.local(), names).connect("db.example", listener.port) as sock:
        assert sock.getpeername()[0] == "127.0.0.1"
    assert names.asked == ["db.example"]


def test_localhost_prefers_the_address_most_servers_listen_on():
    assert Net(Egress.local(), Names(["::1", "127.0.0.1"])).dial("localhost", 80).address == "127.0.0.1"
    assert Net(CLOSED, Names(["2606:4700::1111", "1.1.1.1"])).dial("one.example", 80).address == "2606:4700::1111"


def test_nothing_listening_is_told():
    with pytest.raises(Unreachable, match="Nothing listens"):
        Net(Egress.local()).connect("127.0.0.1", free_port())


# --- TLS -------------------------------------------------------------------------------------------------------------


def shake(authority, web, host="db.example", **how):
    net = Net(Egress.local(), Names(["127.0.0.1"]))
    how = {"ca": pem(authority), **how}
    with net.tls(net.connect(host, web.port), host, **how) as sock:
        return sock.version()


@pytest.mark.security
def test_tls_verifies_name_and_authority(authority):
    with serve(certified(authority, "db.example")) as web:
        assert shake(authority, web) == "TLSv1.3"
        with pytest.raises(Unreachable, match="another host"):
            shake(authority, web, "other.example")
        with pytest.raises(Unreachable, match="another host"):
            shake(authority, web, "127.0.0.1")
        assert shake(authority, web, "other.example", verify="verify-ca")
        for ca in (None, pem(trustme.CA())):
            for verify in ("verify-full", "verify-ca"):
                with pytest.raises(Unreachable, match="unknown CA"):
                    shake(authority, web, ca=ca, verify=verify)
        assert shake(authority, web, ca=None, verify="require")
        net = Net(Egress.local())
        with net.connect("127.0.0.1", web.port) as sock, pytest.raises(Invalid):
            net.tls(sock, "127.0.0.1", verify="disable")
    with serve() as web, pytest.raises(Unreachable, match="No TLS connection"):
        shake(authority, web)


@pytest.mark.security
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
def test_tls_before_1_2_is_refused(authority):
    context = certified(authority, "db.example", least=ssl.TLSVersion.TLSv1_1, most=ssl.TLSVersion.TLSv1_1)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with serve(context) as web, pytest.raises(Unreachable, match="No TLS connection"):
        shake(authority, web)
    assert module._context(None, "verify-full").minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.security
def test_a_ca_is_pem_text_and_never_a_path(pem_file):
    net = Net(Egress.local())
    for ca in (str(pem_file), "/etc/passwd", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"):
        with pytest.raises(Invalid, match="not a certificate") as caught:
            net.http(ca=ca)
        assert str(pem_file) not in str(caught.value)


# --- HTTP ------------------------------------------------------------------------------------------------------------


@pytest.mark.security
@pytest.mark.req("SEC-E01")
def test_http_keeps_the_name_in_host_and_sni_while_the_address_is_pinned(authority):
    context = certified(authority, "api.example")
    told = []
    context.sni_callback = lambda _sock, name, _context: told.append(name)
    names = Names(["127.0.0.1"])
    with serve(context) as web, Net(grants("api.example"), names).http(ca=pem(authority)) as client:
        assert client.get(web.url("/x", "api.example")).text == "fine"
        assert client.get(web.url("/y", "api.example")).text == "fine"
        assert [seen[2]["host"] for seen in web.seen] == [f"api.example:{web.port}"] * 2
        with pytest.raises(EgressRefused):
            client.get(web.url("/x", "127.0.0.1"))
    assert told == ["api.example"]  # one connection, kept alive
    assert names.asked == ["api.example"]


@pytest.mark.security
def test_http_verifies_certificates(authority):
    with serve(certified(authority, "api.example")) as web:
        net = Net(Egress.local(), Names(["127.0.0.1"]))
        with net.http() as client, pytest.raises(Unreachable, match="unknown CA"):
            client.get(web.url(host="api.example"))
        with net.http(ca=pem(authority)) as client, pytest.raises(Unreachable, match="another host"):
            client.get(web.url(host="other.example"))
        assert web.seen == []


@pytest.mark.security
@pytest.mark.req("SEC-E01")
def test_proxy_variables_and_netrc_are_ignored(web, listener, monkeypatch, tmp_path):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        for spelled in (name, name.lower()):
            monkeypatch.setenv(spelled, f"http://127.0.0.1:{listener.port}")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password canary\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    net = Net(Egress.local())
    with net.http() as client:
        assert net.fetch(client, "GET", web.url()).text == "fine"
    assert "authorization" not in web.seen[0][2]
    assert listener.met() == 0


@pytest.mark.security
@pytest.mark.parametrize("scheme", ["file", "ftp", "gopher", "dict", "jar", "ws", "unix", "data"])
@pytest.mark.req("SEC-E04")
def test_only_http_and_https_are_spoken(scheme, web, listener):
    net = Net(Egress.local())
    with net.http() as client:
        for url in (f"{scheme}://127.0.0.1:{listener.port}/x", f"{scheme}:///etc/passwd"):
            with pytest.raises(EgressRefused):
                net.fetch(client, "GET", url)
            web.routes["/go"] = (302, {"location": url}, b"")
            with pytest.raises(EgressRefused):
                net.fetch(client, "GET", web.url("/go"))
    assert listener.met() == 0


@pytest.mark.security
@pytest.mark.req("SEC-E04")
def test_redirects_are_not_followed_by_the_client_itself(web):
    web.routes["/go"] = (302, {"location": "/x"}, b"")
    with Net(Egress.local()).http() as client:
        assert client.get(web.url("/go")).status_code == 302
    assert len(web.seen) == 1


@pytest.mark.security
@pytest.mark.req("SEC-E04")
def test_five_redirects_are_followed_and_six_are_not(web):
    for number in range(10):
        web.routes[f"/{number}"] = (302, {"location": f"/{number + 1}"}, b"")
    net = Net(Egress.local())
    web.routes["/5"] = (200, {}, b"there")
    with net.http() as client:
        assert net.fetch(client, "GET", web.url("/0")).text == "there"
        assert len(web.seen) == 6
        web.seen.clear()
        web.routes["/5"] = (302, {"location": "/6"}, b"")
        with pytest.raises(EgressRefused, match="More than 5"):
            net.fetch(client, "GET", web.url("/0"))
        assert len(web.seen) == 6


@pytest.mark.security
@pytest.mark.req("SEC-E04")
@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/", "http://[::ffff:169.254.169.254]/", "http://[64:ff9b::a9fe:a9fe]/",
        "http://0177.0.0.1/", "http://2130706433/", "http://0x7f.1/", "http://127.1/", "http://0/", "//10.0.0.1/",
        "http://metadata.example/", "http://127。0。0。2/", "http://user:pw@127.0.0.1/", "http://[::]/",
        "http://127.0.0.1.:80/",
    ],
)  # fmt: skip
def test_a_redirect_chain_to_a_refused_address_ends_there(target, web):
    net = Net(grants("127.0.0.1", ports=(web.port,)), Names(["169.254.169.254"]))
    web.routes["/a"] = (302, {"location": "/b"}, b"")
    web.routes["/b"] = (307, {"location": target}, b"")
    with net.http(headers={"x-api-key": "canary"}) as client, pytest.raises(EgressRefused) as caught:
        net.fetch(client, "GET", web.url("/a"))
    assert Counter(seen[1] for seen in web.seen) == {"/a": 1, "/b": 1}
    assert "canary" not in str(caught.value)
    assert "pw" not in str(caught.value).split()


SECRETS = {
    "authorization": "Bearer canary", "cookie": "s=canary", "x-api-key": "canary", "private-token": "canary",
    "x-custom": "canary", "proxy-authorization": "canary",
}  # fmt: skip


@pytest.mark.security
@pytest.mark.req("SEC-E04")
@pytest.mark.parametrize("placed", ["request", "client", "basic", "params"])
def test_credentials_stay_at_their_origin(placed, web):
    with serve() as other:
        net = Net(grants("127.0.0.1", ports=(web.port, other.port)))
        web.routes["/go"] = (302, {"location": other.url("/there")}, b"")
        web.routes["/near"] = (302, {"location": "/go"}, b"")
        web.routes["/near?key=canary"] = web.routes["/near"]
        other.routes["/there"] = (302, {"location": web.url("/back")}, b"")
        with net.http() as client:
            how = {"headers": {**SECRETS, "accept": "text/csv"}} if placed == "request" else {}
            if placed == "client":
                client.headers.update({**SECRETS, "accept": "text/csv"})
                client.cookies.set("c", "canary")
                client.auth = ("user", "canary")
            if placed == "basic":
                how = {"auth": ("user", "canary"), "headers": {"accept": "text/csv"}}
            if placed == "params":
                client.params = {"key": "canary"}
                how = {"headers": {"accept": "text/csv"}}
            assert net.fetch(client, "GET", web.url("/near"), **how).text == "fine"
    assert [seen[1].split("?")[0] for seen in web.seen] == ["/near", "/go", "/back"]
    if placed == "params":
        assert "canary" in web.seen[0][1]
    else:
        assert web.seen[0][2]["authorization"] == web.seen[1][2]["authorization"]
    if placed == "request":
        assert set(SECRETS) <= set(web.seen[1][2])
    for seen in (other.seen[0], web.seen[2]):  # once dropped, never back: the far side chose this hop
        assert "canary" not in json.dumps(seen[:3])
        assert not set(SECRETS) & set(seen[2])
        assert seen[2]["accept"] == "text/csv"
        assert seen[2]["host"] in (f"127.0.0.1:{other.port}", f"127.0.0.1:{web.port}")


@pytest.mark.security
@pytest.mark.req("SEC-E04")
def test_a_redirect_never_leaves_https(authority, web):
    with serve(certified(authority, "127.0.0.1")) as safe:
        net = Net(Egress.local())
        safe.routes["/go"] = (302, {"location": web.url("/x")}, b"")
        web.routes["/up"] = (302, {"location": safe.url("/x")}, b"")
        with net.http(ca=pem(authority)) as client:
            with pytest.raises(EgressRefused, match="leaves https"):
                net.fetch(client, "GET", safe.url("/go"))
            assert net.fetch(client, "GET", web.url("/up")).text == "fine"
    assert [seen[1] for seen in web.seen] == ["/up"]


@pytest.mark.security
@pytest.mark.req("SEC-E04")
def test_a_redirect_to_another_port_needs_a_grant_that_names_it(web, listener):
    web.routes["/go"] = (302, {"location": f"http://api.example:{listener.port}/"}, b"")
    net = Net(grants("api.example", ports=(web.port,)), Names(["127.0.0.1"]))
    with net.http() as client, pytest.raises(EgressRefused, match="another port"):
        net.fetch(client, "GET", web.url("/go", "api.example"))
    public = Net(grants("api.example", ports=(web.port,)), Names(["127.0.0.1"]))
    web.routes["/go"] = (302, {"location": "http://8.8.8.8:22/"}, b"")
    with public.http() as client, pytest.raises(EgressRefused, match="another port"):
        public.fetch(client, "GET", web.url("/go", "api.example"))
    assert listener.met() == 0


@pytest.mark.security
@pytest.mark.req("SEC-E04")
def test_a_body_does_not_cross_origins(web):
    with serve() as other:
        net = Net(Egress.local())
        for status in (307, 308):
            web.routes["/go"] = (status, {"location": other.url("/there")}, b"")
            with net.http() as client, pytest.raises(EgressRefused, match="body elsewhere"):
                net.fetch(client, "POST", web.url("/go"), json={"client_secret": "canary"})
        web.routes["/go"] = (303, {"location": other.url("/there")}, b"")
        with net.http() as client:
            net.fetch(client, "POST", web.url("/go"), json={"client_secret": "canary"})
        assert [(seen[0], seen[3]) for seen in other.seen] == [("GET", b"")]
        assert "content-type" not in other.seen[0][2]


def test_a_body_is_sent_again_at_its_own_origin(web):
    net = Net(Egress.local())
    web.routes["/go"] = (308, {"location": "/there"}, b"")
    with net.http() as client:
        assert net.fetch(client, "PUT", web.url("/go"), json={"a": 1}).text == "fine"
        with pytest.raises(EgressRefused, match="streamed"):
            net.fetch(client, "PUT", web.url("/go"), content=iter([b"x"]), headers={"content-length": "1"})
    assert [(seen[0], seen[3]) for seen in web.seen[:2]] == [("PUT", b'{"a":1}')] * 2
    assert web.seen[1][2]["content-type"] == "application/json"


@pytest.mark.security
def test_a_url_with_a_password_is_refused_and_not_shown(web):
    net = Net(Egress.local())
    with net.http() as client:
        for url in (f"http://user:canary@127.0.0.1:{web.port}/", "http://[canary", "http://canary\x00/"):
            with pytest.raises(EgressRefused) as caught:
                net.fetch(client, "GET", url)
            assert "canary" not in str(caught.value)
    assert web.seen == []


@pytest.mark.security
def test_a_damaged_reply_fails_cleanly(web):
    web.routes["/"] = (200, {"content-encoding": "gzip"}, b"not gzip")
    net = Net(Egress.local())
    with net.http() as client, pytest.raises(Failed, match="decompress"):
        net.fetch(client, "GET", web.url("/"))


def test_a_response_can_be_streamed(web):
    net = Net(Egress.local())
    web.routes["/go"] = (302, {"location": "/big"}, b"x" * 10000)
    web.routes["/big"] = (200, {}, b"y" * 100000)
    with net.http() as client:
        response = net.fetch(client, "GET", web.url("/go"), stream=True)
        assert not response.is_stream_consumed
        assert sum(map(len, response.iter_bytes())) == 100000
        response.close()


def test_a_peer_that_breaks_off_is_unreachable():
    def half(sock):
        peer = sock.accept()[0]
        with peer:
            peer.recv(9999)
            peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")

    with socket.create_server(("127.0.0.1", 0)) as sock:
        thread = threading.Thread(target=half, args=[sock])
        thread.start()
        with Net(Egress.local()).http() as client, pytest.raises(Unreachable):
            client.get(f"http://127.0.0.1:{sock.getsockname()[1]}/")
        thread.join()


# --- our own client --------------------------------------------------------------------------------------------------


def test_https_client_speaks_and_keeps_the_line(authority, pem_file):
    with serve(certified(authority, "127.0.0.1")) as web, HttpsClient(web.url("/api/"), pem_file) as client:
        web.routes["/api/gone"] = (404, {"X-Why": "no such thing"}, b"{}")
        assert client.request("GET", "/x").body == b"fine"
        assert client.request("POST", "/x", b"{}", {"content-type": "application/json"}).status == 200
        gone = client.request("GET", "/gone")
        assert (gone.status, gone.headers["x-why"], gone.body) == (404, "no such thing", b"{}")
        assert [seen[:2] for seen in web.seen] == [("GET", "/api/x"), ("POST", "/api/x"), ("GET", "/api/gone")]
        assert web.seen[1][3] == b"{}"
        assert sum(web.lines.values()) == 1


def test_https_client_opens_a_new_line_when_the_old_one_ended(authority, pem_file):
    with serve(certified(authority, "127.0.0.1")) as web, HttpsClient(web.url(), pem_file) as client:
        client.request("GET", "/")
        client._line.sock.shutdown(socket.SHUT_RD)
        assert client.request("POST", "/", b"1").status == 200
        assert sum(web.lines.values()) == 2


@pytest.mark.security
@pytest.mark.parametrize(
    "base",
    ["http://127.0.0.1:1", "127.0.0.1:1", "ftp://h", "https://", "https://user:canary@h", "https://h?x", "https://h#x",
     "https://h:x", "https://h:99999", "https://[::1", "https://h%41", "HTTP://h", "https://0x7f.1"],
)  # fmt: skip
def test_https_client_takes_only_a_plain_https_address(base):
    with pytest.raises(Invalid) as caught:
        HttpsClient(base, None)
    assert "canary" not in str(caught.value)


@pytest.mark.security
@pytest.mark.parametrize(
    ("names", "about", "word"),
    [
        (["127.0.0.1"], {"not_after": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)}, "expired"),
        (["127.0.0.1"], {"not_before": dt.datetime(2090, 1, 1, tzinfo=dt.UTC),
                         "not_after": dt.datetime(2091, 1, 1, tzinfo=dt.UTC)}, "not valid yet"),
        (["other.example"], {}, "another host"),
    ],
)  # fmt: skip
def test_https_client_names_what_is_wrong_with_a_certificate(authority, pem_file, names, about, word):
    with serve(certified(authority, *names, **about)) as web, HttpsClient(web.url(), pem_file) as client:
        with pytest.raises(Unreachable, match=word) as caught:
            client.request("GET", "/", None, {"authorization": "canary"})
        assert caught.value.hint
        assert web.seen == []


@pytest.mark.security
def test_https_client_trusts_only_the_ca_it_was_given(authority, pem_file):
    with serve(certified(trustme.CA(), "127.0.0.1")) as web:
        for ca in (pem_file, None):
            with HttpsClient(web.url(), ca) as client, pytest.raises(Unreachable, match="unknown CA"):
                client.request("GET", "/")
        assert web.seen == []


@pytest.mark.security
def test_https_client_trusts_no_public_ca_beside_its_own(pem_file):
    context = HttpsClient("https://h", pem_file)._trust()
    assert len(context.get_ca_certs()) == 1
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


@pytest.mark.security
def test_https_client_refuses_tls_1_2(authority, pem_file):
    with serve(certified(authority, "127.0.0.1", most=ssl.TLSVersion.TLSv1_2)) as web:
        with HttpsClient(web.url(), pem_file) as client, pytest.raises(Unreachable, match="No TLS connection"):
            client.request("GET", "/")
        assert web.seen == []


@pytest.mark.security
def test_https_client_follows_no_redirect_and_uses_no_proxy(authority, pem_file, web, listener, monkeypatch):
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{listener.port}")
    with serve(certified(authority, "127.0.0.1")) as safe, HttpsClient(safe.url(), pem_file) as client:
        safe.routes["/"] = (302, {"location": web.url()}, b"")
        assert client.request("GET", "/").status == 302
    assert web.seen == []
    assert listener.met() == 0


@pytest.mark.security
def test_https_client_lets_no_header_be_smuggled(authority, pem_file):
    with serve(certified(authority, "127.0.0.1")) as web, HttpsClient(web.url(), pem_file) as client:
        for how in (
            ("GET", "/ HTTP/1.1\r\nx: y", None, {}), ("GET", "/", None, {"x": "y\r\nz: 1"}),
            ("GET", "/", None, {"x: y\r\nz": "1"}), ("GET\r\n", "/", None, {}), ("GET", "x", None, {}),
        ):  # fmt: skip
            with pytest.raises(Invalid):
                client.request(*how)
        assert client.request("GET", "/").status == 200
        assert len(web.seen) == 1


def test_https_client_tells_a_missing_ca_and_a_missing_server(tmp_path):
    with HttpsClient(f"https://127.0.0.1:{free_port()}", None) as client, pytest.raises(Unreachable, match="Nothing"):
        client.request("GET", "/")
    with pytest.raises(Invalid, match="missing"):
        HttpsClient("https://h", tmp_path / "none.pem").request("GET", "/")
    (tmp_path / "odd.pem").write_text("x")
    with pytest.raises(Invalid, match="not a certificate"):
        HttpsClient("https://h", tmp_path / "odd.pem").request("GET", "/")


def test_https_client_does_not_wait_for_ever(authority, pem_file, listener):
    client = HttpsClient(f"https://127.0.0.1:{listener.port}", pem_file, timeout=0.2)
    with client, pytest.raises(Unreachable, match="in time"):
        client.request("GET", "/")


# --- between processes -----------------------------------------------------------------------------------------------


def test_descriptors_cross_whole_and_are_not_inherited(tmp_path):
    (tmp_path / "x").write_bytes(b"data")
    near, far = local_pair()
    with near, far:
        file = os.open(tmp_path / "x", os.O_RDONLY)
        send_descriptors(near, b"first", [file])
        send_descriptors(near, b"second", [])
        os.close(file)
        data, (fd,) = receive_descriptors(far)
        assert (data, os.read(fd, 9), os.get_inheritable(fd)) == (b"first", b"data", False)
        os.close(fd)
        assert receive_descriptors(far) == (b"second", [])
        send_descriptors(near, b"x" * 65536, [near.fileno()] * 64)
        data, fds = receive_descriptors(far)
        assert (len(data), len(fds)) == (65536, 64)
        for each in fds:
            os.close(each)
        near.close()
        assert receive_descriptors(far) == (b"", [])
        with pytest.raises(Unreachable, match="gone"):
            send_descriptors(far, b"x", [])
        assert not far.get_inheritable()


@pytest.mark.security
def test_a_message_that_does_not_fit_is_refused_on_both_sides():
    near, far = local_pair()
    with near, far:
        for data, fds in ((b"", []), (b"x" * 65537, []), (b"x", [0] * 65)):
            with pytest.raises(Invalid):
                send_descriptors(near, data, fds)
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - numbers, not paths
        near.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [near.fileno()] * 100))])
        near.sendmsg([b"x" * 65537], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [near.fileno()]))])
        for _ in range(2):
            with pytest.raises(Failed, match="cut short"):
                receive_descriptors(far)
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - numbers, not paths


def test_a_free_port_can_be_bound():
    with socket.create_server(("127.0.0.1", free_port())) as sock:
        assert sock.getsockname()[0] == "127.0.0.1"


def test_importing_the_way_out_is_quick_and_loads_nothing_heavy():
    script = (
        "import sys, sluicegate.base.model, sluicegate.base.errors, time\n"
        "start = time.process_time()\n"
        "import sluicegate.kit.net\n"
        "took = time.process_time() - start\n"
        "heavy = {'ssl', 'http.client', 'httpx', 'httpcore', 'pyarrow', 'duckdb'} & set(sys.modules)\n"
        "print(took < 0.03, sorted(heavy))"
    )
    told = []
    while "True []" not in told and len(told) < 5:  # a busy machine may be slow once
        ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        told.append(ran.stdout.strip())
    assert "True []" in told

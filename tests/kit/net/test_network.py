"""A connection goes to the address that was checked, under TLS that holds."""

from __future__ import annotations

import ssl

import pytest
import trustme

from sluicegate.base.errors import Egress as EgressRefused
from sluicegate.base.errors import Invalid, Unreachable
from sluicegate.kit.net import (
    Egress,
    Net,
    free_port,
    trust,
)
from tests.fixtures.web import Names, certified, grants, pem, serve

CLOSED = Egress()


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
    assert trust.trust(None, "verify-full").minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.security
def test_a_ca_is_pem_text_and_never_a_path(pem_file):
    net = Net(Egress.local())
    for ca in (str(pem_file), "/etc/passwd", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"):
        with pytest.raises(Invalid, match="not a certificate") as caught:
            net.http(ca=ca)
        assert str(pem_file) not in str(caught.value)

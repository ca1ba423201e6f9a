"""Where a connection may lead: hosts in one spelling, kinds of addresses, grants. Opens no socket.

Addresses that carry an IPv4 address inside (RFC 4291, 6052, 8215, 3056, 4380, 5214) are judged by what they carry too.
Ranges: the IANA special-purpose registries (RFC 6890) and the clouds' own pages.
"""

from __future__ import annotations

import ipaddress
import re
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, NamedTuple

from pydantic import field_validator

from sluicegate.base.errors import Egress as EgressRefused
from sluicegate.base.flaws import Misfit
from sluicegate.base.model import Model

if TYPE_CHECKING:
    from collections.abc import Iterator

Address = IPv4Address | IPv6Address

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")  # a last label like this makes the C library read the name as IPv4
_SERVICES = """
169.254.169.0/24 169.254.170.0/24 169.254.42.42 100.100.100.200 168.63.129.16 192.0.0.192
fd00:ec2::/32 fd20:ce::254 fd00:42::42
"""
_KINDS = {
    "an unspecified": "0.0.0.0/8 ::/128",
    "a multicast": "224.0.0.0/4 ff00::/8",
    "a broadcast": "255.255.255.255",
    "a loopback": "127.0.0.0/8 ::1/128",
    "a private": "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7 fec0::/10",
    "a carrier-grade NAT": "100.64.0.0/10",
    "a link-local": "169.254.0.0/16 fe80::/10",
    "a reserved": "192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 240.0.0.0/4 "
    "2001::/23 2001:db8::/32 2002::/16 3fff::/20",
}
METADATA = [ipaddress.ip_network(text) for text in _SERVICES.split()]
REFUSED = [(ipaddress.ip_network(text), kind) for kind, texts in _KINDS.items() for text in texts.split()]
NEVER = frozenset({"an unspecified", "a multicast", "a broadcast"})  # no grant reaches these: nothing listens there
_LOCAL = (_KINDS["a loopback"] + " " + _KINDS["a private"] + " " + _KINDS["a carrier-grade NAT"]).split()
_GLOBAL = ipaddress.ip_network("2000::/3")  # all other IPv6 space is unassigned or special
_NAT64, _NAT64_LOCAL = ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48")


class Grant(Model):
    """One hole in the egress policy."""

    host: str
    """Host name, IP address, CIDR, or ``*.suffix`` (any name below the suffix, not the suffix itself)."""
    ports: tuple[int, ...] = ()
    """Ports this holds for; any when empty."""

    @field_validator("host")
    @classmethod
    def _check_host(cls, text: str) -> str:
        if "/" in text:
            try:
                return str(ipaddress.ip_network(text))
            except ValueError:
                raise Misfit("is not a network: write it like 10.0.0.0/8, with no bits set after the prefix") from None
        try:
            host = clean_host(text.removeprefix("*."))
        except EgressRefused as fault:
            raise Misfit(fault.message) from None
        if text.startswith("*."):
            if parse(host) is not None:
                raise Misfit("a wildcard goes with a name, not with an address")
            return f"*.{host}"
        return host

    @field_validator("ports")
    @classmethod
    def _check_ports(cls, ports: tuple[int, ...]) -> tuple[int, ...]:
        if any(not 0 < port < 65536 for port in ports):  # noqa: PLR2004 - ports have 16 bits
            raise Misfit("a port is 1 to 65535")
        return ports

    def covers(self, host: str, address: Address | None, kind: str, port: int) -> bool:
        """Tell whether this grant opens ``address`` (of ``kind``) to a connection with ``host`` on ``port``."""
        if kind in NEVER or (self.ports and port not in self.ports):
            return False
        if "/" in self.host or (own := parse(self.host)) is not None:
            exact = "/" not in self.host
            inside = address is not None and (address == own if exact else address in ipaddress.ip_network(self.host))
            return inside and (exact or kind != "a metadata-service")
        named = host.endswith(self.host[1:]) if self.host.startswith("*.") else host == self.host
        return named and kind != "a metadata-service"


class Egress(Model):
    """The egress policy. Public addresses are open; everything else is refused until granted.

    A grant opens private, loopback, link-local and reserved addresses. Metadata services open only to a grant that is
    exactly that IP address; multicast and unspecified addresses never do.
    """

    allow: tuple[Grant, ...] = ()
    """The holes."""

    @classmethod
    def local(cls) -> Egress:
        """Return the policy of ``run --local``: loopback and private addresses are open, metadata services are not."""
        return cls(allow=tuple(Grant(host=text) for text in _LOCAL))


class Pinned(NamedTuple):
    """Where a driver connects: ``address`` has been checked; ``host`` is for SNI, Host and the certificate."""

    host: str
    address: str
    port: int


def clean_host(host: str) -> str:
    """Return the one spelling of ``host``: lower case, no brackets, addresses compressed. Raises ``Egress``.

    Refuses whatever another parser could read differently; the text itself is never shown, it may hold a password.
    """
    if not host.isascii():  # before lower(): that turns the Kelvin sign into a k
        raise EgressRefused("The host holds letters beyond ASCII.", hint="Write the name in its xn-- form.")
    name = host.lower()
    if name.startswith("[") and name.endswith("]") and ":" in name:
        name = name[1:-1]
    if (address := parse(name)) is not None:
        return str(address)
    for sign, why in (("@", "a user name or password"), ("%", "a percent sign"), ("\0", "a NUL"), (":", "a colon")):
        if sign in name:
            raise EgressRefused(f"The host holds {why}.", hint="Give the bare host name or IP address.")
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):  # noqa: PLR2004 - RFC 1035 §2.3.4
        raise EgressRefused("The host is not a host name or IP address.", hint="Write it without spaces or final dot.")
    if _NUMERIC.fullmatch(labels[-1]):
        raise EgressRefused("The host is an odd spelling of an IPv4 address.", hint="Write four decimal numbers.")
    return name


def parse(text: str) -> Address | None:
    """Return the address that ``text`` is, IPv4-mapped ones as IPv4; None when it is none or names an interface."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:  # "%": an interface is not for a definition to choose
            return None
        return address.ipv4_mapped or address
    return address


def carried(address: Address) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses inside an IPv6 address that a gateway or tunnel would send to."""
    if isinstance(address, IPv4Address):
        return
    bits, low = int(address), IPv4Address(int(address) & 0xFFFFFFFF)
    marker = (bits >> 32) & 0xFFFFFFFF
    compatible, translated = bits >> 32 == 0 and bits > 1, bits >> 32 == 0xFFFF_0000  # noqa: PLR2004 - RFC 2765
    if address in _NAT64 or marker in (0x5EFE, 0x200_5EFE) or compatible or translated:
        yield low
    elif address.sixtofour is not None:
        yield address.sixtofour
    elif address.teredo is not None:
        yield from address.teredo
    elif address in _NAT64_LOCAL:  # any prefix length may be in use: read all four of RFC 6052 §2.2
        found = [
            ((bits >> 64) & 0xFFFF) << 16 | ((bits >> 40) & 0xFFFF),
            ((bits >> 64) & 0xFF) << 24 | ((bits >> 32) & 0xFFFFFF),
            (bits >> 24) & 0xFFFFFFFF,
            int(low),
        ]
        # The network itself is refused; only a metadata address inside stays refused when it is granted.
        yield from (inner for inner in map(IPv4Address, found) if kind_of(inner) == "a metadata-service")


def kind_of(address: Address) -> str:
    """Return what sort of address this is; empty when it is public."""
    if any(address in network for network in METADATA):
        return "a metadata-service"
    for network, kind in REFUSED:
        if address in network:
            return kind
    if isinstance(address, IPv6Address) and address not in _GLOBAL and address not in _NAT64:
        return "a reserved"
    return ""

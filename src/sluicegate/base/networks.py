"""Addresses and networks: one spelling for each, and whether one lies in the other. Opens no socket."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from sluicegate.base.flaws import Misfit

Networks = tuple[IPv4Network | IPv6Network, ...]

_MAPPED = IPv6Network("::ffff:0:0/96")


def read_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address that ``text`` is, an IPv4 address in IPv6's clothes as IPv4; ``None`` when it is none."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])  # what stands behind % is an interface of ours
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def site(address: str) -> str:
    """Return what is counted as one place: an address; of IPv6 the /64 it lies in, all of which one customer has.

    The last 64 bits of an IPv6 address are for its holder to choose (RFC 4291 §2.5.1), as often as they like.
    """
    if ":" not in address:
        return address
    found = read_address(address)
    return str(IPv6Network((int(found) >> 64 << 64, 64))) if isinstance(found, IPv6Address) else str(found or address)


def read_network(text: str) -> IPv4Network | IPv6Network:
    """Return the network that ``text`` is (``10.0.0.0/8``, ``2001:db8::1``). Raises ``ValueError``."""
    try:
        found = ipaddress.ip_network(text.replace("%", "/%"))  # an interface is no part of a network
    except ValueError:
        raise ValueError(
            "this is no address and no network such as 10.0.0.0/8; the bits behind the prefix are 0"
        ) from None
    if isinstance(found, IPv6Network) and found.subnet_of(_MAPPED):
        return IPv4Network((int(found.network_address) & 0xFFFFFFFF, found.prefixlen - 96))
    return found


def _clean(text: str) -> str:
    try:
        return str(read_network(text))
    except ValueError as fault:
        raise Misfit(str(fault)) from None


Network = Annotated[str, StringConstraints(max_length=64), AfterValidator(_clean)]
"""An address or a network (CIDR), in its one spelling."""


def networks(texts: Iterable[str]) -> Networks:
    """Return the networks of a list, ready for ``within``."""
    return tuple(read_network(each) for each in texts)


def within(address: str, allowed: Networks) -> bool:
    """Tell whether ``address`` lies in one of the networks. What is no address lies in none."""
    found = read_address(address)
    return found is not None and any(found in each for each in allowed)

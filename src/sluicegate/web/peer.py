"""Where a request comes from: the other end of the wire, or what a proxy that we trust says of it (SEC-N08)."""

from __future__ import annotations

from collections.abc import Iterable

from sluicegate.base.networks import Networks, read_address, within

HOPS_MAX = 32
"""Entries of ``X-Forwarded-For`` that are looked at, from the right."""


def client_address(wire: str, forwarded: Iterable[str], proxies: Networks) -> str:
    """Return the client's address in its one spelling.

    ``wire`` is who is connected to us, ``forwarded`` the values of ``X-Forwarded-For`` in their order. Each proxy adds
    on the right who was connected to it, so the list is read from the right for as long as it is a trusted proxy that
    speaks: what a client wrote itself is further left, and never reached.
    """
    here = _spell(wire)
    if not proxies or not within(here, proxies):
        return here
    hops = [each.strip() for value in forwarded for each in value.split(",")]
    for hop in reversed(hops[-HOPS_MAX:]):
        found = read_address(_bare(hop))
        if found is None:
            return here  # a trusted proxy said something that is no address: it is the last we know
        here = str(found)
        if not within(here, proxies):
            return here
    return here


def _spell(text: str) -> str:
    found = read_address(text)
    return str(found) if found is not None else text


def _bare(hop: str) -> str:
    """Return an entry without brackets and port: ``[2001:db8::1]:443``, ``192.0.2.1:443``."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop

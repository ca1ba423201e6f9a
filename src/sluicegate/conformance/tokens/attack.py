"""One attack: a request that must be refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from sluicegate.conformance.tokens.client import WHOAMI, Request, Session, Target

Make = Callable[[Target, Session], Request]


class Attack(NamedTuple):
    """One request that must be refused, by group and name."""

    group: str
    name: str
    make: Make


def with_token(token: str, scheme: str = "DPoP") -> Make:
    """Return what sends a token with a proof that fits it, so that it is the token that is refused."""

    def make(target: Target, session: Session) -> Request:
        proof = session.key.prove("GET", target.url + WHOAMI, token)
        return Request(headers=(("authorization", f"{scheme} {token}"), ("dpop", proof)))

    return make


def raw_header(value: bytes) -> Make:
    """Return what sends an Authorization header as it is, with a proof that fits the token that holds."""

    def make(target: Target, session: Session) -> Request:
        proof = session.key.prove("GET", target.url + WHOAMI, session.access)
        return Request(headers=(("authorization", value), ("dpop", proof)))

    return make

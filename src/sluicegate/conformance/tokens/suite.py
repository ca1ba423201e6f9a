"""Carries the attacks out and judges the answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from sluicegate.base.errors import SluiceError
from sluicegate.conformance.tokens import attacks
from sluicegate.conformance.tokens.client import ROOT, WHOAMI, Account, Request, Session, Target, title_of
from sluicegate.crypto import forge
from sluicegate.kit.net import Reply

_UNSENT = (404, 405, 429)
"""Answers that show nothing: the request has not come to where tokens are looked at."""
_ENDED_WITHIN = 1.0


class Finding(NamedTuple):
    """How one attack ended."""

    group: str
    name: str
    ok: bool
    told: str


def run(target: Target, account: Account, ca: bytes = b"", *, patient: bool = False) -> Iterator[Finding]:
    """Sign in and yield what each attack came to. The sign-in is ended at last.

    ``patient``: wait for the token's end, too, which takes as long as a token lives. Raises what keeps one from
    signing in.
    """
    session = target.sign_in(account)
    renewed = time.monotonic()
    yield _accepted("good", "a token with its proof", target.send(target.good(session)))
    told: set[str] = set()
    for tried, attack in enumerate(attacks.every(session, target.url, ca), 1):
        reply = target.send(attack.make(target, session))
        yield _refused(attack.group, attack.name, reply)
        if reply is not None and reply.status == 401:
            told.add(title_of(reply))
        if time.monotonic() - renewed > session.seconds / 2:  # what is refused must not be refused for being old
            yield _accepted("good", f"after {tried} attacks", target.send(target.good(session)))
            target.renew(session)
            renewed = time.monotonic()
    yield Finding("good", "one refusal, whatever the cause", len(told) <= 1, f"{len(told)} kinds of 401")
    yield _replayed(target, session)
    yield _accepted("good", "the token, after all attacks", target.send(target.good(session)))
    if patient:
        time.sleep(max(0.0, session.seconds + 6 - (time.monotonic() - renewed)))
        yield _refused("claims", "a token that is over", target.send(target.good(session)))
    yield from _refreshing(target, account)
    yield from _signed_out(target, account)
    _end(target, session)


def _accepted(group: str, name: str, reply: Reply | None) -> Finding:
    return Finding(group, name, reply is not None and reply.status == 200, _shown(reply))


def _refused(group: str, name: str, reply: Reply | None) -> Finding:
    refused = reply is None or (400 <= reply.status < 500 and reply.status not in _UNSENT)
    return Finding(group, name, refused, _shown(reply))


def _shown(reply: Reply | None) -> str:
    return "connection ended" if reply is None else str(reply.status)


def _replayed(target: Target, session: Session) -> Finding:
    request = target.good(session)
    first, second = target.send(request), target.send(request)
    if first is None or first.status != 200:
        return Finding("proof", "sent twice", ok=False, told=f"the first was answered {_shown(first)}")
    return _refused("proof", "sent twice", second)


def _refreshing(target: Target, account: Account) -> Iterator[Finding]:
    """Attack the refresh token: each case with a sign-in of its own, since the family may die of it."""
    path, thief = f"{ROOT}/session/refresh", forge.EcKey()
    session = target.sign_in(account)
    cases: dict[str, Callable[[], Reply | None]] = {
        "with another's key": lambda: target.post(path, {"refresh": session.refresh}, thief),
        "without a proof": lambda: target.post(path, {"refresh": session.refresh}, None),
        "the access token in its place": lambda: target.post(path, {"refresh": session.access}, session.key),
        "cut": lambda: target.post(path, {"refresh": session.refresh[:-1]}, session.key),
        "longer": lambda: target.post(path, {"refresh": session.refresh + "A"}, session.key),
        "other letters": lambda: target.post(path, {"refresh": session.refresh.swapcase()}, session.key),
        "made up": lambda: target.post(path, {"refresh": "rt_" + "A" * 43}, session.key),
        "in the address": lambda: target.send(_refresh_in_query(target, session)),
    }
    for name, send in cases.items():
        yield _refused("refresh", name, send())
    first = session.refresh
    try:
        target.renew(session)
        yield Finding("refresh", "a use gives another token", session.refresh != first, "")
        target.renew(session)
    except SluiceError as fault:
        yield Finding("refresh", "its owner's use of it", ok=False, told=fault.message)
        return
    yield _refused("refresh", "used again", target.post(path, {"refresh": first}, session.key))
    yield _refused("refresh", "its child, after that", target.post(path, {"refresh": session.refresh}, session.key))
    yield _void("refresh", "its access token, after that", target, session)


def _refresh_in_query(target: Target, session: Session) -> Request:
    path = f"{ROOT}/session/refresh"
    proof = session.key.prove("POST", target.url + path)
    kind = ("content-type", "application/json")
    return Request("POST", f"{path}?refresh={session.refresh}", (kind, ("dpop", proof)), b"{}")


def _signed_out(target: Target, account: Account) -> Iterator[Finding]:
    session = target.sign_in(account)
    reply = _end(target, session)
    yield _accepted("sign-out", "signing out", reply)
    yield _void("sign-out", "the access token, after it", target, session)
    again = target.post(f"{ROOT}/session/refresh", {"refresh": session.refresh}, session.key)
    yield _refused("sign-out", "the refresh token, after it", again)


def _void(group: str, name: str, target: Target, session: Session) -> Finding:
    """Tell whether a token is refused within a second."""
    began = time.monotonic()
    while True:
        reply = target.send(target.good(session, path=WHOAMI))
        found = _refused(group, name, reply)
        if found.ok or time.monotonic() - began > _ENDED_WITHIN:
            return found
        time.sleep(0.05)


def _end(target: Target, session: Session) -> Reply | None:
    return target.post(f"{ROOT}/session/logout", {"refresh": session.refresh}, session.key, session.access)

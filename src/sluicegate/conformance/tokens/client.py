"""A client that can be told to do everything wrong: signs in, and sends requests as they are given."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sluicegate.base.errors import Invalid, Unreachable, rebuild
from sluicegate.base.secret import Secret
from sluicegate.crypto.forge import EcKey
from sluicegate.kit.net import HttpsClient, Reply

ROOT = "/api/v1"
WHOAMI = f"{ROOT}/session/whoami"
WAIT_MAX, TRIES = 65, 8
Headers = tuple[tuple[str, str | bytes], ...]


@dataclass(frozen=True)
class Account:
    """Who signs in, and how."""

    email: str
    password: Secret
    tenant: str | None = None
    codes: list[Secret] = field(default_factory=list)
    """Codes of the second factor, one for each sign-in: recovery codes do."""


@dataclass(frozen=True)
class Request:
    """One request, as it goes out."""

    method: str = "GET"
    path: str = WHOAMI
    headers: Headers = ()
    body: bytes | None = None


@dataclass
class Session:
    """A sign-in that holds: what attackers would like to have, and the key that they do not."""

    access: str
    refresh: str
    key: EcKey
    seconds: int
    spent: list[str] = field(default_factory=list)
    """Refresh tokens that have been used."""


class Target:
    """The installation. All traffic goes to it and to nothing else."""

    def __init__(self, url: str, ca: Path | None) -> None:
        """``ca``: the only authority trusted; the system's without it."""
        self.url = url.rstrip("/")
        self._client = HttpsClient(self.url, ca, timeout=30)

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def send(self, request: Request) -> Reply | None:
        """Return the answer; ``None`` when the connection was ended instead. Throttled, it waits and comes back."""
        for _ in range(TRIES):
            try:
                reply = self._client.send(request.method, request.path, request.body, request.headers)
            except Unreachable:
                return None
            if reply.status != 429:
                return reply
            wait = reply.headers.get("retry-after", "1")
            time.sleep(min(int(wait) if wait.isdecimal() else 1, WAIT_MAX))
        raise Unreachable("The server keeps on saying that there are too many requests.", hint="Raise limits.public.")

    def good(self, session: Session, *, method: str = "GET", path: str = WHOAMI, body: bytes | None = None) -> Request:
        """Return a request with nothing wrong."""
        proof = session.key.prove(method, self.url + path, session.access)
        headers: list[tuple[str, str | bytes]] = [("authorization", f"DPoP {session.access}"), ("dpop", proof)]
        if body is not None:
            headers.append(("content-type", "application/json"))
        return Request(method, path, tuple(headers), body)

    def post(self, path: str, told: Any, key: EcKey | None, token: str | None = None) -> Reply | None:
        """Send a JSON question, with a proof of ``key``."""
        headers: list[tuple[str, str | bytes]] = [("content-type", "application/json")]
        if key is not None:
            headers.append(("dpop", key.prove("POST", self.url + path, token)))
        if token is not None:
            headers.append(("authorization", f"DPoP {token}"))
        return self.send(Request("POST", path, tuple(headers), json.dumps(told).encode()))

    def sign_in(self, account: Account) -> Session:
        """Sign in. Raises what the server says, and ``Invalid`` when more is owed than a password and a code."""
        key = EcKey()
        told: dict[str, Any] = {"email": account.email, "password": account.password.reveal()}
        if account.tenant is not None:
            told["tenant"] = account.tenant
        found = _tokens(self.post(f"{ROOT}/session/login", told, key))
        if found.get("standing") == "factor":
            if not account.codes:
                raise Invalid("a second factor is owed", hint="Give recovery codes, three of them: --codes-file FILE")
            code = {"code": account.codes.pop(0).reveal()}
            found = _tokens(self.post(f"{ROOT}/session/factor", code, key, found["access"]))
        if found.get("standing", "signed in") != "signed in":
            raise Invalid(
                "this account has not finished signing in", hint="Sign in once in the browser, then try again."
            )
        return Session(found["access"], found["refresh"], key, int(found["expires_in"]))

    def renew(self, session: Session) -> None:
        """Trade the refresh token."""
        found = _tokens(self.post(f"{ROOT}/session/refresh", {"refresh": session.refresh}, session.key))
        session.spent.append(session.refresh)
        session.access, session.refresh = found["access"], found["refresh"]


def _tokens(reply: Reply | None) -> dict[str, Any]:
    if reply is None:
        raise Unreachable("The server ended the connection.")
    try:
        found = json.loads(reply.body)
    except ValueError:
        found = None
    if reply.status != 200 or not isinstance(found, dict):
        told = found if isinstance(found, dict) and "title" in found else {}
        raise rebuild({"code": "failed", "title": f"The server answered {reply.status}.", **told})
    return found


def title_of(reply: Reply) -> str:
    """Return what a refusal says, without what differs from request to request."""
    try:
        found = json.loads(reply.body)
    except ValueError:
        return ""
    told = {key: value for key, value in found.items() if key != "request"} if isinstance(found, dict) else found
    return json.dumps(told, sort_keys=True)


def bare(token: str, proof: str | None, *more: tuple[str, str | bytes]) -> Headers:
    """Return the headers of a token and a proof."""
    found: Sequence[tuple[str, str | bytes]] = [("authorization", f"DPoP {token}")]
    return (*found, *((("dpop", proof),) if proof is not None else ()), *more)

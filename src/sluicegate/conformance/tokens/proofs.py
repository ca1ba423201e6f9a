"""The attacks on the proof of the client's key, and on where a token may stand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from sluicegate.conformance.tokens.attack import Attack, Make
from sluicegate.conformance.tokens.client import ROOT, WHOAMI, Request, Session, Target, bare
from sluicegate.crypto import forge


def proofs(session: Session) -> Iterator[Attack]:
    """Yield the attacks on the proof (RFC 9449)."""
    key, other = session.key, forge.EcKey()

    def proof(header: dict[str, Any] | None = None, by: forge.EcKey = key, **claims: Any) -> Make:
        def make(target: Target, session: Session) -> Request:
            told = {**by.claims("GET", target.url + WHOAMI, session.access), **claims}
            told = {name: value for name, value in told.items() if value is not _LEFT_OUT}
            return Request(headers=bare(session.access, by.sign({**by.header(), **(header or {})}, told)))

        return make

    def sent(text: Callable[[Target, Session], str | None], *more: Callable[[Target, Session], str]) -> Make:
        def make(target: Target, session: Session) -> Request:
            rest = tuple(("dpop", each(target, session)) for each in more)
            return Request(headers=bare(session.access, text(target, session), *rest))

        return make

    def good(target: Target, session: Session) -> str:
        return key.prove("GET", target.url + WHOAMI, session.access)

    yield Attack("proof", "none", sent(lambda _t, _s: None))
    yield Attack("proof", "none, as Bearer", lambda _t, s: Request(headers=(("authorization", f"Bearer {s.access}"),)))
    yield Attack("proof", "of another key", proof(by=other))
    yield Attack(
        "proof",
        "signed by another key",
        sent(lambda t, s: other.sign(key.header(), key.claims("GET", t.url + WHOAMI, s.access))),
    )
    for name, claims in {
        "htm of another method": {"htm": "POST"},
        "htm in small letters": {"htm": "get"},
        "no htm": {"htm": _LEFT_OUT},
        "htu of another host": {"htu": f"https://another.example{WHOAMI}"},
        "no htu": {"htu": _LEFT_OUT},
        "htu a list": {"htu": []},
        "htu relative": {"htu": WHOAMI},
        "htu with http": {"htu": f"http://localhost{WHOAMI}"},
        "no ath": {"ath": _LEFT_OUT},
        "ath of another token": {"ath": forge.encode(bytes(32))},
        "ath empty": {"ath": ""},
        "ath null": {"ath": None},
        "no iat": {"iat": _LEFT_OUT},
        "iat text": {"iat": "1"},
        "iat of 1970": {"iat": 0},
        "iat true": {"iat": True},
        "iat 1e308": {"iat": 1e308},
        "iat of tomorrow": {"iat": forge.EcKey.claims(key, "", "")["iat"] + 86400},
        "iat an hour old": {"iat": forge.EcKey.claims(key, "", "")["iat"] - 3600},
        "no jti": {"jti": _LEFT_OUT},
        "jti empty": {"jti": ""},
        "jti a number": {"jti": 12345678},
    }.items():
        yield Attack("proof", name, proof(**claims))
    headers: dict[str, dict[str, Any]] = {
        "alg none": {"alg": "none"},
        "alg HS256": {"alg": "HS256"},
        "alg HS512": {"alg": "HS512"},
        "alg ES512": {"alg": "ES512"},
        "typ JWT": {"typ": "JWT"},
        "typ of an access token": {"typ": "at+jwt"},
        "the private key in it": {"jwk": key.private_jwk},
        "jwk of another": {"jwk": other.jwk},
        "no jwk": {"jwk": {}},
        "jwk a secret": {"jwk": {"kty": "oct", "k": "AA"}},
        "kid": {"kid": "k"},
        "jku": {"jku": "https://x"},
        "crit": {"crit": ["x"]},
        "a point that is none": {"jwk": {**key.jwk, "y": key.jwk["x"]}},
    }
    for name, header in headers.items():
        yield Attack("proof", name, proof(header))
    yield Attack("proof", "without a signature", sent(lambda t, s: good(t, s).rpartition(".")[0] + "."))
    yield Attack("proof", "of the path above", sent(lambda t, s: key.prove("GET", f"{t.url}{ROOT}/session", s.access)))
    yield Attack("proof", "for the token of nobody", sent(lambda t, _s: key.prove("GET", t.url + WHOAMI, None)))
    yield Attack("proof", "the token itself", sent(lambda _t, s: s.access))
    yield Attack("proof", "garbage", sent(lambda _t, _s: "a.b.c"))
    yield Attack("proof", "too long", sent(lambda t, s: good(t, s) + "A" * 3000))
    yield Attack("proof", "two headers", sent(good, good))
    yield Attack("proof", "two in one header", sent(lambda t, s: f"{good(t, s)}, {good(t, s)}"))


_LEFT_OUT: Any = object()


def places(session: Session) -> Iterator[Attack]:
    """Yield what brings a token where none may stand."""
    key = session.key
    for name in ("access_token", "token", "authorization", "jwt", "ticket"):
        yield Attack("place", f"query: {name}", _beside(key, path=f"{WHOAMI}?{name}={{}}"))
    for name in ("access_token", "token", "Authorization", "session"):
        yield Attack("place", f"cookie: {name}", _beside(key, "cookie", f"{name}={{}}"))
    for name in ("x-access-token", "x-authorization", "proxy-authorization", "x-forwarded-authorization", "x-api-key"):
        yield Attack("place", f"header: {name}", _beside(key, name, "DPoP {}"))
    form, kind = "application/x-www-form-urlencoded", "content-type"
    yield Attack("place", "body: form", _in_body(key, (kind, form), as_form=True))
    yield Attack("place", "body: JSON", _in_body(key, (kind, "application/json"), as_form=False))
    yield Attack("place", "the header twice", _twice(key, "garbage", first=False))
    yield Attack("place", "the header twice, garbage first", _twice(key, "garbage", first=True))
    yield Attack("place", "two in one header", _beside(key, "authorization", "DPoP {0}, DPoP {0}"))
    yield Attack("place", "100 kB of token", _beside(key, "authorization", "DPoP {}" + "A" * 100_000))
    for name in ("x-user", "x-forwarded-user", "x-remote-user", "x-role"):
        yield Attack("place", f"only {name}", _beside(key, name, "root"))


def _beside(key: forge.EcKey, header: str = "", value: str = "", path: str = WHOAMI) -> Make:
    """Return what puts the token (``{}``) into a header or the path, with a proof that fits it."""

    def make(target: Target, session: Session) -> Request:
        proof = key.prove("GET", target.url + WHOAMI, session.access)
        named = ((header, value.format(session.access)),) if header else ()
        return Request(path=path.format(session.access), headers=(*named, ("dpop", proof)))

    return make


def _in_body(key: forge.EcKey, kind: tuple[str, str], *, as_form: bool) -> Make:
    path = f"{ROOT}/session/logout"

    def make(target: Target, session: Session) -> Request:
        text = (
            f"access_token={session.access}"
            if as_form
            else json.dumps({"refresh": "x", "access_token": session.access})
        )
        proof = key.prove("POST", target.url + path)
        return Request("POST", path, (kind, ("dpop", proof)), text.encode())

    return make


def _twice(key: forge.EcKey, other: str, *, first: bool) -> Make:
    def make(target: Target, session: Session) -> Request:
        proof = key.prove("GET", target.url + WHOAMI, session.access)
        two = [("authorization", f"DPoP {session.access}"), ("authorization", f"DPoP {other}")]
        return Request(headers=(*(reversed(two) if first else two), ("dpop", proof)))

    return make

"""The attacks on access tokens: each is one request that must be refused. RFC 8725, RFC 9449, SEC-T01 to T19."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sluicegate.conformance.tokens import proofs
from sluicegate.conformance.tokens.attack import Attack, Make, raw_header, with_token
from sluicegate.conformance.tokens.client import Session
from sluicegate.crypto import forge


def parts(session: Session) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Return the header, the claims and the signature of the token that holds."""
    header, claims, signature = session.access.split(".")
    return json.loads(forge.decode(header)), json.loads(forge.decode(claims)), signature


def every(session: Session, url: str, ca: bytes = b"") -> Iterator[Attack]:
    """Yield every attack. ``ca``: the authority's file, which a confused verifier may take for a secret."""
    yield from _algorithms(session, ca)
    yield from _keys(session, url)
    yield from _claims(session)
    yield from _signatures(session)
    yield from _forms(session)
    yield from proofs.proofs(session)
    yield from proofs.places(session)


def _algorithms(session: Session, ca: bytes) -> Iterator[Attack]:
    header, claims, signature = parts(session)
    mine, rsa = forge.EcKey(), forge.RsaKey()
    for alg in ("none", "None", "NONE", "nOnE", "", " none"):
        text = f"{forge.part({**header, 'alg': alg})}.{forge.part(claims)}"
        for name, end in (("no signature", ""), ("the true signature", signature)):
            yield Attack("algorithm", f"alg {alg!r}, {name}", with_token(f"{text}.{end}"))
    bare_header = {key: value for key, value in header.items() if key != "alg"}
    for name, told in (
        ("no alg", bare_header),
        ("alg a list", {**header, "alg": ["none", "HS512"]}),
        ("alg null", {**header, "alg": None}),
    ):
        yield Attack("algorithm", name, with_token(f"{forge.part(told)}.{forge.part(claims)}.{signature}"))
    secrets = {
        "empty": b"",
        "zero": b"\0" * 64,
        "'secret'": b"secret",
        "own P-256 key": mine.pem,
        "own RSA key": rsa.pem,
    }
    if ca:
        secrets["the authority"] = ca
    for alg in ("HS256", "HS384", "HS512"):
        for name, key in secrets.items():
            token = forge.by_secret({**header, "alg": alg}, claims, key, alg)
            yield Attack("algorithm", f"{alg}, key: {name}", with_token(token))
    for alg in ("ES256", "HS512", "ES512", "EdDSA"):
        yield Attack("algorithm", f"{alg}, signed by P-256", with_token(mine.sign({**header, "alg": alg}, claims)))
    for alg in ("RS256", "PS256", "HS512"):
        yield Attack("algorithm", f"{alg}, signed by RSA", with_token(rsa.sign({**header, "alg": alg}, claims)))


def _keys(session: Session, url: str) -> Iterator[Attack]:
    header, claims, signature = parts(session)
    mine, rsa = forge.EcKey(), forge.RsaKey()
    octet = {"kty": "oct", "k": forge.encode(b"attacker")}
    for name, key in (("jku", f"{url}/jwks.json"), ("x5u", f"{url}/chain.pem"), ("x5c", ["MIIB"]), ("jwk", mine.jwk)):
        yield Attack("keys", f"{name}, ES256", with_token(mine.sign({**header, "alg": "ES256", name: key}, claims)))
        yield Attack(
            "keys",
            f"{name}, true signature",
            with_token(f"{forge.part({**header, name: key})}.{forge.part(claims)}.{signature}"),
        )
    yield Attack("keys", "jwk, RS256", with_token(rsa.sign({**header, "alg": "RS256", "jwk": rsa.jwk}, claims)))
    token = forge.by_secret({**header, "jwk": octet}, claims, b"attacker", "HS512")
    yield Attack("keys", "jwk with a secret, HS512", with_token(token))
    kids = (
        "../../../../dev/null",
        "/dev/null",
        "' OR '1'='1",
        "' UNION SELECT ''--",
        "|id",
        f"{url}/key",
        "k" * 3000,
        "",
        "\0",
        "é",
    )
    for kid in kids:
        shown = kid[:24].encode("unicode_escape").decode()
        yield Attack(
            "keys", f"kid {shown!r}", with_token(forge.by_secret({**header, "kid": kid}, claims, b"", "HS512"))
        )
    for name, told in (
        ("unknown crit", {**header, "crit": ["exp"]}),
        ("crit of nothing", {**header, "crit": []}),
        ("b64 false", {**header, "b64": False, "crit": ["b64"]}),
        ("zip", {**header, "zip": "DEF"}),
        ("cty", {**header, "cty": "JWT"}),
    ):
        yield Attack("keys", name, with_token(f"{forge.part(told)}.{forge.part(claims)}.{signature}"))


def _claims(session: Session) -> Iterator[Attack]:
    header, claims, signature = parts(session)

    def changed(told: dict[str, Any] | bytes, head: dict[str, Any] | None = None) -> Make:
        return with_token(f"{forge.part(head or header)}.{forge.part(told)}.{signature}")

    new = {
        "role": "superadmin",
        "sub": "0",
        "tid": "another",
        "jti": "another",
        "sid": "another",
        "aud": "another",
        "iss": "another",
        "exp": claims["exp"] + 86400,
        "nbf": 0,
        "iat": 0,
        "epo": 2**40,
        "scope": "admin",
        "cnf": {"jkt": "A" * 43},
    }
    for name, value in new.items():
        yield Attack("claims", f"{name} changed", changed({**claims, name: value}))
    for name in ("exp", "aud", "cnf", "jti", "iss"):
        yield Attack("claims", f"no {name}", changed({key: value for key, value in claims.items() if key != name}))
    for name, told in {
        "over": {"exp": claims["iat"] - 1},
        "not yet": {"nbf": claims["exp"] + 3600},
        "made tomorrow": {"iat": claims["exp"] + 86400},
        "exp as text": {"exp": str(claims["exp"])},
        "exp 1e308": {"exp": 1e308},
        "exp negative": {"exp": -1},
        "aud a list": {"aud": [claims["aud"], "another"]},
        "aud with an end": {"aud": f"{claims['aud']}/"},
        "iss with a start": {"iss": f"x{claims['iss']}"},
    }.items():
        yield Attack("claims", name, changed({**claims, **told}))
    raw = forge.decode(session.access.split(".")[1])
    yield Attack("claims", "a key twice", changed(b'{"role":"superadmin",' + raw[1:]))
    yield Attack("claims", "a space more", changed(raw + b" "))
    for typ in ("JWT", "jwt", "pending+jwt", "dpop+jwt", "AT+JWT", "application/at+jwt"):
        yield Attack("claims", f"typ {typ}", changed(claims, {**header, "typ": typ}))
    yield Attack("claims", "a proof for a token", with_token(session.key.prove("GET", "https://x", None)))
    yield Attack("claims", "the refresh token for a token", with_token(session.refresh))


def _signatures(session: Session) -> Iterator[Attack]:
    head, body, signature = session.access.split(".")
    text = f"{head}.{body}"
    for length in (0, 1, 2, 10, 42, 43, 64, len(signature) - 2, len(signature) - 1):
        yield Attack("signature", f"cut to {length}", with_token(f"{text}.{signature[:length]}"))
    raw = forge.decode(signature)
    for at in (0, 7, len(raw) // 2, len(raw) - 1):
        flipped = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        yield Attack("signature", f"bit of byte {at} flipped", with_token(f"{text}.{forge.encode(flipped)}"))
    for last in [each for each in "BCDxyz-_01" if each != signature[-1]]:
        yield Attack("signature", f"last character {last!r}", with_token(f"{text}.{signature[:-1]}{last}"))
    for name, end in (("zeros", bytes(len(raw))), ("twice", raw + raw), ("longer by one", raw + b"\0")):
        yield Attack("signature", name, with_token(f"{text}.{forge.encode(end)}"))


def _forms(session: Session) -> Iterator[Attack]:
    head, body, signature = session.access.split(".")
    for name, text in {
        "padded": f"{session.access}==",
        "padded parts": f"{head}=.{body}=.{signature}",
        "a fourth part": f"{session.access}.x",
        "an empty fourth part": f"{session.access}.",
        "a part less": f"{head}.{signature}",
        "no header": f".{body}.{signature}",
        "no claims": f"{head}..{signature}",
        "parts swapped": f"{body}.{head}.{signature}",
        "small letters": session.access.lower(),
        "twice": f"{session.access}.{session.access}",
        "five parts, as JWE has": f"{head}.{body}.{signature}.{body}.{signature}",
        "standard base64": f"{head}.{body}+.{signature}/",
        "a space within": f"{head}. {body}.{signature}",
        "a tab": f"{head}.\t{body}.{signature}",
        "in quotes": f'"{session.access}"',
        "nothing": "x",
        "null": "null",
        "a JSON form": json.dumps({"payload": body, "signatures": [{"signature": signature}]}),
        "too long": session.access + "A" * 6000,
    }.items():
        yield Attack("form", name, with_token(text))
    for name, sign in (
        ("full width dot", "\uff0e"),
        ("one dot leader", "\u2024"),
        ("invisible", "\u200b"),
        ("turned round", "\u202e"),
    ):
        text = f"{head}{sign}{body}.{signature}"
        yield Attack("form", name, raw_header(b"DPoP " + text.encode()))
    for name, raw in (("overlong", b"\xc0\xae"), ("no UTF-8", b"\xff\xfe")):
        token = head.encode() + raw + f"{body}.{signature}".encode()
        yield Attack("form", name, raw_header(b"DPoP " + token))
    yield Attack("form", "Basic", raw_header(b"Basic " + session.access.encode()))
    yield Attack("form", "no scheme", raw_header(session.access.encode()))
    yield Attack("form", "scheme twice", raw_header(b"DPoP DPoP " + session.access.encode()))

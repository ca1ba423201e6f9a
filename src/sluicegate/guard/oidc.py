"""OpenID Connect, as the mechanism of single sign-on speaks it: discovery, the way to the provider and back, ID tokens.

All that a provider says is hostile until it is checked: it is reached through ``kit.net`` alone, over https, without a
redirect, within a few seconds and bytes, and every address that it names is held to the same.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

from sluicegate.base import clock
from sluicegate.base.errors import SluiceError
from sluicegate.base.secret import Secret
from sluicegate.crypto import oidc
from sluicegate.crypto.oidc import KeySet, Unfit, UnknownKey, Wanted
from sluicegate.guard.provider import Identity, Provider, is_https, pick
from sluicegate.kit.net import Net

Client = Any
"""An HTTP client of ``kit.net``."""
KEPT: Final = 600.0
"""Seconds for which a discovery document and keys are believed."""
AGAIN: Final = 30.0
"""Seconds between two looks at a provider's keys for the sake of an unknown one; and after it could not be reached."""
KEPT_MAX: Final = 1000
"""Providers that are remembered."""
STEP, TOTAL = 5.0, 15.0
"""Seconds that one step on the wire, and all that is asked for one sign-in, may take."""
SIZE: Final = 256 * 1024
"""Bytes of an answer at the most."""
_GROUPS = 2000
_CODE = re.compile(r"[a-z_]{1,40}")


class Endpoints(NamedTuple):
    """What a discovery document says, as far as it is needed."""

    authorization: str
    token: str
    keys: str
    userinfo: str
    names_itself: bool
    """Whether the answer that comes back says by ``iss`` whose it is (RFC 9207)."""
    basic: bool
    """Whether the client secret goes in a header; else it goes in the form."""
    about: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Journey:
    """One way to the provider and back. All of it is secret until it is over."""

    state: Secret
    nonce: str
    verifier: Secret
    redirect: str
    fresh: bool
    """Whether the person must be asked anew."""


class Back(NamedTuple):
    """What came back by way of the person's browser."""

    code: Secret
    issuer: str | None


class Finding(NamedTuple):
    """One thing that was looked at when a provider was tested."""

    what: str
    ok: bool
    told: str


class Oidc:
    """Speaks with providers, and remembers what they say of themselves."""

    def __init__(self, net: Net, now: clock.Clock = clock.system) -> None:
        """Reach providers through ``net``."""
        self._net, self._now = net, now
        self._known: OrderedDict[tuple[str, str | None], tuple[Endpoints | SluiceError | Unfit, float]] = OrderedDict()
        self._keys: OrderedDict[tuple[str, str | None], tuple[KeySet, float]] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, provider: Provider, journey: Journey) -> str:
        """Return where to send the browser. Raises what ``finish`` raises."""
        found = self._recall(provider)
        if found is None:
            with self._client(provider) as client:
                found = self._discover(client, provider)
        told = {
            "response_type": "code",
            "response_mode": "query",
            "client_id": provider.client_id,
            "redirect_uri": journey.redirect,
            "scope": " ".join(dict.fromkeys(("openid", *provider.scopes))),
            "state": journey.state.reveal(),
            "nonce": journey.nonce,
            "code_challenge": oidc.challenge(journey.verifier),
            "code_challenge_method": "S256",
            **({"prompt": "login", "max_age": "0"} if journey.fresh else {}),
        }
        return f"{found.authorization}{'&' if '?' in found.authorization else '?'}{urlencode(told)}"

    def finish(self, provider: Provider, secret: Secret | None, journey: Journey, back: Back, since: float) -> Identity:
        """Return whom the provider has shown to be there.

        Raises ``Unfit``, ``Unreachable``, ``Egress`` or ``Failed``, whose message is for administrators alone.
        """
        with self._client(provider) as client:
            found = self._discover(client, provider)
            if back.issuer is None and found.names_itself:
                raise Unfit("The answer does not say which provider it is from.")
            if back.issuer is not None and back.issuer != provider.issuer:
                raise Unfit("The answer is from another provider.")
            answer = self._trade(client, provider, found, secret, journey, back.code)
            token, access = answer.get("id_token"), answer.get("access_token")
            if not isinstance(token, str) or not isinstance(access, str):
                raise Unfit("The provider gave no ID token.")
            wanted = Wanted(provider.issuer, provider.client_id, journey.nonce, since)
            claims = self._verify(client, provider, found, token, wanted, access)
            if any(pick(claims, name) is None for name in (provider.email_claim, provider.groups_claim)):
                claims = {**self._about(client, found, access, claims["sub"]), **claims}
        return _identity(provider, claims, oidc.is_fresh(claims, since, self._now()))

    def test(self, provider: Provider, secret: Secret | None, redirect: str) -> tuple[Finding, ...]:
        """Look at a provider, and say in plain words what is wrong."""
        done: list[Finding] = []
        with self._client(provider) as client:
            try:
                found = self._read_discovery(client, provider)
                done.append(_good("discovery", f"{provider.issuer} answers and names itself rightly."))
                done += _look(found)
                keys = self._fetch_keys(client, provider, found)
                told = f"Keys that it shows for signatures that are taken: {len(keys)}."
                done.append(_good("keys", told) if len(keys) else _bad("keys", told))
                done.append(self._knock(client, provider, found, secret, redirect))
            except (SluiceError, Unfit) as fault:
                seen = {each.what for each in done}
                what = "client" if "keys" in seen else "keys" if "discovery" in seen else "discovery"
                done.append(_bad(what, " ".join(filter(None, (fault.message, getattr(fault, "hint", ""))))))
        return tuple(done)

    # -- the wire ------------------------------------------------------------------------------------------------------

    def _client(self, provider: Provider) -> Client:
        headers = {"accept": "application/json", "accept-encoding": "identity", "user-agent": "sluicegate"}
        return self._net.http(ca=provider.ca, timeout=STEP, total=TOTAL, headers=headers)

    def _ask(self, client: Client, method: str, url: str, **told: Any) -> tuple[int, dict[str, Any]]:
        status, raw = self._net.read(client, method, url, limit=SIZE, **told)
        try:
            found = json.loads(raw.decode(), object_pairs_hook=_single)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise Unfit(f"The provider's answer ({status}) is no JSON object.")
        return status, found

    def forget(self, provider: Provider) -> None:
        """Ask a provider anew when it is needed next."""
        with self._lock:
            self._known.pop((provider.issuer, provider.ca), None)

    def _recall(self, provider: Provider) -> Endpoints | None:
        """Return what is remembered of a provider. That it could not be reached is remembered, too."""
        with self._lock:
            known, until = self._known.get((provider.issuer, provider.ca), (None, 0.0))
        if known is None or until <= self._now():
            return None
        if not isinstance(known, Endpoints):
            raise Unfit(known.message)
        return known

    def _discover(self, client: Client, provider: Provider) -> Endpoints:
        found = self._recall(provider)
        if found is not None:
            return found
        try:
            found = self._read_discovery(client, provider)
        except (SluiceError, Unfit) as fault:
            self._remember(provider, fault, AGAIN)
            raise
        self._remember(provider, found, KEPT)
        return found

    def _remember(self, provider: Provider, known: Endpoints | SluiceError | Unfit, seconds: float) -> None:
        with self._lock:
            self._known[provider.issuer, provider.ca] = known, self._now() + seconds
            if len(self._known) > KEPT_MAX:
                self._known.popitem(last=False)

    def _read_discovery(self, client: Client, provider: Provider) -> Endpoints:
        url = provider.issuer.rstrip("/") + "/.well-known/openid-configuration"
        status, about = self._ask(client, "GET", url)
        if status != 200:  # noqa: PLR2004
            raise Unfit(f"The provider answers {status} when it is asked who it is.")
        if about.get("issuer") != provider.issuer:
            raise Unfit("The provider calls itself by another issuer than the one that is set.")
        needed = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        if wrong := [name for name in needed if not is_https(about.get(name))]:
            raise Unfit(f"The provider's {wrong[0]} is no https address.")
        userinfo = about.get("userinfo_endpoint", "")
        if userinfo != "" and not is_https(userinfo):
            raise Unfit("The provider's userinfo_endpoint is no https address.")
        ways = about.get("token_endpoint_auth_methods_supported")
        return Endpoints(
            about["authorization_endpoint"],
            about["token_endpoint"],
            about["jwks_uri"],
            userinfo,
            about.get("authorization_response_iss_parameter_supported") is True,
            not isinstance(ways, list) or "client_secret_basic" in ways or "client_secret_post" not in ways,
            about,
        )

    def _fetch_keys(self, client: Client, provider: Provider, found: Endpoints) -> KeySet:
        status, raw = self._net.read(client, "GET", found.keys, limit=SIZE)
        if status != 200:  # noqa: PLR2004
            raise Unfit(f"The provider answers {status} when it is asked for its keys.")
        made = KeySet(raw)
        with self._lock:
            self._keys[found.keys, provider.ca] = made, self._now()
            if len(self._keys) > KEPT_MAX:
                self._keys.popitem(last=False)
        return made

    def _verify(
        self, client: Client, provider: Provider, found: Endpoints, token: str, wanted: Wanted, access: str
    ) -> dict[str, Any]:
        """Verify an ID token by the keys that are remembered; an unknown one has them asked for anew, sometimes."""
        with self._lock:
            keys, at = self._keys.get((found.keys, provider.ca), (None, 0.0))
        now = self._now()
        if keys is not None and now - at < KEPT:
            try:
                return oidc.verify(token, keys, wanted, now, access)
            except UnknownKey:
                if now - at < AGAIN:
                    raise
        return oidc.verify(token, self._fetch_keys(client, provider, found), wanted, now, access)

    def _trade(
        self,
        client: Client,
        provider: Provider,
        found: Endpoints,
        secret: Secret | None,
        journey: Journey,
        code: Secret,
    ) -> dict[str, Any]:
        status, answer = self._post(client, provider, found, secret, journey, code)
        if status != 200:  # noqa: PLR2004
            raise Unfit(f"The provider did not take the code: {_code(answer)}.")
        if str(answer.get("token_type", "")).lower() != "bearer":
            raise Unfit("The provider gave a token of a kind that was not asked for.")
        return answer

    def _post(
        self,
        client: Client,
        provider: Provider,
        found: Endpoints,
        secret: Secret | None,
        journey: Journey,
        code: Secret,
    ) -> tuple[int, dict[str, Any]]:
        form = {
            "grant_type": "authorization_code",
            "code": code.reveal(),
            "redirect_uri": journey.redirect,
            "code_verifier": journey.verifier.reveal(),
        }
        headers = {}
        if secret is not None and found.basic:
            pair = f"{quote(provider.client_id, safe='')}:{quote(secret.reveal(), safe='')}"
            headers["authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        else:
            form["client_id"] = provider.client_id
            if secret is not None:
                form["client_secret"] = secret.reveal()
        return self._ask(client, "POST", found.token, data=form, headers=headers)

    def _about(self, client: Client, found: Endpoints, access: str, subject: str) -> dict[str, Any]:
        """Return what the provider says of the person beside the ID token, if it is about the same person."""
        if not found.userinfo:
            return {}
        status, answer = self._ask(client, "GET", found.userinfo, headers={"authorization": f"Bearer {access}"})
        if status != 200:  # noqa: PLR2004
            raise Unfit(f"The provider answers {status} when it is asked about the person.")
        if answer.get("sub") != subject:
            raise Unfit("The provider speaks of another person than its ID token.")
        return answer

    def _knock(
        self, client: Client, provider: Provider, found: Endpoints, secret: Secret | None, redirect: str
    ) -> Finding:
        """Send a code that is none: the answer tells whether the provider knows this client and its secret."""
        journey = Journey(Secret(""), "", oidc.new_text(), redirect, fresh=False)
        status, answer = self._post(client, provider, found, secret, journey, oidc.new_text())
        told = _code(answer)
        if told in ("invalid_client", "unauthorized_client") or status in (401, 403):
            return _bad("client", f"It does not take the client id and secret: {told}.")
        if told == "invalid_grant":
            return _good("client", "It knows the client, and takes its secret.")
        return _bad("client", f"It answers the client with {told}, which is not expected.")


def _good(what: str, told: str) -> Finding:
    return Finding(what, ok=True, told=told)


def _bad(what: str, told: str) -> Finding:
    return Finding(what, ok=False, told=told)


def _look(found: Endpoints) -> list[Finding]:
    """Say what a discovery document promises, and what it does not."""
    methods = found.about.get("code_challenge_methods_supported")
    signed = found.about.get("id_token_signing_alg_values_supported")
    done = []
    if isinstance(methods, list) and "S256" not in methods:
        done.append(_bad("PKCE", "It does not know S256, without which codes could be stolen."))
    else:
        told = "It knows S256." if methods else "It does not say whether it knows S256; it is used all the same."
        done.append(_good("PKCE", told))
    takes = [each for each in oidc.ALGORITHMS if isinstance(signed, list) and each in signed]
    done.append(
        _good("signatures", f"It signs by {', '.join(takes)}.")
        if takes
        else _bad("signatures", "It signs by none of: " + ", ".join(oidc.ALGORITHMS) + ".")
    )
    told = "Its answers say whose they are." if found.names_itself else "Its answers do not say whose they are."
    done.append(_good("issuer in answers", told))
    return done


def _identity(provider: Provider, claims: Mapping[str, Any], fresh: bool) -> Identity:
    email, name = pick(claims, provider.email_claim), pick(claims, provider.name_claim)
    given, methods = pick(claims, provider.groups_claim), claims.get("amr")
    groups = [given] if isinstance(given, str) else given if isinstance(given, list) else []
    shown = [*(methods if isinstance(methods, list) else []), claims.get("acr")]
    return Identity(
        provider.issuer,
        claims["sub"],
        email if isinstance(email, str) else "",
        claims.get("email_verified") is True or provider.trust_email,
        name if isinstance(name, str) else "",
        frozenset(each for each in groups[:_GROUPS] if isinstance(each, str)),
        any(isinstance(each, str) and each in provider.factors for each in shown),
        fresh,
    )


def _code(answer: Mapping[str, Any]) -> str:
    """Return the error code of an answer, if it looks like one: nothing else of it is shown."""
    found = answer.get("error")
    return found if isinstance(found, str) and _CODE.fullmatch(found) else "no reason given"


def _single(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found

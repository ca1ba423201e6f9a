"""A tenant's provider of single sign-on, where it is, for whom it speaks, who may what."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StrictBool, StringConstraints, ValidationError, model_validator

from sluicegate.base.errors import Corrupt, Invalid
from sluicegate.base.flaws import Misfit
from sluicegate.base.model import DisplayName, Model
from sluicegate.base.principal import Role
from sluicegate.crypto import tls
from sluicegate.guard.policy import RANK
from sluicegate.guard.vault import RESERVED

if TYPE_CHECKING:
    from sluicegate.store.sso import Provider as Stored

KEPT_AS = RESERVED + "sso"
"""Under which name the vault keeps the client secret."""
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})+", re.ASCII)


def is_https(url: object) -> bool:
    """Tell whether ``url`` is an https address with a host, and holds nothing that a parser could read otherwise."""
    if not isinstance(url, str) or len(url) > 2048 or not url.isascii() or not url.isprintable():  # noqa: PLR2004
        return False
    if re.search(r"[\s\\<>\"{}|^`]", url):
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    plain = parts.username is None and parts.password is None and not parts.fragment and "#" not in url
    return parts.scheme == "https" and bool(parts.hostname) and plain and port != 0


def _issuer(text: str) -> str:
    if not is_https(text) or "?" in text:
        raise Misfit("must be an https address without a query, just as the provider spells it")
    return text


def _domain(text: str) -> str:
    folded = text.strip().casefold()
    if not _DOMAIN.fullmatch(folded):
        raise Misfit("must be a mail domain such as example.org; write it in its xn-- form when it has other letters")
    return folded


def _certificate(text: str) -> str:
    try:
        tls.fingerprint(text.encode())
    except Invalid:
        raise Misfit("must be a certificate in PEM") from None
    return text


def _below(role: Role) -> Role:
    if RANK[role] > RANK[Role.ADMINISTRATOR]:
        raise Misfit("nobody becomes a SuperAdmin by single sign-on")
    return role


Issuer = Annotated[str, StringConstraints(max_length=512), AfterValidator(_issuer)]
Domain = Annotated[str, StringConstraints(max_length=253), AfterValidator(_domain)]
Given = Annotated[Role, AfterValidator(_below)]
Claim = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")]
Scope = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[\x21\x23-\x5b\x5d-\x7e]+$")]
Group = Annotated[DisplayName, StringConstraints(max_length=254)]


class GroupRole(Model):
    """What a group gives."""

    group: Group
    """A group, as the provider spells it."""
    role: Given
    """The role of who is in it."""


class Provider(Model):
    """A provider of single sign-on (OpenID Connect)."""

    issuer: Issuer
    """The provider's issuer, as its discovery document spells it: https://id.example.org/realms/acme"""
    client_id: Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[\x20-\x7e]+$")]
    """The id under which this installation is registered there."""
    ca: Annotated[str, StringConstraints(max_length=64 * 1024), AfterValidator(_certificate)] | None = None
    """The CA (PEM) that its certificate is from, when that is a private one."""
    scopes: tuple[Scope, ...] = Field(default=("openid", "email", "profile"), max_length=20)
    """What to ask for; ``openid`` always is."""
    email_claim: Claim = "email"
    """The claim that holds the e-mail address."""
    name_claim: Claim = "name"
    """The claim that holds the full name."""
    groups_claim: Claim = "groups"
    """The claim that holds the groups; with dots for one inside another (``realm_access.roles``)."""
    roles: tuple[GroupRole, ...] = Field(default=(), max_length=200)
    """Which group gives which role; of several, the highest."""
    default_role: Given | None = None
    """The role of who is in none of these groups; without one they are refused."""
    domains: tuple[Domain, ...] = Field(default=(), max_length=100)
    """Mail domains that the provider speaks for; of any when empty, but then nobody is known by their address."""
    trust_email: StrictBool = False
    """Believe addresses of these domains though the provider does not say that it has verified them."""
    create: StrictBool = True
    """Make a user of who comes for the first time; else only people who are here already may come."""
    factors: tuple[Claim, ...] = Field(default=(), max_length=20)
    """Values of ``amr`` or ``acr`` that count as a second factor; without one of them, ours is asked for."""

    @model_validator(mode="after")
    def _check(self) -> Provider:
        if self.trust_email and not self.domains:
            raise Misfit("needs domains: else a provider could speak for anybody's address", "trust_email")
        return self

    def role_of(self, groups: frozenset[str]) -> Role | None:
        """Return the role that somebody in these groups has; ``None`` when they are to be refused."""
        given = [each.role for each in self.roles if each.group in groups]
        return max(given, key=RANK.__getitem__) if given else self.default_role

    def speaks_for(self, email: str) -> bool:
        """Tell whether the domain of an address is on the list."""
        return email.rpartition("@")[2].casefold() in self.domains


class Identity(NamedTuple):
    """Whom a provider has shown to be there."""

    issuer: str
    subject: str
    email: str
    verified: bool
    """Whether the provider says that the address is theirs."""
    name: str
    groups: frozenset[str]
    factor: bool
    """Whether the provider says that they have shown a second factor."""
    fresh: bool
    """Whether they were asked anew for this."""


def read(stored: Stored) -> Provider:
    """Return a provider as it is stored. Raises ``Corrupt`` when it cannot be read: nothing is guessed."""
    try:
        return Provider.model_validate(dict(stored.body))
    except ValidationError:
        raise Corrupt("The provider of single sign-on cannot be read.") from None


def pick(claims: Mapping[str, Any], name: str) -> Any:
    """Return a claim by its name; by the way to it when no claim has this name and it holds dots."""
    if name in claims or "." not in name:
        return claims.get(name)
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found

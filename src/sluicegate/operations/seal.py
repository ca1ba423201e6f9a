"""The seal: what the root key is sealed by, opening it, and putting another into its place."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr, StringConstraints

from sluicegate.base.errors import Conflict
from sluicegate.base.model import Model
from sluicegate.base.permission import Permission, Public
from sluicegate.base.seals import SealKind
from sluicegate.base.secret import Secret
from sluicegate.guard.desk import Desk
from sluicegate.guard.operation import Http, Nothing, Operation

GIVEN_MAX = 1024


class SealProgress(Model):
    """Whether the server is sealed, and how far it is from being open."""

    sealed: bool
    kind: str
    """``shamir`` or ``passphrase``; empty when nobody is asked for anything."""
    given: int
    """How many have given their share; whether it was right is not known yet."""
    needed: int
    set: str
    """Name of the set of shares that is asked for."""


class OpenAsk(Model):
    """What one person brings."""

    share: SecretStr = Field(max_length=GIVEN_MAX)
    """A share, or the passphrase."""


class SealStanding(Model):
    """How the seal stands."""

    seal: str
    root: str
    """Name of the root key: it tells nothing of the key."""
    made: str | None
    set: str | None
    """Name of the set of shares."""
    shares: int
    threshold: int
    pending: bool
    """Shares of another seal have been handed out, and nobody has brought them back yet."""
    servers: tuple[str, ...]
    """Machines of the other servers that share the store: they are handed a new root key."""


class ChangeAsk(Model):
    """Which seal is to take the place of the one there is."""

    to: SealKind
    """``file``, ``passphrase``, ``shamir``, ``transit`` or ``aws-kms``; their settings are in ``sluice.toml``."""
    passphrase: SecretStr | None = Field(default=None, max_length=GIVEN_MAX)
    """For the seal ``passphrase``."""


class Changed(Model):
    """What came of it."""

    done: bool
    """False while shares must still be brought back: until then the seal from before holds."""
    shares: tuple[str, ...]
    """The shares. They are shown this once, and kept nowhere."""


class SharesAsk(Model):
    """Shares that were handed out."""

    shares: tuple[Annotated[SecretStr, StringConstraints(max_length=GIVEN_MAX)], ...] = Field(
        min_length=1, max_length=32
    )
    """As many as open together."""


class RenewAsk(Model):
    """How."""

    alone: bool = Field(default=False, strict=True)
    """Hand the new key to no other server of the store: they all stop, until somebody brings them the seal."""


class RootKey(Model):
    """The root key from now on."""

    root: str
    """Its name."""


class Closing(Model):
    """The server is about to be sealed."""

    sealed: bool


def progress(_ask: Nothing, desk: Desk) -> SealProgress:
    """Say whether the server is sealed, and how many shares are still missing."""
    _ = desk
    return SealProgress(sealed=False, kind="", given=0, needed=0, set="")


def unseal(_ask: OpenAsk, desk: Desk) -> SealProgress:
    """Give a share or the passphrase to a sealed server."""
    _ = desk
    raise Conflict("The server is open already: nothing was looked at.")


def about(_ask: Nothing, desk: Desk) -> SealStanding:
    """Show what the root key is sealed by."""
    found = desk.services.sealing.standing()
    return SealStanding(
        seal=found.kind,
        root=found.root,
        made=found.made or None,
        set=found.set or None,
        shares=found.shares,
        threshold=found.threshold,
        pending=found.pending,
        servers=found.others,
    )


def change(ask: ChangeAsk, desk: Desk) -> Changed:
    """Put another seal into the place of this one, with a new root key, while everybody works."""
    given = Secret(ask.passphrase.get_secret_value()) if ask.passphrase is not None else None
    made = desk.services.sealing.begin(ask.to, given)
    return Changed(done=not made, shares=tuple(each.reveal() for each in made))


def confirm(ask: SharesAsk, desk: Desk) -> RootKey:
    """Bring shares back that were handed out: from now on they open, and what was before is destroyed, on record."""
    desk.services.sealing.confirm(tuple(Secret(each.get_secret_value()) for each in ask.shares))
    return RootKey(root=desk.services.sealing.standing().root)


def renew(ask: RenewAsk, desk: Desk) -> RootKey:
    """Replace the root key under the same seal: the one before is destroyed, on record; nobody's share changes."""
    return RootKey(root=desk.services.sealing.renew(alone=ask.alone))


def close(_ask: Nothing, desk: Desk) -> Closing:
    """Seal all servers of the store: runs rest where they are, and no key stays in memory until people open them."""
    desk.services.sealing.close()
    return Closing(sealed=True)


OPERATIONS = (
    Operation(
        "seal.get",
        Public("people who bring shares must see how many are missing, before there is any token"),
        Http("GET", "/seal"),
        Nothing,
        SealProgress,
        progress,
        audited=False,
        tenant=False,
    ),
    Operation(
        "seal.open",
        Public("there is no key yet that a token could be checked with; the shares or the passphrase are the proof"),
        Http("POST", "/seal/open"),
        OpenAsk,
        SealProgress,
        unseal,
        audited=False,
        tenant=False,
    ),
    Operation(
        "seal.about",
        Permission.TENANT_MANAGE,
        Http("GET", "/seal/about"),
        Nothing,
        SealStanding,
        about,
        audited=False,
        tenant=False,
    ),
    Operation(
        "seal.change",
        Permission.TENANT_MANAGE,
        Http("POST", "/seal/change"),
        ChangeAsk,
        Changed,
        change,
        audited=True,
        tenant=False,
        fresh=True,
        hashes=True,
    ),
    Operation(
        "seal.confirm",
        Permission.TENANT_MANAGE,
        Http("POST", "/seal/confirm"),
        SharesAsk,
        RootKey,
        confirm,
        audited=True,
        tenant=False,
        fresh=True,
    ),
    Operation(
        "seal.renew",
        Permission.TENANT_MANAGE,
        Http("POST", "/seal/renew"),
        RenewAsk,
        RootKey,
        renew,
        audited=True,
        tenant=False,
        fresh=True,
    ),
    Operation(
        "seal.close",
        Permission.TENANT_MANAGE,
        Http("POST", "/seal/close"),
        Nothing,
        Closing,
        close,
        audited=True,
        tenant=False,
        fresh=True,
    ),
)

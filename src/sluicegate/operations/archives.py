"""Archives: what runs have sealed, whether it is still what it was, and sealing it for others."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from sluicegate.base import clock
from sluicegate.base.errors import Invalid
from sluicegate.base.model import Id, Model, Name
from sluicegate.base.permission import Permission
from sluicegate.guard.desk import Desk
from sluicegate.guard.operation import Http, Nothing, Operation
from sluicegate.kit.seals import RECIPIENTS
from sluicegate.kit.step import ITEM_MAX

RUNS = 200
"""Runs that a page looks through."""
Kind = Literal["age", "openpgp", "zip"]


class ListAsk(Model):
    """Where to begin."""

    before: Id | None = None
    """Only archives of runs before this one."""


class Archive(Model):
    """A file that a run has sealed."""

    item: str
    """Its name in the connection."""
    run: str
    step: str
    flow: str
    flow_version: int
    rows: int
    bytes: int
    sha256: str
    """Of the sealed file."""
    seal: str
    """How it is sealed."""
    recipients: tuple[str, ...]
    """Whom for: age recipients, fingerprints of OpenPGP certificates."""
    made: str


class Archives(Model):
    """Archives, newest first, as their runs made them."""

    items: tuple[Archive, ...]
    before: str | None
    """Where the next page begins; absent at the end."""


class ArchiveKey(Model):
    """The installation's key."""

    public: str
    """With this key manifests are checked: Ed25519, PEM."""


class VerifyAsk(Model):
    """Which archive."""

    name: Name
    """The connection it lies in."""
    item: str = Field(min_length=1, max_length=ITEM_MAX)
    """Its name there."""
    seal: Kind = "age"
    """How it is sealed."""
    identity: Name | None = None
    """Secret that opens it, so that what is in it is looked at too: an age identity, an OpenPGP key or a passphrase."""


class Verified(Model):
    """An archive that is what its manifest says."""

    item: str
    signed: bool
    """By this installation."""
    opened: bool
    """Whether what is under the seal was compared, too."""
    manifest: dict[str, Any]


class ResealAsk(Model):
    """Which archive, and for whom."""

    name: Name
    """The connection it lies in."""
    item: str = Field(min_length=1, max_length=ITEM_MAX)
    """Its name there."""
    seal: Kind = "age"
    """How it is sealed; that stays."""
    identity: Name
    """Secret that opens it now: an age identity, an OpenPGP key or a passphrase."""
    to: tuple[Name, ...] = Field(default=(), max_length=RECIPIENTS)
    """Recipients who can open it then; nobody else can (age, OpenPGP)."""
    sign: Name | None = None
    """Secret with the OpenPGP key that signs it then."""
    passphrase: Name | None = None
    """Secret with the passphrase that opens it then (ZIP)."""


class Resealed(Model):
    """An archive that others can open."""

    item: str
    manifest: dict[str, Any]


def list_(ask: ListAsk, desk: Desk) -> Archives:
    """List what runs have sealed, newest first."""
    found = desk.scope.runs().archives(RUNS, ask.before)
    return Archives(
        items=tuple(_shown(each.run, each.step, each.at, each.manifest) for each in found.items), before=found.before
    )


def _shown(run: str, step: str, at: float, manifest: dict[str, Any]) -> Archive:
    archive, made = manifest["archive"], manifest["made"]
    return Archive(
        item=archive["item"], run=run, step=step, flow=made["flow"], flow_version=made.get("flow_version", 0),
        rows=manifest["content"]["rows"], bytes=archive["bytes"], sha256=archive["sha256"],
        seal=manifest["seal"]["type"], recipients=tuple(manifest["seal"]["recipients"]), made=clock.iso(at),
    )  # fmt: skip


def key(_ask: Nothing, desk: Desk) -> ArchiveKey:
    """Show the key that manifests of archives are checked with."""
    return ArchiveKey(public=desk.services.archives.public)


def verify(ask: VerifyAsk, desk: Desk) -> Verified:
    """Check that an archive and its manifest are what this installation has made."""
    told: dict[str, Any] = {"connection": ask.name, "item": ask.item}
    if ask.identity is not None:
        told["open"] = _opening(ask.seal, ask.identity)
    found = desk.services.engine.ask(desk.scope, "verify", told)
    return Verified(item=ask.item, **found)


def reseal(ask: ResealAsk, desk: Desk) -> Resealed:
    """Seal an archive for other recipients, in its place; who could open it before cannot open the new one."""
    told = {"connection": ask.name, "item": ask.item, "open": _opening(ask.seal, ask.identity), "seal": _sealing(ask)}
    found = desk.services.engine.ask(desk.scope, "reseal", told)
    return Resealed(item=ask.item, **found)


def _opening(kind: str, secret: str) -> dict[str, Any]:
    return {"type": kind, "passphrase" if kind == "zip" else "identity": {"secret": secret}}


def _sealing(ask: ResealAsk) -> dict[str, Any]:
    if ask.seal == "zip":
        if ask.passphrase is None or ask.to or ask.sign:
            raise Invalid("a ZIP file is sealed with a passphrase, and for nobody by name", where="passphrase")
        return {"type": "zip", "passphrase": {"secret": ask.passphrase}}
    if not ask.to or ask.passphrase is not None or (ask.sign and ask.seal == "age"):
        raise Invalid(f"a seal of type {ask.seal} is for recipients", where="to")
    made: dict[str, Any] = {"type": ask.seal, "to": ask.to}
    return {**made, "sign": {"secret": ask.sign}} if ask.sign else made


OPERATIONS = (
    Operation("archive.list", Permission.RUN_READ, Http("GET", "/archives"), ListAsk, Archives, list_, audited=False),
    Operation("archive.key", Permission.SELF, Http("GET", "/archives/key"), Nothing, ArchiveKey, key, audited=False),
    Operation(
        "archive.verify",
        Permission.DATA_READ,
        Http("POST", "/connections/{name}/archives/verify"),
        VerifyAsk,
        Verified,
        verify,
        audited=True,
        asks=True,
    ),
    Operation(
        "archive.reseal",
        Permission.DATA_READ,
        Http("POST", "/connections/{name}/archives/reseal"),
        ResealAsk,
        Resealed,
        reseal,
        audited=True,
        asks=True,
        fresh=True,
    ),
)

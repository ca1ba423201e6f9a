"""The only wiring: settings in, a working App out."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from sluicegate.base import clock
from sluicegate.base.errors import Conflict, Corrupt, Denied, Invalid
from sluicegate.base.seals import SealKind
from sluicegate.base.secret import Secret
from sluicegate.base.settings import Settings, load
from sluicegate.crypto import keys
from sluicegate.crypto.chain import Chain
from sluicegate.engine.events import Events
from sluicegate.engine.worker import Worker
from sluicegate.guard import gate as gates
from sluicegate.guard import seals
from sluicegate.guard.apikeys import ApiKeys
from sluicegate.guard.archives import Archives
from sluicegate.guard.audit import Audit
from sluicegate.guard.ceremony import Rehearsal, rehearse
from sluicegate.guard.desk import Services
from sluicegate.guard.factors import Factors
from sluicegate.guard.gate import Gate
from sluicegate.guard.invitations import Invitations
from sluicegate.guard.keyring import ROOT, Keyring, misfit
from sluicegate.guard.limits import Limits, Rates
from sluicegate.guard.links import Links
from sluicegate.guard.login import Login
from sluicegate.guard.mail import Mail
from sluicegate.guard.nodes import Nodes
from sluicegate.guard.notices import Notices
from sluicegate.guard.oidc import Oidc
from sluicegate.guard.postman import Postman
from sluicegate.guard.profile import Profile
from sluicegate.guard.quotas import Quotas, Shares
from sluicegate.guard.quotes import Quotes
from sluicegate.guard.recovery import Recovery
from sluicegate.guard.revocation import Revocation
from sluicegate.guard.rotation import Rotation
from sluicegate.guard.rules import Rules
from sluicegate.guard.sealed import Gate as SealedGate
from sluicegate.guard.sealed import refuse
from sluicegate.guard.sealfile import KEY_FILE, SEAL_FILE, SealFile
from sluicegate.guard.sealing import Sealing, certify
from sluicegate.guard.sources import Sources
from sluicegate.guard.sso import Sso
from sluicegate.guard.support import Support
from sluicegate.guard.switch import Switch
from sluicegate.guard.tenancy import Bounds
from sluicegate.guard.tickets import Tickets
from sluicegate.guard.tokens import Tokens
from sluicegate.guard.vault import Vault
from sluicegate.kit.net import Egress, Grant, Net
from sluicegate.operations import OPERATIONS

RootKey = keys.Key
"""What people open an installation with."""

if TYPE_CHECKING:
    from sluicegate.store.scope import System


@dataclass(frozen=True)
class App:
    """Everything, wired."""

    settings: Settings
    services: Services
    gate: Gate
    worker: Worker
    events: Events
    postman: Postman

    def open(self) -> None:
        """Follow what ends sign-ins, take up runs, and send what waits to be sent."""
        self.services.revocation.open()
        self.services.nodes.open()
        self.services.rotation.open()
        self.worker.open()
        self.postman.open()

    def close(self) -> None:
        """Let runs that are going on rest where they are, and close the store."""
        self.postman.close()
        self.worker.close()
        self.services.sources.cache.clear()
        self.services.rotation.close()
        self.services.nodes.close()
        self.services.revocation.close()
        self.services.system.database.close()


def sealed_gate(settings: Settings, enter: Callable[[keys.Key], None]) -> SealedGate | None:
    """Return what stands before an installation that people must open; ``None`` when it opens by itself.

    ``enter`` is called with the root key. Raises ``Invalid`` when ``sluice init`` has not been run.
    """
    system, state = _look(settings)
    try:
        _fits(system, state)
    finally:
        system.database.close()
    return SealedGate(settings, state, enter) if seals.find(state["seal"], settings).people else None


def _look(settings: Settings) -> tuple[System, seals.State]:
    """Return the store, and the seal once a change of it that was cut off has been finished or undone."""
    from sluicegate.store.database import Database
    from sluicegate.store.scope import System as StoreSystem

    file = SealFile(settings.home)
    if file.pending() is None:
        file.read()  # first: no store is made where there is no installation
    database = Database(settings.store_url, settings.store.owner_url.reveal() or None)
    try:
        database.migrate()
        system = StoreSystem(database)
        with file.held():  # a server that shares the home may be at it
            file.settle(_named(system))
            state = file.read()
        if settings.vault.seal not in (None, state["seal"]):
            raise Invalid(
                f"vault.seal is {settings.vault.seal}, and this installation is sealed by {state['seal']}",
                where="sluice.toml",
                hint="Take the line out; sluice seal change puts another seal into its place.",
            )
    except BaseException:
        database.close()
        raise
    return system, state


def _named(system: System) -> str | None:
    """Return the name of the root key that the store says it is under."""
    named = system.blobs().get(ROOT)
    return None if named is None else named.decode("ascii", "replace")


def _fits(system: System, state: seals.State) -> None:
    """Raise ``Invalid`` when the store is under another root key than the one that is sealed here."""
    named = _named(system)
    if named not in (None, state["root"]):
        raise misfit(str(state["root"]), str(named))


def build(settings: Settings, opener: keys.Key | None = None) -> App:
    """Wire everything. ``opener`` is the root key of an installation that people have opened.

    Refuses an unsound operations table, a bad key, a broken audit chain, a newer store; ``Sealed`` without a root key.
    """
    gates.check(OPERATIONS)
    file = SealFile(settings.home)
    begun = file.pending()
    system, ring, audit = _enter(settings, opener)
    root, limits = ring.main, _limits(settings)
    revocation = Revocation(system)
    revocation.pull()
    tokens = Tokens(root, settings.tokens.access, system, revocation)
    factors = Factors(root, system, audit)
    rules = Rules(system, audit, Bounds(settings), settings.server.addresses)
    support, switch = Support(system, rules), Switch(system, audit, tokens, revocation, rules)
    mail = Mail(root, settings, system)
    notices = Notices(system, mail)
    keys_ = ApiKeys(root, settings, system, audit, limits, tokens, revocation, rules, notices)
    tickets = Tickets(root, system, audit, revocation)
    login = Login(
        root, settings, system, audit, limits, tokens, revocation, factors, keys_, rules, support, switch, notices
    )
    links = Links(root, system, limits)
    invitations = Invitations(settings, system, audit, rules, links, mail, login)
    recovery = Recovery(settings, system, audit, rules, links, mail, login, notices)
    profile = Profile(settings, system, audit, rules, links, mail, notices)
    postman = Postman(settings, system, mail)
    postman.on_ask = recovery.answer
    vault = Vault(ring, audit, settings.vault.suite)
    rotation = Rotation(vault, ring, system, audit)
    nodes = Nodes(ring, system, shared=settings.store_url.startswith("postgresql"))
    sealing = Sealing(settings, system, ring, vault, audit, file, nodes)
    rotation.on_done = sealing.tend
    if begun is not None and begun["root"] == ring.root:  # it was cut off between the store and the file
        certify(vault, audit, str(begun.get("before")), ring.root, begun)
    events = Events()
    archives = Archives(root)
    net = _net(settings)
    sources = Sources(settings, system, vault, audit, net)
    quotes = Quotes(vault, keep=settings.quote_rows)
    worker = Worker(settings, system, vault, sources, audit, events, rules, archives, quotes)

    def forget(subject: str) -> None:
        rules.forget(subject)
        support.forget(subject)

    def sweep() -> None:
        keys_.sweep()
        tickets.sweep()
        worker.sweep()

    revocation.on_rules, revocation.on_marks, revocation.on_hour = forget, events.wake_all, sweep
    revocation.on_seal = sealing.hear
    sso = Sso(root, system, audit, limits, login, factors, vault, Oidc(net))
    services = Services(
        settings, system, login, tokens, revocation, factors, keys_, rules, support, switch, vault, sources, rotation,
        audit, worker, mail, notices, invitations, recovery, profile, sso, tickets, archives, sealing, nodes, quotes,
    )  # fmt: skip
    return App(settings, services, Gate(services, limits, _quotas(settings, rules)), worker, events, postman)


def _enter(settings: Settings, opener: keys.Key | None) -> tuple[System, Keyring, Audit]:
    """Return the store, the keys in it, and its audit trail, which has been verified."""
    system, state = _look(settings)
    try:
        _fits(system, state)
        ring = Keyring(opener or _open(settings, state), system)
        audit = Audit(system, Chain(keys.derive(ring.main, "audit-chain")))
        audit.check()
    except BaseException:
        system.database.close()
        raise
    return system, ring, audit


def _limits(settings: Settings) -> Limits:
    given = settings.limits
    return Limits(
        Rates(
            address=given.requests,
            public=given.public,
            guesses=given.guesses,
            tenant=given.guesses_tenant,
            everybody=given.guesses_all,
        )
    )


def _open(settings: Settings, state: seals.State) -> keys.Key:
    seal = seals.find(state["seal"], settings)
    if seal.people:
        raise refuse()
    try:
        return seal.open(state)
    except Corrupt:
        raise Invalid("the seal does not open", hint="Restore it, and what it needs, from their own backups.") from None


def _net(settings: Settings) -> Net:
    """Return the way out of the server itself, under the same policy as connections."""
    return Net(Egress(allow=tuple(Grant(**each.model_dump()) for each in settings.egress)))


def _quotas(settings: Settings, rules: Rules) -> Quotas:
    given = settings.limits
    shares = Shares(given.tenant, given.user, given.key, given.route, given.changes, given.asks)
    return Quotas(shares, own=lambda tenant: rules.policy(tenant).requests)


def claim(settings: Settings) -> AbstractContextManager[None]:
    """Hold the home for the process that serves it; only stores that are both on PostgreSQL can be shared."""
    from sluicegate.store.claim import claim as hold

    shared = all(url.startswith("postgresql") for url in (settings.store_url, settings.jobs_url))
    return nullcontext() if shared else hold(settings.home)


class SealMade(NamedTuple):
    """The root key of a new installation is sealed."""

    file: str
    shares: tuple[Secret, ...]
    """What people must write down: it is kept nowhere."""


def make_seal(folder: Path, kind: SealKind, passphrase: Secret | None = None) -> SealMade:
    """Make the root key of an installation, sealed by ``kind``.

    Raises ``Conflict`` when there is one already, ``Invalid`` or ``Unavailable`` when it cannot be sealed.
    """
    file = SealFile(folder)
    if file.exists:
        raise Conflict("There is a root key already.", where=str(folder), hint="Run: sluice seal change --to KIND")
    made = seals.find(kind, load({**os.environ, "SLUICE_HOME": str(folder)})).make(keys.new_key(), passphrase)
    file.write(made.state)
    return SealMade(KEY_FILE if kind == "file" else SEAL_FILE, made.shares)


def make_home(
    folder: Path, names: tuple[str, ...], certificate: Path | None, key: Path | None, *, keyed: bool = True
) -> list[str]:
    """Make an installation's directory: root key, settings, and a certificate (a local CA's, or the one given).

    What exists stays. The root key is left to ``make_seal`` unless ``keyed``. Returns what was made.
    """
    from sluicegate.crypto import tls

    made: list[str] = []
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    if keyed and not SealFile(folder).exists:
        made.append(make_seal(folder, "file").file)
    file = folder / "sluice.toml"
    hosts = tuple(dict.fromkeys((*names, "localhost", "127.0.0.1", "::1")))
    if certificate is None and not (folder / "tls" / "server.pem").exists():
        (folder / "tls").mkdir(mode=0o700, exist_ok=True)
        if not (folder / "tls" / "ca.pem").exists():
            tls.create_authority(folder / "tls")
        tls.issue_server(folder / "tls", hosts)  # before the settings: it refuses names that are none
        made.append("tls/")
    if not file.exists():
        listed = ", ".join(_quote(each) for each in hosts)
        lines = [
            "# Settings of this installation; 'sluice settings' lists them all.",
            "[server]",
            f"names = [{listed}]",
        ]
        if certificate and key:
            tls.check_pair(certificate, key)
            lines += [f"certificate = {_quote(certificate.absolute())}", f"key = {_quote(key.absolute())}"]
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        file.chmod(0o600)
        made.append(file.name)
    return sorted(made)


def _quote(text: object) -> str:
    """Return a string of TOML: JSON's form is one."""
    return json.dumps(str(text), ensure_ascii=False)


def rehearse_seal(shares: int, threshold: int) -> Rehearsal:
    """Make shares of a key that is thrown away, and try what they open. Raises ``Invalid``."""
    return rehearse(shares, threshold)


def adopt_keyring(settings: Settings, given: tuple[Secret, ...]) -> str:
    """Give a store from an older backup the keyring of today; return the name of the root key that opens it.

    Raises ``Conflict`` while a server uses the home, ``Denied`` when ``given`` does not open the seal, ``Invalid``.
    """
    from sluicegate.guard.keyring import adopt

    with claim(settings):
        file = SealFile(settings.home)
        state, ring = file.read(), file.ring()
        if ring is None:
            raise Invalid("there is no copy of the keyring", where=str(settings.home))
        try:
            root = seals.find(state["seal"], settings).open(state, given)
        except Corrupt:
            raise Denied("What was given does not open the seal.") from None
        system, _ = _look(settings)
        try:
            adopt(root, system, ring)
        finally:
            system.database.close()
        return str(state["root"])


def certificate(settings: Settings) -> tuple[Path, Path]:
    """Return the certificate chain and key to serve with; ``Invalid`` when they do not hold."""
    from sluicegate.crypto import tls

    folder = settings.home / "tls"
    cert = settings.server.certificate or folder / "server.pem"
    key = settings.server.key or folder / "server-key.pem"
    if not cert.exists():
        raise Invalid("there is no certificate", where=str(cert), hint="Run: sluice init")
    tls.check_pair(cert, key)
    return cert, key


def import_breached(folder: Path, stream: IO[bytes], name: str) -> int:
    """Take a list of breached passwords into the installation in ``folder``; return how many. Raises ``Invalid``."""
    from sluicegate.guard.passwords import Breached

    SealFile(folder).read()  # no list where there is no installation
    return Breached(folder).load(stream, name)


def describe_breached(folder: Path) -> dict[str, Any]:
    """Return how many common and breached passwords are known in ``folder``, and when the latter were imported."""
    from sluicegate.crypto.hashset import HashSet
    from sluicegate.guard.passwords import COMMON, Breached

    SealFile(folder).read()
    breached = Breached(folder)
    found = breached.open()
    since = clock.iso(breached.file.stat().st_mtime) if found is not None else None
    return {"common": len(HashSet(COMMON)), "breached": len(found) if found is not None else 0, "imported": since}

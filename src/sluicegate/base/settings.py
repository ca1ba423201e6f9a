"""Settings: ``SLUICE_HOME/sluice.toml``, then ``SLUICE_…`` variables. An unknown setting is an error, never ignored."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_origin

from pydantic import AfterValidator, Field, ValidationError, model_validator

from sluicegate.base import docstrings
from sluicegate.base.errors import Invalid, from_validation
from sluicegate.base.flaws import Misfit
from sluicegate.base.home import home
from sluicegate.base.model import Model
from sluicegate.base.networks import Network
from sluicegate.base.seals import Kms, Passphrase, SealKind, Shamir, Transit
from sluicegate.base.secret import SecretText, SecretUrl
from sluicegate.base.sources import Source, check_apart

_VARIABLES = "SLUICE_"
_NOT_SETTINGS = frozenset({"SLUICE_HOME", "SLUICE_PASSWORD", "SLUICE_DEBUG", "SLUICE_URL", "SLUICE_TENANT",
                           "SLUICE_API_KEY", "SLUICE_API_KEY_FILE", "SLUICE_CA"})  # fmt: skip
_SECRETS = "SLUICE_SECRET_"
_HERE = frozenset({"localhost", "127.0.0.1", "::1"})
HTTPS = 443


class Grant(Model):
    """One way out that the operator opens: connections refuse private and loopback addresses until granted."""

    host: str
    """Host name, address, network (``10.0.0.0/8``) or ``*.suffix``."""
    ports: tuple[int, ...] = ()
    """Ports; any when empty."""


class Server(Model):
    """Where and how the server listens."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(default=8443, ge=0, le=65535)
    """Port to listen on (TLS only)."""
    url: str = Field(default="", max_length=254, pattern=r"^(https://[^\s/?#@]+)?$")
    """Where people reach the server (``https://host:port``), for links in mails and single sign-on; from names and port
    when empty. To be set when people come by another port (a proxy's, but for 443), or when any name will do."""
    names: tuple[str, ...] = ("localhost", "127.0.0.1", "::1")
    """Names the certificate made by ``sluice init`` is for, and hosts a request may name by any port. ``*`` is any."""
    certificate: Path | None = None
    """Certificate chain (PEM) instead of the one that ``sluice init`` made."""
    key: Path | None = None
    """Its private key (PEM, PKCS#8, mode 0600)."""
    addresses: tuple[Network, ...] = ()
    """Networks from which the API may be used (``10.0.0.0/8``); from anywhere when empty."""
    proxies: tuple[Network, ...] = ()
    """Proxies whose ``X-Forwarded-For`` is believed; nobody's when empty."""
    threads: int = Field(default=8, ge=1, le=64)
    """Threads behind the gate."""
    access_log: bool = True
    """Log each request: who asked for what from where, how it ended and how long it took; never what was in it."""


class Store(Model):
    """Where definitions, runs and audit records are kept."""

    url: SecretUrl = Field(default_factory=lambda: SecretUrl(""))
    """``postgresql://…``; SQLite in ``SLUICE_HOME`` when empty. Or ``{file = "/path"}``: what stands in that file."""
    owner_url: SecretUrl = Field(default_factory=lambda: SecretUrl(""))
    """On PostgreSQL: how the owner of the tables signs in, for migrations. The server's own role owns nothing."""
    jobs_url: SecretUrl = Field(default_factory=lambda: SecretUrl(""))
    """Where receipts of runs are kept (``postgresql://…``); SQLite in ``SLUICE_HOME`` when empty."""


class Tls(Model):
    """How other systems must prove who they are to connections."""

    weakest: Literal["verify-full", "verify-ca", "require", "disable"] = "verify-full"
    """The weakest ``tls`` that a connection may choose. What is weaker than ``verify-full`` is audited at each use."""


class Tokens(Model):
    """How long tokens live."""

    access: int = Field(default=300, ge=30, le=300)
    """Seconds an access token is good for; five minutes at the most."""
    refresh: int = Field(default=12 * 3600, ge=300, le=30 * 24 * 3600)
    """Seconds after which a person signs in again, whatever they do."""
    idle: int = Field(default=4 * 3600, ge=300, le=30 * 24 * 3600)
    """Seconds without a sign of life after which a person signs in again."""


class Keys(Model):
    """API keys. A tenant's policy may be stricter."""

    days: int = Field(default=90, ge=1, le=3650)
    """Days that a key lives when its maker says nothing."""
    longest: int = Field(default=365, ge=1, le=3650)
    """Days that a key lives at the most."""
    unused: int = Field(default=90, ge=1, le=3650)
    """Days without use after which a key ends."""
    each: int = Field(default=50, ge=1, le=1000)
    """Keys that one user has at the most."""
    proof: bool = False
    """Exchange keys only together with a DPoP proof (RFC 9449)."""


class Passwords(Model):
    """Cost of Argon2id. A hash of another cost is replaced when its owner signs in."""

    memory: int = Field(default=65536, ge=19456, le=1024 * 1024)
    """KiB for one password; two are hashed at once, so twice of it is what signing in takes at the most."""
    rounds: int = Field(default=3, ge=2, le=16)
    """Passes."""


class People(Model):
    """What is asked of everybody. A tenant's policy may differ as ``[overrides]`` says."""

    factor_required: bool = False
    """Everybody who signs in with a password needs a second factor, SuperAdmins too."""
    password_length: int = Field(default=15, ge=15, le=64)
    """Characters that a new password has at the least; three fewer beside a second factor."""
    support_hours: int = Field(default=4, ge=1, le=24)
    """Hours that a support access lasts at the most."""


class Files(Model):
    """What flows may do with files, and where data may lie. A tenant's policy may differ as ``[overrides]`` says."""

    sealed: bool = False
    """Flows write files only sealed."""
    seals: tuple[Literal["age", "openpgp", "zip"], ...] = ()
    """Kinds of seals that flows may write with; any when empty."""
    formats: tuple[str, ...] = ()
    """Formats of files that flows may read and write (``csv``, ``parquet``); any when empty."""
    residency: tuple[str, ...] = ()
    """Values of a connection's ``residency`` that flows may use; any, and none, when empty."""
    guarded: tuple[str, ...] = ()
    """Tags of columns that flows may write only to connections that accept them by name (``accepts``)."""


Override = Literal["fixed", "stricter", "free"]
_STRICTER: Override = "stricter"


class Overrides(Model):
    """Which settings of a tenant's policy may differ from the installation's: ``fixed``, ``stricter`` or ``free``."""

    factor_required: Override = _STRICTER
    """A second factor for everybody (``people.factor_required``)."""
    password_length: Override = _STRICTER
    """The length of passwords (``people.password_length``)."""
    session_minutes: Override = _STRICTER
    """How long a sign-in lasts (``tokens.refresh``)."""
    idle_minutes: Override = _STRICTER
    """How long it lasts without a sign of life (``tokens.idle``)."""
    addresses: Override = _STRICTER
    """From where people and keys come. A tenant's list only ever narrows the installation's."""
    key_days: Override = _STRICTER
    """How long API keys live (``keys.longest``)."""
    invitation_hours: Override = _STRICTER
    """How long an invitation is good (``links.invitation``)."""
    key_proof: Override = _STRICTER
    """Whether keys need a DPoP proof (``keys.proof``)."""
    sso_required: Override = _STRICTER
    """Whether people come by single sign-on alone; the installation itself never asks for it."""
    support_hours: Override = _STRICTER
    """How long a support access lasts (``people.support_hours``); 24 hours at the most."""
    requests: Override = _STRICTER
    """How much a tenant may ask (``limits.tenant``)."""
    files_sealed: Override = _STRICTER
    """Whether flows write files only sealed (``files.sealed``)."""
    seals: Override = _STRICTER
    """Which seals flows may write with (``files.seals``)."""
    formats: Override = _STRICTER
    """Which formats flows may use (``files.formats``)."""
    residency: Override = _STRICTER
    """Where data may lie (``files.residency``)."""
    guarded: Override = _STRICTER
    """Which tags need a connection that accepts them (``files.guarded``). A tenant's list holds beside it."""
    weakest_tls: Override = _STRICTER
    """The weakest ``tls`` of connections (``tls.weakest``)."""
    quarantine_days: Override = _STRICTER
    """How long quarantined rows are kept (``quarantine_days``)."""


class Vault(Model):
    """How secrets are encrypted."""

    suite: Literal["S1", "S2"] = "S1"
    """For what is sealed from now on: ``S1`` is AES-256-SIV, ``S2`` A256CBC-HS512; what is there keeps opening."""
    seal: SealKind | None = None
    """The only seal that this installation starts with: ``file``, ``passphrase``, ``shamir``, ``transit``, ``aws-kms``;
    the one it has when empty. ``sluice init --seal`` and ``sluice seal change`` set it up."""
    cache: int = Field(default=60, ge=0, le=60)
    """Seconds that a secret which is kept elsewhere stays in memory; 0 has it fetched for each use."""


class Jail(Model):
    """The jail for people's text."""

    memory: int = Field(default=128, ge=64)
    """MiB that DuckDB may use before it spills."""
    seconds: int = Field(default=24 * 3600, ge=1)
    """Longest time one program may take."""
    fallback: bool = False
    """Run with Landlock and seccomp only when bubblewrap is missing. Weaker; shown in ``/health``."""


class Mail(Model):
    """The relay that mails go through: invitations, password resets, notices. None are sent while it is empty."""

    relay: str = ""
    """Host name or address of the relay. Being named here grants the way to it."""
    port: int = Field(default=587, ge=1, le=65535)
    """Port of the relay."""
    tls: Literal["starttls", "tls", "off"] = "starttls"
    """``starttls``, ``tls`` (from the first byte, mostly port 465), or ``off`` for a relay on this very machine."""
    ca: Path | None = None
    """Certificates (PEM) to trust for the relay instead of the system's."""
    sender: str = Field(default="", max_length=254)
    """Address that mails come from, such as ``sluicegate@example.org``."""
    user: str = Field(default="", max_length=254)
    """Name to sign in with; nobody signs in when empty."""
    password: SecretText = Field(default_factory=lambda: SecretText(""))
    """Its password; better ``{file = "/path"}``: what stands in that file."""

    @model_validator(mode="after")
    def _check(self) -> Mail:
        if self.relay and not self.sender:
            raise Misfit("sender is required beside relay")
        if self.relay and self.tls == "off" and self.relay not in _HERE:
            raise Misfit("tls may be off for a relay on this very machine only: localhost, 127.0.0.1 or ::1")
        if self.user and self.tls == "off":
            raise Misfit("a password is not sent without TLS")
        if bool(self.user) != bool(self.password):
            raise Misfit("user and password go together")
        return self


class Links(Model):
    """How long one-time links are good."""

    invitation: int = Field(default=72, ge=1, le=720)
    """Hours for an invitation; a tenant's policy may have less."""
    reset: int = Field(default=15, ge=5, le=60)
    """Minutes for a new password."""
    email: int = Field(default=60, ge=5, le=1440)
    """Minutes to confirm a new e-mail address."""


class Limits(Model):
    """What one request, file or run may use."""

    requests: str = "5000/second"
    """Requests of one address."""
    public: str = "60/minute"
    """Tries to sign in of one address."""
    tenant: str = "8000/second"
    """Work of one tenant: a plain read counts 1, a change 2, a test, listing or preview 10."""
    user: str = "4000/second"
    """Work of one user."""
    key: str = "2000/second"
    """Work of one API key."""
    route: str = "2000/second"
    """One operation, asked by one user."""
    changes: str = "1000/second"
    """Changes of one user."""
    asks: str = "6000/minute"
    """Tests, listings and previews of one user."""
    guesses: str = "30/minute"
    """Wrong passwords of one address, from devices not seen before."""
    guesses_tenant: str = "120/minute"
    """Wrong passwords in one tenant, from devices and addresses not seen before."""
    guesses_all: str = "300/minute"
    """Wrong passwords in all, from devices and addresses not seen before."""
    input: int = Field(default=1 << 40, ge=1)
    """Decompressed bytes of one input file."""
    runs: int = Field(default=4, ge=1, le=64)
    """Runs at the same time on this node; more wait in the queue."""


class Settings(Model):
    """All settings. Tables of ``sluice.toml`` are fields here."""

    home: Path = Path()
    """Directory of the data; set by ``SLUICE_HOME``."""
    server: Server = Server()
    store: Store = Field(default_factory=Store)
    tls: Tls = Tls()
    tokens: Tokens = Tokens()
    keys: Keys = Keys()
    passwords: Passwords = Passwords()
    people: People = People()
    files: Files = Files()
    overrides: Overrides = Overrides()
    vault: Vault = Vault()
    passphrase: Passphrase = Passphrase()
    shamir: Shamir = Shamir()
    transit: Transit = Field(default_factory=Transit)
    kms: Kms = Field(default_factory=Kms)
    jail: Jail = Jail()
    limits: Limits = Limits()
    mail: Mail = Field(default_factory=Mail)
    links: Links = Links()
    egress: tuple[Grant, ...] = ()
    """Ways out that the operator opens."""
    quote_rows: bool = True
    """Keep what errors and logs of runs say of rows, sealed and for ``quarantine_days``; false: it is never written."""
    sources: Annotated[tuple[Source, ...], AfterValidator(check_apart)] = ()
    """What tenants may take as secrets from this machine's environment and files."""
    quarantine_days: int = Field(default=30, ge=1, le=3650)
    """Days that quarantined rows are kept."""

    @property
    def store_url(self) -> str:
        """The store's address, SQLite in ``home`` by default."""
        return self.store.url.reveal() or f"sqlite:///{self.home / 'store.db'}"

    @property
    def jobs_url(self) -> str:
        """The address of the job tables, SQLite in ``home`` by default."""
        return self.store.jobs_url.reveal() or f"sqlite:///{self.home / 'jobs.db'}"

    @property
    def url(self) -> str:
        """Where people reach the server, as links in mails say it."""
        if self.server.url:
            return self.server.url
        host = next((each for each in self.server.names if each != "*"), "localhost")
        host = f"[{host}]" if ":" in host else host
        return f"https://{host}" + ("" if self.server.port == HTTPS else f":{self.server.port}")

    @property
    def data(self) -> Path:
        """Directory beneath which each tenant has its own."""
        return self.home / "data"


def load(variables: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings in force. Raises ``Invalid`` for an unknown one, one that does not fit, or a broken file.

    ``SLUICE_SERVER_PORT=8444`` sets ``port`` of ``[server]``; ``SLUICE_STORE_URL_FILE=/path`` takes it from a file.
    """
    folder = home(variables)
    file = folder / "sluice.toml"
    found: dict[str, Any] = {}
    if file.exists():
        try:
            found = tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
            raise Invalid(f"this is not TOML: {fault}", where=str(file)) from None
    for name, text in variables.items():
        if name.startswith(_VARIABLES) and name not in _NOT_SETTINGS and not name.startswith(_SECRETS):
            _place(found, name, text)
    try:
        return Settings.model_validate({**found, "home": folder})
    except ValidationError as fault:
        raise from_validation(fault, where=str(file) if file.exists() else "SLUICE_… variables") from None


def _place(found: dict[str, Any], name: str, text: str) -> None:
    words = name.removeprefix(_VARIABLES).lower().split("_")
    for cut in range(1, len(words) + 1):
        table, key = "_".join(words[:cut]), "_".join(words[cut:])
        field = Settings.model_fields.get(table)
        if field is None:
            continue
        if not key:
            found[table] = text
            return
        kind = field.annotation
        fields = kind.model_fields if isinstance(kind, type) and issubclass(kind, Model) else {}
        if key in fields:
            inner = found.setdefault(table, {})
            if isinstance(inner, dict):  # else the file is wrong, and its model says so
                inner[key] = (
                    [each.strip() for each in text.split(",")] if get_origin(fields[key].annotation) is tuple else text
                )
            return
        held = key.removesuffix("_file")
        if held in fields and fields[held].annotation in (SecretUrl, SecretText):
            found.setdefault(table, {})[held] = {"file": text}
            return
    raise Invalid("unknown setting", where=name, hint="'sluice settings' lists them.")


def describe(model: type[Model] = Settings, prefix: str = "") -> list[tuple[str, str, str]]:
    """Return ``(name, default, help)`` of every setting."""
    rows, texts = [], docstrings.describe(model)
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Model):
            rows += describe(field.annotation, f"{prefix}{name}.")
        elif name != "home":
            rows.append((prefix + name, str(field.get_default(call_default_factory=True)), texts.get(name, "")))
    return rows

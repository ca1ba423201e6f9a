"""``openbao``: secrets in the KV engine of OpenBao or HashiCorp Vault.

Paths of the HTTP API: openbao.org/api-docs (auth/approle, auth/token, secret/kv). What others call its address is here
one field, ``url``; all that decides what a reference leads to is its destination.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from sluicegate.base.errors import Failed, Invalid, SignInRefused
from sluicegate.base.flaws import Misfit
from sluicegate.base.secret import Secret
from sluicegate.kit.connection import Connection, SecretName
from sluicegate.kit.service import URL, Answer, Bao, Service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sluicegate.kit.context import Context
    from sluicegate.kit.reference import Reference

_MOUNT = r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$"
_PATH = re.compile(r"[A-Za-z0-9_.+=@,-]+(/[A-Za-z0-9_.+=@,-]+)*")
_LIMIT = 1 << 20  # an entry of the KV engine holds 1 MiB at the most by default
_CALLED = "OpenBao"
_ABSENT, _FORBIDDEN, _SEALED = 404, 403, 503


class OpenBao(Connection):
    """Secrets in the KV engine of OpenBao or HashiCorp Vault, for other connections."""

    type: Literal["openbao"] = "openbao"
    url: str = Field(max_length=254, pattern=URL)
    """Its address (``https://host:8200``); must be allowed by the egress policy."""
    ca: str | None = Field(default=None, max_length=1 << 20)
    """Certificate authority that signs its certificate, as PEM text; the system's when absent."""
    namespace: str = Field(default="", max_length=254, pattern=r"^[A-Za-z0-9_./-]*$")
    """Namespace, when there are any."""
    mount: str = Field(default="secret", max_length=128, pattern=_MOUNT)
    """Where the KV engine is mounted."""
    engine: Literal["kv-v2", "kv-v1"] = "kv-v2"
    """Its version; only ``kv-v2`` keeps versions."""
    token: SecretName | None = None
    """Name of the secret that holds a token …"""
    role_id: str = Field(default="", max_length=128, pattern=r"^[A-Za-z0-9_.-]*$")
    """… or the id of an AppRole,"""
    secret_id: SecretName | None = None
    """and the name of the secret that holds its secret id."""
    auth_mount: str = Field(default="approle", max_length=128, pattern=_MOUNT)
    """Where AppRole is mounted."""

    holds: ClassVar[Literal["tables", "files", "secrets"]] = "secrets"
    destination: ClassVar[frozenset[str]] = frozenset({"url", "ca", "namespace", "mount", "engine"})

    @model_validator(mode="after")
    def _one_way_in(self) -> OpenBao:
        if bool(self.role_id) != (self.secret_id is not None):
            raise Misfit("role_id and secret_id go together")
        if bool(self.role_id) == (self.token is not None):
            raise Misfit("give either token, or role_id and secret_id")
        return self

    def check_reference(self, reference: Reference) -> None:
        """See ``Connection.check_reference``."""
        if not _PATH.fullmatch(reference.path):
            raise Invalid("this cannot be a path of the KV engine", where="reference")
        if not reference.field:
            raise Invalid("which field of it is not said", where="reference", hint=f"Write {reference}#FIELD.")
        if reference.version and (self.engine == "kv-v1" or not _is_number(reference.version)):
            raise Invalid("a version is a number, and kv-v1 keeps none", where="reference")

    @contextmanager
    def open(self, ctx: Context) -> Iterator[OpenBaoSession]:
        """Sign in, unless a token is given. ``Egress``, ``Unreachable``, or ``SignInRefused``."""
        with Service(ctx.net, self.url, _CALLED, ca=self.ca, limit=_LIMIT) as service:
            yield OpenBaoSession(self, ctx, Bao(service, self._token(ctx, service), self.namespace))

    def _token(self, ctx: Context, service: Service) -> Secret:
        if self.token is not None:
            return ctx.secret(self.token.secret)
        secret_id = ctx.secret(self.secret_id.secret if self.secret_id else "")
        told = {"role_id": self.role_id, "secret_id": secret_id.reveal()}
        answer = Bao(service, None, self.namespace).ask("POST", f"auth/{self.auth_mount}/login", told)
        auth = answer.body.get("auth") if answer.good else None
        token = auth.get("client_token") if isinstance(auth, dict) else None
        if not isinstance(token, str) or not token:
            raise SignInRefused(
                f"{_CALLED} does not take the AppRole.",
                where=service.place,
                hint="Are role id and secret id right, and not used up? Its log says more.",
            )
        return Secret(token)


class OpenBaoSession:
    """Tests, GivesSecrets."""

    def __init__(self, connection: OpenBao, ctx: Context, bao: Bao) -> None:
        """Hold who asks."""
        self._connection, self._ctx, self._bao = connection, ctx, bao

    def test(self) -> str:
        """Return for how long the token is good."""
        told = self._data(self._bao.ask("GET", "auth/token/lookup-self"), "the token")
        seconds = told.get("ttl")
        good = f"for {seconds} s" if isinstance(seconds, int) and seconds > 0 else "until it is revoked"
        return f"{_CALLED}, signed in; the token is good {good}"

    def secret(self, reference: Reference) -> Secret:
        """Read one field of one version."""
        to, what = self._connection, f"{reference.path!r}"
        if to.engine == "kv-v2":
            version = f"?version={reference.version}" if reference.version else ""
            found = self._data(self._bao.ask("GET", f"{to.mount}/data/{reference.path}{version}"), what)
            values = found.get("data")
        else:
            values = self._data(self._bao.ask("GET", f"{to.mount}/{reference.path}"), what)
        if not isinstance(values, dict):
            raise self._failed(f"{_CALLED} gives no values for {what}.", "Is the engine of the version that is said?")
        if reference.field not in values:
            raise self._failed(f"{what} has no field {reference.field!r}.", "Fields are spelt as they were put.")
        value = values[reference.field]
        if not isinstance(value, str):
            raise self._failed(f"The field {reference.field!r} of {what} is no text.", "Put it as text.")
        return Secret(value)

    def _data(self, answer: Answer, what: str) -> dict[str, Any]:
        if answer.status == _FORBIDDEN:
            raise SignInRefused(
                f"{_CALLED} does not let us read {what}.",
                where=self._bao.service.place,
                hint="Has the token run out, or does its policy not have this path?",
            )
        if answer.status == _ABSENT:
            raise self._failed(f"{_CALLED} has no {what}.", "Check mount, path and version.")
        if not answer.good:
            hint = "Is it sealed itself?" if answer.status == _SEALED else "Its log says more."
            raise self._failed(f"{_CALLED} answers {answer.status}.", hint)
        data = answer.body.get("data")
        return data if isinstance(data, dict) else {}

    def _failed(self, message: str, hint: str) -> Failed:
        return Failed(message, where=self._bao.service.place, hint=hint)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and text[0] != "0" and len(text) < 10  # noqa: PLR2004 - versions are few

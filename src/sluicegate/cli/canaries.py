"""What is planted in the tenant of a proof: a canary in every kind of secret."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sluicegate.base.errors import Conflict, Invalid
from sluicegate.base.model import new_id
from sluicegate.cli.remote import Server
from sluicegate.conformance.leaks import flows
from sluicegate.conformance.leaks.installation import inner
from sluicegate.conformance.leaks.search import SHORTEST
from sluicegate.operations import find

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.base.sources import Source

ROWS = "rows"
"""Name of the canary that is in rows."""
FILE = "prove-leaks"
"""Name of the file that a link leads to."""
PATTERN = "prove-leaks- and twelve letters or digits"
"""What tenants of proofs are called."""


class Canaries:
    """Plants canaries and knows them."""

    def __init__(self, root: Server, own: Path) -> None:
        """``root``: a SuperAdmin, in the tenant when this begins. ``own``: a folder that nobody else looks into."""
        self._root, self._own = root, own
        self.words: dict[str, str | bytes] = {ROWS: f"Canary-{random_word()}"}
        """All of them, by name."""
        self.missing: list[str] = []
        """What could not be planted here, and why."""
        self.file: Path | None = None
        """What was made for a link to lead to."""

    def person(self, tenant: str) -> Server:
        """Make an Administrator of the tenant who has signed in, and keep what that takes."""
        email = "canary@leaks.invalid"
        made = self._root.call(find("user.create"), {"email": email, "name": "Canary", "role": "administrator"})
        self.words["one-time password"] = made["password"]
        self.words["password"] = new = f"Pw-{random_word()}"
        server = Server(self._root.url, self._root.authority, self._own)
        told = {"tenant": tenant, "email": email, "password": made["password"]}
        server.hold(server.call(find("session.login"), told))
        server.call(find("session.password"), {"old": made["password"], "new": new})
        tokens = server.call(find("session.login"), told | {"password": new})
        server.keep(tokens)
        self.words["access token"] = tokens["access"].rpartition(".")[2]
        self.words["refresh token"] = tokens["refresh"]
        return server

    def plant(self, admin: Server) -> None:
        """Plant all that an Administrator can."""
        from sluicegate.engine import archive

        age = archive.make_key(self._own / "age", "age")["recipient"]
        pgp = archive.make_key(self._own / "pgp", "openpgp", "Canary <canary@leaks.invalid>")["recipient"]
        kept = {
            "database": f"Db-{random_word()}/ü'\"<&",
            "age": archive.read_identity(self._own / "age").reveal(),
            "pgp": (self._own / "pgp").read_text(encoding="utf-8"),
            **{name: f"Manager-{random_word()}" for name in flows.CREDENTIALS},
        }
        for name, value in kept.items():
            admin.call(find("secret.set"), {"name": name, "value": value})
        self.words["database password"], self.words["age identity"] = kept["database"], kept["age"]
        self.words |= {what: kept[name] for name, what in flows.CREDENTIALS.items()}
        self.words["openpgp key"] = inner(kept["pgp"])
        self.words["zip passphrase"] = admin.call(find("secret.generate"), {"name": "zip"})["passphrase"]
        admin.call(find("secret.generate"), {"name": "mask", "kind": "key"})  # nobody sees it, so it is no canary
        admin.call(find("definition.apply"), {"source": flows.documents(age, pgp)})
        self._key(admin)
        self._factor(admin)
        for name, reference in flows.LINKS.items():
            admin.call(find("secret.link"), {"name": name, "reference": reference})
        self._provider(admin)
        if self._root.call(find("system.health"))["mail"] == "off":
            asked = admin.call(find("user.invite"), {"email": "asked@leaks.invalid", "role": "viewer"})
            self.words["invitation link"] = asked["link"].rpartition("/")[2]
            reset = self._root.call(find("user.reset"), {"id": admin.call(find("session.whoami"))["id"]})
            self.words["reset link"] = reset["link"].rpartition("/")[2]
        else:
            self.missing.append("invitation and reset link: they would go out by mail")

    def _provider(self, admin: Server) -> None:
        secret = f"Oidc-{random_word()}"
        told = {"issuer": "https://id.leaks.invalid", "client_id": "canary", "secret": secret}
        try:
            admin.call(find("sso.set"), {**told, "domains": ["leaks.invalid"], "default_role": "viewer"})
        except (Conflict, Invalid) as fault:  # an installation may take no such provider
            self.missing.append(f"client secret of single sign-on: {fault}")
        else:
            self.words["oidc client secret"] = secret

    def link(self, admin: Server, source: Source | None, variables: Mapping[str, str]) -> None:
        """Link to a file and to a variable, as far as the operator lets this tenant take from these."""
        if source is None or source.folder is None:
            self.missing.append(f"link to a file: no [[sources]] with a folder is for a tenant {PATTERN}")
        elif self._write(source.folder / FILE):
            self._linked(admin, "file", FILE)
        prefix = source.prefix if source else ""
        name = next((each for each in sorted(variables) if prefix and each.startswith(prefix)), None)
        if name is None or len(variables[name]) < SHORTEST:
            self.missing.append(
                f"link to a variable: no [[sources]] with a prefix is for a tenant {PATTERN}, or this command has none"
                f" of such variables, of {SHORTEST} characters or more"
            )
        else:
            self.words["linked variable"] = variables[name]
            self._linked(admin, "environment", name.removeprefix(prefix))

    def _write(self, file: Path) -> bool:
        word = f"File-{random_word()}"
        try:
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
                self.file = file
                out.write(word)
        except OSError as fault:
            self.missing.append(f"link to a file: {file}: {fault.strerror}")
            return False
        self.words["linked file"] = word
        return True

    def _linked(self, admin: Server, source: str, path: str) -> None:
        name = f"linked-{source}"
        admin.call(find("secret.link"), {"name": name, "reference": f"{source}:{path}"})
        admin.call(find("secret.test"), {"name": name})

    def _key(self, admin: Server) -> None:
        service = admin.call(find("service.create"), {"name": "canary", "role": "viewer"})
        told = {"name": "canary", "user": service["id"], "scopes": ["run:read"]}
        key = self.words["api key"] = admin.call(find("key.create"), told)["key"]
        got = admin.call(find("session.key"), {"key": key})
        self.words["access token of a key"] = got["access"].rpartition(".")[2]

    def _factor(self, admin: Server) -> None:
        import pyotp

        begun = admin.call(find("factor.begin"), {"name": "canary"})
        self.words["totp seed"] = begun["seed"]
        done = admin.call(find("factor.confirm"), {"id": begun["id"], "code": pyotp.TOTP(begun["seed"]).now()})
        self.words |= {f"recovery code {number}": code for number, code in enumerate(done["codes"][:3])}


def random_word() -> str:
    """Return letters that stand nowhere else: the random bits of two ids."""
    return "".join(new_id()[14:].replace("-", "") for _ in range(2))

"""Calls of a server: one kept-alive TLS connection, tokens in a file that only you can read."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from sluicegate import __version__
from sluicegate.base.errors import Conflict, SluiceError, StepUp, Unauthenticated, Usage, rebuild
from sluicegate.base.home import home
from sluicegate.base.secret import Secret
from sluicegate.guard.operation import Operation
from sluicegate.operations import find

if TYPE_CHECKING:
    from sluicegate.crypto.dpop import ProofKey

PREFIX = "/api/v1"
KEY_FILE = "client.key"
_EARLY = 20


class Server:
    """A server, and who we are there."""

    def __init__(self, url: str | None = None, ca: Path | None = None, folder: Path | None = None) -> None:
        """``url`` and ``ca`` come from the last sign-in unless given; ``folder``: where it is kept, if not at home."""
        self._home = folder or home()
        self._file = self._home / "login.json"
        self._state: dict[str, Any] = self._load()
        self.url = url or os.environ.get("SLUICE_URL") or self._state.get("url") or "https://localhost:8443"
        named = os.environ.get("SLUICE_CA")
        known = ca or (Path(named) if named else None) or (Path(self._state["ca"]) if self._state.get("ca") else None)
        own = self._home / "tls" / "ca.pem"
        self._ca = known or (own if own.exists() else None)
        self._client: Any = None
        self._key: ProofKey | None = None
        self._given = _api_key() if folder is None else None
        self._token = ("", 0.0)
        """What the API key was exchanged for, and until when it is good."""

    def call(self, operation: Operation, ask: Mapping[str, Any] | None = None) -> Any:
        """Call an operation and return its answer as plain values; raises what the server says."""
        from sluicegate.base.permission import Public

        told = {key: value for key, value in (ask or {}).items() if value is not None}
        path = PREFIX + operation.http.path
        for place in operation.http.places:
            word = str(told.pop(place))
            if not word or "/" in word:
                raise Usage("must not be empty, and holds no slash", where=place)
            path = path.replace(f"{{{place}}}", quote(word, safe=""))
        body = None
        if operation.http.method in ("POST", "PUT"):
            body = json.dumps(told).encode()
        elif told:
            path += "?" + urlencode(told)
        if isinstance(operation.permission, Public):
            return self._send(operation.http.method, path, body, None)
        used = self._access()
        try:
            return self._send(operation.http.method, path, body, used)
        except Unauthenticated:
            fresh = self._access(but=used)  # ended before its time: by a new role, a second factor, a rotation
            try:
                return self._send(operation.http.method, path, body, fresh)
            except Unauthenticated as fault:
                if self._state.get("standing") == "enrol":
                    raise owes_factor() from None
                fault.hint = fault.hint or "Run: sluice login"
                raise
        except StepUp:
            if not sys.stdin.isatty():
                raise
            self._prove()
            return self._send(operation.http.method, path, body, self._access())

    def download(self, what: Operation, ask: Mapping[str, Any], target: Path) -> int:
        """Write what an operation sends into the new file ``target`` and return its size; a one-time ticket opens it.

        Nothing is left when it does not come whole. Raises ``Conflict`` when there is such a file.
        """
        from sluicegate.kit.net import HttpsClient

        told = {key: value for key, value in ask.items() if value is not None}
        given = self.call(find("ticket.create"), {"operation": what.name, "ask": told})
        draft = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            with HttpsClient(self.url, self._ca, timeout=90) as client, draft.open("xb") as out:
                reply = client.download(given["url"], out, {"user-agent": f"sluice/{__version__}"})
                if reply.status >= 400:  # noqa: PLR2004
                    raise _problem(reply.body, reply.status)
            os.link(draft, target)  # unlike a renaming, it replaces nothing
            return target.stat().st_size
        except FileExistsError:
            raise Conflict("There is such a file already.", where=str(target), hint="Choose another name.") from None
        except OSError as fault:
            raise Usage(f"the file cannot be written: {fault.strerror}", where=str(target)) from None
        finally:
            draft.unlink(missing_ok=True)

    def _prove(self) -> None:
        """Ask the person to prove once more that it is them."""
        import click

        if self._state.get("sso"):
            code = click.prompt("Code of your app (if you have one)", default="", show_default=False, err=True)
            self.prove_by_sso(code or None)
            return
        told = {"password": click.prompt("Password, once more", hide_input=True, err=True)}
        if code := click.prompt("Code of your app (if you have one)", default="", show_default=False, err=True):
            told["code"] = code
        self._send("POST", PREFIX + "/session/prove", json.dumps(told).encode(), self._access())

    def prove_by_sso(self, code: str | None) -> None:
        """Have the provider of single sign-on ask the person once more."""
        from sluicegate.cli.sso import go

        self.call(find("sso.confirm"), go(self, find("sso.prove"), {"code": code}))

    def keep(self, tokens: Mapping[str, Any]) -> None:
        """Keep the tokens of a sign-in for the commands to come."""
        if self._given is not None:
            raise Usage("an API key is set in the environment, so nobody signs in", hint="Unset SLUICE_API_KEY.")
        self.hold(tokens)
        self._save()

    def hold(self, tokens: Mapping[str, Any]) -> None:
        """Use the tokens of a sign-in for the calls of this command."""
        self._state = {
            "url": self.url,
            "ca": str(self._ca.absolute()) if self._ca else None,
            "access": tokens["access"],
            "refresh": tokens["refresh"],
            "until": time.time() + tokens["expires_in"],
            "sso": tokens.get("sso", self._state.get("sso", False)),
            "standing": tokens.get("standing", "signed in"),
        }

    def take(self, access: str, expires_in: int) -> None:
        """Use another access token of the same sign-in from now on."""
        with self._locked():
            self._state = {**self._load(), "access": access, "until": time.time() + expires_in}
            self._save()

    def forget(self) -> str | None:
        """Forget the tokens and return the refresh token."""
        refresh = self._state.get("refresh")
        self._file.unlink(missing_ok=True)
        (self._home / KEY_FILE).unlink(missing_ok=True)
        self._key = None
        return refresh

    def close(self) -> None:
        """End the connection; the next call opens another."""
        if self._client is not None:
            self._client.close()
            self._client = None

    @property
    def authority(self) -> Path | None:
        """The CA that is trusted; ``None`` for the system's."""
        return self._ca

    @property
    def refresh_token(self) -> str | None:
        """The refresh token, if there is one."""
        return self._state.get("refresh")

    def _access(self, but: str = "") -> str:
        """Return an access token that is good for a while, and is not ``but``."""
        if self._given is not None:
            return self._exchange(self._given, but)

        def good() -> bool:
            return bool(self._state["until"] - time.time() > _EARLY and self._state["access"] != but)

        if not self._state.get("access"):
            raise Unauthenticated("You are not signed in.", hint="Run: sluice login")
        if good():
            return str(self._state["access"])
        if not self._state["refresh"]:
            raise Unauthenticated("Your sign-in is not finished or is over.", hint="Run: sluice login")
        with self._locked():
            self._state = self._load()  # another command may have refreshed meanwhile
            if not good():
                try:
                    raw = json.dumps({"refresh": self._state["refresh"]}).encode()
                    self.keep(self._send("POST", PREFIX + "/session/refresh", raw, None))
                except Unauthenticated:
                    raise Unauthenticated("Your sign-in is over.", hint="Run: sluice login") from None
        return str(self._state["access"])

    def _exchange(self, given: Secret, but: str) -> str:
        """Return a token for the API key in the environment; it is kept by this process alone."""
        if self._token[1] - time.time() <= _EARLY or self._token[0] == but:
            raw = json.dumps({"key": given.reveal()}).encode()
            made = self._send("POST", PREFIX + "/session/key", raw, None)
            self._token = made["access"], time.time() + made["expires_in"]
        return self._token[0]

    def _send(self, method: str, path: str, body: bytes | None, token: str | None) -> Any:
        from sluicegate.kit.net import HttpsClient

        if self._client is None:
            self._client = HttpsClient(self.url, self._ca, timeout=90)
        headers = {"user-agent": f"sluice/{__version__}", "accept": "application/json"}
        if body is not None:
            headers["content-type"] = "application/json"
        headers["dpop"] = self._proof_key().prove(method, self.url.rstrip("/") + path, token)
        if token:
            headers["authorization"] = f"DPoP {token}"
        reply = self._client.request(method, path, body, headers)
        if reply.status >= 400:  # noqa: PLR2004
            raise _problem(reply.body, reply.status)
        try:
            return json.loads(reply.body) if reply.body else {}
        except ValueError:
            return {}

    def _proof_key(self) -> ProofKey:
        """Return this client's own key: what it signs in with is of use only together with it."""
        if self._key is None:
            from sluicegate.crypto.dpop import ProofKey as Made

            if self._given is not None:  # a job needs no home of its own
                self._key = Made.new()
                return self._key
            file = self._home / KEY_FILE
            if not file.exists():
                file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                with contextlib.suppress(Conflict):  # another command was quicker
                    Made.new().save(file)
            self._key = Made.load(file)
        return self._key

    def _load(self) -> dict[str, Any]:
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _save(self) -> None:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._file.with_suffix(".tmp")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            json.dump(self._state, out)
        draft.replace(self._file)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._home / "login.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def owes_factor(before: str = "") -> Unauthenticated:
    """Return what somebody is told who must set up a second factor before anything else."""
    return Unauthenticated(
        f"{before}Your tenant asks for a second factor, and you have none yet.",
        hint="Run: sluice factor begin, tell your app its seed, then: sluice factor confirm ID",
    )


def _api_key() -> Secret | None:
    """Return the API key that the environment gives or names a file for; with one, nobody signs in."""
    text, file = os.environ.get("SLUICE_API_KEY", ""), os.environ.get("SLUICE_API_KEY_FILE", "")
    if text and file:
        raise Usage("SLUICE_API_KEY and SLUICE_API_KEY_FILE are both set", hint="Set one of them.")
    if file:
        try:
            text = Path(file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise Usage("the file that SLUICE_API_KEY_FILE names cannot be read") from None
        if not text.strip():
            raise Usage("the file that SLUICE_API_KEY_FILE names is empty")
    return Secret(text.strip()) if text.strip() else None


def _problem(body: bytes, status: int) -> SluiceError:
    try:
        found = json.loads(body)
    except ValueError:
        found = {}
    fallback = {"code": "failed", "title": f"The server answered {status}."}
    return rebuild(found if isinstance(found, dict) and "title" in found else fallback)


def call(called: str, /, **ask: Any) -> Any:
    """Call an operation of the server that we are signed in to."""
    return Server().call(find(called), ask)

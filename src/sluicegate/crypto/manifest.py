"""The manifest of an archive: what it is, who may open it, and where it came from; signed.

The installation's key never leaves the server. For each run it signs a *warrant*: the public half of a fresh key, and
what that key may speak of. The task signs manifests with the fresh key. So a task that has gone astray can lie about
its own run and nothing else, and whoever has the installation's public key can check a manifest without it.

What is under the seal is told by a keyed hash, because an open one would let anybody try guesses at it.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from sluicegate.base.errors import Corrupt
from sluicegate.base.secret import Secret
from sluicegate.crypto.keys import Key, new_key
from sluicegate.crypto.signing import Signer, verify

VERSION: Final = 1
SIZE_MAX: Final = 1 << 20
"""Bytes of a manifest."""
READS: Final = {"reads": True}
"""Claims of a warrant for a task that only looks: what is signed by it is nothing."""
SUFFIX: Final = ".manifest.json"


class Warrant(NamedTuple):
    """What a task may sign with, and how it tells content."""

    signer: Signer
    body: dict[str, Any]
    """What goes into each manifest: claims, public key, signature."""
    content: bytes
    """The key of content hashes."""

    @classmethod
    def read(cls, packed: Secret) -> "Warrant":
        """Return the warrant that ``issue`` packed."""
        told = json.loads(packed.reveal())
        return cls(Signer(Key(base64.b64decode(told["key"]))), told["warrant"], base64.b64decode(told["content"]))


def issue(signer: Signer, content: Key, claims: Mapping[str, Any]) -> Secret:
    """Return a fresh warrant for what ``claims`` say, packed for the way to the task."""
    key = new_key()
    body: dict[str, Any] = {"claims": dict(claims), "key": Signer(key).public}
    body["signature"] = signer.sign(_canonical(body))
    packed = {
        "key": base64.b64encode(key.raw).decode(),
        "content": base64.b64encode(content.raw).decode(),
        "warrant": body,
    }
    return Secret(json.dumps(packed))


class Digest:
    """The keyed hash of what is under a seal, as it goes by."""

    def __init__(self, key: bytes) -> None:
        """Begin."""
        self._mac = hmac.new(key, b"sluicegate archive content 1\n", hashlib.sha256)
        self.bytes = 0

    def update(self, data: bytes | memoryview) -> None:
        """Take the next bytes."""
        self._mac.update(data)
        self.bytes += len(data)

    def told(self) -> str:
        """Return the hash, hex."""
        return self._mac.hexdigest()


def sign(body: Mapping[str, Any], warrant: Warrant | None) -> dict[str, Any]:
    """Return ``body`` as a manifest: with its version, and signed when there is a warrant."""
    made: dict[str, Any] = {"sluicegate_manifest": VERSION, **body}
    if warrant is not None:
        made["warrant"] = warrant.body
        made["signature"] = warrant.signer.sign(_canonical(made))
    return made


def read(raw: bytes) -> dict[str, Any]:
    """Return a manifest. Raises ``Corrupt`` for what is none, or of a version that is not known here."""
    try:
        found = json.loads(raw) if len(raw) <= SIZE_MAX else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or found.get("sluicegate_manifest") != VERSION:
        raise Corrupt("This is not a manifest of an archive.")
    for name, kind in (("archive", dict), ("content", dict), ("made", dict), ("seal", dict)):
        if not isinstance(found.get(name), kind):
            raise Corrupt("This is not a manifest of an archive.")
    return found


def check(manifest: Mapping[str, Any], public: str) -> None:
    """Raise ``Corrupt`` unless the holder of ``public`` (PEM) stands for all that the manifest says."""
    bare = {key: value for key, value in manifest.items() if key != "signature"}
    warrant = manifest.get("warrant")
    if not isinstance(warrant, dict) or not isinstance(warrant.get("claims"), dict):
        raise Corrupt("The manifest is not signed.")
    try:
        issued = verify(public, _canonical(_without(warrant)), str(warrant.get("signature")))
        signed = verify(str(warrant.get("key")), _canonical(bare), str(manifest.get("signature")))
    except (ValueError, TypeError, RecursionError):  # text or numbers that have no canonical form
        issued = signed = False
    made, claims = manifest["made"], warrant["claims"]
    fits = READS.keys().isdisjoint(claims) and all(made.get(name) == value for name, value in claims.items())
    if not (issued and signed and fits):
        raise Corrupt("The manifest does not verify.")


def _without(signed: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in signed.items() if key != "signature"}


def _canonical(value: Mapping[str, Any]) -> bytes:
    """Return canonical JSON (RFC 8785). Raises ``ValueError`` for what has none."""
    import rfc8785

    try:
        made: bytes = rfc8785.dumps(dict(value))
    except rfc8785.CanonicalizationError as fault:
        raise ValueError("no canonical form") from fault
    return made

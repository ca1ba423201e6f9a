"""Manifests as a task makes them: what goes through a seal is measured on both sides, and told beside the archive."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from sluicegate.base import clock
from sluicegate.crypto.manifest import SUFFIX, Digest, Warrant, sign
from sluicegate.engine.tap import Tap

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.kit.connection import FileStage, WritesFiles
    from sluicegate.kit.rows import Marker
    from sluicegate.kit.seals import Seal


class Origin(NamedTuple):
    """Where what is sealed comes from."""

    made: Mapping[str, Any]
    """Tenant, flow, its version and digest, run: what the warrant speaks of."""
    warrant: Warrant | None = None
    """What it is signed with; nothing is signed without a server."""


class _Sealed(Tap):
    """Passes ciphertext on, and takes its hash."""

    def __init__(self, below: Any) -> None:
        super().__init__(below)
        self.digest = hashlib.sha256()

    def write(self, data: Any) -> int:
        self.digest.update(data)
        return super().write(data)


class _Plain(Tap):
    """Passes plaintext on, and takes its keyed hash."""

    def __init__(self, below: Any, digest: Digest) -> None:
        super().__init__(below)
        self.digest = digest

    def write(self, data: Any) -> int:
        self.digest.update(memoryview(data).cast("B"))
        return super().write(data)


class Witness:
    """Measures one archive in the making, and stages its manifest."""

    def __init__(self, session: WritesFiles, item: str, marker: Marker, how: Seal, origin: Origin) -> None:
        """Nothing has gone through yet."""
        self._session, self._item, self._marker = session, item, marker
        self._how, self._origin = how, origin
        self._stage: FileStage | None = None
        self._content = Digest(origin.warrant.content) if origin.warrant else None

    def below(self, out: BinaryIO) -> Any:
        """Return what the seal is to write into."""
        self._sealed = _Sealed(out)
        return self._sealed

    def above(self, sealer: Any) -> Any:
        """Return what is to be written into for it to be sealed."""
        return _Plain(sealer, self._content) if self._content is not None else sealer

    def told(self) -> str:
        """Return the keyed hash of what went through in the clear; empty without a warrant."""
        return self._content.told() if self._content is not None else ""

    def stage(self, rows: int, recipients: list[str], resealed: str = "") -> dict[str, Any]:
        """Write the manifest into a file that appears at ``commit``, and return it.

        ``resealed``: SHA-256 of the archive that it takes the place of.
        """
        body: dict[str, Any] = {
            "archive": {"item": self._item, "bytes": self._sealed.tell(), "sha256": self._sealed.digest.hexdigest()},
            "content": {"rows": rows},
            "seal": {"type": self._how.type, "recipients": recipients},
            "made": {**self._origin.made, "step": self._marker.segment, "at": clock.iso(clock.system())},
        }
        if resealed:
            body["made"]["resealed"] = resealed
        if self._content is not None:
            body["content"] |= {"bytes": self._content.bytes, "hmac_sha256": self._content.told()}
        made = sign(body, self._origin.warrant)
        self._stage = self._session.put(self._item + SUFFIX, self._marker)
        self._stage.out.write(json.dumps(made, indent=1).encode() + b"\n")
        return made

    def commit(self) -> None:
        """Let the manifest appear."""
        if self._stage is not None:
            self._stage.commit(0)

    def abort(self) -> None:
        """Forget it."""
        if self._stage is not None:
            self._stage.abort()

"""Archives looked at and sealed anew, in the task: the same for a server's and for those on this machine."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from pydantic import TypeAdapter

from sluicegate.base.errors import Cancelled, Corrupt, Invalid
from sluicegate.crypto import manifest as manifests
from sluicegate.engine import seals
from sluicegate.engine.inlet import Inlet
from sluicegate.engine.manifests import Origin, Witness
from sluicegate.engine.meter import Meter, Report
from sluicegate.kit.connection import ReadsFiles, WritesFiles
from sluicegate.kit.flow import Flow
from sluicegate.kit.rows import Marker
from sluicegate.kit.seals import Opening, Sealing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sluicegate.engine.job import Job
    from sluicegate.kit.seals import Seal

_PIECE = 1 << 20


class _Hashed:
    """A file that is hashed as it is read."""

    def __init__(self, data: BinaryIO, cancelled: Callable[[], bool]) -> None:
        self._data, self._cancelled = data, cancelled
        self.digest, self.bytes = hashlib.sha256(), 0

    def read(self, size: int = -1) -> bytes:
        """Read and hash. Raises ``Cancelled``."""
        if self._cancelled():
            raise Cancelled("It was cancelled; nothing has changed.")
        part = self._data.read(size)
        self.digest.update(part)
        self.bytes += len(part)
        return part

    def rest(self) -> None:
        """Read to the end."""
        while self.read(_PIECE):
            continue


def verify(job: Job, report: Report, cancelled: Callable[[], bool]) -> dict[str, Any]:
    """Return an archive's manifest, when the archive is what it says, and whether it was signed and opened.

    With a key (``open``), what is under the seal is compared too. Raises ``Corrupt`` for whatever does not fit.
    """
    with _looking(job, report, cancelled) as inlet:
        session, item = _session(inlet, job), str(job.ask["item"])
        told = _manifest(session, item, str(job.ask.get("public", "")))
        with session.fetch(item) as data:
            raw = _Hashed(data, cancelled)
            opened = ""
            if job.ask.get("open"):
                how: Seal = TypeAdapter(Opening).validate_python(job.ask["open"])
                opened = _content(inlet, how, raw)
            raw.rest()
        _compare(told, item, raw, opened)
        return {"manifest": told, "signed": bool(job.ask.get("public")), "opened": bool(job.ask.get("open"))}


def reseal(job: Job, report: Report, cancelled: Callable[[], bool]) -> dict[str, Any]:
    """Seal an archive for others, in its place; return the new manifest.

    The plaintext passes through memory. The new file takes the old one's name when all of the old one has verified, so
    whatever goes wrong, the old one stays. Raises ``Corrupt`` for one that does not verify. One that is ``bare`` has no
    manifest, and gets none.
    """
    with _looking(job, report, cancelled) as inlet:
        session, item = _session(inlet, job, writes=True), str(job.ask["item"])
        told = None if job.ask.get("bare") else _manifest(session, item, str(job.ask.get("public", "")))
        old: Seal = TypeAdapter(Opening).validate_python(job.ask["open"])
        new: Seal = TypeAdapter(Sealing).validate_python(job.ask["seal"])
        before = told["made"] if told else {}
        marker = Marker(job.run, str(before.get("step", "")))
        claims = inlet.origin.made if inlet.origin.warrant else {}
        origin = Origin({**before, **claims}, inlet.origin.warrant)
        stage = session.put(item, marker)
        witness = Witness(session, item, marker, new, origin)
        sealer = None
        try:
            sealer = seals.seal(new, new.inner(item), inlet.keys, witness.below(stage.out))
            out = witness.above(sealer)
            with session.fetch(item) as data:
                raw = _Hashed(data, cancelled)
                with seals.open_unproved(old, inlet.keys, raw) as plain:  # type: ignore[arg-type]
                    while piece := plain.read(_PIECE):
                        out.write(piece)
                raw.rest()
            if told is not None:
                _compare(told, item, raw, witness.told(), again=True)
            sealer.close()
            made = {}
            if told is not None:
                resealed = str(told["archive"].get("sha256", ""))
                made = witness.stage(int(told["content"].get("rows", 0)), seals.named(new, inlet.keys), resealed)
            witness.commit()  # first: it names the old file too, so that one cut off in between can be sealed again
            stage.commit(0)
        except BaseException:
            if sealer is not None:
                sealer.abort()
            witness.abort()
            stage.abort()
            raise
        return {"manifest": made}


@contextmanager
def _looking(job: Job, report: Report, cancelled: Callable[[], bool]) -> Iterator[Inlet]:
    """Give an inlet without a flow."""
    with Meter(report) as meter, Inlet(job, Flow(name="archives", steps=()), meter, report, cancelled) as inlet:
        yield inlet


def _session(inlet: Inlet, job: Job, *, writes: bool = False) -> Any:
    session = inlet.session(str(job.ask["connection"]))
    if not isinstance(session, ReadsFiles) or (writes and not isinstance(session, WritesFiles)):
        raise Invalid(f"the connection {job.ask['connection']!r} does not hold files{' to write' if writes else ''}")
    return session


def _manifest(session: Any, item: str, public: str) -> dict[str, Any]:
    """Return the manifest beside an archive; with ``public``, only one that the installation has signed."""
    name = item + manifests.SUFFIX
    try:
        with session.fetch(name) as data:
            told = manifests.read(data.read(manifests.SIZE_MAX + 1))
        if public:
            manifests.check(told, public)
    except Corrupt as fault:
        raise fault.at(name) from None
    return told


def _content(inlet: Inlet, how: Seal, raw: _Hashed) -> str:
    """Open all of an archive and return the keyed hash of what is in it; empty when there is no key for that."""
    warrant = inlet.origin.warrant
    digest = manifests.Digest(warrant.content) if warrant else None
    with seals.open_unproved(how, inlet.keys, raw) as plain:  # type: ignore[arg-type]
        while piece := plain.read(_PIECE):
            if digest is not None:
                digest.update(piece)
    return digest.told() if digest is not None else ""


def _compare(told: dict[str, Any], item: str, raw: _Hashed, content: str, *, again: bool = False) -> None:
    """Raise ``Corrupt`` unless an archive is what its manifest says; ``again``: or the one that it was to replace."""
    archive, sha256 = told["archive"], raw.digest.hexdigest()
    cut_off = archive.get("item") == item and sha256 == told["made"].get("resealed")
    if cut_off and not again:
        raise Corrupt("Sealing it anew was cut off: this is still the old one.", where=item, hint="Reseal it again.")
    here = {"item": item, "bytes": raw.bytes, "sha256": sha256}
    wrong = any(archive.get(name) != value for name, value in here.items())
    if (wrong and not cut_off) or (content and content != told["content"].get("hmac_sha256")):
        raise Corrupt("The archive is not the one that its manifest tells of.", where=item)

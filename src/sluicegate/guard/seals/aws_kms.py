"""AWS KMS: it encrypts the sealing key and gives it back at each start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from sluicegate.base.errors import Corrupt, Invalid
from sluicegate.crypto.keys import Key
from sluicegate.guard.seals import service
from sluicegate.guard.seals.seal import Enclosed, Made, State, pack, unpack
from sluicegate.kit.service import Aws, AwsKey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sluicegate.base.seals import Kms
    from sluicegate.base.secret import Secret

_CALLED = "AWS KMS"


class AwsKms(Enclosed):
    """The sealing key, encrypted there: two calls of its JSON API."""

    kind: ClassVar[str] = "aws-kms"
    people: ClassVar[bool] = False

    def __init__(self, settings: Kms, suite: str) -> None:
        """Hold where it is."""
        super().__init__(suite)
        self._settings = settings

    def _keep(self, state: State, sealing: Key, given: Secret | None) -> Made:  # noqa: ARG002 - as all seals
        found = self._ask("Encrypt", {"Plaintext": pack(sealing.raw)}, state["root"])
        told = {"kept": pack(unpack(found, "CiphertextBlob")), "by": state["root"]}
        if self._found({**state, **told}, ()).raw != sealing.raw:  # nothing is sealed by what does not give it back
            raise Corrupt
        return Made(told)

    def _found(self, state: Mapping[str, Any], given: Sequence[Secret]) -> Key:  # noqa: ARG002 - as all seals
        found = self._ask("Decrypt", {"CiphertextBlob": str(state.get("kept"))}, str(state.get("by")))
        try:
            return Key(unpack(found, "Plaintext"))
        except Invalid:
            raise Corrupt from None

    def _ask(self, what: str, told: Mapping[str, Any], bound: str) -> dict[str, Any]:
        to = self._settings
        if not (to.region and to.key and to.access_key and to.secret_key):
            raise Invalid(
                "the settings kms.region, kms.key, kms.access_key and kms.secret_key are needed for this seal",
                where="sluice.toml",
            )
        url = to.endpoint or f"https://kms.{to.region}.amazonaws.com"
        key = AwsKey(to.access_key, to.secret_key, to.session_token or None)
        with service.reach(url, to.ca, _CALLED) as reached:
            asked = {"KeyId": to.key, "EncryptionContext": {"sluicegate": bound}, **told}
            return service.good(Aws(reached, "TrentService", to.region, "kms", key).ask(what, asked), reached)

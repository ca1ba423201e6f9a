"""AWS KMS: it encrypts the sealing key and gives it back at each start."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from sluicegate.base import clock
from sluicegate.base.errors import Corrupt, Invalid
from sluicegate.crypto import sigv4
from sluicegate.crypto.keys import Key
from sluicegate.guard.seals import service
from sluicegate.guard.seals.seal import Enclosed, Made, State, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sluicegate.base.seals import Kms
    from sluicegate.base.secret import Secret

_CALLED = "AWS KMS"


class AwsKms(Enclosed):
    """The sealing key, encrypted there: two calls of its JSON API, signed by ``crypto/sigv4.py``."""

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
        body = json.dumps({"KeyId": to.key, "EncryptionContext": {"sluicegate": bound}, **told}).encode()
        headers = {
            "host": urlsplit(url).netloc,
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": f"TrentService.{what}",
        }
        if to.session_token:
            headers["x-amz-security-token"] = to.session_token.reveal()
        signer = sigv4.Signer(to.access_key, to.secret_key, to.region, "kms")
        return service.ask(f"{url}/", body, signer.sign("POST", "/", headers, body, clock.system()), to.ca, _CALLED)

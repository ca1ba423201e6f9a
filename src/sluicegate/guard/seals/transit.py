"""The transit engine of OpenBao or Vault: it encrypts the sealing key and gives it back at each start."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, ClassVar

from sluicegate.base.errors import Corrupt, Invalid
from sluicegate.crypto.keys import Key
from sluicegate.guard.seals import service
from sluicegate.guard.seals.seal import Enclosed, Made, State, pack, unpack
from sluicegate.kit.service import Bao

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sluicegate.base.seals import Transit
    from sluicegate.base.secret import Secret

_CALLED = "The transit engine"


class ByTransit(Enclosed):
    """The sealing key, encrypted there; the token is asked for in no other place than the settings."""

    kind: ClassVar[str] = "transit"
    people: ClassVar[bool] = False

    def __init__(self, settings: Transit, suite: str) -> None:
        """Hold where it is."""
        super().__init__(suite)
        self._settings = settings

    def _keep(self, state: State, sealing: Key, given: Secret | None) -> Made:  # noqa: ARG002 - as all seals
        found = self._ask("encrypt", {"plaintext": pack(sealing.raw), "associated_data": _bound(state)})
        text = found.get("ciphertext")
        if not isinstance(text, str) or not text:
            raise Corrupt
        told = {"kept": text, "by": state["root"]}
        if self._found({**state, **told}, ()).raw != sealing.raw:  # nothing is sealed by what does not give it back
            raise Corrupt
        return Made(told)

    def _found(self, state: Mapping[str, Any], given: Sequence[Secret]) -> Key:  # noqa: ARG002 - as all seals
        bound = _bound({"root": state.get("by")})
        found = self._ask("decrypt", {"ciphertext": str(state.get("kept")), "associated_data": bound})
        try:
            return Key(unpack(found, "plaintext"))
        except Invalid:
            raise Corrupt from None

    def _ask(self, what: str, told: Mapping[str, str]) -> dict[str, Any]:
        to = self._settings
        if not to.url or not to.token:
            raise Invalid("the settings transit.url and transit.token are needed for this seal", where="sluice.toml")
        with service.reach(to.url, to.ca, _CALLED) as reached:
            answer = Bao(reached, to.token, to.namespace).ask("POST", f"{to.mount}/{what}/{to.key}", told)
            found = service.good(answer, reached).get("data")
        return found if isinstance(found, dict) else {}


def _bound(state: Mapping[str, Any]) -> str:
    """Return what the engine binds the ciphertext to: that of another installation is not taken for ours."""
    return base64.b64encode(f"sluicegate seal {state['root']}".encode()).decode()

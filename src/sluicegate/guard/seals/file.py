"""The root key in a file that only the server's own user can read: no seal against who has that user's rights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from sluicegate.base.errors import Corrupt, Invalid
from sluicegate.crypto import opaque
from sluicegate.crypto.keys import Key
from sluicegate.guard.seals.seal import Made, State, head, name_of, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sluicegate.base.secret import Secret


class InFile:
    """The root key as it is; ``guard/sealfile.py`` keeps it in ``root.key``."""

    kind: ClassVar[str] = "file"
    people: ClassVar[bool] = False

    def make(self, root: Key, given: Secret | None = None) -> Made:  # noqa: ARG002 - what the interface says
        """See ``Seal.make``."""
        return Made({**head(self.kind, root), "key": pack(root.raw)})

    def needed(self, state: Mapping[str, Any]) -> int:  # noqa: ARG002 - what the interface says
        """See ``Seal.needed``."""
        return 0

    def accept(self, state: Mapping[str, Any], given: Secret) -> str:  # noqa: ARG002 - what the interface says
        """See ``Seal.accept``."""
        raise Invalid("This seal is opened by no person.")

    def open(self, state: Mapping[str, Any], given: Sequence[Secret] = ()) -> Key:  # noqa: ARG002 - what the interface says
        """See ``Seal.open``."""
        try:
            root = Key(unpack(state, "key"))
        except Invalid:
            raise Corrupt from None
        if not opaque.same(name_of(root).encode(), str(state.get("root")).encode()):
            raise Corrupt
        return root

    def renew(self, state: Mapping[str, Any], opener: Key, root: Key) -> State:  # noqa: ARG002 - what the interface says
        """See ``Seal.renew``."""
        return self.make(root).state

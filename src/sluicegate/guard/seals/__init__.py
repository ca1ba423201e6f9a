"""What the root key is sealed by: one file for each kind, behind one small interface (``seal.py``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.base.errors import Invalid
from sluicegate.guard.seals.aws_kms import AwsKms
from sluicegate.guard.seals.file import InFile
from sluicegate.guard.seals.passphrase import ByPassphrase
from sluicegate.guard.seals.seal import Made, Seal, State
from sluicegate.guard.seals.shamir import ByShares
from sluicegate.guard.seals.transit import ByTransit

if TYPE_CHECKING:
    from sluicegate.base.settings import Settings

__all__ = ["Made", "Seal", "State", "find"]


def find(kind: object, settings: Settings) -> Seal:
    """Return the seal of a kind as the settings want it. Raises ``Invalid`` for a kind that there is not."""
    seals: tuple[Seal, ...] = (
        InFile(),
        ByPassphrase(settings.passphrase, settings.vault.suite),
        ByShares(settings.shamir, settings.vault.suite),
        ByTransit(settings.transit, settings.vault.suite),
        AwsKms(settings.kms, settings.vault.suite),
    )
    for each in seals:
        if each.kind == kind:
            return each
    raise Invalid("this kind of seal is not known here", hint="It was made by a newer Sluicegate, or has been damaged.")

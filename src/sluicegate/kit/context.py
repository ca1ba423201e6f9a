"""All that a connection is handed when it opens."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from sluicegate.base.errors import Failed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sluicegate.base.secret import Secret
    from sluicegate.kit.net import Net
    from sluicegate.kit.paths import Root


class Log(Protocol):
    """Where a plugin tells what happens. Lines are shown to people: names and numbers, never rows or secrets."""

    def __call__(self, message: str, /, **fields: object) -> None:
        """Write one line."""


def quiet(_message: str, /, **_fields: object) -> None:
    """Write nothing."""


@dataclass(frozen=True)
class Context:
    """One connection's share of the world: built by the task for one connection of one run."""

    net: Net
    """The way out over the network; the egress policy is inside."""
    files: Root
    """The way to files; confined to one directory."""
    secrets: Mapping[str, Secret] = field(default_factory=dict, repr=False)
    """Only those that this connection's definition names."""
    log: Log = quiet
    cancelled: Callable[[], bool] = lambda: False

    def secret(self, name: str) -> Secret:
        """Return the secret called ``name``; ``Failed`` when it has not been set."""
        try:
            return self.secrets[name]
        except KeyError:
            msg = f"The secret {name!r} is not set."
            raise Failed(msg, hint=f"Set it: sluice secret set {name}") from None

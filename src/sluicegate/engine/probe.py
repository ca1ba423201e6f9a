"""What the jail is worth on this machine: a jail is started that tries to break out.

Without a jail that has shown its worth, a node runs nobody's text (``Proof``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Literal

from sluicegate.base.errors import JailUnavailable, SluiceError
from sluicegate.base.model import Model
from sluicegate.engine import cell, confine
from sluicegate.engine.jail import start

_PATIENCE = 60.0
"""Seconds that somebody who needs the jail waits for the self-test; it takes less than one where all is well."""


class Level(Model):
    """What the jail is worth on this machine: the result of ``probe``."""

    bwrap: bool
    userns: bool
    landlock: int
    """ABI version; 0 when there is none."""
    seccomp: bool
    rlimits: bool
    ok: bool
    """Whether user text is run at all."""
    missing: tuple[str, ...]
    """Layers that are not there, and attacks that were not refused."""
    tier: Literal["full", "fallback", "none"]


def probe(fallback: bool = False) -> Level:
    """Start a jail that tries to break out, and return what each layer is worth here. Raises nothing."""
    bwrap, missing, layers = cell.find_bwrap(), [], {}
    full = False
    try:
        with start(fallback=fallback, inputs=0) as jail:
            full = jail.cell.full
            # The canary is a file that any process of ours can read and that is not in the jail: this one.
            missing = [f"refusal of {way}" for way, refused in jail.attack(__file__).items() if not refused]
            layers = jail.cell.layers
    except (SluiceError, OSError) as fault:
        missing = [str(fault)]
    held = confine.landlock_abi()
    text = " ".join(missing)
    if layers and not missing:
        missing = [] if full else ["bwrap" if bwrap is None else "userns"]
        tier: Literal["full", "fallback", "none"] = "full" if full else "fallback"
    else:
        tier = "none"
    return Level(
        bwrap=bwrap is not None,
        userns=bool(layers.get("userns")) if layers else bwrap is not None and cell.has_spaces(bwrap),
        landlock=int(layers.get("landlock", 0)) if layers else held if "landlock" not in text else 0,
        seccomp=bool(layers.get("seccomp")),
        rlimits=bool(layers.get("rlimits")),
        ok=tier != "none",
        missing=tuple(missing),
        tier=tier,
    )


UNKNOWN = Level(
    bwrap=False,
    userns=False,
    landlock=0,
    seccomp=False,
    rlimits=False,
    ok=False,
    missing=("not probed",),
    tier="none",
)


class Proof:
    """What the jail of this node has shown to be worth; until it has, nothing."""

    def __init__(self, *, fallback: bool) -> None:
        """``fallback``: whether the tier without namespaces is good enough here."""
        self._fallback = fallback
        self._known = threading.Event()
        self._begun = False
        self.level = UNKNOWN

    def begin(self, record: Callable[[Level], None]) -> None:
        """Start the self-test in a thread of its own. Its result counts once ``record`` has taken it."""
        self._begun = True
        threading.Thread(target=self._find, args=(record,), name="jail-probe", daemon=True).start()

    def require(self, where: str = "") -> None:
        """Wait for the result; return when the jail holds, else raise ``JailUnavailable`` with what is missing."""
        if self._begun:
            self._known.wait(_PATIENCE)
        level = self.level
        if level.tier == "full" or (level.tier == "fallback" and self._fallback):
            return
        raise JailUnavailable(
            f"expressions and joins need the jail, and it does not hold on this machine: {'; '.join(level.missing)}",
            where=where,
            hint=_hint(level),
        )

    def _find(self, record: Callable[[Level], None]) -> None:
        try:
            level = probe(self._fallback)
            record(level)
            self.level = level
        finally:
            self._known.set()


def _hint(level: Level) -> str:
    weaker = "or allow the tier without namespaces (jail.fallback). Then start the server again."
    if level is UNKNOWN:
        return "Its self-test is not over, or could not be recorded: see the server's log, or try again in a moment."
    if not level.bwrap:
        return f"Install the Debian package bubblewrap: apt-get install bubblewrap, {weaker}"
    if not level.userns:
        return f"Allow unprivileged user namespaces (sysctl user.max_user_namespaces), {weaker}"
    return "The kernel or the container around it does not refuse what it must: docs/security/model.md, The jail."

"""What the jail is worth on this machine: a jail is started that tries to break out."""

from __future__ import annotations

import tempfile
from typing import Literal

from sluicegate.base.errors import SluiceError
from sluicegate.base.model import Model
from sluicegate.engine import cell, confine
from sluicegate.engine.jail import start


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
        with tempfile.NamedTemporaryFile() as canary, start(fallback=fallback, inputs=0) as jail:
            full = jail.cell.full
            missing = [f"refusal of {way}" for way, refused in jail.attack(canary.name).items() if not refused]
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

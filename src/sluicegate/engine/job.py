"""What a task is told: one job, handed over a pipe. It holds secrets in clear: never stored, logged or shown."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sluicegate.base.secret import Secret

What = Literal["run", "test", "items", "preview", "explain", "detect", "verify", "reseal"]


@dataclass(frozen=True)
class Job:
    """Everything one task needs, and nothing else: it sees no store, no vault, no settings."""

    what: What
    run: str
    root: Path
    """Directory that ``files`` and file databases are confined to."""
    flow: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    connections: dict[str, dict[str, Any]] = field(default_factory=dict)
    recipients: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, Secret] = field(default_factory=dict, repr=False)
    keys: dict[str, Secret] = field(default_factory=dict, repr=False)
    """Masking keys by name. They are no secrets of connections: none can name them."""
    tenant: str = ""
    """Id of the tenant, to which masks are bound; empty without a server."""
    guarded: tuple[str, ...] = ()
    """Tags whose columns go only to connections that accept them."""
    snapshot: dict[str, dict[str, str]] = field(default_factory=dict)
    """Column types by reading step, from an earlier run."""
    state: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What reading steps have seen in runs before, by step: ``column``, ``type``, ``value`` (see ``kit.watermark``)."""
    egress: tuple[dict[str, Any], ...] = ()
    local: bool = False
    """True for ``run --local``: the person at the keyboard is the policy."""
    jail: dict[str, Any] = field(default_factory=dict)
    input_max: int = 1 << 40
    quarantine: str = ""
    """age recipient that quarantined rows are sealed for."""
    quarantine_folder: Path | None = None
    """Where they are kept."""
    ask: dict[str, Any] = field(default_factory=dict)
    """What a short question is about (test, items, preview, explain)."""

    def pack(self) -> bytes:
        """Return the job as bytes for the pipe."""
        body = {name: getattr(self, name) for name in self.__dataclass_fields__}
        for held in ("secrets", "keys"):
            body[held] = {name: value.reveal() for name, value in body[held].items()}
        return json.dumps(body, default=str).encode()

    @classmethod
    def unpack(cls, raw: bytes) -> Job:
        """Return the job that ``pack`` packed."""
        body = json.loads(raw)
        for held in ("secrets", "keys"):
            body[held] = {name: Secret(value) for name, value in body[held].items()}
        body["root"] = Path(body["root"])
        body["quarantine_folder"] = Path(body["quarantine_folder"]) if body["quarantine_folder"] else None
        return cls(**body)

"""Builds the job of a task from what store and sources of secrets hold. Each use of a secret is on record before it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from sluicegate.base.errors import Denied, Failed, Invalid, Missing
from sluicegate.base.flaws import spell
from sluicegate.base.principal import Role
from sluicegate.crypto.manifest import READS
from sluicegate.engine import incremental
from sluicegate.engine.detection import looking
from sluicegate.engine.job import Job, What
from sluicegate.engine.plan import above, plan, steps
from sluicegate.guard import conduct, tls
from sluicegate.guard.archives import WARRANT
from sluicegate.guard.vault import MASKING, RESERVED
from sluicegate.kit import document, seals
from sluicegate.kit.connection import Connection
from sluicegate.kit.flow import Flow, digest
from sluicegate.kit.step import Masking, Step, Writing
from sluicegate.steps.read import Read
from sluicegate.steps.write import Write

if TYPE_CHECKING:
    from sluicegate.base.secret import Secret
    from sluicegate.base.settings import Settings
    from sluicegate.engine.probe import Proof
    from sluicegate.engine.quarantine import Quarantine
    from sluicegate.guard.archives import Archives
    from sluicegate.guard.audit import Audit
    from sluicegate.guard.rules import Rules
    from sluicegate.guard.sources import Sources
    from sluicegate.store.definitions import Definition
    from sluicegate.store.scope import Scope


def read_flow(body: dict[str, Any]) -> Flow:
    """Return the flow that a stored document is."""
    found = document.parse_definition(body)
    if not isinstance(found, Flow):
        raise Failed("this is not a flow")
    return found


def require_tenants(scope: Scope, found: Definition) -> None:
    """Refuse to run for a SuperAdmin what a SuperAdmin wrote: it could carry rows to where they may read them."""
    if scope.who.role is not Role.SUPERADMIN:
        return
    try:
        scope.people().get(found.author)
    except Missing:
        raise Denied(
            "A SuperAdmin does not run what a SuperAdmin wrote: that would be a way to the tenant's rows.",
            where=f"{found.kind} {found.name}",
            hint="Have somebody of the tenant save it, or run it.",
        ) from None


class Builder:
    """Knows settings, sources of secrets, quarantine and the jail's worth, so that a task need not."""

    def __init__(
        self,
        settings: Settings,
        sources: Sources,
        quarantine: Quarantine,
        audit: Audit,
        jail: Proof,
        rules: Rules,
        archives: Archives,
    ) -> None:
        """Build from these."""
        self._settings, self._sources, self._quarantine, self._audit = settings, sources, quarantine, audit
        self._jail, self._rules, self._archives = jail, rules, archives

    def run(
        self,
        scope: Scope,
        run: str,
        body: dict[str, Any],
        params: Mapping[str, Any],
        version: int = 0,
        state: Mapping[str, dict[str, Any]] | None = None,
    ) -> Job:
        """Return the job of a run of the flow in ``body``, which is this ``version`` of it, and begins at ``state``.

        Raises ``JailUnavailable`` when the flow needs a jail and there is none: no such job is ever made.
        """
        flow = read_flow(body)
        named = _Named.read(scope, flow)
        for each in (*named.connections.values(), *named.recipients.values()):
            require_tenants(scope, each)
        self._walled(flow, [segment.source for segment in plan(flow)])
        job = self._flow_job(scope, "run", run, body, params, {}, named, state)
        if any(isinstance(step, Writing) and seals.of(step) for step in flow.steps):
            claims = {"flow": flow.name, "flow_version": version, "flow_digest": digest(body), "run": run}
            job.secrets[WARRANT] = self._archives.warrant(scope.tenant, claims)
        return job

    def preview(self, scope: Scope, ask: Mapping[str, Any]) -> Job:
        """Return the job that shows the first rows of a step."""
        body = scope.definitions().get("flow", str(ask["flow"])).body
        flow = read_flow(body)
        flow.values(ask["params"])
        self._walled(flow, [str(ask["step"])])
        return self._flow_job(scope, "preview", "", body, ask["params"], ask, _Named.read(scope, flow))

    def explain(self, scope: Scope, ask: Mapping[str, Any]) -> Job:
        """Return the job that tells how a flow will be carried out."""
        body = scope.definitions().get("flow", str(ask["flow"])).body
        flow = read_flow(body)
        flow.values(ask["params"])
        self._walled(flow, [segment.source for segment in plan(flow)])
        state = incremental.find(scope, flow)
        return self._flow_job(scope, "explain", "", body, ask["params"], ask, _Named.read(scope, flow), state)

    def explore(self, scope: Scope, what: What, ask: Mapping[str, Any]) -> Job:
        """Return the job that tests a connection or lists its items."""
        read = _read(scope, "connection", [str(ask["connection"])])
        connections, secrets = self._connections(scope, read, what)
        return Job(what=what, run="", connections=connections, secrets=secrets, ask=dict(ask), **self._place(scope))

    def detect(self, scope: Scope, ask: Mapping[str, Any]) -> Job:
        """Return the job that looks for personal data in the first rows of an item."""
        body = looking(str(ask["connection"]), str(ask["item"]), str(ask["format"]))
        flow = read_flow(body)
        named = _Named.read(scope, flow)
        conduct.check(flow, named.connection, self._rules.fresh(scope.tenant))
        connections, secrets = self._connections(scope, named.connections, f"detect {ask['connection']}/{ask['item']}")
        return Job(
            what="detect", run="", flow=body, connections=connections, secrets=secrets,
            input_max=self._settings.limits.input, ask=dict(ask), **self._place(scope),
        )  # fmt: skip

    def archive(self, scope: Scope, what: What, ask: Mapping[str, Any]) -> Job:
        """Return the job that looks at an archive, or seals it for others (``ask`` holds seals as documents do)."""
        name, purpose = str(ask["connection"]), f"{what} {ask['connection']}/{ask['item']}"
        steps: list[Step] = []
        if "open" in ask:
            read = {"name": "old", "connection": name, "item": ask["item"], "seal": ask["open"]}
            steps.append(Read.model_validate(read))
        if "seal" in ask:
            write = {"name": "new", "from": "old", "connection": name, "item": ask["item"], "seal": ask["seal"]}
            steps.append(Write.model_validate(write))
        flow = Flow(name="archive", steps=tuple(steps))
        for wanted, _ in seals.secret_names(flow.steps):
            if wanted.startswith(RESERVED):
                raise Invalid(f"the secret {wanted!r} is the product's own")
        named = _Named.read(scope, flow, name)
        for each in (*named.connections.values(), *named.recipients.values()):
            require_tenants(scope, each)
        conduct.check(flow, named.connection, self._rules.fresh(scope.tenant))
        connections, secrets = self._connections(scope, named.connections, purpose)
        secrets |= self._seals(scope, flow, purpose)
        claims = {"resealed_by": scope.who.id} if what == "reseal" else READS
        secrets[WARRANT] = self._archives.warrant(scope.tenant, claims)
        return Job(
            what=what, run="", connections=connections, recipients=named.keys(), secrets=secrets,
            input_max=self._settings.limits.input, ask={**ask, "public": self._archives.public}, **self._place(scope),
        )  # fmt: skip

    def _walled(self, flow: Flow, sources: Iterable[str]) -> None:
        """Require the jail when somebody's text is above one of these steps."""
        named = steps(flow)
        for source in sources:
            for each in above(named, source):
                if each.jails:
                    self._jail.require(f"step {flow.step_name(each)}")

    def _flow_job(
        self,
        scope: Scope,
        what: What,
        run: str,
        body: dict[str, Any],
        params: Mapping[str, Any],
        ask: Mapping[str, Any],
        named: _Named,
        state: Mapping[str, dict[str, Any]] | None = None,
    ) -> Job:
        flow = read_flow(body)
        purpose = f"{what} {run or flow.name}"
        rules = self._rules.fresh(scope.tenant)
        conduct.check(flow, named.connection, rules)
        conduct.require_reveal(flow, scope.who)
        connections, secrets = self._connections(scope, named.connections, purpose)
        secrets |= self._seals(scope, flow, purpose)
        keeps = what == "run" and _quarantines(flow)  # what a preview rejects is kept nowhere
        return Job(
            what=what,
            run=run,
            flow=body,
            params=dict(params),
            connections=connections,
            recipients=named.keys(),
            secrets=secrets,
            keys=self._masks(scope, flow, purpose),
            tenant=scope.tenant,
            guarded=rules.guarded,
            snapshot=scope.runs().snapshot(flow.name),
            state=dict(state or {}),
            input_max=self._settings.limits.input,
            quarantine=self._quarantine.recipient(scope, run) if keeps else "",
            quarantine_folder=self._quarantine.folder(scope) if keeps else None,
            ask=dict(ask),
            **self._place(scope),
        )

    def _place(self, scope: Scope) -> dict[str, Any]:
        """Return where a tenant's tasks work and what they may reach."""
        root: Path = self._settings.data / scope.tenant
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        return {
            "root": root,
            "egress": tuple(each.model_dump() for each in self._settings.egress),
            "jail": self._settings.jail.model_dump(),
        }

    def _connections(
        self, scope: Scope, read: Mapping[str, Definition], purpose: str
    ) -> tuple[dict[str, dict[str, Any]], dict[str, Secret]]:
        """Return the documents of connections that were read, and the secrets they name."""
        secrets: dict[str, Secret] = {}
        for name, each in read.items():
            found = document.parse_definition(each.body)
            if not isinstance(found, Connection):
                raise Failed(f"{name!r} is not a connection")
            tls.admit(found, self._rules.fresh(scope.tenant).weakest_tls, self._audit, scope, purpose)
            for wanted in found.secret_names():
                secrets[wanted] = self._secret(scope, wanted, f"connection {name}", purpose)
        return {name: each.body for name, each in read.items()}, secrets

    def _seals(self, scope: Scope, flow: Flow, purpose: str) -> dict[str, Secret]:
        """Return the secrets that the seals of a flow name."""
        return {
            name: self._secret(scope, name, f"step {flow.step_name(step)}, seal", purpose)
            for name, step in seals.secret_names(flow.steps)
        }

    def _masks(self, scope: Scope, flow: Flow, purpose: str) -> dict[str, Secret]:
        """Return the masking keys that a flow names."""
        found: dict[str, Secret] = {}
        for step in flow.steps:
            for name, path in step.key_names() if isinstance(step, Masking) else ():
                try:
                    found[name] = self._sources.use(scope, MASKING + name, purpose=purpose)
                except Missing:
                    raise Failed(
                        f"There is no masking key {name!r}.",
                        where=f"step {flow.step_name(step)}, {spell(path)}",
                        hint=f"Make it: sluice secret generate {name} --kind key",
                    ) from None
        return found

    def _secret(self, scope: Scope, name: str, where: str, purpose: str) -> Secret:
        try:
            return self._sources.use(scope, name, purpose=purpose)
        except Missing:
            raise Failed(
                f"The secret {name!r} is not set.", where=where, hint=f"Set it: sluice secret set {name}"
            ) from None


def _read(scope: Scope, kind: str, names: Iterable[str]) -> dict[str, Definition]:
    return {name: scope.definitions().get(kind, name) for name in names}


class _Named(NamedTuple):
    """What a flow names, in the versions that are read once: what is checked is what is used."""

    connections: dict[str, Definition]
    recipients: dict[str, Definition]

    @classmethod
    def read(cls, scope: Scope, flow: Flow, *connections: str) -> Self:
        """Read what a flow names, and further ``connections``."""
        reads = dict.fromkeys((*flow.connections(), *connections))
        recipients = dict.fromkeys(name for step in flow.steps for name, _ in seals.recipients(step))
        return cls(_read(scope, "connection", reads), _read(scope, "recipient", recipients))

    def connection(self, name: str) -> Connection | None:
        """Return one of the connections; ``None`` when the document is something else."""
        found = document.parse_definition(self.connections[name].body)
        return found if isinstance(found, Connection) else None

    def keys(self) -> dict[str, str]:
        """Return the keys of the recipients."""
        return {name: str(each.body["recipient"]) for name, each in self.recipients.items()}


def _quarantines(flow: Flow) -> bool:
    return any("quarantine" in (getattr(step, "on_fail", ""), getattr(step, "on_reject", "")) for step in flow.steps)

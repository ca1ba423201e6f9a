"""Where a segment's rows come from: opens connections, reads, transforms in the jail, checks, and keeps rejects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, BinaryIO, Self, TypeVar

from sluicegate.base.errors import Cancelled, Egress, Failed, Invalid, SluiceError
from sluicegate.crypto.manifest import Warrant
from sluicegate.engine import precision, projection, query, seals
from sluicegate.engine.dialect import plain
from sluicegate.engine.manifests import Origin
from sluicegate.engine.meter import Counted, Meter, Report
from sluicegate.engine.plan import Segment, looks, steps
from sluicegate.engine.rejects import Rejects
from sluicegate.engine.sieve import Sieves
from sluicegate.guard.archives import WARRANT
from sluicegate.kit import connection as kinds
from sluicegate.kit.context import Context
from sluicegate.kit.document import parse_definition
from sluicegate.kit.flow import Flow, fill
from sluicegate.kit.format import Decoding
from sluicegate.kit.mode import Append
from sluicegate.kit.registry import format_for
from sluicegate.kit.seals import of as seals_of
from sluicegate.kit.step import Check, Masking, Reading, Step, Transform, Writing

if TYPE_CHECKING:
    import pyarrow as pa

    from sluicegate.engine.job import Job
    from sluicegate.kit.rows import Parcel, Reject, Stage
    from sluicegate.kit.target import Keys

_Rows = TypeVar("_Rows", "pa.RecordBatch", "Parcel")

_LEFT = 1 << 18


class Inlet:
    """Opens what is needed when it is needed; a context manager that closes all of it."""

    def __init__(
        self,
        job: Job,
        flow: Flow,
        meter: Meter,
        report: Report,
        cancelled: Callable[[], bool],
        *,
        limit: int | None = None,
    ) -> None:
        """``limit``: rows that will be looked at (previews)."""
        from sluicegate.kit.net import Egress as Policy
        from sluicegate.kit.net import Net
        from sluicegate.kit.paths import Root

        self._job, self._flow, self._meter, self._report = job, flow, meter, report
        self._cancelled, self._limit = cancelled, limit
        self._named = steps(flow)
        self._values = flow.values(job.params)
        self._stack = ExitStack()
        self._net = Net(Policy.local() if job.local else Policy(allow=job.egress))
        self._files = self._stack.enter_context(Root(job.root))
        self.rejects = Rejects(job, report, meter)
        self.sieves = Sieves(job.state, None if limit else flow, report)
        self.unjailed: set[str] = set()
        """Steps that were found to need no jail."""
        self.guesses = False
        """Whether an input had no rows, so that the types of its columns are not known."""

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close all sessions; rejects that were not committed are gone."""
        self.rejects.abort()
        self._stack.close()

    def commit(self) -> None:
        """Keep the rejects for good."""
        self.rejects.commit()

    def session(self, name: str) -> Any:
        """Open a session on a connection. Each step has its own: sessions are not shared between threads."""
        if name not in self._job.connections:
            raise Invalid(f"there is no connection {name!r}")
        found = parse_definition(self._job.connections[name])
        if not isinstance(found, kinds.Connection):
            raise Invalid(f"{name!r} is not a connection")
        wanted = found.secret_names()
        secrets = {key: value for key, value in self._job.secrets.items() if key in wanted}
        ctx = Context(self._net, self._files, secrets, self.say, self._cancelled)
        try:
            return self._stack.enter_context(found.open(ctx))
        except Egress as fault:
            fault.where = ", ".join(filter(None, (f"connection {name}", fault.where)))
            raise
        except SluiceError as fault:
            raise fault.at(f"connection {name}") from None

    @property
    def keys(self) -> seals.Keys:
        """What the seals of the flow may use."""
        return seals.Keys(self._job.recipients, self._job.secrets)

    @property
    def origin(self) -> Origin:
        """What the manifests of sealed files tell: what the warrant speaks of, or what is known without a server."""
        packed = self._job.secrets.get(WARRANT)
        if packed is None:
            return Origin({"flow": self._flow.name, "run": self._job.run})
        warrant = Warrant.read(packed)
        return Origin(warrant.body["claims"], warrant)

    def item(self, item: str, name: str) -> str:
        """Return an item with its parameters filled in."""
        return fill(item, self._values, where=f"step {name}, item")

    def keys_of(self, name: str) -> Keys:
        """Return the keys of the one table that the rows of a step come from. ``Invalid`` when they come from none."""
        step = self._named[name]
        while not isinstance(step, Reading) and len(step.inputs) == 1:
            name = step.inputs[0]
            step = self._named[name]
        if isinstance(step, Reading):
            session = self.session(step.connection)
            if isinstance(session, kinds.TellsKeys):
                return session.keys(self.item(step.item, name))
        raise Invalid("keys are copied from one table, and the rows come from none", hint="Leave out table: copies.")

    def pull(self, name: str) -> pa.RecordBatchReader:
        """Return the rows of a step, lazily."""
        step = self._named.get(name)
        if step is None:
            raise Invalid(f"the flow has no step {name[:64]!r}", hint=f"It has: {', '.join(self._named) or 'none'}.")
        try:
            if isinstance(step, Reading):
                return self._counted(name, self._read(name, step))
            if isinstance(step, Transform):
                return self._counted(name, self._transform(name, step))
            if isinstance(step, Check):
                return self._check(name, step)
            if isinstance(step, Masking):
                return self._mask(name, step)
        except SluiceError as fault:
            if not fault.where.startswith("step "):
                fault.where = f"step {name}" + (f", {fault.where}" if fault.where else "")
            raise
        raise Invalid(f"step {name} gives no rows", where=f"step {name}")

    def passage(self, segment: Segment, stage: Stage) -> Iterator[Parcel] | None:
        """Return the rows of a segment in the form that source and target both speak, when nobody looks into them."""
        if looks(segment, self._named):
            return None
        name = segment.source
        step: Any = self._named[name]
        session = self.session(step.connection)
        if not isinstance(session, kinds.PassesRows):
            return None
        found = session.passage(self._ask(name, step), stage)
        return None if found is None else self._tallied(name, found)

    def obstacle(self, segment: Segment, write: Writing, target: object, item: str) -> str:
        """Return why there is no ``passage`` into ``item`` of the session ``target``; empty when there is one."""
        if found := looks(segment, self._named):
            return found
        step: Any = self._named[segment.source]
        session = self.session(step.connection)
        if not isinstance(session, kinds.PassesRows):
            return "the source has no form of its own that a target speaks"
        return session.obstacle(self._ask(segment.source, step), target, item, getattr(write, "mode", None) or Append())

    def say(self, message: str, /, **fields: object) -> None:
        """Write one line into the run's log."""
        self._report("log", {"level": "info", "message": message, **{key: str(value) for key, value in fields.items()}})

    def since(self, name: str) -> dict[str, Any] | None:
        """Return where a reading step that was pulled begins, and who leaves out what is not new."""
        begins = self.sieves.begins(name)
        if begins is None:
            return None
        step: Any = self._named[name]
        session = self.session(step.connection)
        there = isinstance(session, kinds.FiltersRows) and session.filters(self._ask(name, step))
        return {**begins, "filtered_by": "source" if there else "task"}

    # -- reading -------------------------------------------------------------------------------------------------------

    def _read(self, name: str, step: Any) -> pa.RecordBatchReader:
        import pyarrow as pa

        session = self.session(step.connection)
        if isinstance(session, kinds.ReadsRows):
            found: pa.RecordBatchReader = session.read(self._ask(name, step))
            return _chosen(self.sieves.sift(name, found), step.columns, name)
        if not isinstance(session, kinds.ReadsFiles):
            raise Invalid(f"the connection {step.connection!r} cannot be read from")
        item, seal = self.item(step.item, name), seals_of(step)
        inner = seal.inner(item) if seal else item
        format_ = step.format or format_for(inner)
        count = self._meter.step(name)
        count.total_bytes = session.size(item)
        raw: Any = Counted(self._stack.enter_context(session.fetch(item)), count)
        if seal is not None:
            limit = self._job.input_max
            raw = self._stack.enter_context(seals.open_(seal, self.keys, raw, limit, seeks=format_.seeks))
        how = Decoding(
            item=inner,
            columns=self._job.snapshot.get(name),
            on_reject=self.rejects.taker(name, step.on_reject, step.max_rejects),
            max_bytes=self._job.input_max,
            limit=self._limit,
        )
        rows = format_.decode(raw, how)
        if any(pa.types.is_null(field.type) for field in rows.schema):
            self.guesses = True  # not one row: nothing is kept of types that nobody has seen
        else:
            self._tell_schema(name, rows.schema)
        if seal is not None and self._limit is None:
            rows = _whole(rows, raw)
        return _chosen(self.sieves.sift(name, rows), step.columns, name)

    def _ask(self, name: str, step: Any) -> kinds.Read:
        bound, columns = self.sieves.bound(name), step.columns
        if bound is not None and columns is not None and bound.column not in columns:
            columns = (*columns, bound.column)
        return kinds.Read(item=self.item(step.item, name), columns=columns, limit=self._limit, since=bound)

    def _tell_schema(self, name: str, schema: pa.Schema) -> None:
        from sluicegate.kit.types import to_name

        self._report("schema", {"step": name, "columns": {field.name: to_name(field.type) for field in schema}})

    # -- transforming --------------------------------------------------------------------------------------------------

    def _transform(self, name: str, step: Transform) -> pa.RecordBatchReader:
        """Put the whole tree of transforms that ends in ``step`` into one query, and run it in the jail.

        One that only chooses columns of rows that come from elsewhere needs no query.
        """
        named = {**self._named, name: step}
        if step.chosen is not None and not isinstance(named[step.inputs[0]], Transform):
            rows = self.pull(step.inputs[0])
            if (places := projection.find(step.chosen, rows.schema)) is not None:
                self.unjailed.add(name)
                return projection.project(rows, tuple(step.chosen), places)
            return self._query(name, named, {step.inputs[0]: rows})
        return self._query(name, named, {each: self.pull(each) for each in query.leaves(named, name)})

    def _query(self, name: str, named: dict[str, Step], read: dict[str, pa.RecordBatchReader]) -> pa.RecordBatchReader:
        """Run the query for the tree that ends in ``name`` over these rows of its leaves."""
        from sluicegate.engine import jail
        from sluicegate.engine.program import Bounds, Program

        leaves = {each: precision.kept(rows, each) for each, rows in read.items()}
        made = query.compose(named, name, {each: rows.schema.names for each, rows in leaves.items()}, self._values)
        foreign: list[SluiceError] = []
        inputs = {each.table: query.renamed(leaves[each.step], each.columns, foreign.append) for each in made.inputs}
        told = self._job.jail
        bounds = Bounds(memory_mb=int(told.get("memory", 128)), seconds=float(told.get("seconds", 86400)))
        program = Program(made.sql, made.params, inputs, f"step {name}", made.types, made.judge)

        def speak(fault: SluiceError) -> None:
            if not any(fault is each for each in foreign):  # what an input says is not the engine's
                fault.message = plain(fault.message, made.names)

        try:
            running = jail.run(program, bounds=bounds, fallback=bool(told.get("fallback")), cancelled=self._cancelled)
            rows = self._stack.enter_context(running)
        except SluiceError as fault:
            speak(fault)
            raise
        return query.renamed(rows, made.outputs, speak)

    # -- checking and masking ------------------------------------------------------------------------------------------

    def _check(self, name: str, step: Check) -> pa.RecordBatchReader:
        import pyarrow as pa

        whole = self._limit is None
        marking = step.marking(whole=whole)
        rows = self.pull(step.inputs[0]) if marking is None else self._transform(name, marking)
        last = len(rows.schema) - (marking is not None)
        schema = pa.schema([rows.schema.field(place) for place in range(last)])
        step.check_columns(schema.names)
        watch = step.watch() if whole else None

        def sift(batch: pa.RecordBatch, first_row: int) -> tuple[pa.RecordBatch, list[Reject]]:
            marks = batch.column(last) if marking is not None else None
            seen = pa.RecordBatch.from_arrays(batch.columns[:last], schema=schema)
            if watch is not None:
                watch.see(seen)
            return step.split(seen, first_row, marks)

        return self._sifted(name, step, rows, schema, sift, end=watch.end if watch is not None else lambda: None)

    def _mask(self, name: str, step: Masking) -> pa.RecordBatchReader:
        from sluicegate.kit.masks import Keys

        rows = self.pull(step.inputs[0])
        masker = step.start(rows.schema, Keys(self._job.keys, self._job.tenant))
        return self._sifted(name, step, rows, masker.schema, masker.mask)

    def _sifted(
        self,
        name: str,
        step: Step,
        rows: pa.RecordBatchReader,
        schema: pa.Schema,
        sift: Callable[[pa.RecordBatch, int], tuple[pa.RecordBatch, list[Reject]]],
        end: Callable[[], None] = lambda: None,
    ) -> pa.RecordBatchReader:
        """Return what comes of each batch, of this ``schema``; the rejects go where the step says."""
        import pyarrow as pa

        take = self.rejects.taker(name, step.on_fail, step.max_rejects)  # type: ignore[attr-defined]
        count = self._meter.step(name)

        def passing() -> Iterator[pa.RecordBatch]:
            seen = 0
            for batch in rows:
                good, bad = sift(batch, seen + 1)
                for reject in bad:
                    take(reject)
                seen += batch.num_rows
                count.rows += good.num_rows
                yield good
            end()

        return pa.RecordBatchReader.from_batches(schema, passing())

    def _counted(self, name: str, rows: pa.RecordBatchReader) -> pa.RecordBatchReader:
        import pyarrow as pa

        return pa.RecordBatchReader.from_batches(rows.schema, self._tallied(name, rows))

    def _tallied(self, name: str, rows: Iterable[_Rows]) -> Iterator[_Rows]:
        count = self._meter.step(name)
        for batch in rows:
            if self._cancelled():
                raise Cancelled("The run was cancelled; nothing of it has landed.")
            count.rows += batch.num_rows
            if count.total_bytes is None:
                count.bytes += batch.nbytes
            yield batch


def _whole(rows: pa.RecordBatchReader, plain: BinaryIO) -> pa.RecordBatchReader:
    """Return the rows, and read what is left under the seal: a file counts only when all of it has verified."""
    import pyarrow as pa

    def reading() -> Iterator[pa.RecordBatch]:
        yield from rows
        while plain.read(_LEFT):
            continue

    return pa.RecordBatchReader.from_batches(rows.schema, reading())


def _chosen(rows: pa.RecordBatchReader, columns: tuple[str, ...] | None, name: str) -> pa.RecordBatchReader:
    import pyarrow as pa

    if columns is None:
        return rows
    lost = [each for each in columns if each not in rows.schema.names]
    if lost:
        raise Failed(
            f"there is no column {lost[0]!r}",
            where=f"step {name}, columns",
            hint=f"There are: {', '.join(rows.schema.names[:40])}.",
        )
    schema = pa.schema([rows.schema.field(each) for each in columns])
    return pa.RecordBatchReader.from_batches(schema, (batch.select(list(columns)) for batch in rows))

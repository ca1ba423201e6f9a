"""Documents that go together: what they refer to must be there, and be able to do what is asked of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sluicegate.base.errors import Invalid, SluiceError
from sluicegate.kit import lineage, seals
from sluicegate.kit import target as targets
from sluicegate.kit.connection import Connection
from sluicegate.kit.document import Definition, Document, Recipient, names_used
from sluicegate.kit.flow import Flow
from sluicegate.kit.step import Reading, Writing

Find = Callable[[str, str], Definition | None]
"""Returns the definition of a kind and a name; None when there is none."""


def finder(documents: Iterable[Document]) -> Find:
    """Return what finds definitions in ``documents``."""
    known: dict[tuple[str, str], Definition] = {
        (each.definition.kind, each.definition.name): each.definition for each in documents
    }
    return lambda kind, name: known.get((kind, name))


def lacking(documents: list[Document], find: Find) -> set[tuple[str, str]]:
    """Return what the documents refer to and ``find`` does not find."""
    return {(kind, name) for kind, name, _ in names_used(documents) if find(kind, name) is None}


def check(documents: list[Document], find: Find, *, hint: str) -> None:
    """Raise ``Invalid`` for the first reference to what is not there (``hint`` says what to do), or cannot serve."""
    for kind, name, where in names_used(documents):
        found = find(kind, name)
        if not isinstance(found, Connection if kind == "connection" else Recipient):
            raise Invalid(f"there is no {kind} {name!r}", where=where, hint=hint)
        if isinstance(found, Connection) and found.holds == "secrets":
            raise Invalid(
                f"the connection {name!r} keeps secrets: no flow reads or writes it",
                where=where,
                hint="Name a secret that comes from it: sluice secret link.",
            )
    for each in documents:
        if isinstance(each.definition, Flow):
            _check_writes(each, each.definition, find)
            _check_seals(each, each.definition, find)


def check_tags(documents: list[Document], find: Find) -> None:
    """Raise ``Denied`` for a column whose tags its destination does not take, where no policy says more."""
    for each in documents:
        if isinstance(each.definition, Flow):
            lineage.check(each.definition, connections(find))


def _check_writes(document: Document, flow: Flow, find: Find) -> None:
    for step in flow.steps:
        if not isinstance(step, Writing):
            continue
        target = find("connection", step.connection)
        mode = getattr(step, "mode", None)
        if not isinstance(target, Connection):
            continue
        if target.holds == "files" and mode is not None and mode.type != "replace":
            raise Invalid(
                f"step {flow.step_name(step)}: a file cannot be written with mode {mode.type!r}",
                where=document.place(flow.path(step, "mode")),
                hint="Use mode: replace, or a {param} in the item for one file a run.",
            )
        if target.holds == "tables":
            _check_target(document, flow, step, target)
        said = step.model_fields_set & {"table", "allow"}
        if target.holds == "files" and said:
            raise Invalid(
                f"step {flow.step_name(step)}: '{min(said)}' is said of tables, and {step.connection!r} holds files",
                where=document.place(flow.path(step, min(said))),
                hint="Leave it out: a file is always replaced whole.",
            )
        if target.holds != "files" and getattr(step, "seal", None) is not None:
            raise Invalid(
                f"step {flow.step_name(step)}: the connection {step.connection!r} does not take files",
                where=document.place(flow.path(step, "connection")),
                hint="Archive to a connection that holds files.",
            )


def _check_target(document: Document, flow: Flow, step: Writing, target: Connection) -> None:
    """Refuse what the step does not allow itself, and what no table of the connection can be made with."""
    said, field = targets.of(step), "mode"
    try:
        if (mode := getattr(step, "mode", None)) is not None:
            said.check(mode)
        field = "table"
        said.table.check(target.ddl)
    except SluiceError as fault:
        fault.where = document.place(flow.path(step, field))
        fault.message = f"step {flow.step_name(step)}: {fault.message}"
        raise


def connections(find: Find) -> lineage.Find:
    """Return what finds connections alone."""

    def connection(name: str) -> Connection | None:
        found = find("connection", name)
        return found if isinstance(found, Connection) else None

    return connection


def _check_seals(document: Document, flow: Flow, find: Find) -> None:
    for step in flow.steps:
        seal = seals.of(step)
        if seal is None:
            continue
        for name, path in seal.recipients():
            found = find("recipient", name)
            if isinstance(found, Recipient) and found.type != seal.type:
                raise Invalid(
                    f"step {flow.step_name(step)}: the recipient {name!r} has a key for {found.type}",
                    where=document.place(flow.path(step, "seal", *path)),
                    hint=f"This seal is of type {seal.type}: name recipients of that type.",
                )
        if isinstance(step, Reading):
            source = find("connection", step.connection)
            if isinstance(source, Connection) and source.holds != "files":
                raise Invalid(
                    f"step {flow.step_name(step)}: the connection {step.connection!r} does not give files",
                    where=document.place(flow.path(step, "connection")),
                    hint="Only files are sealed: leave out 'seal'.",
                )


def check_paths(documents: Iterable[Document]) -> None:
    """Raise ``Denied`` or ``Invalid`` for a connection that leads out of the tenant's own directory."""
    from sluicegate.kit.paths import check as check_path

    for each in documents:
        if not isinstance(each.definition, Connection):
            continue
        for field in sorted(each.definition.paths):
            value = str(getattr(each.definition, field))
            if value in ("", ".", "./"):
                continue
            try:
                check_path(value.removeprefix("./").removesuffix("/") or "/")
            except SluiceError as fault:
                fault.where = each.place((field,))
                fault.message = f"{field}: {fault.message}"
                fault.hint = "On a server it must lie beneath the tenant's own directory: write a relative path."
                raise

"""The reference pages and parts of pages, each made from the code it tells of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tools import prose
from tools.schema import anchor, code, fields, flat, table, tidy

if TYPE_CHECKING:
    import click

    from sluicegate.guard.operation import Operation


def roles_of(operation: Operation) -> str:
    """Return who may call an operation, in words."""
    from sluicegate.base.permission import Public
    from sluicegate.guard.policy import GRANTS

    if isinstance(operation.permission, Public):
        return "everybody"
    return ", ".join(role.value for role, granted in GRANTS.items() if operation.permission in granted)


def recorded(operation: Operation) -> str:
    """Return which calls of an operation leave a record, in words."""
    from sluicegate.base.permission import Public

    if isinstance(operation.permission, Public):
        return "-" if operation.http.method == "GET" else "by itself"
    return "each call" if operation.audited else "denials"


def operations() -> str:
    """Return the page of all operations."""
    from sluicegate.base.permission import Public
    from sluicegate.operations import OPERATIONS
    from sluicegate.web.openapi import PREFIX

    text = prose.OPERATIONS_INTRO
    text += table(
        ("operation", "HTTP", "permission", "audited", "what it does"),
        [
            (
                f"[`{each.name}`](#{anchor(each.name)})",
                code(f"{each.http.method} {PREFIX}{each.http.path}"),
                "public" if isinstance(each.permission, Public) else code(each.permission.value),
                recorded(each),
                tidy(each.summary),
            )
            for each in OPERATIONS
        ],
    )
    for each in OPERATIONS:
        text += _operation(each, PREFIX)
    return text


def _operation(each: Operation, prefix: str) -> str:
    from sluicegate.base.permission import Public

    facts = [f"`{each.http.method} {prefix}{each.http.path}`", f"answers {each.http.status}"]
    facts.append(f"for {roles_of(each)}")
    if isinstance(each.permission, Public):
        facts.append(f"public because {each.permission.reason}")
    if each.tenant and not isinstance(each.permission, Public):
        facts.append("works inside a tenant")
    early = sorted(each.tokens - {"signed in"})
    if early:
        facts.append(f"may be called while one owes: {', '.join(early)}")
    if each.fresh:
        facts.append("needs a proof of who you are that is less than 5 minutes old")
    text = f"## {each.name}\n\n{each.summary} {'; '.join(facts)}.\n\n"
    takes, gives = each.takes.model_json_schema(), each.gives.model_json_schema()
    if takes.get("properties"):
        text += "Takes:\n\n" + fields(takes)
    rows = list(flat(gives, gives.get("$defs", {})))
    return text + ("Gives:\n\n" + table(("field", "type", "meaning"), rows) if rows else "Gives nothing.\n\n")


def settings() -> str:
    """Return the page of all settings."""
    from sluicegate.base import settings as settings_

    rows = []
    for name, default, meaning in settings_.describe():
        variable = "a table, in the file only" if name == "egress" else code("SLUICE_" + name.upper().replace(".", "_"))
        shown = default.lower() if default in ("True", "False") else default.strip("()").replace("'", "")
        rows.append((code(name), variable, code(shown) if shown not in ("", "None") else "-", tidy(meaning)))
    return (
        prose.SETTINGS_INTRO
        + table(("setting", "variable", "default", "meaning"), rows)
        + prose.EGRESS
        + fields(settings_.Grant.model_json_schema())
    )


def plugins(shape: Any, title: str, intro: str) -> str:
    """Return the page of one shape of plugin."""
    from sluicegate.kit import registry

    text = f"# {title}\n\n{intro}\n\n"
    for type_ in registry.types(shape):
        plugin: Any = registry.find(shape, type_)
        schema = plugin.model_json_schema(by_alias=True)
        defs = schema.get("$defs", {})
        text += f"## {type_}\n\n{tidy(plugin.__doc__ or '')}\n\n"
        if getattr(plugin, "suffixes", ()):
            text += "File names: " + ", ".join(code(each) for each in plugin.suffixes) + ".\n\n"
        text += fields(schema, skip=("kind",))
        for field in sorted(getattr(plugin, "destination", ())):
            text += "" if field != min(plugin.destination) else _destination(plugin.destination)
        for name, inner in defs.items():
            if name not in ("Format", "Step") and inner.get("properties"):
                text += f"**{name}.** {tidy(inner.get('description', ''))}\n\n{fields(inner)}"
    return text


def _destination(names: frozenset[str]) -> str:
    listed = ", ".join(code(each) for each in sorted(names))
    return f"Changing {listed} makes it lead elsewhere, which clears the secrets it names.\n\n"


def connections() -> str:
    """Return the page of connectors."""
    return plugins("connection", "Connections", prose.CONNECTIONS_INTRO)


def formats() -> str:
    """Return the page of formats and types."""
    return plugins("format", "Formats", prose.FORMATS_INTRO) + prose.TYPES


def functions() -> list[str]:
    """Return the scalar functions of DuckDB that the allowlist lets pass, found by asking it for each."""
    import duckdb

    from sluicegate.base.errors import Invalid
    from sluicegate.kit import expression

    names = duckdb.sql(
        "select distinct function_name from duckdb_functions() where function_type in ('scalar', 'macro') "
        "and regexp_full_match(function_name, '[a-z][a-z0-9_]*') order by 1"
    ).fetchall()

    def passes(name: str) -> bool:
        for given in ("", "a", "a, b", "a, b, c", "'day', b", "'day', b, c"):
            try:
                expression.parse(f"{name}({given})")
            except Invalid:
                continue
            return True
        return False

    return [name for (name,) in names if passes(name)]


def steps() -> str:
    """Return the page of steps and expressions."""
    from sluicegate.kit import document
    from sluicegate.kit.flow import Flow

    flow = Flow.model_json_schema(by_alias=True)
    return (
        plugins("step", "Steps", prose.STEPS_INTRO)
        + prose.EXPRESSIONS
        + " ".join(code(each) for each in functions())
        + "\n\n## Flow\n\nThe document around the steps.\n\n"
        + fields(flow)
        + "**Param.** One value that a run may be told.\n\n"
        + fields(flow["$defs"]["Param"])
        + "## Recipient\n\nSomeone whom archives can be sealed for.\n\n"
        + fields(document.Recipient.model_json_schema())
    )


def errors() -> str:
    """Return the page of error codes and exit codes."""
    from sluicegate.base.errors import CODES
    from sluicegate.cli.runs import _EXITS

    return (
        prose.ERRORS_INTRO
        + table(
            ("code", "HTTP status", "exit code", "meaning"),
            [
                (code(name), str(kind.status), str(kind.exit), tidy((kind.__doc__ or "").split("\n\n")[0]))
                for name, kind in CODES.items()
            ],
        )
        + "## Exit codes\n\n"
        + table(
            ("exit code", "meaning"),
            [
                ("0", "green"),
                ("1", "failed"),
                ("2", "the command, the document or a setting is wrong; nothing was done"),
                ("3", "finished, with rejected rows that the flow allows"),
                ("4", "not signed in, or not allowed"),
                ("130", "cancelled"),
            ],
        )
        + prose.STATES
        + table(("state", "exit code"), [(code(state), str(exit_)) for state, exit_ in _EXITS.items()])
    )


def cli() -> str:
    """Return the page of all commands."""
    from sluicegate.cli.commands import _HELP, root

    text, group = prose.CLI_INTRO, root()
    text += table(
        ("command", "what it does"),
        [(f"[`sluice {name}`](#{anchor('sluice ' + name)})", tidy(_HELP[name])) for name in sorted(_HELP)],
    )
    for name in sorted(_HELP):
        text += _command(f"sluice {name}", _found(group, name), _HELP[name])
    return text


def _found(group: click.Group, name: str) -> click.Command:
    import click

    found = group.get_command(click.Context(group), name)
    if found is None:
        raise LookupError(name)
    return found


def _command(path: str, command: click.Command, says: str = "", level: int = 2) -> str:
    import click

    text = f"{'#' * level} {path}\n\n{tidy(command.help or says)}\n\n"
    inner = ""
    if isinstance(command, click.Group):
        names = sorted(command.list_commands(click.Context(command)))
        inner = "".join(_command(f"{path} {name}", _found(command, name), level=3) for name in names)
        if not command.invoke_without_command:
            return text + inner
    arguments = [each for each in command.params if isinstance(each, click.Argument)]
    options = [each for each in command.params if isinstance(each, click.Option)]
    words = [f"[{each.human_readable_name}]" if not each.required else each.human_readable_name for each in arguments]
    words = [f"{word}…" if each.nargs == -1 else word for word, each in zip(words, arguments, strict=True)]
    text += "```text\n" + " ".join([path, *(["[OPTIONS]"] if options else []), *words]) + "\n```\n\n"
    return text + table(("option", "meaning"), [_option(each) for each in options]) + inner


def _option(option: click.Option) -> tuple[str, str]:
    import click

    names = ", ".join(code(each) for each in option.opts)
    if isinstance(option.type, click.Choice):
        names += " " + " ".join(code(str(each)) for each in option.type.choices)
    notes = tidy(option.help or "")
    plain = isinstance(option.default, int) and not isinstance(option.default, bool)
    extra = [*(["required"] if option.required else []), *([f"default {option.default}"] if plain else [])]
    extra += ["several allowed"] if option.multiple and "several" not in notes else []
    return names, notes + (f" ({', '.join(extra)})" if extra else "")


def roles() -> str:
    """Return the table of permissions and roles."""
    from sluicegate.base.permission import Permission
    from sluicegate.guard.policy import GRANTS

    rows = [(code(each.value), *("yes" if each in GRANTS[role] else "-" for role in GRANTS)) for each in Permission]
    return table(("permission", *(role.value for role in GRANTS)), rows)


def public() -> str:
    """Return the table of operations that need no token."""
    from sluicegate.base.permission import Public
    from sluicegate.operations import OPERATIONS

    rows = [(code(each.name), each.permission.reason) for each in OPERATIONS if isinstance(each.permission, Public)]
    return table(("operation", "why it needs no token"), rows)

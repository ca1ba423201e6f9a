"""The reference pages, written from the code: ``python tools/docs.py`` writes them, ``--check`` is red when one is stale.

Sources: the operations table, ``settings.describe()``, the plugins' models, ``errors.CODES``, the tree of commands and
``policy.GRANTS``. In a page that people write, only what stands between two marks is replaced.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

if TYPE_CHECKING:
    import click

    from sluicegate.guard.operation import Operation

DOCS = ROOT / "docs"
FEW = 3  # kinds of a union that are told apart; more are "a value"
NOTE = "<!-- Written by tools/docs.py from the code. Do not edit: change the code, then run `python tools/docs.py`. -->\n\n"
NAME, ID = "^[a-z0-9]([a-z0-9_-]{0,62}[a-z0-9])?$", "^[0-9a-f]{8}-"
BEGIN, END = "<!-- begin {name}: written by tools/docs.py -->", "<!-- end {name} -->"


def tidy(text: str) -> str:
    """Return help text as one line of Markdown that a table can hold."""
    return " ".join(text.split()).replace("``", "`").replace("|", "\\|")


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; nothing at all when there are no rows."""
    if not rows:
        return ""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n\n"


def code(text: object) -> str:
    """Return ``text`` as code."""
    return f"`{text}`"


# -- JSON Schema to words ----------------------------------------------------------------------------------------------


def type_of(schema: dict[str, Any]) -> str:  # noqa: C901, PLR0911 - one line for each shape of a schema
    """Return the type in a JSON Schema in words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    for key in ("anyOf", "oneOf"):
        if key in schema:
            parts = list(dict.fromkeys(type_of(each) for each in schema[key] if each.get("type") != "null"))
            return " or ".join(parts) if len(parts) <= FEW else "value"
    if "const" in schema:
        return code(schema["const"])
    if "enum" in schema:
        return ", ".join(code(each) for each in schema["enum"])
    kind = schema.get("type")
    if kind == "array":
        inner = schema.get("items")
        if inner is None and "prefixItems" in schema:
            return "pair of " + " or ".join(dict.fromkeys(f"{type_of(each)}s" for each in schema["prefixItems"]))
        return f"list of {type_of(inner or {})}"
    if kind == "object":
        inner = next(iter(schema.get("patternProperties", {}).values()), schema.get("additionalProperties"))
        return f"map to {type_of(inner)}" if isinstance(inner, dict) else "map"
    if kind == "string":
        pattern = str(schema.get("pattern", ""))
        if schema.get("writeOnly"):
            return "text (secret)"
        plain = {"date": "date", "date-time": "timestamp"}.get(str(schema.get("format")), "text")
        return "name" if pattern == NAME else "id" if pattern.startswith(ID) else plain
    low, high = schema.get("minimum"), schema.get("maximum")
    span = f", {low} to {high}" if low is not None and high is not None else f", from {low}" if low is not None else ""
    words = {"integer": "whole number", "number": "number", "boolean": "yes or no"}
    return words.get(str(kind), "anything") + span


def default_of(name: str, schema: dict[str, Any], required: Sequence[str]) -> str:
    """Return what a field is when it is left out."""
    if name in required:
        return "required"
    value = schema.get("default")
    if value in (None, "", [], {}):
        return "–"
    return code(str(value).lower() if isinstance(value, bool) else value)


def fields(schema: dict[str, Any], skip: Sequence[str] = ()) -> str:
    """Return the table of a schema's fields."""
    required = schema.get("required", ())
    return table(
        ("field", "type", "default", "meaning"),
        [
            (code(name), type_of(each), default_of(name, each, required), tidy(each.get("description", "")))
            for name, each in schema.get("properties", {}).items()
            if name not in skip
        ],
    )


def flat(schema: dict[str, Any], defs: dict[str, Any], above: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield ``(path, type, meaning)`` of an answer's fields, nested ones too."""
    for name, each in schema.get("properties", {}).items():
        path = f"{above}{name}"
        parts = [part for part in each.get("anyOf", [each]) if part.get("type") != "null"]
        inner = parts[0].get("items", parts[0])
        listed = "[]" if "items" in parts[0] else ""
        if "$ref" in inner:
            yield from flat(defs[type_of(inner)], defs, f"{path}{listed}.")
        else:
            yield code(path), type_of(each), tidy(each.get("description", ""))


# -- pages -------------------------------------------------------------------------------------------------------------


def roles_of(operation: Operation) -> str:
    """Return who may call an operation, in words."""
    from sluicegate.base.permission import Public
    from sluicegate.guard.policy import GRANTS

    if isinstance(operation.permission, Public):
        return "everybody"
    return ", ".join(role.value for role, granted in GRANTS.items() if operation.permission in granted)


def operations() -> str:
    """Return the page of all operations."""
    from sluicegate.base.permission import Public
    from sluicegate.operations import OPERATIONS
    from sluicegate.web.openapi import PREFIX

    text = (
        "# Operations\n\nAn operation is the unit of the product. The HTTP API, the command line and the UI are made from "
        "this table;\nthere is no other way in. The same table as OpenAPI 3.1: `GET /api/v1/openapi.json`.\n\n"
        "Every call but the public ones carries `Authorization: Bearer ACCESS-TOKEN`. Fields that the path names come from "
        "the path;\nthose of `GET` and `DELETE` from the query string; all others from a JSON body. Errors are problem "
        "documents: see\n[errors](errors.md).\n\n"
    )
    text += table(
        ("operation", "HTTP", "permission", "audited", "what it does"),
        [
            (
                f"[`{each.name}`](#{anchor(each.name)})",
                code(f"{each.http.method} {PREFIX}{each.http.path}"),
                "public" if isinstance(each.permission, Public) else code(each.permission.value),
                "each call" if each.audited else "denials",
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
    if each.pending:
        facts.append("may be called before a first password is chosen")
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
        rows.append((code(name), variable, code(shown) if shown not in ("", "None") else "–", tidy(meaning)))
    grant = settings_.Grant.model_json_schema()
    return (
        "# Settings\n\nSettings stand in `SLUICE_HOME/sluice.toml`; variables win over the file. An unknown setting stops "
        "the start.\n`sluice settings` shows what is in force. `SLUICE_HOME` itself is `~/.sluicegate` unless it is set.\n\n"
        + table(("setting", "variable", "default", "meaning"), rows)
        + "## egress\n\nOn a server, connections may not reach private, loopback or metadata addresses until you open them, "
        'one by one:\n\n```toml\n[[egress]]\nhost = "10.20.0.0/16"\nports = [5432]\n```\n\n' + fields(grant)
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
    return plugins(
        "connection",
        "Connections",
        "A connection says how to reach one outside system. It holds the *names* of secrets, never secrets.\n"
        "`sluice schema connection TYPE` prints the JSON Schema.",
    )


def formats() -> str:
    """Return the page of formats and types."""
    return plugins(
        "format",
        "Formats",
        "A format says how rows are written down as bytes. Without `format`, the file's name tells. A bare word stands for a\n"
        "format without options: `format: parquet`. `sluice schema format TYPE` prints the JSON Schema.",
    ) + (
        "## Types\n\nThe same words stand in flows, errors and answers:\n\n"
        "`bool` `int8` `int16` `int32` `int64` `uint8` `uint16` `uint32` `uint64` `float32` `float64` `decimal(p,s)` `text`\n"
        "`bytes` `date` `time` `timestamp` `timestamptz` `interval` `uuid` `json` `list(T)` `struct(name T, …)`\n\n"
        "What cannot be carried exactly is an error that names column and value, never a silent change.\n"
    )


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
        for count in range(4):
            try:
                expression.parse(f"{name}({', '.join('abc'[:count])})")
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
    text = plugins(
        "step",
        "Steps",
        "A flow is a list of steps; a step is a map with one key, its type. `sluice schema step TYPE` prints the JSON Schema.",
    )
    text += (
        "## Expressions\n\n`where` and the values of `columns` are SQL expressions in DuckDB's dialect. They see the input's "
        "columns; `:name` is a\nparameter of the flow, bound as a value and never pasted into the text. An expression is "
        "checked against an allowlist before\nit is saved, and it runs in the [jail](../security/model.md#the-jail). Queries, "
        "aggregates, windows, `*`, and functions that\nread files, settings or the network are refused.\n\n"
        "Operators: `+ - * / % ||`, `= <> < <= > >=`, `and or not`, `is null`, `in`, `between`, `like`, `case`, "
        "`cast(x as T)`, `x::T`,\n`try_cast`.\n\nFunctions:\n\n" + " ".join(code(each) for each in functions()) + "\n\n"
        "## Flow\n\nThe document around the steps.\n\n" + fields(flow) + "**Param.** One value that a run may be told.\n\n"
        + fields(flow["$defs"]["Param"])
        + "## Recipient\n\nSomeone whom archives can be sealed for.\n\n" + fields(document.Recipient.model_json_schema())
    )  # fmt: skip
    return text


def errors() -> str:
    """Return the page of error codes and exit codes."""
    from sluicegate.base.errors import CODES
    from sluicegate.cli.runs import _EXITS

    return (
        "# Errors\n\nAn error says what, where, and what to do. Over HTTP it is a problem document (RFC 9457):\n\n"
        '```json\n{"type": "urn:sluicegate:invalid", "code": "invalid", "status": 422, "title": "type: is required",\n'
        ' "where": "line 1, connection shop", "hint": "There are: files, postgres, sqlite."}\n```\n\n'
        '`code` is stable; the words are not. With `--json` the command line prints `{"error": …}` with the same fields.\n'
        "No error holds a secret or the value that was rejected.\n\n## Codes\n\n"
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
        + "## States of a run\n\n`sluice run --wait` and `sluice run --local` end with the state's exit code. A run is "
        "`queued` or `running` before that.\n\n"
        + table(("state", "exit code"), [(code(state), str(exit_)) for state, exit_ in _EXITS.items()])
    )


def cli() -> str:
    """Return the page of all commands."""
    from sluicegate.cli.commands import _HELP, root

    text = (
        "# Commands\n\n`sluice COMMAND --help` says the same. `SLUICE_HOME` names the home directory (`~/.sluicegate`); your "
        "sign-in is kept there,\nreadable by you alone. Every command that answers takes `--json`. `--debug`, anywhere, shows "
        "the whole trace of an error.\nExit codes: [errors](errors.md#exit-codes).\n\n"
    )
    group = root()
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
    if isinstance(command, click.Group):
        return text + "".join(
            _command(f"{path} {name}", _found(command, name), level=3) for name in sorted(command.commands)
        )
    arguments = [each for each in command.params if isinstance(each, click.Argument)]
    options = [each for each in command.params if isinstance(each, click.Option)]
    words = [f"[{each.human_readable_name}]" if not each.required else each.human_readable_name for each in arguments]
    words = [f"{word}…" if each.nargs == -1 else word for word, each in zip(words, arguments, strict=True)]
    text += "```text\n" + " ".join([path, *(["[OPTIONS]"] if options else []), *words]) + "\n```\n\n"
    return text + table(("option", "meaning"), [_option(each) for each in options])


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

    rows = [(code(each.value), *("yes" if each in GRANTS[role] else "–" for role in GRANTS)) for each in Permission]
    return table(("permission", *(role.value for role in GRANTS)), rows)


def public() -> str:
    """Return the table of operations that need no token."""
    from sluicegate.base.permission import Public
    from sluicegate.operations import OPERATIONS

    rows = [(code(each.name), each.permission.reason) for each in OPERATIONS if isinstance(each.permission, Public)]
    return table(("operation", "why it needs no token"), rows)


PAGES = {
    "reference/cli.md": cli,
    "reference/settings.md": settings,
    "reference/operations.md": operations,
    "reference/connections.md": connections,
    "reference/formats.md": formats,
    "reference/steps.md": steps,
    "reference/errors.md": errors,
}
"""Pages that are written whole."""

PARTS = {"security/model.md": {"roles": roles, "public": public}}
"""Pages that people write, and the parts of them that are not theirs."""


def anchor(heading: str) -> str:
    """Return the link target that Markdown viewers give to a heading."""
    kept = (letter for letter in heading.lower().replace(" ", "-") if letter.isalnum() or letter in "-_")
    return "".join(kept)


def filled(text: str, name: str, part: str) -> str:
    """Return ``text`` with the part called ``name`` replaced. Raises ``ValueError`` when its marks are not there."""
    begin, end = BEGIN.format(name=name), END.format(name=name)
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"there is no part {name!r}")
    return f"{before}{begin}\n\n{part.strip()}\n\n{end}{after}"


def pages() -> dict[Path, str]:
    """Return every page as it should be, by its path."""
    found = {DOCS / name: NOTE + make().rstrip() + "\n" for name, make in PAGES.items()}
    for name, parts in PARTS.items():
        path = DOCS / name
        text = path.read_text(encoding="utf-8")
        for part, make in parts.items():
            text = filled(text, part, make())
        found[path] = text
    return found


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or with ``--check`` tell which are stale."""
    if list(arguments) not in ([], ["--check"]):
        print("usage: python tools/docs.py [--check]", file=sys.stderr)
        return 2
    made = pages()
    stale = [
        path for path, text in made.items() if not path.exists() or path.read_text(encoding="utf-8") != text
    ]  # fmt: skip
    for path in stale:
        print(f"{path.relative_to(ROOT)} is stale" if arguments else f"wrote {path.relative_to(ROOT)}")
        if not arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(made[path], encoding="utf-8")
    if stale and arguments:
        print("Run: python tools/docs.py")
    return bool(stale and arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What people write into the pages that ``tools/docs.py`` makes."""

OPERATIONS_INTRO = """\
# Operations

An operation is the unit of the product. The HTTP API, the command line and the UI are made from this table; there is no
other way in. The same table as OpenAPI 3.1: `GET /api/v1/openapi.json`.

Every call but the public ones carries `Authorization: Bearer ACCESS-TOKEN`. Fields that the path names come from the
path; those of `GET` and `DELETE` from the query string; all others from a JSON body. Errors are problem documents: see
[errors](errors.md).

*Audited* says which calls leave a record: each one, denials, or what the operation writes by itself (sign-ins, good and bad;
a refresh token that is used again).

"""
SETTINGS_INTRO = """\
# Settings

Settings stand in `SLUICE_HOME/sluice.toml`; variables win over the file. An unknown setting stops the start.
`sluice settings` shows what is in force. `SLUICE_HOME` itself is `~/.sluicegate` unless it is set.

"""
EGRESS = """\
## egress

On a server, connections may not reach private, loopback or metadata addresses until you open them, one by one:

```toml
[[egress]]
host = "10.20.0.0/16"
ports = [5432]
```

"""
CONNECTIONS_INTRO = """\
A connection says how to reach one outside system. It holds the *names* of secrets, never secrets.
`sluice schema connection TYPE` prints the JSON Schema."""
FORMATS_INTRO = """\
A format says how rows are written down as bytes. Without `format`, the file's name tells. A bare word stands for a
format without options: `format: parquet`. `sluice schema format TYPE` prints the JSON Schema."""
TYPES = """\
## Types

The same words stand in flows, errors and answers:

`bool` `int8` `int16` `int32` `int64` `uint8` `uint16` `uint32` `uint64` `float32` `float64` `decimal(p,s)` `text`
`bytes` `date` `time` `timestamp` `timestamptz` `interval` `uuid` `json` `list(T)` `struct(name T, …)`

What cannot be carried exactly is an error that names column and value, never a silent change.
"""
STEPS_INTRO = """\
A flow is a list of steps; a step is a map with one key, its type.
`sluice schema step TYPE` prints the JSON Schema."""
EXPRESSIONS = """\
## Expressions

`where`, the values of `columns` (`map`, `aggregate`), `set` and `fields`, and `check: expression` are SQL expressions in
DuckDB's dialect. They see the input's columns; `:name` is a parameter of the flow, bound as a value and never pasted
into the text. An expression is checked against an allowlist before it is saved, and it runs in the
[jail](../security/model.md#the-jail). Queries (but in `sql`), aggregates (but in `aggregate` and `sql`), windows, `*`, and
functions that read files, settings or the network are refused.

Operators: `+ - * / % ||`, `= <> < <= > >=`, `and or not`, `is null`, `in`, `between`, `like`, `case`, `cast(x as T)`,
`x::T`, `try_cast`.

Functions:

"""
ERRORS_INTRO = """\
# Errors

An error says what, where, and what to do. Over HTTP it is a problem document (RFC 9457):

```json
{"type": "urn:sluicegate:invalid", "code": "invalid", "status": 422, "title": "type: is required",
 "where": "line 1, connection shop", "hint": "There are: files, postgres, sqlite."}
```

`code` is stable; the words are not. With `--json` the command line prints `{"error": …}` with the same fields.
No error holds a secret, and none about a request holds the value that was refused: it could be a password. Errors about
rows name the value, so that it can be mended.

## Codes

"""
STATES = """\
## States of a run

`sluice run --wait` and `sluice run --local` end with the state's exit code. Before that a run is `queued` or `running`.

"""
CLI_INTRO = """\
# Commands

`sluice COMMAND --help` says the same. `SLUICE_HOME` names the home directory (`~/.sluicegate`); your sign-in is kept
there, readable by you alone. Every command that answers takes `--json`. `--debug`, anywhere, shows the trace of an
error. Exit codes: [errors](errors.md#exit-codes).

"""

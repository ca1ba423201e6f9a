"""What carries canary rows through an installation: every format, step and seal, and failures that quote rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

PLAIN = (
    "in.csv",
    "bad.csv",
    "keys.csv",
    "out.csv.gz",
    "out.json",
    "out.ndjson",
    "out.parquet",
    "back.ndjson",
    "shop.db",
    "lake.duckdb",
)
"""Files of the tenant's own in which rows lie in clear because a flow says so, or because a person put them there."""
ROWS = 400

DOCUMENTS = """
kind: connection
name: here
type: files
---
kind: connection
name: shop
type: sqlite
path: shop.db
---
kind: connection
name: lake
type: duckdb
path: lake.duckdb
---
kind: connection
name: sea
type: mysql
host: 127.0.0.1
port: 1
database: none
user: nobody
password: { secret: mysql-password }
---
kind: connection
name: far
type: postgres
host: 127.0.0.1
port: 1
database: none
user: nobody
password: { secret: database }
---
kind: connection
name: web
type: http
host: 127.0.0.1
port: 1
auth: basic
user: nobody
password: { secret: http-password }
limits: { tries: 1 }
---
kind: connection
name: web-bearer
type: http
host: 127.0.0.1
port: 1
auth: bearer
token: { secret: http-token }
---
kind: connection
name: web-key
type: http
host: 127.0.0.1
port: 1
auth: api_key
key_in: query
key: { secret: http-key }
---
kind: connection
name: web-oauth
type: http
host: 127.0.0.1
port: 1
auth: oauth2
token_url: https://127.0.0.1:1/token
client_id: nobody
client_secret: { secret: http-client-secret }
---
kind: connection
name: drop
type: sftp
host: 127.0.0.1
port: 1
host_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJyiUGhkPjAuLmK2eV9l2vYpWPTv5lmwPVMJEC7bHyHN
user: nobody
password: { secret: sftp-password }
---
kind: connection
name: drop-key
type: sftp
host: 127.0.0.1
port: 1
host_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJyiUGhkPjAuLmK2eV9l2vYpWPTv5lmwPVMJEC7bHyHN
user: nobody
key: { secret: sftp-key }
passphrase: { secret: sftp-passphrase }
---
kind: connection
name: bao
type: openbao
url: https://127.0.0.1:1
token: { secret: bao-token }
---
kind: connection
name: approle
type: openbao
url: https://127.0.0.1:1
role_id: canary
secret_id: { secret: bao-secret-id }
---
kind: connection
name: aws
type: aws_secrets
region: eu-central-1
endpoint: https://127.0.0.1:1
access_key: CANARY
secret_key: { secret: aws-secret-key }
session_token: { secret: aws-session-token }
---
kind: recipient
name: age
type: age
recipient: AGE
---
kind: recipient
name: pgp
type: openpgp
recipient: |
PGP
---
kind: flow
name: out
steps:
  - read: { name: rows, connection: here, item: in.csv, on_reject: quarantine, format: WHOLE }
  - read: { name: keys, connection: here, item: keys.csv, format: KEYS }
  - join: { name: both, left: rows, right: keys, on: [id], how: left }
  - map: { name: more, from: both, columns: { id: id, word: "concat(word, '')", key: key, n: "n * 2" } }
  - check: { name: good, from: more, rules: [ { column: n, between: [0, 700] } ], on_fail: quarantine }
  - write: { from: good, connection: here, item: out.csv.gz }
  - write: { from: good, connection: here, item: out.json }
  - write: { from: good, connection: here, item: out.ndjson }
  - write: { from: good, connection: here, item: out.parquet }
  - write: { from: good, connection: shop, item: landed, mode: replace, allow: [replace] }
  - write: { from: good, connection: lake, item: landed, mode: replace, allow: [replace] }
  - archive: { from: good, connection: here, item: sealed.parquet.age, seal: { type: age, to: [age] } }
  - archive:
      from: good
      connection: here
      item: sealed.csv.pgp
      seal: { type: openpgp, to: [pgp], sign: { secret: pgp } }
  - archive:
      from: good
      connection: here
      item: sealed.ndjson.zip
      seal: { type: zip, passphrase: { secret: zip } }
---
kind: flow
name: back
steps:
  - read: { name: a, connection: here, item: sealed.parquet.age, seal: { type: age, identity: { secret: age } } }
  - read: { name: b, connection: here, item: sealed.csv.pgp, seal: { type: openpgp, identity: { secret: pgp } } }
  - read: { name: c, connection: here, item: sealed.ndjson.zip, seal: { type: zip, passphrase: { secret: zip } } }
  - read: { name: d, connection: shop, item: landed }
  - write: { from: a, connection: here, item: back.ndjson }
  - archive: { from: b, connection: here, item: again.csv.age, seal: { type: age, to: [age] } }
  - archive: { from: c, connection: here, item: again.ndjson.age, seal: { type: age, to: [age] } }
  - archive: { from: d, connection: here, item: again.json.age, seal: { type: age, to: [age] } }
---
kind: flow
name: masked
steps:
  - read: { name: rows, connection: here, item: keys.csv, format: KEYS }
  - map: { name: wide, from: rows, columns: { id: id, a: key, b: key, c: key, d: key, e: key } }
  - mask:
      name: masked
      from: wide
      key: mask
      rules:
        - { columns: a, method: hash }
        - { columns: b, method: tokenize }
        - { columns: c, method: encrypt }
        - { columns: d, method: { type: redact, keep_last: 4 } }
        - { columns: e, method: { type: anonymize, as: name } }
  - write: { from: masked, connection: here, item: masked.ndjson }
---
kind: flow
name: shown
steps:
  - read: { name: rows, connection: here, item: masked.ndjson }
  - mask:
      name: shown
      from: rows
      key: mask
      rules: [ { columns: b, method: detokenize }, { columns: c, method: decrypt } ]
  - archive: { from: shown, connection: here, item: shown.csv.age, seal: { type: age, to: [age] } }
---
kind: flow
name: reshaped
steps:
  - read: { name: rows, connection: here, item: in.csv, on_reject: quarantine, format: WHOLE }
  - read: { name: keys, connection: here, item: keys.csv, format: KEYS }
  - select: { name: renamed, from: rows, drop: [n], rename: { key: word } }
  - union: { name: every, from: [keys, renamed] }
  - distinct: { name: once, from: every, keys: [id], keep: last }
  - minus: { name: fewer, left: every, right: keys }
  - intersect: { name: shared, left: every, right: once }
  - lookup: { name: found, from: shared, in: once, on: [id], take: { word: key }, missing: error }
  - unpivot: { name: tall, from: found, columns: [key, word], into: which, value: text }
  - aggregate: { name: most, from: tall, by: [id, which], columns: { text: "max(text)" } }
  - pivot: { name: wide, from: most, by: [id], column: which, values: [key, word], value: text }
  - nest: { name: nested, from: wide, by: [id], into: words, fields: { key: key, word: word } }
  - flatten: { name: flat, from: nested, column: words, fields: { key: "words['key']" } }
  - sql:
      name: asked
      from: [flat, fewer]
      query: "select f.id, f.key || g.key as both from flat f join fewer g using (id)"
  - sort: { name: sorted, from: asked, by: [both] }
  - check:
      name: checked
      from: sorted
      rules: [ { column: both, unique: true }, { expression: "both <> ''" }, { row_count: { min: 1 } } ]
  - archive: { from: checked, connection: here, item: reshaped.parquet.age, seal: { type: age, to: [age] } }
---
kind: flow
name: stops-looking
steps:
  - read: { name: rows, connection: here, item: keys.csv, format: KEYS }
  - read: { name: more, connection: here, item: keys.csv, format: KEYS }
  - read: { name: same, connection: here, item: keys.csv, format: KEYS }
  - union: { name: twice, from: [more, same] }
  - lookup: { name: found, from: rows, in: twice, on: [key], take: { other: id } }
  - write: { from: found, connection: here, item: never.csv }
---
kind: flow
name: stops-masking
steps:
  - read: { name: rows, connection: here, item: keys.csv, format: KEYS }
  - mask: { name: opened, from: rows, key: mask, rules: [ { columns: key, method: detokenize } ] }
  - write: { from: opened, connection: here, item: never.csv }
---
kind: flow
name: stops-reading
steps:
  - read: { name: rows, connection: here, item: bad.csv, format: WRONG }
  - write: { from: rows, connection: here, item: never.csv }
---
kind: flow
name: stops-skipping
steps:
  - read: { name: rows, connection: here, item: bad.csv, on_reject: skip, max_rejects: 3, format: WRONG }
  - write: { from: rows, connection: here, item: never.csv }
---
kind: flow
name: stops-casting
steps:
  - read: { name: rows, connection: here, item: keys.csv, format: KEYS }
  - map: { name: cast, from: rows, columns: { id: id, key: "cast(key as integer)" } }
  - write: { from: cast, connection: here, item: never.csv }
---
kind: flow
name: stops-checking
steps:
  - read: { name: rows, connection: here, item: keys.csv, format: KEYS }
  - check: { name: good, from: rows, rules: [ { column: key, in: [none] } ] }
  - write: { from: good, connection: here, item: never.csv }
---
kind: flow
name: stops-landing
steps:
  - read: { name: rows, connection: here, item: bad.csv, format: WORDS }
  - write: { from: rows, connection: shop, item: merged, mode: { type: merge, keys: [word] } }
---
kind: flow
name: stops-connecting
steps:
  - read: { name: rows, connection: far, item: t }
  - write: { from: rows, connection: here, item: never.csv }
---
kind: flow
name: stops-asking
steps:
  - read: { name: rows, connection: web, item: t.json }
  - write: { from: rows, connection: here, item: never.csv, mode: replace }
---
kind: flow
name: stops-dropping
steps:
  - read: { name: rows, connection: drop, item: t.json }
  - write: { from: rows, connection: here, item: never.csv, mode: replace }
---
kind: flow
name: stops-signing-in
steps:
  - read: { name: rows, connection: sea, item: t }
  - write: { from: rows, connection: here, item: never.csv }
---
kind: flow
name: stops-merging
steps:
  - read: { name: rows, connection: here, item: bad.csv, format: WORDS }
  - write: { from: rows, connection: lake, item: merged, mode: { type: merge, keys: [word] } }
"""

CREDENTIALS = {
    "mysql-password": "mysql password",
    "http-password": "http password",
    "http-token": "http token",
    "http-key": "http key",
    "http-client-secret": "http client secret",
    "sftp-password": "sftp password",
    "sftp-key": "sftp private key",
    "sftp-passphrase": "sftp passphrase",
    "bao-token": "openbao token",
    "bao-secret-id": "openbao secret id",
    "aws-secret-key": "aws secret key",
    "aws-session-token": "aws session token",
}
"""Secrets that connections sign in with, beside the database password, and what each is."""
MANAGERS = ("bao", "approle", "aws")
LINKS = {f"from-{name}": f"{name}:canary#password" for name in MANAGERS}
"""Secrets that are kept at these. Nobody answers there, so none comes: it is the credentials that are carried."""
STATES = {
    "out": "finished_with_rejects",
    "back": "succeeded",
    "masked": "succeeded",
    "shown": "succeeded",
    "reshaped": "finished_with_rejects",
} | {
    f"stops-{how}": "failed"
    for how in (
        "reading",
        "skipping",
        "casting",
        "checking",
        "landing",
        "asking",
        "dropping",
        "merging",
        "looking",
        "connecting",
        "signing-in",
        "masking",
    )
}
"""How the run of each flow must end: one that ends otherwise has carried nothing to where it should."""
FLOWS = tuple(STATES)
PREVIEWS = (("out", "rows"), ("out", "more"), ("out", "good"), ("back", "a"), ("back", "c"), ("stops-casting", "cast"))


_COLUMNS = {
    "WHOLE": "id: int64, word: text, n: int64", "KEYS": "id: int64, key: text", "WRONG": "id: int64, word: int64",
    "WORDS": "id: int64, word: text",
}  # fmt: skip


def documents(recipient: str, certificate: str) -> str:
    """Return all documents, sealing for these."""
    told = "\n".join(f"  {line}" for line in certificate.strip().splitlines())
    made = DOCUMENTS.replace("recipient: AGE", f"recipient: {recipient}").replace("\nPGP\n", f"\n{told}\n")
    for name, columns in _COLUMNS.items():
        made = made.replace(f"format: {name}", f"format: {{ type: csv, columns: {{ {columns} }} }}")
    return made


def inputs(word: str) -> dict[str, str]:
    """Return the files that flows read, by name; ``word`` is in every row."""
    rows = [(number, f"{word} {number}", number) for number in range(ROWS)]
    return {
        "in.csv": _csv(("id", "word", "n"), [*rows, (ROWS, word, word)]),
        "keys.csv": _csv(("id", "key"), [(number, f"{word} {number}") for number in range(0, ROWS, 7)]),
        "bad.csv": _csv(("id", "word"), [(number, word) for number in range(20)]),
    }


def _csv(header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()

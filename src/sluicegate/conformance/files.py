"""The conformance suite for connections that give and take files."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from sluicegate.base.errors import Denied, Failed, Invalid, SluiceError
from sluicegate.conformance.connection import ConnectionSuite
from sluicegate.kit.connection import ReadsFiles, WritesFiles
from sluicegate.kit.rows import Marker

if TYPE_CHECKING:
    from sluicegate.conformance.connection import Given

OUTSIDE = (
    "../out.txt", "a/../../out.txt", "/etc/passwd", "..\\out.txt", "%2e%2e/out.txt", "a\0b", "", ".", "..", "a//b",
    "C:/x",    "\uff0e\uff0e/out.txt", "/proc/self/environ",
)  # fmt: skip
"""Names that lead out, or would on some system (SEC-F06)."""


class FilesSuite(ConnectionSuite):
    """Holds for every connection that reads and writes files."""

    abilities: ClassVar[set[type]] = {ReadsFiles, WritesFiles}

    @staticmethod
    def put(session: Any, name: str, data: bytes, run: str = "r") -> Any:
        """Write one file."""
        stage = session.put(name, Marker(run, "w"))
        stage.out.write(data)
        return stage.commit(rows=1)

    def test_what_was_put_comes_back(self, given: Given) -> None:
        data = bytes(range(256)) * 10_000
        with given.open() as session:
            receipt = self.put(session, "in/some/folder.bin", data)
            with session.fetch("in/some/folder.bin") as file:
                assert file.read() == data
            assert session.size("in/some/folder.bin") == len(data)
            assert "in/some/folder.bin" in [entry.name for entry in session.items()]
        assert (receipt.rows, receipt.bytes, receipt.sha256) == (1, len(data), hashlib.sha256(data).hexdigest())

    def test_empty_file(self, given: Given) -> None:
        with given.open() as session:
            assert self.put(session, "empty", b"").bytes == 0
            with session.fetch("empty") as file:
                assert file.read() == b""

    @pytest.mark.parametrize("name", ["a b", "ünï.csv", "x;--", "$(id)", "`id`", "it's", "%s", "-rf", "a,b"])
    def test_odd_names(self, given: Given, name: str) -> None:
        with given.open() as session:
            self.put(session, name, b"1")
            with session.fetch(name) as file:
                assert file.read() == b"1"

    def test_nothing_appears_before_commit(self, given: Given) -> None:
        with given.open() as session:
            stage = session.put("late", Marker("r", "w"))
            stage.out.write(b"1")
            assert [entry.name for entry in session.items()] == []
            stage.commit(rows=1)
            assert [entry.name for entry in session.items()] == ["late"]

    def test_abort_keeps_what_was_there(self, given: Given) -> None:
        with given.open() as session:
            self.put(session, "kept", b"old")
            stage = session.put("kept", Marker("r2", "w"))
            stage.out.write(b"new")
            stage.abort()
            with session.fetch("kept") as file:
                assert file.read() == b"old"
            assert [entry.name for entry in session.items()] == ["kept"]

    def test_closing_without_commit_keeps_what_was_there(self, given: Given) -> None:
        with given.open() as session:
            self.put(session, "kept", b"old")
            session.put("kept", Marker("r2", "w")).out.write(b"new")
        with given.open() as session:
            with session.fetch("kept") as file:
                assert file.read() == b"old"
            assert [entry.name for entry in session.items()] == ["kept"]

    def test_repeated_load_leaves_one_file(self, given: Given) -> None:
        with given.open() as session:
            first = self.put(session, "twice", b"same")
            again = self.put(session, "twice", b"same")
            assert first == again
            assert [entry.name for entry in session.items()] == ["twice"]

    def test_missing_file_is_named(self, given: Given) -> None:
        with given.open() as session, pytest.raises(Failed, match=r"gone\.csv"):
            session.fetch("gone.csv")

    @pytest.mark.security
    @pytest.mark.req("SEC-F06")
    @pytest.mark.parametrize("name", OUTSIDE)
    def test_no_name_leads_out(self, given: Given, name: str) -> None:
        with given.open() as session:
            for use in (session.fetch, session.size, lambda path: session.put(path, Marker("r", "w"))):
                with pytest.raises((Denied, Invalid)):
                    use(name)
            with pytest.raises(SluiceError):
                list(session.items(name or ".."))

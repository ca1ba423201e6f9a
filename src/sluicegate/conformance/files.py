"""The conformance suites for connections that give files, and for those that take them, too."""

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


class GivingFilesSuite(ConnectionSuite):
    """Holds for every connection that reads files. A subclass says how one comes to lie there."""

    abilities: ClassVar[set[type]] = {ReadsFiles}

    def lay(self, given: Given, name: str, data: bytes) -> None:
        """Have a file lie there before it is read."""
        raise NotImplementedError

    @pytest.mark.parametrize("size", [0, 1, 2_560_000])
    def test_what_lies_there_is_read(self, given: Given, size: int) -> None:
        data = (bytes(range(256)) * 10_000)[:size]
        self.lay(given, "in/some/folder.bin", data)
        with given.open() as session, session.fetch("in/some/folder.bin") as file:
            assert session.size("in/some/folder.bin") in (len(data), None)
            assert file.read(1) == data[:1]
            assert file.read(70_000) == data[1:70_001]
            assert file.read() == data[70_001:]
            assert file.read(1) == b""

    @pytest.mark.parametrize("name", ["a b", "ünï.csv", "x;--", "$(id)", "`id`", "it's", "%s", "-rf", "a,b"])
    def test_odd_names_are_read(self, given: Given, name: str) -> None:
        self.lay(given, name, b"1")
        with given.open() as session, session.fetch(name) as file:
            assert file.read() == b"1"

    def test_missing_file_is_named(self, given: Given) -> None:
        with given.open() as session, pytest.raises(Failed, match=r"gone\.csv"):
            session.fetch("gone.csv")

    @pytest.mark.security
    @pytest.mark.req("SEC-F06")
    @pytest.mark.parametrize("name", OUTSIDE)
    def test_no_name_leads_out(self, given: Given, name: str) -> None:
        with given.open() as session:
            for use in (session.fetch, session.size):
                with pytest.raises((Denied, Invalid)):
                    use(name)


class FilesSuite(GivingFilesSuite):
    """Holds for every connection that reads and writes files."""

    abilities: ClassVar[set[type]] = {WritesFiles}

    def lay(self, given: Given, name: str, data: bytes) -> None:
        """Write it, as a run would."""
        with given.open() as session:
            self.put(session, name, data)

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

    @pytest.mark.security
    @pytest.mark.req("SEC-F06")
    @pytest.mark.parametrize("name", OUTSIDE)
    def test_nothing_is_put_or_listed_outside(self, given: Given, name: str) -> None:
        with given.open() as session:
            with pytest.raises((Denied, Invalid)):
                session.put(name, Marker("r", "w"))
            with pytest.raises(SluiceError):
                list(session.items(name or ".."))

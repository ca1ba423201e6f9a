"""The suite sees a connection that lets names lead out, or shows half a file."""

from __future__ import annotations

import io
from contextlib import contextmanager

import pytest

from sluicegate.conformance.connection import Given
from sluicegate.conformance.files import OUTSIDE, FilesSuite
from sluicegate.connectors.files import Files
from sluicegate.kit.connection import Entry
from sluicegate.kit.context import Context
from sluicegate.kit.net import Egress, Net
from sluicegate.kit.paths import Root
from sluicegate.kit.rows import Receipt


class Open(Files):
    """Writes at once, wherever the name leads."""

    @contextmanager
    def open(self, ctx):
        yield OpenSession(ctx.files._real)


class OpenSession:
    def __init__(self, folder):
        from pathlib import Path

        self.folder = Path(folder)

    def test(self):
        return "ok"

    def items(self, under=""):
        return iter([Entry(path.name, "file") for path in self.folder.iterdir()])

    def fetch(self, path):
        return io.BytesIO((self.folder / path).read_bytes())

    def size(self, path):
        return (self.folder / path).stat().st_size

    def put(self, path, marker):
        return OpenStage(self.folder / path)


class OpenStage:
    done = None

    def __init__(self, path):
        self.path, self.out = path, self
        path.write_bytes(b"")

    def write(self, data):
        self.path.write_bytes(data)

    def commit(self, rows):
        return Receipt(rows=rows)

    def abort(self):
        pass


@pytest.fixture
def given(tmp_path):
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    (tmp_path / "a" / "out.txt").write_text("theirs")
    with Root(folder) as root:
        yield Given(Open(name="x"), Context(net=Net(Egress()), files=root))


@pytest.mark.security
@pytest.mark.parametrize("name", [name for name in OUTSIDE if "\0" not in name and ".." in name and "/" in name][:2])
def test_suite_sees_a_way_out(given, name):
    with pytest.raises((AssertionError, OSError, pytest.fail.Exception)):
        FilesSuite().test_no_name_leads_out(given, name)


def test_suite_sees_half_a_file(given):
    with pytest.raises(AssertionError):
        FilesSuite().test_nothing_appears_before_commit(given)
    with pytest.raises(AssertionError):
        FilesSuite().test_abort_keeps_what_was_there(given)
    with pytest.raises((AssertionError, OSError)):
        FilesSuite().test_what_was_put_comes_back(given)

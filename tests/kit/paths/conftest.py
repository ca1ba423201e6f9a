"""A root, what lies outside it, and both ways of opening."""

from __future__ import annotations

import errno

import pytest

from sluicegate.kit.paths import Root, beneath
from tests.fixtures.files import verbs


@pytest.fixture(params=["openat2", "walk"])
def way(request, monkeypatch):
    """Both ways of opening: the system call and, as on a kernel without it, the walk."""
    if request.param == "walk":

        def refuse(top, path, flags, resolve=0):
            raise OSError(errno.ENOSYS, "openat2")

        monkeypatch.setattr(beneath, "_openat2", refuse)
    return request.param


@pytest.fixture
def outside(tmp_path):
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_bytes(b"canary")
    return folder


@pytest.fixture
def root(way, outside, tmp_path):
    with Root(tmp_path / "root", create=True) as held:
        yield held


@pytest.fixture
def inside(root, tmp_path):
    return tmp_path / "root"


@pytest.fixture(params=["open", "create", "stat", "exists", "delete", "resolve", "sub", "entries"])
def verb(request, root):
    return verbs(root)[request.param]

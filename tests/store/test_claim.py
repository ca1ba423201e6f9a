from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys

import pytest

from sluicegate.base.errors import Conflict
from sluicegate.store.claim import FILE, claim


@pytest.mark.security
def test_a_home_is_held_once_and_the_holder_is_named(tmp_path):
    with claim(tmp_path):
        assert (tmp_path / FILE).read_text() == f"{os.getpid()}\n"
        assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
        with (
            pytest.raises(Conflict, match=rf"another sluice serve uses this home \(pid {os.getpid()}\)") as told,
            claim(tmp_path),
        ):
            pass
        assert told.value.where == str(tmp_path)
        assert told.value.exit == 1
    with claim(tmp_path):
        pass


@pytest.mark.security
def test_a_child_does_not_inherit_the_hold_and_a_killed_holder_lets_go(tmp_path):
    code = (
        "import pathlib, subprocess, sys, time\nfrom sluicegate.store.claim import claim\n"
        "with claim(pathlib.Path(sys.argv[1])):\n"
        "    child = subprocess.Popen(['sleep', '60'])\n    print(child.pid, flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True,
                          env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}) as holder:  # fmt: skip
        left = int(holder.stdout.readline())
        with pytest.raises(Conflict, match=f"pid {holder.pid}"), claim(tmp_path):
            pass
        holder.kill()
        holder.wait()
        try:
            with claim(tmp_path):
                pass
        finally:
            os.kill(left, signal.SIGKILL)


@pytest.mark.security
def test_a_planted_link_is_not_followed(tmp_path):
    (tmp_path / "precious").write_text("mine")
    (tmp_path / FILE).symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="symbolic links"), claim(tmp_path):
        pass
    assert (tmp_path / "precious").read_text() == "mine"

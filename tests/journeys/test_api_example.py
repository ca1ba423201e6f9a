"""The program in docs/howto/api.md, run as it stands against a real server."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.home import served, sluice

__all__ = ["served"]

pytestmark = pytest.mark.slow

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "api.md"


def test_the_program_signs_in_and_lists_flows(served, tmp_path):
    served.settle()
    (tmp_path / "f.yaml").write_text("kind: flow\nname: idle\nsteps: []\n")
    sluice(served.editor, "apply", str(tmp_path / "f.yaml"))
    program = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[1]
    environment = {
        "SLUICE_URL": served.url, "CA": str(served.ca), "PASSWORD_FILE": str(served.folder / "password.txt"),
        "PYTHONPATH": ":".join(filter(None, sys.path)),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "idle 1\n"), done.stderr

"""The demo is the main journey: gzip CSV and SQLite in, join, map, check, merge and sealed archive out, with proofs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.security
@pytest.mark.timeout(300)
def test_the_demo_is_green_and_quick():
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "flights" / "demo.py")],
        capture_output=True, text=True, check=False, timeout=280, env={**os.environ, "KEEP": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All green" in done.stdout
    assert done.stdout.count("✔") == 7
    assert re.search(r"rows rejected\s+43\b", done.stdout)
    assert int(re.search(r"peak memory\s+([\d,]+) MB", done.stdout)[1].replace(",", "")) <= 350

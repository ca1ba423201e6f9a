"""The demo is the main journey: gzip CSV and SQLite in, join, map, check, merge and sealed archive out, with proofs."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.home import sluice

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.security
@pytest.mark.timeout(300)
def test_the_demo_is_green_and_quick_and_when_kept_can_be_signed_in_to_and_ends_in_order(tmp_path):
    words = [sys.executable, str(ROOT / "examples" / "flights" / "demo.py")]
    told, said = {}, ""
    with (tmp_path / "errors").open("w+") as errors, subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=errors, text=True, env={**os.environ, "KEEP": "1"}
    ) as demo:  # fmt: skip
        for line in demo.stdout:
            said += line
            if found := re.fullmatch(r"  (address|CA|tenant|e-mail|password)  +(?:in )?(\S+)\n", line):
                told[found[1]] = found[2]
            if line.startswith("  SLUICE_HOME="):
                break
        try:
            assert "All green" in said, said
            assert said.count("✔") == 8
            assert re.search(r"rows rejected\s+43\b", said)
            assert int(re.search(r"peak memory\s+([\d,]+) MB", said)[1].replace(",", "")) <= 350
            kept = Path(told["password"])
            assert stat.S_IMODE(kept.stat().st_mode) == 0o600
            here = ("--url", told["address"], "--ca", told["CA"], "--tenant", told["tenant"], "--email", told["e-mail"])
            home = tmp_path / "home"
            assert sluice(home, "login", *here, "--password-file", str(kept))["email"] == "editor@example.org"
            shown = subprocess.run(["env", *shlex.split(line)], capture_output=True, text=True, check=True).stdout
            assert shown.count("flights-to-warehouse") == 2
        finally:
            demo.send_signal(signal.SIGTERM)
            assert demo.wait(60) == 143
        errors.seek(0)
        assert errors.read() == ""
    assert not kept.parent.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(told["address"].rpartition(":")[2])), 5)

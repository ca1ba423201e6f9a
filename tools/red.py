"""A plugin of pytest that writes down which tests are red: one name a line, as pytest takes it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

FILE = "SLUICE_TESTS_RED"
"""The variable that names the file."""
_GROUP = re.compile(r"@[\w -]+$")  # pytest-xdist adds it to the name of a test that stays with its group
_file = os.environ.pop(FILE, "")  # for this run, not for those that tests start


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Write them when the run has ended."""
    if _file:
        red = {each.nodeid for kind in ("failed", "error") for each in terminalreporter.stats.get(kind, ())}
        Path(_file).write_text("".join(_GROUP.sub("", name) + "\n" for name in sorted(red)))

"""The picture of the floors is true, and each contract sees the import that breaks it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# contract -> (file to add to, import that must be refused)
BREACHES = {
    "floors": ("kit/types.py", "import sluicegate.store"),
    "entry": ("web/server.py", "import sluicegate.__main__"),
    "connectors": ("connectors/sqlite/__init__.py", "import sluicegate.connectors.postgres"),
    "formats": ("formats/csv/__init__.py", "import sluicegate.formats.json"),
    "steps": ("steps/map.py", "import sluicegate.steps.join"),
    "plugins": ("steps/map.py", "import sluicegate.crypto.keys"),
    "forge": ("guard/login.py", "import sluicegate.crypto.forge"),
    "sockets": ("formats/csv/__init__.py", "import httpx"),
    "cryptography": ("guard/gate.py", "import hmac"),
    "processes": ("steps/map.py", "import subprocess"),
    "pickles": ("engine/plan.py", "import pickle"),
    "rows": ("guard/gate.py", "import pyarrow"),
    "web": ("web/server.py", "import sluicegate.store.database"),
    "cli": ("cli/main.py", "import sluicegate.app"),
}


def lint(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run import-linter on a tree."""
    program = (
        "import sys; sys.path.insert(0, 'src'); "
        "from importlinter.cli import lint_imports_command; lint_imports_command(prog_name='lint-imports')"
    )
    command = [sys.executable, "-c", program, "--no-logo", "--no-cache", *options]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=60)


def copy_sources(target: Path) -> Path:
    """Copy what import-linter reads."""
    ignored = shutil.ignore_patterns("__pycache__", "static")
    shutil.copytree(ROOT / "src", target / "src", ignore=ignored)
    shutil.copy(ROOT / ".importlinter", target)
    return target


@pytest.mark.security
@pytest.mark.req("SEC-C01")
def test_every_floor_imports_only_what_is_below_it():
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.security
@pytest.mark.parametrize("contract", BREACHES)
def test_a_breach_is_seen(contract, tmp_path):
    root = copy_sources(tmp_path)
    name, line = BREACHES[contract]
    path = root / "src" / "sluicegate" / name
    path.write_text(f"{path.read_text()}\n{line}\n")
    done = lint(root, "--contract", contract)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "BROKEN" in done.stdout


@pytest.mark.security
def test_a_new_floor_must_be_drawn(tmp_path):
    root = copy_sources(tmp_path)
    (root / "src" / "sluicegate" / "cellar.py").write_text('"""Not in the picture."""\n')
    done = lint(root, "--contract", "floors")
    assert done.returncode == 1
    assert "cellar" in done.stdout


def test_every_contract_has_its_breach():
    told = (ROOT / ".importlinter").read_text()
    assert {line.split(":")[-1].rstrip("]") for line in told.splitlines() if line.startswith("[importlinter:c")} == set(
        BREACHES
    )

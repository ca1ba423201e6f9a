"""The inventory of cryptography lists each call that the code makes, and none that it does not (SEC-V14)."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "sluicegate"
LIBRARIES = frozenset(
    {
        "cryptography",
        "argon2",
        "jwt",
        "hmac",
        "hashlib",
        "secrets",
        "pyrage",
        "pyotp",
        "nacl",
        "Crypto",
        "pysequoia",
        "stream_zip",
        "stream_unzip",
    }
)
USES = tomllib.loads((ROOT / "docs" / "security" / "crypto-inventory.toml").read_text())["use"]


def calls(text):
    """Return what a module takes from the libraries: ``library name``."""
    found, modules = set(), {}
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in LIBRARIES:
            found |= {f"{node.module.split('.')[0]} {each.name}" for each in node.names}
        if isinstance(node, ast.Import):
            names = [each for each in node.names if each.name.split(".")[0] in LIBRARIES]
            modules |= {each.asname or each.name: each.name.split(".")[0] for each in names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            found.add(f"{modules[node.value.id]} {node.attr}")
    return found


@pytest.mark.security
@pytest.mark.req("SEC-V14")
def test_the_inventory_is_what_the_code_calls():
    made = {str(file.relative_to(SOURCE)): calls(file.read_text()) for file in SOURCE.rglob("*.py")}
    listed = {}
    for use in USES:
        for file, names in use["calls"].items():
            listed.setdefault(file, set()).update(names)
    assert {file: names for file, names in made.items() if names} == listed


@pytest.mark.security
@pytest.mark.req("SEC-V14")
def test_each_use_says_what_it_is_for_and_what_becomes_of_it():
    assert all(set(use) == {"algorithm", "job", "rotation", "quantum", "calls"} for use in USES)
    assert all(use[name].strip() for use in USES for name in ("algorithm", "job", "rotation", "quantum"))


@pytest.mark.security
def test_a_call_is_found_however_it_is_written():
    text = "import hmac as h\nfrom hashlib import md5\nfrom cryptography.x import Y\ndef f():\n    import jwt\n    jwt.encode\nh.new\n"
    assert calls(text) == {"hmac new", "hashlib md5", "cryptography Y", "jwt encode"}

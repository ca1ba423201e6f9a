"""Each gate sees the flaw it is there for: a copy with a planted one is red, and the gate names it.

Without one it is green: that is what `make check` shows.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.tree import list_files

ROOT = Path(__file__).resolve().parent.parent.parent
PYTHON = ROOT / ".venv-tools" / "bin" / "python"
KEY = "-----BEGIN " + "PRIVATE KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj" * 2 + "\n"
AWS = "AKIA" + "Z7QX3VLKP2MWN5RT"
HASH = "sha256:" + "0" * 64

# what -> (gate, file, text to add; a pair replaces text). Slow gates meet several flaws at once, and have to name each.
FLAWS = {
    "unused import": ("lint", "src/sluicegate/base/clock.py", "\nimport wave\n"),
    "shell": ("lint", "src/sluicegate/base/clock.py", "\n\ndef run(name: str) -> None:\n    os.system(name)\n"),
    "client outside net": ("lint", "src/sluicegate/base/model.py", "\nfrom urllib.request import urlopen\n"),
    "layout": ("format", "src/sluicegate/base/clock.py", "\nx = { 'a':1 }\n"),
    "wrong type": (
        "types",
        "src/sluicegate/base/clock.py",
        '\n\ndef wrong() -> int:\n    """Lie."""\n    return "one"\n',
    ),
    "upward import": ("floors", "src/sluicegate/base/clock.py", "\nimport sluicegate.guard\n"),
    "weak cipher": (
        "bandit",
        "src/sluicegate/base/clock.py",
        "\n\nfrom Crypto.Cipher import DES\nDES.new(b'12345678')\n",
    ),
    "rule that finds nothing": ("semgrep", "semgrep/shell.yaml", ("os.system(...)", "os.nothing(...)")),
    "secrets": (
        "leaks",
        {
            "examples/planted.pem": KEY,
            "tests/planted.txt": f"aws_access_key_id = {AWS}\n",
            "examples/planted.md": "postgresql://ann:" + "hunter22@db.acme.io/shop\n",
        },
    ),
    "npm lock that cannot be installed": (
        "lock",
        "ui/package-lock.json",
        ('"integrity":', '"optionalDependencies": {"planted": "1.0.0"}, "integrity":'),
    ),
    "no hash": ("lock", "requirements/run.txt", "\nplanted==1.0\n"),
    "address": ("lock", "requirements/run.txt", f"\nplanted @ https://example.org/p.whl --hash={HASH}\n"),
    "index": ("lock", "requirements/run.txt", "\n--index-url https://example.org/\n"),
    "stale lock": ("lock", "requirements/run.in", "\nplanted>=1\n"),
    "untested version": ("lock", "requirements/test.txt", ("duckdb==1.5.5", "duckdb==1.5.4")),
    "npm address": (
        "lock",
        "ui/package-lock.json",
        ('"integrity":', '"resolved": "https://example.org/p.tgz", "integrity":'),
    ),
    "unwaived": ("waivers", "src/sluicegate/base/clock.py", "\nx = 1  # noqa" + ": S105\n"),
    "unwaived semgrep": ("waivers", "src/sluicegate/base/clock.py", "\nx = 1  # nosem" + "grep: shell\n"),
    "silences all": ("waivers", "src/sluicegate/base/clock.py", "\nx = 1  # no" + "qa\n"),
    "unwaived setting": ("waivers", "pyproject.toml", ('    "CPY001",', '    "S603", "CPY001",')),
    "unused waiver": (
        "waivers",
        "waivers.toml",
        '\n[[waiver]]\nrule = "S999"\npath = "a.py"\nreason = "r"\nowner = "maintainers"\nexpires = 2099-01-01\n',
    ),
    "expired waiver": ("waivers", "waivers.toml", ("expires = 2027-11-01", "expires = 2026-01-01")),
    "waiver without owner": ("waivers", "waivers.toml", '\n[[waiver]]\nrule = "S999"\npath = "a.py"\nreason = "r"\n'),
    "few proofs": (
        "share",
        "tests/test_planted.py",
        "".join(f"def test_{n}():\n    assert True\n\n\n" for n in range(9999)),
    ),
    "a machine's path": ("words", "docs/planted.md", "See /" + "home/ann/sluicegate/notes.txt\n"),
    "a merge leftover": ("words", "docs/planted.md", "<" * 7 + " HEAD\n"),
}
SAYS = {
    "upward import": "sluicegate.base.clock",
    "unwaived setting": "S603",
    "few proofs": "security share",
    "rule that finds nothing": "shell",
}
"""What a gate calls a flaw that it does not tell by its file."""
GATES = sorted({gate for gate, *_ in FLAWS.values()})


def run_gates(root: Path, *gates: str) -> subprocess.CompletedProcess[str]:
    """Run gates on a tree; all of them when none is named."""
    env = {"PATH": os.environ["PATH"], "HOME": str(root), "LC_ALL": "C.UTF-8"}
    command = [PYTHON, "-m", "tools.check", *gates]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, env=env, timeout=300)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the tree, with the environments beside it and what the gates remember of it."""
    assert PYTHON.exists(), "the gates' environment is missing: make check"
    root = tmp_path_factory.mktemp("tree")
    for path in list_files(ROOT):
        target = root / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    if (ROOT / ".cache" / "mypy").exists():
        shutil.copytree(ROOT / ".cache" / "mypy", root / ".cache" / "mypy")
    (root / ".venv-test").symlink_to(sys.prefix)
    return root


@pytest.mark.slow
@pytest.mark.timeout(450)
@pytest.mark.security
@pytest.mark.req("SEC-C01")
@pytest.mark.xdist_group("gates")
@pytest.mark.parametrize("what", sorted(FLAWS, key=lambda name: FLAWS[name][0]))
def test_a_planted_flaw_turns_its_gate_red(tree, what):
    gate, *flaws = FLAWS[what]
    planted = flaws[0] if len(flaws) == 1 else {flaws[0]: flaws[1]}
    paths = {name: tree / name for name in planted}
    before = {name: path.read_text() if path.exists() else None for name, path in paths.items()}
    try:
        for name, flaw in planted.items():
            text = (before[name] or "") + flaw if isinstance(flaw, str) else before[name].replace(*flaw, 1)
            assert text != before[name]
            paths[name].parent.mkdir(parents=True, exist_ok=True)
            paths[name].write_text(text)
        done = run_gates(tree, gate)
        assert done.returncode == 1, done.stdout + done.stderr
        for name in planted:
            assert SAYS.get(what, Path(name).name) in done.stdout, done.stdout
    finally:
        for name, path in paths.items():
            path.unlink() if before[name] is None else path.write_text(before[name])


RULES = sorted(path.stem for path in (ROOT / "semgrep").glob("*.yaml"))


@pytest.fixture(scope="module")
def flawed(tree):
    """What the gate says when the flaw of every rule is planted in the product, each in a file of its own."""
    planted = [tree / "src" / "sluicegate" / "guard" / f"planted_{rule.replace('-', '_')}.py" for rule in RULES]
    for rule, path in zip(RULES, planted, strict=True):
        bad = (
            (tree / "semgrep" / f"{rule}.py")
            .read_text()
            .partition("\n\n\ndef good")[0]
            .partition("\n\n\nasync def good")[0]
        )
        path.write_text("\n".join(line for line in bad.splitlines() if "# ruleid" not in line) + "\n")
    try:
        done = run_gates(tree, "semgrep")
        assert done.returncode == 1, done.stdout
        return done.stdout
    finally:  # at once: the other tests share this tree, in any order
        for path in planted:
            path.unlink()


@pytest.mark.slow
@pytest.mark.timeout(450)
@pytest.mark.security
@pytest.mark.req("SEC-C01")
@pytest.mark.xdist_group("gates")
@pytest.mark.parametrize("rule", RULES)
def test_each_rule_of_our_own_finds_its_flaw_in_the_product(flawed, rule):
    name = f"src/sluicegate/guard/planted_{rule.replace('-', '_')}.py"
    found = flawed.partition(name)[2].partition("planted_")[0]
    assert f"semgrep.{rule}" in found, flawed


def test_our_own_rules_are_nine():
    assert len(RULES) == 9


def test_every_gate_has_its_flaw():
    done = run_gates(ROOT, "nothing")
    assert done.returncode == 2
    assert sorted(done.stderr.partition("There are: ")[2].strip(" .\n").split(", ")) == GATES

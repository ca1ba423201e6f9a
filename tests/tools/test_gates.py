"""Each gate sees the flaw it is there for: a copy with a planted one is red, and the gate names it.

Without one it is green: that is what `make check` shows.
"""

from __future__ import annotations

import functools
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

CLOCK = "src/sluicegate/base/clock.py"
WAIVER = '\n[[waiver]]\nrule = "S999"\npath = "{}.py"\nreason = "r"\n{}'

# what -> (gate, file, text to add, or a pair of what to replace and by what, what the gate says of it)
FLAWS = {
    "unused import": ("lint", CLOCK, "\nimport wave\n", "`wave` imported but unused"),
    "shell": ("lint", CLOCK, "\nimport os\n\n\ndef run(name: str) -> None:\n    os.system(name)\n", "S605"),
    "client outside net": (
        "lint",
        "src/sluicegate/base/model.py",
        "\nfrom urllib.request import urlopen\n",
        "base/model.py",
    ),
    "layout": ("format", CLOCK, "\nx = { 'a':1 }\n", "clock.py"),
    "wrong type": (
        "types",
        "src/sluicegate/__main__.py",  # which nothing imports: the rest is as mypy remembers it
        '\n\ndef wrong() -> int:\n    """Lie."""\n    return "one"\n',
        "__main__.py",
    ),
    "upward import": ("floors", CLOCK, "\nimport sluicegate.guard\n", "sluicegate.base.clock"),
    "weak cipher": ("bandit", CLOCK, "\n\nfrom Crypto.Cipher import DES\nDES.new(b'12345678')\n", "clock.py"),
    "rule that finds nothing": ("semgrep", "semgrep/shell.yaml", ("os.system(...)", "os.nothing(...)"), "shell.py"),
    "private key": ("leaks", "examples/planted.pem", KEY, "planted.pem"),
    "key of a cloud": ("leaks", "tests/planted.txt", f"aws_access_key_id = {AWS}\n", "planted.txt"),
    "password in an address": (
        "leaks",
        "examples/planted.md",
        "postgresql://ann:" + "hunter22@db.acme.io/shop\n",
        "planted.md",
    ),
    "npm lock that cannot be installed": (
        "lock",
        "ui/package-lock.json",
        ('"integrity":', '"optionalDependencies": {"planted": "1.0.0"}, "integrity":'),
        "package-lock.json",
    ),
    "no hash": ("lock", "requirements/run.txt", "\nplanted==1.0\n", "run.txt"),
    "address": ("lock", "requirements/run.txt", f"\nplanted @ https://example.org/p.whl --hash={HASH}\n", "run.txt"),
    "index": ("lock", "requirements/run.txt", "\n--index-url https://example.org/\n", "run.txt"),
    "stale lock": ("lock", "requirements/run.in", "\nplanted>=1\n", "run.in"),
    "untested version": ("lock", "requirements/test.txt", ("duckdb==1.5.5", "duckdb==1.5.4"), "test.txt"),
    "npm address": (
        "lock",
        "ui/package-lock.json",
        ('"integrity":', '"resolved": "https://example.org/p.tgz", "integrity":'),
        "package-lock.json",
    ),
    "unwaived": ("waivers", CLOCK, "\nx = 1  # noqa" + ": S105\n", "clock.py: S105 is silenced"),
    "unwaived semgrep": ("waivers", CLOCK, "\nx = 1  # nosem" + "grep: shell\n", "clock.py: shell is silenced"),
    "silences all": ("waivers", CLOCK, "\nx = 1  # no" + "qa\n", ": silences every rule"),
    "unwaived setting": (
        "waivers",
        "pyproject.toml",
        ('    "CPY001",', '    "S603", "CPY001",'),
        "*: S603 is silenced",
    ),
    "unused waiver": (
        "waivers",
        "waivers.toml",
        WAIVER.format("a", 'owner = "maintainers"\nexpires = 2099-01-01\n'),
        "S999 in a.py is not used",
    ),
    "expired waiver": (
        "waivers",
        "waivers.toml",
        ("expires = 2027-11-01", "expires = 2026-01-01"),
        "expired on 2026-01-01",
    ),
    "waiver without owner": ("waivers", "waivers.toml", WAIVER.format("b", ""), "S999 in b.py: needs exactly"),
    "few proofs": (
        "share",
        "tests/test_planted.py",
        "".join(f"def test_{n}():\n    assert True\n\n\n" for n in range(9999)),
        "security share",
    ),
    "a machine's path": ("words", "docs/planted.md", "See /" + "home/ann/sluicegate/notes.txt\n", "docs/planted.md"),
    "a merge leftover": ("words", "docs/left.md", "<" * 7 + " HEAD\n", "docs/left.md"),
}
RULES = sorted(path.stem for path in (ROOT / "semgrep").glob("*.yaml"))
ALONE = {"lock"}
"""Gates that are quick, and meet each flaw by itself. The others meet all of theirs at once, and have to name each."""
SLOW = {"semgrep", "bandit"}
"""Gates that read one file after the other, and here get a few of the product's only, with the flaws among them."""
PART = ("tools/", "semgrep/", "src/sluicegate/base/", "src/sluicegate/guard/", "pyproject.toml", "waivers.toml")
GATES = sorted({gate for gate, *_ in FLAWS.values()})


def run_gates(root: Path, *gates: str) -> subprocess.CompletedProcess[str]:
    """Run gates on a tree; all of them when none is named."""
    env = {"PATH": os.environ["PATH"], "HOME": str(root), "LC_ALL": "C.UTF-8"}
    command = [PYTHON, "-m", "tools.check", *gates]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, env=env, timeout=300)


def copy(root: Path, *, part: bool = False) -> Path:
    """Copy the tree or a part of it."""
    for path in list_files(ROOT):
        name = path.relative_to(ROOT).as_posix()
        if not part or name.startswith(PART):
            target = root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
    return root


def plant(root: Path, flaws: list[tuple]) -> None:
    """Put flaws into a tree."""
    for _, name, flaw, _ in flaws:
        path = root / name
        before = path.read_text() if path.exists() else ""
        after = before + flaw if isinstance(flaw, str) else before.replace(*flaw, 1)
        assert after != before
        path.write_text(after)


def flawed(rule: str) -> tuple[str, str]:
    """Return a file of the product's for the flaw that a rule of our own is there for, and the flaw."""
    bad = (ROOT / "semgrep" / f"{rule}.py").read_text()
    bad = bad.partition("\n\n\ndef good")[0].partition("\n\n\nasync def good")[0]
    name = f"src/sluicegate/guard/planted_{rule.replace('-', '_')}.py"
    return name, "\n".join(line for line in bad.splitlines() if "# ruleid" not in line) + "\n"


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """A copy of the tree, with the environments beside it and what the gates remember of it; and one of a part."""
    assert PYTHON.exists(), "the gates' environment is missing: make check"
    root = copy(tmp_path_factory.mktemp("tree"))
    if (ROOT / ".cache" / "mypy").exists():
        shutil.copytree(ROOT / ".cache" / "mypy", root / ".cache" / "mypy")
    (root / ".venv-test").symlink_to(sys.prefix)
    return root, copy(tmp_path_factory.mktemp("part"), part=True)


@pytest.fixture(scope="module")
def ask(trees):
    """Return what a gate says to these flaws, each run done once; it has to be red."""

    @functools.cache
    def ask(gate: str, *names: str) -> str:
        root = trees[gate in SLOW]
        flaws = [FLAWS[name] for name in names]
        if gate == "semgrep":
            flaws += [(gate, *flawed(rule), rule) for rule in RULES]
        paths = {root / name for _, name, *_ in flaws}
        before = {path: path.read_bytes() if path.exists() else None for path in paths}
        try:
            plant(root, flaws)
            done = run_gates(root, gate)
        finally:
            for path, data in before.items():
                path.unlink() if data is None else path.write_bytes(data)
        assert done.returncode == 1, done.stdout + done.stderr
        return done.stdout

    return ask


def meet(what: str) -> list[str]:
    """Return the flaws that a gate meets together with this one."""
    gate = FLAWS[what][0]
    return [what] if gate in ALONE else [name for name, flaw in FLAWS.items() if flaw[0] == gate]


@pytest.mark.slow
@pytest.mark.timeout(450)
@pytest.mark.security
@pytest.mark.req("SEC-C01")
@pytest.mark.xdist_group("gates")
@pytest.mark.parametrize("what", sorted(FLAWS, key=lambda name: FLAWS[name][0]))
def test_a_planted_flaw_turns_its_gate_red(ask, what):
    gate, *_, says = FLAWS[what]
    said = ask(gate, *meet(what))
    assert says in said, said


@pytest.mark.slow
@pytest.mark.timeout(450)
@pytest.mark.security
@pytest.mark.req("SEC-C01")
@pytest.mark.xdist_group("gates")
@pytest.mark.parametrize("rule", RULES)
def test_each_rule_of_our_own_finds_its_flaw_in_the_product(ask, rule):
    said = ask("semgrep", *meet("rule that finds nothing"))
    found = said.partition(flawed(rule)[0])[2].partition("planted_")[0]
    assert f"semgrep.{rule}" in found, said


def test_our_own_rules_are_nine():
    assert len(RULES) == 9


def test_every_gate_has_its_flaw():
    done = run_gates(ROOT, "nothing")
    assert done.returncode == 2
    assert sorted(done.stderr.partition("There are: ")[2].strip(" .\n").split(", ")) == GATES

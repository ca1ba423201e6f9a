"""Mutation testing of the modules that decide who is inside: change one thing at a time, and see it caught.

A first run without any change notes which test runs which line: a mutant meets only the tests that run what is
changed, those that caught most before it first. A test that fails has to fail a second time, alone in a fresh
installation; one that hangs, too. At the end all that caught something are run alone against the module as it is, and
have to be green. The tree on disk is never touched (``tools/trial.py``).

    python -m tools.mutate [--minutes 60] [--workers 2] [--only policy] [--list] [--again] [--report]
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tools.mutants import Mutant, mutants
from tools.trial import Found, Module, Session, run, start, tried

ROOT = Path(__file__).resolve().parent.parent
REPORT = ROOT / "docs" / "security" / "mutation.md"
EQUIVALENT = ROOT / "tests" / "security" / "equivalent.toml"
"""Mutants that no test can tell from the module as it is, each with the reason."""
KNOWN = ".cache/mutation"
"""What became of each mutant, for ``--again``: below the root, a file for each module, and a line for each mutant."""
GOAL = 0.9
SHOWN = os.dup(1)
"""Where it is said how it goes, from whichever process."""

TARGETS: dict[str, tuple[str, tuple[str, ...]]] = {
    "policy": (
        "sluicegate.guard.policy",
        (
            "tests/guard/test_policy.py",
            "tests/security/test_matrix.py::test_each_cell_of_the_table_is_held_by_the_matrix",
        ),
    ),
    "tokens": (
        "sluicegate.guard.tokens",
        ("tests/guard/test_tokens.py", "tests/security/test_tokens_http.py"),
    ),
    "login": (
        "sluicegate.guard.login",
        (
            "tests/guard/test_login.py",
            "tests/guard/test_login_records.py",
            "tests/security/test_tokens_http.py",
            "tests/operations/test_session.py",
            "tests/guard/test_factors.py",
            "tests/security/test_guessing.py",
            "tests/guard/test_apikeys.py",
            "tests/guard/test_sso_only.py",
            "tests/guard/test_switch.py",
            "tests/guard/test_notices.py",
            "tests/guard/test_rules.py",
        ),
    ),
    "grants": (
        "sluicegate.guard.grants",
        (
            "tests/guard/test_grants.py",
            "tests/guard/test_login.py",
            "tests/security/test_tokens_http.py",
            "tests/guard/test_factors.py",
            "tests/guard/test_sso_only.py",
            "tests/guard/test_switch.py",
            "tests/guard/test_tenancy.py",
            "tests/guard/test_rules.py",
        ),
    ),
}
"""Module and files of tests (or single ones), by the name on the command line."""
BENEATH = (
    "pytest", "hypothesis", "hypothesis.strategies", "httpx", "psycopg", "dbos", "jwt", "argon2", "pyotp",
    "alembic.command", "starlette.routing", "starlette.applications", "granian", "sluicegate.store.scope",
    "sluicegate.store.sqlite", "sluicegate.crypto.token", "sluicegate.crypto.dpop", "sluicegate.crypto.password",
    "sluicegate.kit.flow",
)  # fmt: skip
"""What tests load that no guard is in."""


class Verdict(NamedTuple):
    """How a mutant fared: the test that caught it, if any did, and whether by hanging."""

    mutant: Mutant
    by: str
    hung: bool = False


class Judged(NamedTuple):
    """How the mutants of a module fared; those that were not judged; and why no test can tell some that are left."""

    found: list[Verdict]
    left: list[Mutant]
    equivalent: list[tuple[Mutant, str]]

    @property
    def killed(self) -> int:
        """How many were caught."""
        return sum(bool(each.by) for each in self.found)

    @property
    def quiet(self) -> list[tuple[Mutant, str]]:
        """Those of the equivalent that no test caught, as it should be."""
        alive = {id(each.mutant) for each in self.found if not each.by}
        return [each for each in self.equivalent if id(each[0]) in alive]

    @property
    def share(self) -> float:
        """Which share of those that were judged, and that a test can tell, was caught."""
        return self.killed / max(1, len(self.found) - len(self.quiet))

    @property
    def good(self) -> bool:
        """Whether all were judged, enough were caught, and none that is called equivalent."""
        return not self.left and self.share >= GOAL and len(self.quiet) == len(self.equivalent)


def warm() -> None:
    """Load what the tests of all mutants load: of this tree, whatever is installed."""
    sys.path.insert(0, str(ROOT / "src"))
    for name in BENEATH:
        importlib.import_module(name)


def judge(target: str, workers: int, until: float, *, again: bool = False) -> Judged:
    """Try the mutants of a target until the time is over.

    ``again``: but for those that have been caught before, and those that are equivalent and have survived before.
    """
    module = Module(ROOT, *TARGETS[target])
    source = module.source
    every = sorted(mutants(source), key=digest)  # when the time is over, what was tried is a fair sample
    equivalent = read_equivalent(target, source, every)
    quiet, known = {digest(each) for each, _ in equivalent}, _known(module, again=again)
    known = {key: known[key] for key in map(digest, every) if key in known}
    found = {key: each for key, each in known.items() if each.get("by") or (key in quiet and "by" in each)}
    waiting = [each for each in every if digest(each) not in found]
    inside, outside = [each for each in waiting if each.span], [each for each in waiting if not each.span]
    now = time.monotonic()
    first = now + (until - now) * len(inside) / max(1, len(waiting))
    caught = Counter(each["by"] for each in found.values())

    def work(session: Session) -> Found:
        return _inside(session, module, source, inside, caught, workers, first)

    told = run(lambda: module.load(source, work)) if waiting else {"seen": {}, "found": {}}
    if told.get("red") or "found" not in told:
        raise SystemExit(f"{target}: the tests are red without any change: {told.get('red') or told}")
    found |= told["found"]
    caught = Counter(each["by"] for each in found.values() if "by" in each)
    order = sorted(told["seen"], key=lambda each: (-caught[each], told["seen"][each][0]))

    def begin(mutant: Mutant, folder: Path) -> int:
        return start(folder, lambda: module.load(mutant.source, lambda session: session.catch(order)))

    for mutant, each in tried(outside, begin, workers, until):
        found[digest(mutant)] = each
        _note(module, mutant, each)
    sure = _sure(module, source, found)
    for mutant in [each for each in every if digest(each) in found.keys() - sure.keys()]:
        _note(module, mutant, {"fault": "what caught it is red alone"})
    return Judged(
        [Verdict(each, **sure[digest(each)]) for each in every if digest(each) in sure],
        [each for each in every if digest(each) not in sure],
        equivalent,
    )


def _sure(module: Module, source: str, found: Mapping[str, Found]) -> dict[str, Found]:
    """Return what was judged, but for what was caught by a test that is red without any change when it runs alone."""
    killers = sorted({each["by"] for each in found.values() if "by" in each} - {"", "import"})
    alone = run(lambda: module.load(source, lambda session: session.alone(killers)))
    if "red" not in alone:
        raise SystemExit(f"{module.name}: what caught mutants does not run without them, so nothing is proved: {alone}")
    for name in alone["red"]:
        os.write(SHOWN, f"  proves nothing, since it is red alone: {name}\n".encode())
    return {key: each for key, each in found.items() if "by" in each and each["by"] not in alone["red"]}


def _inside(
    session: Session,
    module: Module,
    source: str,
    waiting: Sequence[Mutant],
    caught: Counter[str],
    workers: int,
    until: float,
) -> Found:
    """Try the mutants of what is in functions, where all is loaded. ``seen``: which test runs which line."""
    watched = run(session.watch)
    if not watched.get("seen") or watched["red"]:
        return watched
    if server := sys.modules.get("tests.fixtures.server"):
        server._migrated()  # noqa: SLF001 - half of what most tests take
    seen, functions, found = watched["seen"], module.functions(source), dict[str, Found]()

    def begin(mutant: Mutant, folder: Path) -> int:
        asked = [each for each, (_, lines) in seen.items() if not {*mutant.span}.isdisjoint(lines)]
        asked.sort(key=lambda each: (-caught[each], seen[each][0]))

        def act() -> Found:
            module.swap(mutant.source, functions)
            return session.catch(asked)

        return start(folder, act)

    for mutant, each in tried(waiting, begin, workers, until):
        found[digest(mutant)] = each
        caught[each.get("by", "")] += 1
        _note(module, mutant, each)
    return {**watched, "found": found}


def _known(module: Module, *, again: bool) -> dict[str, Found]:
    """Return what became of mutants before; forget it, but for ``again``."""
    file = module.root / KNOWN / f"{module.name}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    if not again or not file.exists():
        file.write_text("")
    return dict(json.loads(line) for line in file.read_text().splitlines())


def _note(module: Module, mutant: Mutant, found: Found) -> None:
    """Write down what became of a mutant, and say so when it was not caught."""
    with (module.root / KNOWN / f"{module.name}.jsonl").open("a") as file:
        file.write(json.dumps([digest(mutant), found]) + "\n")
    if not found.get("by"):
        word = "not judged" if "fault" in found else "survives"
        text = f"  {word}: {module.name}:{mutant.line}: {mutant.what} {found.get('fault', '')}\n"
        os.write(SHOWN, text.encode())


def digest(mutant: Mutant) -> str:
    """Return what a mutant is known by."""
    return hashlib.sha256(mutant.source.encode()).hexdigest()


def read_equivalent(target: str, source: str, every: Sequence[Mutant]) -> list[tuple[Mutant, str]]:
    """Return the mutants that no test can tell, and why. Each entry of the list has to fit as many as it says."""
    lines, found = source.splitlines(), list[tuple[Mutant, str]]()
    for entry in tomllib.loads(EQUIVALENT.read_text(encoding="utf-8")).get(target, ()):
        wanted = entry["line"], entry["what"]
        fits = [each for each in every if (lines[each.line - 1].strip(), each.what) == wanted]
        if len(fits) != entry.get("count", 1):
            raise SystemExit(f"{EQUIVALENT.name}: {target}: {len(fits)} mutants fit {wanted}")
        found += [(each, entry["why"]) for each in fits]
    return found


def write_report(results: Mapping[str, Judged]) -> None:
    """Write the page."""
    lines = [
        "# Mutation testing",
        "",
        "Written by `make mutate` (`tools/mutate.py`). Each mutant changes one thing in a module that decides who",
        "is in: a comparison turned, a guard's call left out, a `raise` that does not, a constant that is another.",
        "It is killed when a test that runs the changed lines fails, fails once more alone in a fresh installation,",
        "and is green alone without the change. Texts for people are left alone. What was not run is a fair sample.",
        "The shares are what was killed of all that was run, and of those that are not equivalent.",
        "",
        "| module | mutants | not run | killed | … by hanging | equivalent | survive | of all run | … not equivalent |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    survivors = list[str]()
    same = list[str]()
    for target, each in results.items():
        ran, hung = len(each.found), sum(verdict.hung for verdict in each.found)
        reasons = {id(mutant): why for mutant, why in each.quiet}
        alive = [verdict.mutant for verdict in each.found if not verdict.by]
        of_all = f"{100 * each.killed / ran:.1f} %" if ran else "none"
        share = f"{100 * each.share:.1f} %" if ran else "none"
        lines.append(
            f"| `guard/{target}.py` | {ran + len(each.left)} | {len(each.left)} | {each.killed} | {hung} "
            f"| {len(reasons)} | {len(alive) - len(reasons)} | {of_all} | {share} |"
        )
        places = [(mutant, f"`guard/{target}.py` line {mutant.line}: {mutant.what}") for mutant in alive]
        survivors += [f"- {place}" for mutant, place in places if id(mutant) not in reasons]
        same += [f"- {place}. {reasons[id(mutant)]}" for mutant, place in places if id(mutant) in reasons]
    lines += ["", "## What survives", "", *(survivors or ["Nothing."])]
    lines += ["", "## Equivalent", "", "No test can tell these; `tests/security/equivalent.toml` says why.", ""]
    REPORT.write_text("\n".join([*lines, *(same or ["None."])]) + "\n", encoding="utf-8")


def main(words: Sequence[str] | None = None) -> int:
    """Mutate, test, tell. The exit code is 1 when a module is below the goal, or not all of it was judged."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", choices=sorted(TARGETS), action="append")
    parser.add_argument("--list", action="store_true", help="print the mutants and run none")
    parser.add_argument("--again", action="store_true", help="only those that were not caught before")
    parser.add_argument("--report", action="store_true", help=f"write {REPORT.relative_to(ROOT)}")
    told = parser.parse_args(words)
    wanted = told.only or list(TARGETS)
    if told.list:
        for target in wanted:
            for each in mutants(Module(ROOT, *TARGETS[target]).source):
                print(json.dumps([target, each.line, each.what]))
        return 0
    warm()
    end, results = time.monotonic() + told.minutes * 60, dict[str, Judged]()
    for number, target in enumerate(wanted):
        began = time.monotonic()
        until = began + (end - began) / (len(wanted) - number)
        judged = results[target] = judge(target, told.workers, until, again=told.again)
        print(f"{target}: {judged.killed} of {len(judged.found)} killed, {len(judged.left)} not run, "
              f"{len(judged.quiet)} equivalent, {time.monotonic() - began:.0f} s", flush=True)  # fmt: skip
    if told.report:
        write_report(results)
    return int(
        any(each.left or each.share < GOAL or len(each.quiet) < len(each.equivalent) for each in results.values())
    )


if __name__ == "__main__":
    raise SystemExit(main())

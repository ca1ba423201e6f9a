"""Mutation testing of the modules that decide who is inside: change one thing at a time, and see it caught.

Each mutant is one small change of the syntax tree: a comparison turned, a guard's call left out, a ``raise`` that does
not. Its tests run in a process forked from one that has everything loaded already; there the module is replaced in
memory, so the tree on disk is never touched.

    python tools/mutate.py [--minutes 60] [--workers 2] [--only policy] [--list] [--report]
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import hashlib
import importlib
import importlib.abc
import io
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
REPORT = ROOT / "docs" / "security" / "mutation.md"
MEMORY = next((str(each) for each in (Path("/dev") / "shm",) if os.access(each, os.W_OK)), None)
"""Where stores lie that nobody needs on a disk."""
SECONDS_MAX = 150
"""A mutant whose tests take longer has made something wait for ever: that is noticed, too."""
GOAL = 0.9

TARGETS: dict[str, tuple[str, tuple[str, ...]]] = {
    "policy": (
        "sluicegate.guard.policy",
        ("tests/guard/test_policy.py", "tests/security/test_matrix.py", "tests/security/test_matrix_keys.py"),
    ),
    "tokens": (
        "sluicegate.guard.tokens",
        ("tests/guard/test_tokens.py", "tests/guard/test_revocation.py", "tests/security/test_tokens_http.py"),
    ),
    "login": (
        "sluicegate.guard.login",
        (
            "tests/guard/test_login.py",
            "tests/security/test_tokens_http.py",
            "tests/operations/test_session.py",
            "tests/operations/test_factors.py",
            "tests/guard/test_factors.py",
            "tests/security/test_guessing.py",
            "tests/guard/test_apikeys.py",
            "tests/guard/test_sso_only.py",
            "tests/guard/test_switch.py",
            "tests/guard/test_invitations.py",
        ),
    ),
    "grants": (
        "sluicegate.guard.grants",
        (
            "tests/guard/test_grants.py",
            "tests/guard/test_login.py",
            "tests/security/test_tokens_http.py",
            "tests/guard/test_sso_only.py",
            "tests/guard/test_switch.py",
        ),
    ),
}
"""Module and tests, by the name on the command line."""

_COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
_REVERSED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt,
}  # fmt: skip
_COUNTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}  # fmt: skip


class Mutant(NamedTuple):
    """A module with one thing changed."""

    line: int
    what: str
    source: str


def mutants(source: str) -> Iterator[Mutant]:
    """Yield every mutant of a module. Texts for people, annotations and imports for types stay as they are."""
    tree = ast.parse(source)
    told = _people(tree)
    for at, node in enumerate(ast.walk(tree)):
        if id(node) in told:
            continue
        for number, what in enumerate(_changes(node)):
            changed = ast.parse(source)
            found = next(islice(ast.walk(changed), at, None))
            _Put(found, _change(found, number)).visit(changed)
            yield Mutant(getattr(node, "lineno", 0), what, ast.unparse(ast.fix_missing_locations(changed)))


def _people(tree: ast.AST) -> set[int]:
    """Return the nodes that decide nothing: docstrings, annotations, what is said to people, what only types need."""
    found: list[ast.AST] = []
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant()) | ast.JoinedStr() | ast.If(test=ast.Name(id="TYPE_CHECKING")):
                found.append(node)
            case ast.Assign(targets=[ast.Name(id="__all__")]):
                found.append(node)
            case ast.AnnAssign(annotation=told) | ast.arg(annotation=ast.expr() as told):
                found.append(told)
            case ast.FunctionDef(returns=ast.expr() as told):
                found.append(told)
            case ast.Raise(exc=ast.Call(args=args, keywords=keywords)):
                found += [*args, *(each.value for each in keywords)]
            case ast.Constant(value=str(text)) if " " in text:
                found.append(node)
            case _:
                pass
    return {id(inner) for each in found for inner in ast.walk(each)}


def _changes(node: ast.AST) -> list[str]:
    return [what for what, _ in _both(node)]


def _change(node: ast.AST, number: int) -> ast.AST:
    return _both(node)[number][1]


def _both(node: ast.AST) -> list[tuple[str, ast.AST]]:
    """Return the changes of a node: what each is, and what comes in its place."""
    made: list[tuple[str, ast.AST]] = []
    match node:
        case ast.Compare():
            made = _of_compare(node)
        case ast.Constant():
            made = _of_constant(node)
        case ast.BoolOp(op=operator, values=values):
            made = [("and/or", ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values))]
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            made = [("not left out", operand)]
        case ast.BinOp(left=left, op=counted, right=right) if type(counted) in _COUNTED:
            made = [(f"{type(counted).__name__} turned", ast.BinOp(left, _COUNTED[type(counted)](), right))]
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            made = [("returns nothing", ast.Return(ast.Constant(None)))]
        case ast.Expr(value=ast.Call()):
            made = [("call left out", ast.Pass())]
        case ast.Raise():
            made = [("does not raise", ast.Pass())]
        case ast.Set(elts=members) if len(members) > 1:
            made = [
                (f"{ast.unparse(each)} left out", ast.Set([other for other in members if other is not each]))
                for each in members
            ]
        case ast.IfExp(test=test, body=body, orelse=orelse):
            made = [("the other one", ast.IfExp(test, orelse, body))]
        case ast.If(body=body, orelse=orelse):
            made = [(word, ast.If(ast.Constant(word == "always"), body, orelse)) for word in ("always", "never")]
        case _:
            pass
    return made


def _of_compare(node: ast.Compare) -> list[tuple[str, ast.AST]]:
    made: list[tuple[str, ast.AST]] = []
    for at, operator in enumerate(node.ops):
        for table in (_COMPARED, _REVERSED):
            if (other := table.get(type(operator))) is not None:
                ops = [*node.ops[:at], other(), *node.ops[at + 1 :]]
                made.append(
                    (f"{type(operator).__name__} to {other.__name__}", ast.Compare(node.left, ops, node.comparators))
                )
    return made


def _of_constant(node: ast.Constant) -> list[tuple[str, ast.AST]]:
    value = node.value
    if isinstance(value, bool):
        return [(f"{value} to {not value}", ast.Constant(not value))]
    if isinstance(value, int | float):
        return [(f"{value} to {value + 1}", ast.Constant(value + 1))]
    if isinstance(value, str) and value:
        return [(f"{value!r} changed", ast.Constant(f"{value}x"))]
    return []


class _Put(ast.NodeTransformer):
    """Puts one node in the place of another."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old, self._new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        if node is self._old:
            return self._new
        return self.generic_visit(node)


def warm() -> None:
    """Load all that the tests of a mutant load."""
    for name in ("pytest", "hypothesis", "httpx", "psycopg", "dbos", "jwt", "argon2", "pyotp", "sluicegate.web.server"):
        importlib.import_module(name)
    importlib.import_module("sluicegate.operations").__getattr__("OPERATIONS")
    for target, _ in TARGETS.values():
        importlib.import_module(target)


class _Text(importlib.abc.InspectLoader):
    """Loads a module from a text."""

    def __init__(self, source: str) -> None:
        self._source = source

    def get_source(self, fullname: str) -> str:  # noqa: ARG002 - the loader's signature
        return self._source


def replace(name: str, source: str) -> None:
    """Put a mutant in the place of a module: in its own names, and wherever they have been imported."""
    module = importlib.import_module(name)
    before = dict(vars(module))
    _Text(source).exec_module(module)
    changed = {id(old): vars(module)[key] for key, old in before.items() if vars(module)[key] is not old}
    for other in [each for key, each in sys.modules.items() if key.startswith("sluicegate") and each is not module]:
        for key, held in list(vars(other).items()):
            if id(held) in changed and not key.startswith("__"):
                setattr(other, key, changed[id(held)])


def fork(name: str, source: str | None, tests: Sequence[str]) -> int:
    """Start the tests of a mutant (``None``: of the module as it is) in a process of their own; return its id."""
    child = os.fork()  # noqa: TID251 - from a process that has everything loaded
    if child:
        return child
    status = 3
    try:
        os.setpgid(0, 0)
        shown = os.dup(2)
        with (
            tempfile.TemporaryDirectory(prefix="mutant-", dir=MEMORY) as folder,
            (Path(folder) / "out").open("w") as out,
        ):
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
            os.chdir(ROOT)
            if source is not None:
                replace(name, source)
            import pytest

            options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not slow", "--hypothesis-seed=1",
                       "-W", "ignore::pytest.PytestAssertRewriteWarning", f"--basetemp={folder}/t"]  # fmt: skip
            with contextlib.redirect_stdout(io.StringIO()) as said:
                status = int(pytest.main([*options, *tests]))
            if status and source is None:
                os.write(shown, said.getvalue().encode()[-4000:])  # without a change they must be green: why not?
    except BaseException:  # noqa: BLE001 - a mutant that cannot even be loaded is caught
        status = 1
    finally:
        os._exit(status)


class Job(NamedTuple):
    """A mutant at work."""

    mutant: Mutant
    since: float


def judge(target: str, workers: int, until: float) -> tuple[list[tuple[Mutant, bool]], int]:
    """Return each mutant of a target and whether it was caught, and how many there was no time for."""
    name, tests = TARGETS[target]
    source = (ROOT / "src" / f"{name.replace('.', '/')}.py").read_text(encoding="utf-8")
    if _wait(fork(name, None, tests)) != 0:
        raise SystemExit(f"{target}: the tests are red without any change: {' '.join(tests)}")
    waiting = list(mutants(source))
    # When the time is over, what was tried is a fair sample.
    waiting.sort(key=lambda each: hashlib.sha256(each.source.encode()).digest())
    running: dict[int, Job] = {}
    found: list[tuple[Mutant, bool]] = []
    while waiting or running:
        while waiting and len(running) < workers and time.monotonic() < until:
            mutant = waiting.pop(0)
            running[fork(name, mutant.source, tests)] = Job(mutant, time.monotonic())
        if not running:
            break
        time.sleep(0.02)
        for child, job in list(running.items()):
            ended, status = os.waitpid(child, os.WNOHANG)
            late = time.monotonic() - job.since > SECONDS_MAX
            if not ended and late:
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
            if ended or late:
                del running[child]
                caught = late or os.waitstatus_to_exitcode(status) != 0
                found.append((job.mutant, caught))
                if not caught:
                    print(f"  survives: {name}:{job.mutant.line}: {job.mutant.what}", flush=True)
    return sorted(found, key=lambda each: each[0].line), len(waiting)


def _wait(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def write_report(results: dict[str, tuple[list[tuple[Mutant, bool]], int]]) -> None:
    """Write the page."""
    lines = [
        "# Mutation testing",
        "",
        "Written by `make mutate` (`tools/mutate.py`). Each mutant changes one thing in a module that decides who",
        "is in: a comparison turned, a guard's call left out, a `raise` that does not, a constant that is another.",
        "It is killed when a test goes red. Texts for people are left alone. What was not run is a fair sample.",
        "",
        "| module | mutants | killed | not run | share of those run |",
        "|---|---|---|---|---|",
    ]
    for target, (found, left) in results.items():
        killed = sum(caught for _, caught in found)
        share = f"{100 * killed / len(found):.1f} %" if found else "none"
        lines.append(f"| `guard/{target}.py` | {len(found) + left} | {killed} | {left} | {share} |")
    lines += ["", "## What survives", ""]
    survivors = [(target, mutant) for target, (found, _) in results.items() for mutant, caught in found if not caught]
    lines += [f"- `guard/{target}.py` line {mutant.line}: {mutant.what}" for target, mutant in survivors] or [
        "Nothing."
    ]
    REPORT.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main(words: Sequence[str] | None = None) -> int:
    """Mutate, test, tell. The exit code is 1 when a module is below the goal."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", choices=sorted(TARGETS), action="append")
    parser.add_argument("--list", action="store_true", help="print the mutants and run none")
    parser.add_argument("--report", action="store_true", help=f"write {REPORT.relative_to(ROOT)}")
    told = parser.parse_args(words)
    wanted = told.only or list(TARGETS)
    if told.list:
        for target in wanted:
            name = TARGETS[target][0]
            for each in mutants((ROOT / "src" / f"{name.replace('.', '/')}.py").read_text(encoding="utf-8")):
                print(json.dumps([target, each.line, each.what]))
        return 0
    sys.path[:0] = [str(ROOT), str(ROOT / "src")]
    warm()
    results = {}
    for target in wanted:
        began = time.monotonic()
        until = began + told.minutes * 60 / len(wanted)
        found, left = results[target] = judge(target, told.workers, until)
        killed = sum(caught for _, caught in found)
        print(
            f"{target}: {killed} of {len(found)} killed, {left} not run, {time.monotonic() - began:.0f} s", flush=True
        )
    if told.report:
        write_report(results)
    return int(any(left or sum(caught for _, caught in found) < GOAL * len(found) for found, left in results.values()))


if __name__ == "__main__":
    raise SystemExit(main())

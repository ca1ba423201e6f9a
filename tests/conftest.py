"""What every test shares: the security share, requirement ids, and no skip in CI."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tools.share import MINIMUM, ROOT, measure

if TYPE_CHECKING:
    from collections.abc import Generator

REQUIREMENT = re.compile(r"SEC-[A-Z]\d{2}")
SERVERS = {"postgres", "expired_postgres", "mariadb", "served", "sftp_server"}
"""Fixtures, and parameters that choose them, behind which a real server starts."""
WHOLE = {"fresh", "engine", "empty"}
"""Fixtures that set up a whole installation for one test."""
SWEEPS = {"security", "conformance"}
"""Folders of tests that ask a whole installation everything."""
settings.register_profile("here", deadline=None)  # a loaded machine is no defect
settings.load_profile("here")
IN_CI = os.environ.get("CI", "").lower() not in {"", "0", "false"}


def is_full(config: pytest.Config) -> bool:
    """Tell whether the run takes all tests: no path, no ``-k``, no ``-m`` but ``not slow``."""
    chosen = config.args_source == pytest.Config.ArgsSource.ARGS
    return not chosen and not config.option.keyword and config.option.markexpr in {"", "not slow"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse a ``req`` mark that is no requirement's id; whatever asks a server or a whole installation is slow."""
    for item in items:
        told = item.callspec.params.values() if hasattr(item, "callspec") else ()
        asked = {*getattr(item, "fixturenames", ()), *(each for each in told if isinstance(each, str))}
        if (SERVERS | WHOLE) & asked or item.path.parent.name in SWEEPS:
            item.add_marker(pytest.mark.slow)
        for mark in item.iter_markers("req"):
            if not mark.args or not all(isinstance(name, str) and REQUIREMENT.fullmatch(name) for name in mark.args):
                raise pytest.UsageError(f"{item.nodeid}: req wants ids such as SEC-C01, not {mark.args!r}")


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI, where everything must run: {report.longrepr}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip in CI into a failure: a missing server is not a reason to be green."""
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn the skip of a whole module in CI into a failure."""
    report = yield
    _refuse_skip(report)
    return report


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a full run whose security share is below the minimum."""
    config = session.config
    if hasattr(config, "workerinput") or not is_full(config) or exitstatus not in {0, 1}:
        return
    if measure(ROOT).ratio < MINIMUM:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Tell the security share of a full run."""
    if is_full(config):
        share = measure(ROOT)
        terminalreporter.write_line(str(share), red=share.ratio < MINIMUM)

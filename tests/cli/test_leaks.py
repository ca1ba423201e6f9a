from __future__ import annotations

import signal

import pytest

from sluicegate.cli import leaks

GOOD = {
    "ok": True, "secrets": ["a", "b"], "runs": {"out": "succeeded"}, "swap": [], "hits": [], "unread": [], "not_done": {},
    "earlier": [], "left": [], "uncovered": ["a link"],
    "searched": {"files": 1, "answers": 2, "processes": 3, "environments": 2,
                 "environments_refused": 1, "bytes": 5 << 20, "patterns": 4},
}  # fmt: skip


def test_a_report_is_told_in_a_few_lines(capsys):
    leaks._print(GOOD)
    leaks._print({**GOOD, "ok": False, "earlier": ["prove-leaks-0"], "left": ["a tenant"], "swap": ["/dev/sda2"], "unread": ["/x: denied"],
                  "hits": [{"secret": "api key", "form": "hex", "place": "/log\x1b[31m"}]})  # fmt: skip
    good, bad = capsys.readouterr().out.split("nothing found\n")
    assert "searched   1 files, 2 answers, 5 MiB, 4 patterns" in good
    assert "3 by their arguments, 2 by their environment, 1 environments that we may not read" in good
    assert "not covered: a link\n" in good
    assert "LEAK       api key (hex) in /log" in bad
    assert "\x1b" not in bad, "a name cannot colour the report"
    assert "UNREAD     /x: denied" in bad
    assert "to /dev/sda2; encrypt it" in bad
    assert bad.endswith("1 leaks, 1 not searched, 0 not done, 1 left behind\n")
    assert "LEFT       a tenant\n" in bad
    assert "suspended  prove-leaks-0, which" in bad


@pytest.mark.security
def test_a_run_that_did_not_end_as_it_should_is_told_and_is_no_proof(capsys):
    leaks._print({**GOOD, "ok": False, "runs": {"out": "failed"}, "not_done": {"out": "failed"}})
    said = capsys.readouterr().out
    assert "not done: out failed, but should end as finished_with_rejects" in said
    assert "nothing found" not in said


@pytest.mark.security
def test_what_ends_a_process_lets_it_tidy_up_and_a_second_one_does_not_cut_that_off():
    tidied = False
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), leaks.orderly():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGHUP)
            tidied = True
    assert tidied
    assert signal.getsignal(signal.SIGTERM) == before

"""Words that quote rows: apart from the record, sealed, whole for who may read rows, gone after their days."""

from __future__ import annotations

import time

import pytest

from sluicegate.base.errors import CODES, Failed, Internal, without_rows
from sluicegate.base.model import new_id
from sluicegate.guard.keeping import DAY, key_of, week
from sluicegate.guard.quotes import HIDDEN, WHAT, Quotes, bare
from sluicegate.store.runs import State
from tests.store.rows import a_run

CANARY = "canary-of-a-row"
REJECT = ("reject", {"step": "s", "line": 7, "column": "c", "reason": f"{CANARY} is no number"})
LINE = ("log", {"level": "info", "message": CANARY, "by": "task", "table": CANARY})
FAULT = ("log", {"level": "error", "code": "data", "message": f"step s: {CANARY}"})
OURS = ("log", {"level": "warning", "message": "The run goes on after a restart."})


@pytest.fixture
def quotes(fresh):
    return fresh.app.services.quotes


def stored(fresh) -> bytes:
    """Return all that the store has on its disk."""
    return b"".join(each.read_bytes() for each in fresh.home.glob("store.db*"))


@pytest.mark.security
@pytest.mark.req("SEC-B01", "SEC-Z07")
@pytest.mark.parametrize("event", [REJECT, LINE, FAULT])
def test_the_record_holds_no_word_of_a_row_and_who_may_read_rows_sees_it_all(fresh, quotes, event):
    scope, run = fresh.scope("north"), fresh.a_run("north")
    quotes.event(scope, run, *OURS)
    quotes.event(scope, run, *event)
    kept = scope.runs().events(run)
    assert (kept[0].kind, kept[0].body) == OURS
    assert CANARY not in str(kept)
    assert CANARY.encode() not in stored(fresh)
    assert [(each.kind, each.body) for each in quotes.events(scope, run, kept)] == [OURS, event]


@pytest.mark.security
@pytest.mark.req("SEC-B01")
def test_an_error_is_stored_without_its_words(fresh, quotes):
    scope, run = fresh.scope("north"), fresh.a_run("north")
    problem = Failed(f"{CANARY} is wrong", where="step s, column c").problem()
    scope.runs().advance(run, State.RUNNING)
    scope.runs().advance(run, State.FAILED, error=quotes.error(scope, run, problem))
    found = scope.runs().get(run)
    assert found.error == without_rows(problem)
    assert CANARY.encode() not in stored(fresh)
    assert [each.error for each in quotes.errors(scope, [found])] == [problem]
    ours = Internal().problem()
    assert quotes.error(scope, run, ours) == ours, "what cannot quote a row is stored as it is"


@pytest.mark.security
@pytest.mark.req("SEC-B02")
def test_words_go_after_their_days_and_their_key_with_them(fresh, quotes):
    scope, run, now = fresh.scope("north"), fresh.a_run("north"), time.time()
    quotes.event(scope, run, *REJECT)
    audit = fresh.app.services.audit
    copies = scope.quotes().events(run, 0, 9)
    assert quotes.sweep(scope, 30, now + 29 * DAY, audit) == ()
    assert quotes.events(scope, run, scope.runs().events(run))[0].body == REJECT[1]
    assert quotes.sweep(scope, 30, now + 38 * DAY, audit) == (week(run),)
    assert quotes.events(scope, run, scope.runs().events(run))[0].body["reason"] == HIDDEN
    assert fresh.records()[-1]["action"] == "rows.expire"
    for each in copies:  # as from a backup
        scope.quotes().put(each.run, each.seq, each.sealed)
    assert quotes.events(scope, run, scope.runs().events(run))[0].body["reason"] == HIDDEN


@pytest.mark.security
@pytest.mark.req("SEC-B02")
def test_a_run_that_waits_past_the_days_of_its_week_keeps_its_words_their_days_and_one_key(fresh, quotes):
    scope, now, audit = fresh.scope("north"), time.time(), fresh.app.services.audit
    made = f"{int((now - 60 * DAY) * 1000):012x}"
    run = scope.runs().add(a_run(id=f"{made[:8]}-{made[8:]}{new_id()[13:]}")).id
    for _ in range(2):
        quotes.event(scope, run, *REJECT)
        assert quotes.sweep(scope, 30, now, audit) == ()
    assert [each.body for each in quotes.events(scope, run, scope.runs().events(run))] == [REJECT[1]] * 2
    assert scope.secrets().get(key_of(WHAT, run)).version == 1
    assert quotes.sweep(scope, 30, now + 31 * DAY, audit) == (week(run),)


@pytest.mark.security
@pytest.mark.req("SEC-V03")
def test_what_somebody_put_elsewhere_in_the_store_is_not_shown(fresh, quotes):
    scope, run, other = fresh.scope("north"), fresh.a_run("north"), fresh.a_run("north")
    for each in (run, other):
        quotes.event(scope, each, *REJECT)
        quotes.event(scope, each, *FAULT)
    (first, second) = scope.quotes().events(run, 1, 2)
    scope.quotes().put(run, 1, second.sealed)
    scope.quotes().put(run, 2, first.sealed[:-1] + b"x")
    scope.quotes().put(other, 1, first.sealed)
    for each in (run, other):
        shown = quotes.events(scope, each, scope.runs().events(each))
        assert shown[0].body["reason"] == HIDDEN
    assert CANARY not in str(quotes.events(scope, run, scope.runs().events(run)))


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_words_are_there_after_the_tenant_s_key_was_replaced_and_gone_once_it_is_shredded(fresh, quotes):
    scope, run, services = fresh.scope("north"), fresh.a_run("north"), fresh.app.services
    quotes.event(scope, run, *REJECT)
    services.rotation.renew_tenant(scope)
    services.rotation.sweep()
    assert [each.version for each in scope.secrets().tenant_keys()] == [2]
    assert quotes.events(scope, run, scope.runs().events(run))[0].body == REJECT[1]
    services.vault.shred(scope)
    assert quotes.events(scope, run, scope.runs().events(run))[0].body["reason"] == HIDDEN


@pytest.mark.security
@pytest.mark.req("SEC-B01")
def test_an_installation_may_keep_no_words_at_all(fresh):
    scope, run, none = fresh.scope("north"), fresh.a_run("north"), Quotes(fresh.app.services.vault, keep=False)
    none.event(scope, run, *REJECT)
    none.error(scope, run, Failed(CANARY).problem())
    assert none.events(scope, run, scope.runs().events(run))[0].body == bare(*REJECT)
    assert scope.quotes().events(run, 0, 9) == []


def test_a_record_is_written_though_the_tenant_s_keys_do_not_open(fresh, quotes):
    scope, run = fresh.scope("north"), fresh.a_run("north")
    quotes.event(scope, run, *REJECT)
    scope.secrets().rewrap_tenant_key(1, b"damaged", above=1)
    quotes.event(scope, run, *REJECT)
    assert [each.body["reason"] for each in quotes.events(scope, run, scope.runs().events(run))] == [HIDDEN, HIDDEN]


@pytest.mark.parametrize("code", sorted(CODES))
def test_what_is_bare_stays_as_it_is(code):
    for event in (REJECT, LINE, ("log", {"level": "error", "code": code, "message": CANARY}), OURS):
        once = bare(*event)
        assert bare(event[0], once) == once

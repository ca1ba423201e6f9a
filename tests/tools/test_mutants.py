"""The changes of mutation testing: they are real ones, of what decides something."""

from __future__ import annotations

import ast

from tools.mutants import mutants

SOURCE = '''
"""A docstring."""
LIMIT: int = 3
ROLES = {"a", "b"}


def may(who: str, count: int) -> bool:
    """Tell whether."""
    if not who:
        raise ValueError("a text for people", who + "x")
    guard(who)
    return count < LIMIT and who in ROLES
'''


def kinds(source=SOURCE):
    return [(each.line, each.what) for each in mutants(source)]


def test_every_sort_of_change_is_made():
    assert set(kinds()) == {
        (3, "3 to 4"), (4, "'a' left out"), (4, "'b' left out"), (4, "'a' changed"), (4, "'b' changed"),
        (9, "not left out"), (9, "always"), (9, "never"), (10, "does not raise"), (11, "call left out"),
        (12, "returns nothing"), (12, "and/or"), (12, "Lt to LtE"), (12, "Lt to GtE"), (12, "In to NotIn"),
    }  # fmt: skip


def test_a_mutant_differs_from_the_source_in_one_thing_and_can_be_read():
    plain = ast.unparse(ast.parse(SOURCE)).splitlines()
    for each in mutants(SOURCE):
        ast.parse(each.source)
        changed = each.source.splitlines()
        assert changed != plain
        assert sum(line not in plain for line in changed) <= 1, each.what


PLACES = """
LIMIT = 3


def may(count, most=4):
    if (
        count
        > 5
    ):
        return [
            each
            for each in range(6)
        ]
    try:
        return count + 7
    finally:
        done(8)


class Gate:
    WIDTH = 9

    def open(self):
        return 10
"""


def test_what_is_changed_is_run_by_who_runs_its_statement_and_on_import_by_all():
    spans = {each.what: (each.span.start, each.span.stop) for each in mutants(PLACES) if " to " in each.what}
    on_import = (0, 0)
    assert {what: span for what, span in spans.items() if what[0].isdigit()} == {
        "3 to 4": on_import, "4 to 5": on_import, "5 to 6": (6, 10), "6 to 7": (10, 14), "7 to 8": (15, 16),
        "8 to 9": (17, 18), "9 to 10": on_import, "10 to 11": (24, 25),
    }  # fmt: skip


def test_a_word_of_small_letters_decides_something_and_a_sentence_does_not():
    found = {each.what for each in mutants("STATE = 'signed in'\nTEXT = 'Sign in first.'\n")}
    assert found == {"'signed in' changed"}

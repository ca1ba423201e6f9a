from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.guard import patterns


@pytest.mark.security
@pytest.mark.req("SEC-A04")
@pytest.mark.parametrize(
    "text",
    [
        "qwertyuiop12345", "1qaz2wsx3edc4rfv", "!QAZ2wsx#EDC4rfv", "qwertz123456qwertz", "azertyuiopqsdfgh", "йцукенгшщзхъфыва",
        "q1w2e3r4t5y6u7i8", "abcdefghijklmnop", "ponmlkjihgfedcba", "1234567890987654321", "abcd1234efgh5678",
        "aaaabbbbccccdddd", "1 2 3 4 5 6 7 8 9 0", "1-2-3-4-5-6-7-8-9", "١٢٣٤٥٦٧٨٩١٢٣٤٥٦",
    ],
)  # fmt: skip
def test_rows_of_keys_sequences_and_runs_are_little(text):
    assert patterns.weigh(text) < 6


@pytest.mark.parametrize(
    "text", ["seven small boats at noon", "nine grey herons at dusk", "correcthorsebatterystaple", "zwölf Boxkämpfer jagen", "vK8#pLq2!mZr9@t"]
)  # fmt: skip
def test_words_and_chance_are_much(text):
    assert patterns.weigh(text) >= 8


@pytest.mark.security
@pytest.mark.req("SEC-A04")
def test_names_count_one_and_common_words_two():
    common = {"password", "dragon"}.__contains__
    assert patterns.weigh("north-north-ada-42", names=["north", "ada"]) == 5
    assert patterns.weigh("password12345678", is_word=common) == 3
    assert patterns.weigh("P@ssw0rdP@ssw0rd1", is_word=common) == 5
    assert patterns.weigh("dragonzkmvbt", is_word=common) == 8


@pytest.mark.security
@pytest.mark.req("SEC-A04")
@given(st.text(min_size=1, max_size=12), st.integers(2, 6))
def test_what_is_repeated_is_found(part, times):
    assert patterns.period(part * times) <= len(part.casefold())


@given(st.text(max_size=40))
def test_no_text_counts_more_than_its_characters(text):
    assert 0 <= patterns.weigh(text) <= len(text.casefold())
    assert patterns.period(text) <= len(text.casefold())


@given(st.lists(st.sampled_from(string.ascii_letters + string.digits + "#%&?"), min_size=24, max_size=40))
def test_adding_names_never_makes_more(signs):
    text = "".join(signs)
    assert patterns.weigh(text, names=["abc", text[3:9].casefold()]) <= patterns.weigh(text)


def test_names_come_apart_at_signs():
    assert set(patterns.parts("Ada.Lovelace@example.org")) == {
        "ada",
        "lovelace",
        "example",
        "org",
        "adalovelace@exampleorg",
    }
    assert set(patterns.parts("Li")) == set()

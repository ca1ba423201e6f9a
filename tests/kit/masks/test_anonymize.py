"""Invented values: by locale, stable, well-formed, and nobody's."""

from __future__ import annotations

import random
import re
import tracemalloc
from typing import get_args

import pyarrow as pa
import pytest

from sluicegate.base.errors import Invalid
from sluicegate.kit.detect import numbers
from sluicegate.kit.masks.anonymize import LocaleName, Sort, maker
from sluicegate.kit.masks.words import LOCALES, given_names, names
from sluicegate.steps.mask import Mask
from tests.kit.masks.test_masks import KEYS, column, mask

SORTS = get_args(Sort)


def anonymize(sort, values, locale="de_DE", **more):
    return mask({"type": "anonymize", "as": sort, "locale": locale}, column("text", values), **more)[0].to_pylist()


def test_locales_are_those_that_are_known():
    assert set(get_args(LocaleName)) == set(LOCALES)
    for locale in LOCALES:
        assert min(map(len, names(locale))) > 80, locale
    assert len(given_names()) > 3000


@pytest.mark.parametrize("sort", SORTS)
def test_equal_values_become_equal_ones_in_any_batch(sort):
    one = anonymize(sort, ["a", "b", "a"])
    assert one[0] == one[2]
    assert one[3] is None
    assert anonymize(sort, ["b", "a"])[:2] == [one[1], one[0]]


@pytest.mark.security
@pytest.mark.req("SEC-B10")
def test_long_values_become_equal_ones_too_and_are_not_held_in_memory():
    long, few = [f"{n} {'x' * 50_000}" for n in range(40)], ["a", "b"]
    rules = [{"columns": "v", "method": {"type": "anonymize", "as": "name"}}]
    step = Mask.model_validate({"name": "m", "from": "a", "key": "k", "rules": rules})
    masker = step.start(pa.schema({"v": pa.string()}), KEYS)

    def made(values):
        return masker.mask(pa.RecordBatch.from_pydict({"v": values}), 1)[0].column("v").to_pylist()

    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        one = made(long + few)
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert held < 100_000, "of two million characters none is held"
    assert made(few + long) == one[-2:] + one[:-2]


@pytest.mark.security
@pytest.mark.req("SEC-B10")
@pytest.mark.parametrize("sort", SORTS)
def test_what_comes_depends_on_the_key_and_shows_nothing_of_the_value(sort):
    values = [f"canary{n}" for n in range(200)]
    one, other = (anonymize(sort, values, key=key)[:-1] for key in "kl")
    assert sum(a == b for a, b in zip(one, other, strict=True)) < 20
    assert not any("canary" in each for each in one)


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("sort", SORTS)
def test_every_locale_makes_every_sort(locale, sort):
    make = maker(sort, locale)
    drawn = random.Random(3)  # noqa: S311 - the same values in each run
    made = {make(drawn.getrandbits(256)) for _ in range(500)}
    assert all(each and each == each.strip() and not re.search("[#{}]", each) for each in made)
    assert len(made) > 30
    if sort == "iban":
        assert all(map(numbers.is_iban, made))
    if sort == "email":
        assert all(re.fullmatch(r"[a-z]+\.[a-z]+\.[0-9a-f]{8}@example\.com", each) for each in made)


def test_people_get_the_same_names_in_the_next_release():
    assert anonymize("name", ["Ada Lovelace"])[0] == "Ralph Weiß"
    assert anonymize("email", ["ada@example.org"], "pl_PL")[0] == "nela.kozdra.953e142f@example.com"
    assert anonymize("street", ["1 Main St"], "fr_FR")[0] == "24 rue Marty"


def test_only_text_is_replaced():
    with pytest.raises(Invalid, match="anonymize does not fit a column of type int64"):
        mask({"type": "anonymize", "as": "name"}, pa.array([1]))

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sluicegate.kit.pair import Pair


def test_a_bare_word_is_the_name_of_both():
    assert Pair.model_validate("k") == Pair(left="k", right="k")


@pytest.mark.parametrize("wrong", [5, {"left": "k"}, {"left": "k", "right": "k", "more": "x"}])
def test_nothing_but_a_pair_is_one(wrong):
    with pytest.raises(ValidationError):
        Pair.model_validate(wrong)

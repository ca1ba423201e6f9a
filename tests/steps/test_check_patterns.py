"""Patterns of people's run in the task: they must stay linear and bounded, whatever they say."""

from __future__ import annotations

import time

import pyarrow as pa
import pytest
from pydantic import ValidationError

from sluicegate.base.errors import SluiceError
from sluicegate.steps.check import Check


def split(pattern, text):
    step = Check.model_validate({"name": "c", "from": "a", "rules": [{"column": "t", "matches": pattern}]})
    return step.split(pa.record_batch({"t": [text]}), 1)


def cost(pattern, size):
    began = time.process_time()
    _, bad = split(pattern, "a" * size + "!")
    assert len(bad) == 1
    return time.process_time() - began


@pytest.mark.security
@pytest.mark.parametrize("pattern", ["(a+)+", "(a|a)*", "(a|aa)+", "(.*a){12}", "([a-z]+)*"])
def test_no_pattern_takes_more_than_a_time_that_grows_with_the_text(pattern):
    """An engine that backtracks takes longer than the sun for the first of these; ten times the text is ten times."""
    cost(pattern, 10)
    assert cost(pattern, 200_000) < 0.2 + 60 * cost(pattern, 20_000)


@pytest.mark.security
@pytest.mark.parametrize("pattern", ["(a{1000}){1000}", "((((a{100}){100}){100}){100})", "(?=a)", r"(a)\1", "("])
def test_a_pattern_that_grows_or_looks_back_is_refused_without_a_match(pattern):
    with pytest.raises((SluiceError, ValidationError)):  # when the flow is read, or before the first row is
        split(pattern, "a")

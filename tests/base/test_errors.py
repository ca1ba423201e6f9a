from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, SecretStr, ValidationError

from sluicegate.base import errors
from sluicegate.base.errors import CODES, Corrupt, Failed, Invalid, Missing, SluiceError, Throttled, Unauthenticated
from sluicegate.base.model import Model

CANARY = "canary-hunter2"
KINDS = list(CODES.values())


class Inner(Model):
    """A part."""

    count: int


class Question(Model):
    """A question with places of every sort."""

    name: str = Field(min_length=3)
    password: SecretStr = Field(default=SecretStr(""), max_length=5)
    parts: tuple[Inner, ...] = ()
    inner: Inner | None = None


def refused(value):
    with pytest.raises(ValidationError) as told:
        Question.model_validate(value)
    return errors.from_validation(told.value)


def test_an_error_says_where_what_and_what_to_do_on_one_line():
    assert str(Invalid("is wrong", where="flow a, step b", hint="Mend it.")) == "flow a, step b: is wrong Mend it."
    assert str(Invalid("is wrong")) == "is wrong"


def test_a_problem_document_has_what_there_is_and_no_more():
    assert Missing("There is none.").problem() == {
        "type": "urn:sluicegate:missing", "code": "missing", "status": 404, "title": "There is none.",
    }  # fmt: skip
    whole = Invalid("is wrong", where="here", hint="Mend it.").problem()
    assert (whole["where"], whole["hint"], whole["status"]) == ("here", "Mend it.", 422)


def test_a_place_is_given_once():
    fault = Invalid("is wrong")
    assert fault.at("the inner place") is fault
    assert fault.at("the outer place").where == "the inner place"


def test_codes_are_unique_and_all_are_known():
    def below(kind):
        return {kind}.union(*map(below, kind.__subclasses__()))

    assert below(SluiceError) == set(KINDS), "two kinds share a code, or one is not learnt"
    assert all(code == kind.code and code.replace("_", "").isalpha() for code, kind in CODES.items())


@pytest.mark.parametrize("kind", KINDS, ids=lambda each: each.code)
def test_every_kind_has_a_status_an_exit_code_and_a_meaning(kind):
    assert 400 <= kind.status < 600
    assert kind.exit in {1, 2, 4, 130}
    assert kind.__doc__


@pytest.mark.parametrize("kind", KINDS, ids=lambda each: each.code)
def test_an_error_crosses_a_pipe_and_is_the_same(kind):
    sent = kind("It is so.")
    sent.where, sent.hint = "step a", "Do this."
    got = errors.rebuild(json.loads(json.dumps(sent.problem())))
    assert type(got) is kind
    assert (got.message, got.where, got.hint) == ("It is so.", "step a", "Do this.")
    assert got.problem() == sent.problem()


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["code", "title", "where", "hint", "status", "type", "more"]),
        st.none() | st.integers() | st.text(max_size=20) | st.lists(st.text(max_size=5), max_size=2),
    )
)
def test_any_map_from_the_other_side_gives_an_error(problem):
    got = errors.rebuild(problem)
    assert isinstance(got, SluiceError)
    assert isinstance(str(got), str)
    assert type(got) is CODES.get(str(problem.get("code")), Failed)


def test_too_many_requests_say_when_to_come_back():
    fault = Throttled(after=12.4)
    assert fault.after == 12.4
    assert "13 s" in fault.hint, "none of them is missing"


@pytest.mark.security
@pytest.mark.req("SEC-A07")
def test_refusals_that_could_tell_something_have_one_message():
    assert str(Unauthenticated()) == "Sign in first."
    assert str(Corrupt()) == "Stored data does not verify."


@pytest.mark.security
@pytest.mark.req("SEC-V02")
@pytest.mark.parametrize(
    "value",
    [
        {"name": "abc", "password": CANARY},
        {"name": 1, "password": [CANARY]},
        {"name": [CANARY]},
        {"name": "abc", "inner": {"count": CANARY}},
        {"name": "abc", "parts": [{"count": CANARY}]},
        {"name": "abc", "parts": CANARY},
    ],
)
def test_a_refusal_never_repeats_what_it_refuses(value):
    fault = refused(value)
    assert CANARY not in str(fault)
    assert CANARY not in json.dumps(fault.problem())


def test_a_refusal_names_each_place_and_reason():
    fault = refused({"nmae": "x", "parts": [{"count": 1}, {"count": "x", "cuont": 1}]})
    assert "name: is required" in fault.message
    assert "nmae: unknown key" in fault.message
    assert "parts[1].count: " in fault.message
    assert "parts[1].cuont: unknown key" in fault.message


def test_a_long_list_of_faults_is_cut_and_counted():
    fault = refused({"name": "abc", "parts": [{"count": "x"}] * 8})
    assert fault.message.count("parts[") == 5
    assert fault.message.endswith("and 3 more")

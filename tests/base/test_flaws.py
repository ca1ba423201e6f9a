"""What does not fit is told in plain words, whatever it is: never the library's, never the input."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, Field, TypeAdapter, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError
from pydantic_core.core_schema import ErrorType

from sluicegate.base.errors import from_validation
from sluicegate.base.flaws import Flaw, Misfit, flaws_of, spell
from sluicegate.base.model import DisplayName, Email, Id, Model, Name
from sluicegate.base.networks import Network
from sluicegate.base.secret import SecretUrl
from sluicegate.base.settings import Settings
from sluicegate.kit import document, registry
from sluicegate.kit.flow import Flow
from sluicegate.operations import OPERATIONS

CANARY = "hunter22-canary"
JARGON = re.compile(r"Input should|[Pp]attern|Tuple|dictionary|instance|validation|Value error|String should|Value should|"
                    r"valid string|pydantic|\b(?:int|str|dict|tuple)\b(?!\d)|" + CANARY)  # fmt: skip
MODELS: list[Any] = [
    *(registry.find(shape, type_) for shape in ("connection", "format", "step") for type_ in registry.types(shape)),
    Flow, document.Recipient, Settings, *dict.fromkeys(each.takes for each in OPERATIONS),
]  # fmt: skip
CONTEXT = {
    "gt": 1, "ge": 1, "lt": 1, "le": 1, "multiple_of": 2, "min_length": 2, "max_length": 3, "actual_length": 9,
    "field_type": "Tuple", "pattern": "^x$", "expected": "'a' or 'b'", "discriminator": "'type'", "tag": CANARY,
    "expected_tags": "'a', 'b'", "error": ValueError(CANARY), "class": "dict", "class_name": "Tuple", "encoding": "utf-8",
    "encoding_error": CANARY, "tz_expected": 0, "tz_actual": 1, "expected_schemes": "'https'", "expected_version": 7,
    "max_digits": 3, "decimal_places": 3, "whole_digits": 3, "attribute": "x", "method_name": "x", "function_name": "x",
    "expected_type": "x", "keyword": "x",
}  # fmt: skip


def told(model: Any, value: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(model).validate_python(value)
    return from_validation(caught.value, given=value).message


@pytest.mark.security
@pytest.mark.parametrize("kind", get_args(ErrorType))
def test_every_kind_of_error_has_plain_words(kind):
    context = CONTEXT if kind in ("value_error", "assertion_error") else {**CONTEXT, "error": CANARY}
    fault = ValidationError.from_exception_data(
        "M", [InitErrorDetails(type=kind, loc=("a",), input=CANARY, ctx=context)]
    )
    message = from_validation(fault).message
    assert not JARGON.search(message), message
    assert message.startswith("a: ")


VALUES = st.recursive(
    st.sampled_from([CANARY, None, True, 5, -1.5, "", "a", b"x", float("nan"), 10**30]) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["secret", "type", "name", "x"]), inner)
    ),
    max_leaves=4,
)


@pytest.mark.security
@settings(max_examples=400, deadline=None)
@given(st.sampled_from(MODELS), st.data())
def test_no_model_lets_the_library_or_the_input_speak(model, data):
    keys = [field.alias or name for name, field in model.model_fields.items()]
    value = data.draw(st.dictionaries(st.sampled_from([*keys, "zap"]), VALUES, max_size=6))
    try:
        model.model_validate(value)
    except ValidationError as fault:
        for given_ in (value, None):
            message = from_validation(fault, given=given_).message
            assert not JARGON.search(message), message


@pytest.mark.parametrize(
    ("model", "value", "says"),
    [
        (Name, "No!", "is not a name: use lower-case letters, digits, - and _ (1 to 64 characters"),
        (Id, "x", "is not an id: an id looks like 01890a5d-"),
        (tuple[int, ...], 5, "must be a list"),
        (Annotated[tuple[int, ...], Field(min_length=1)], (), "must not be empty"),
        (Annotated[list[int], Field(min_length=2)], [1], "needs at least 2 entries"),
        (Annotated[str, Field(min_length=1)], "", "must not be empty"),
        (Annotated[int, Field(ge=1)], 0, "must be at least 1"),
        (Literal["a", "b"], "c", "must be 'a' or 'b'"),
        (bool | int, "x", "must be true or false or a whole number"),
        (dict[str, int], {"a": "x"}, "a: must be a whole number"),
    ],
)
def test_words_say_what_to_write(model, value, says):
    assert told(model, value).startswith(says)


class Inner(Model):
    """A model with a validator."""

    word: str


def _never(_value: object) -> object:
    raise Misfit("never fits", "deep", 2)


def _library(value: object) -> object:
    raise ValueError(f"{value!r} is not to be shown")


def test_places_lead_to_the_key_and_unknown_keys_come_first():
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(list[Inner]).validate_python([{"wrod": 1}])
    found = from_validation(caught.value, given=[{"wrod": 1}])
    assert (found.message, found.path) == ("[0].wrod: unknown key; [0].word: is required", (0, "wrod"))


def test_a_validator_leads_on_from_its_field():
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(dict[str, Annotated[Any, AfterValidator(_never)]]).validate_python({"a": {}})
    assert [(each.path, each.text) for each in flaws_of(caught.value)] == [(("a", "deep", 2), "never fits")]
    assert str(Misfit("never fits", "deep", 2)) == "never fits"


@pytest.mark.security
def test_only_a_misfit_is_quoted():
    assert told(Annotated[Any, AfterValidator(_library)], CANARY) == "does not fit"
    with pytest.raises(ValidationError) as caught:
        raise ValidationError.from_exception_data(
            "M",
            [InitErrorDetails(type=PydanticCustomError("odd", CANARY), loc=(), input=1)],  # type: ignore[arg-type]
        )
    assert from_validation(caught.value).message == "does not fit"


@pytest.mark.security
@pytest.mark.parametrize("value", [CANARY, {CANARY: 1}, {"secret": "a", CANARY: 1}, [CANARY], 5, {}])
def test_a_secret_that_stands_where_its_name_belongs_is_not_echoed(value):
    body = {"kind": "connection", "name": "c", "type": "postgres", "host": "h", "database": "d", "user": "u"}
    with pytest.raises(Exception, match=r"write \{ secret: NAME \}") as caught:
        document.parse_definition({**body, "password": value})
    assert CANARY not in str(caught.value)


def test_lines_of_further_flaws_are_told():
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(list[int]).validate_python(["x", "y"])
    assert from_validation(caught.value, line=lambda path: int(path[0]) + 5).message == (
        "[0]: must be a whole number; line 6: [1]: must be a whole number"
    )


def test_a_place_is_spelled_and_bounded():
    assert spell(("a", 0, "b")) == "a[0].b"
    assert spell(("x" * 900, "\x1b[2J")) == "x" * 64 + ".�[2J"
    assert str(Flaw((), "is odd")) == "is odd"


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"name": " "}, "name: must not be empty"),
        ({"name": "a\u202eb"}, "name: must be one line of letters, digits, marks and plain blanks"),
        ({"email": "nobody"}, "email: is not an e-mail address"),
        (
            {"networks": ["banana"]},
            "networks[0]: this is no address and no network such as 10.0.0.0/8; the bits behind the prefix are 0",
        ),
        ({"secret": {"file": "here"}}, "secret: file must be an absolute path"),
    ],
)
def test_what_our_own_validators_find_is_told_in_their_words(values, says):
    class Person(Model):
        name: DisplayName = "a"
        email: Email = "a@b"
        networks: tuple[Network, ...] = ()
        secret: SecretUrl | None = None

    with pytest.raises(ValidationError) as told:
        Person.model_validate(values)
    assert from_validation(told.value).message == says

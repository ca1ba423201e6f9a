from __future__ import annotations

from typing import ClassVar

import pytest
from pydantic import ValidationError

from sluicegate.formats.csv import Csv
from sluicegate.kit import registry
from sluicegate.kit.format import Format
from sluicegate.kit.step import ITEM_MAX, Check, Formatted, Masking, Reading, Step, Transform, Writing, parse_format

SORTS = (Reading, Transform, Check, Masking, Writing)
PLUGINS = [registry.find("step", type_) for type_ in registry.types("step")]


class Tap(Reading):
    """Brings rows in."""

    type: ClassVar[str] = "tap"


class Sink(Writing):
    """Lets rows out."""

    type: ClassVar[str] = "sink"


class Either(Formatted):
    """May name a format."""

    type: ClassVar[str] = "either"


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda each: each.__name__)
def test_every_step_is_of_exactly_one_sort(plugin):
    assert [sort for sort in SORTS if issubclass(plugin, sort)] != []
    assert len([sort for sort in SORTS if issubclass(plugin, sort)]) == 1


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda each: each.__name__)
def test_every_step_does_what_its_sort_must(plugin):
    sort = next(sort for sort in SORTS if issubclass(plugin, sort))
    needed = {Transform: ("query", "check_text", "outputs"), Check: ("split", "check_columns")}.get(sort, ())
    for name in needed:
        assert getattr(plugin, name) is not getattr(sort, name), name


def test_a_writing_step_takes_the_rows_of_one_other():
    made = Sink.model_validate({"from": "a", "connection": "c", "item": "t"})
    assert made.inputs == ("a",)
    assert made.name is None
    assert made.model_dump(by_alias=True)["from"] == "a"


def test_a_reading_step_takes_no_rows():
    assert Tap(name="a", connection="c", item="t").inputs == ()


@pytest.mark.security
@pytest.mark.req("SEC-P01")
@pytest.mark.parametrize(
    "wrong",
    [{"item": ""}, {"item": "x" * (ITEM_MAX + 1)}, {"item": None}, {"connection": "../c"}, {"connection": ""}, {"name": "a b"},
     {"name": "a;drop"}, {"more": 1}],
)  # fmt: skip
@pytest.mark.parametrize("step", [Tap, Sink])
def test_names_and_items_have_a_form_and_a_largest_size(step, wrong):
    whole = {"name": "a", "connection": "c", "item": "t", **({"from": "b"} if step is Sink else {})}
    assert step.model_validate(whole)
    with pytest.raises(ValidationError):
        step.model_validate({**whole, **wrong})


@pytest.mark.parametrize("given", ["csv", {"type": "csv"}, Csv()])
def test_a_format_is_a_word_a_map_or_the_thing_itself(given):
    assert isinstance(parse_format(given), Csv)
    assert Either(format=given).format == Csv()


def test_no_format_is_none():
    assert parse_format(None) is None
    assert Either().format is None


def test_the_options_of_a_format_are_its_plugins():
    made = Either.model_validate({"format": {"type": "csv", "delimiter": ";"}})
    assert isinstance(made.format, Format)
    assert made.format.delimiter == ";"
    assert made.model_dump(mode="json", exclude_unset=True) == {"format": {"type": "csv", "delimiter": ";"}}


@pytest.mark.security
@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("../csv", "unknown format type"), ("sluicegate.formats.csv", "unknown format type"), ("", "unknown format type"),
        ("os", "unknown format type"), ({"type": "nope"}, "unknown format type"), ({"delimiter": ","}, "map with a 'type'"),
        ({"type": ["csv"]}, "map with a 'type'"), (7, "map with a 'type'"), (["csv"], "map with a 'type'"),
    ],
)  # fmt: skip
def test_a_format_type_is_one_of_those_there_are_and_nothing_is_imported_by_name(given, says):
    with pytest.raises(ValueError, match=says) as told:
        parse_format(given)
    assert not says.startswith("unknown") or "csv, json" in str(told.value)


def test_an_unknown_option_of_a_format_is_placed():
    with pytest.raises(ValidationError) as told:
        Either.model_validate({"format": {"type": "csv", "delimter": ";"}})
    assert "delimter" in str(told.value)


def test_the_shapes_alone_do_nothing():
    assert Step().inputs == ()
    assert Transform().params() == {}
    assert Step().check_text() is None
    for act in (lambda: Transform().query({}), Transform().check_text, lambda: Transform().outputs({}),
                lambda: Check().split(None, 0), lambda: Check().check_columns([])):  # fmt: skip
        with pytest.raises(NotImplementedError):
            act()

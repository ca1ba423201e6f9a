"""The operations table: whole, and in parts."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sluicegate import operations
from sluicegate.operations import OPERATIONS, find, of


def test_each_operation_is_found_by_name_and_by_noun():
    assert [find(each.name) for each in OPERATIONS] == list(OPERATIONS)
    nouns = {each.name.partition(".")[0] for each in OPERATIONS}
    assert {each for noun in nouns for each in of(noun)} == set(OPERATIONS)
    assert of("nothing") == ()


@pytest.mark.security
def test_every_module_with_operations_is_part_of_the_table():
    folder = sys.modules["sluicegate.operations"].__path__[0]
    named = subprocess.run(["grep", "-l", "^OPERATIONS", "-r", folder, "--include=*.py"], capture_output=True, text=True, check=True)  # fmt: skip
    files = {line.rpartition("/")[2].removesuffix(".py") for line in named.stdout.split()} - {"__init__"}
    assert files == set(operations._NOUNS)


@pytest.mark.security
@pytest.mark.req("SEC-D02")
def test_every_number_and_text_of_a_question_has_an_end():
    for each in OPERATIONS:
        schema = each.takes.model_json_schema()
        assert list(_endless(schema, schema.get("$defs", {}))) == [], each.name


def _endless(schema, defs, name=""):
    """Yield the fields without an end: what the store cannot hold would be an error on our side."""
    if "$ref" in schema:
        schema = defs[schema["$ref"].rpartition("/")[2]]
    bounds = {"string": ("maxLength", "pattern", "enum", "const"), "integer": ("maximum",), "array": ("maxItems",)}
    kind = schema.get("type")
    if kind in bounds and not any(each in schema for each in bounds[kind]):
        yield name
    if kind == "object" and "properties" not in schema and "maxProperties" not in schema and name:
        yield name
    inner = dict(schema.get("properties", {}))
    inner |= {f"{name}[]": each for each in [schema.get("items")] if each}
    inner |= {f"{name}|{place}": each for place, each in enumerate(schema.get("anyOf", ()))}
    for part, each in inner.items():
        yield from _endless(each, defs, part)


def test_one_operation_loads_one_module():
    code = (
        "import sys; from sluicegate.operations import find; find('session.whoami');"
        "print(*sorted(each for each in sys.modules if each.startswith('sluicegate.operations.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["sluicegate.operations.session"]

"""Help texts of fields: what stands below a field in the source, wherever its class was written."""

from __future__ import annotations

import subprocess
import sys

from pydantic import Field

from sluicegate.base.docstrings import describe
from sluicegate.base.model import Model


class Outer(Model):
    """A class of its own."""

    first: int = 1
    """What the first is for:
    two lines."""
    second: int = 2
    third: int = Field(default=3, alias="third-word")
    """Known by another word."""

    class Inner(Model):
        """A class in it."""

        first: str = ""
        """Of the inner one."""


class Below(Outer):
    """A class that has more, and says one thing anew."""

    first: int = 10
    fourth: int = 4
    """Only here."""


def test_each_class_has_its_own_texts():
    assert describe(Outer) == {"first": "What the first is for:\ntwo lines.", "third": "Known by another word."}
    assert describe(Outer.Inner) == {"first": "Of the inner one."}


def test_what_a_class_inherits_keeps_its_text_and_what_it_says_anew_does_not():
    assert describe(Below) == {"third": "Known by another word.", "fourth": "Only here."}


def test_a_class_within_a_function_has_its_own():
    class Outer(Model):
        within: int = 1
        """Of this function."""

    assert describe(Outer) == {"within": "Of this function."}


def test_a_schema_tells_them_by_either_name():
    for by_alias, name in ((True, "third-word"), (False, "third")):
        fields = Outer.model_json_schema(by_alias=by_alias)["properties"]
        assert fields[name]["description"] == "Known by another word."
        assert "description" not in fields["second"]


def test_no_source_is_read_by_a_command_that_shows_none():
    script = "from sluicegate.base import docstrings, settings; print(docstrings._read.cache_info().currsize)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"

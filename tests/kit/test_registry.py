from __future__ import annotations

import subprocess
import sys

import pytest

from sluicegate.base.docstrings import describe
from sluicegate.base.errors import Invalid
from sluicegate.kit import registry

HEAVY = ("pyarrow", "duckdb", "sqlalchemy", "dbos", "psycopg", "httpx", "pyrage", "sqlglot", "granian")


@pytest.mark.parametrize("shape", ["connection", "format", "step"])
def test_every_plugin_has_its_types_name_and_help(shape):
    assert registry.types(shape)
    for type_ in registry.types(shape):
        plugin = registry.find(shape, type_)
        assert plugin.__doc__
        without = set(plugin.model_fields) - {"kind", "type"} - describe(plugin).keys()
        assert not without, (type_, without)


def test_an_unknown_type_is_told_with_those_there_are():
    with pytest.raises(Invalid) as caught:
        registry.find("step", "../evil")
    assert "read" in caught.value.hint


@pytest.mark.security
@pytest.mark.parametrize("shape", ["connection", "format", "step"])
def test_plugins_load_no_driver_before_they_are_used(shape):
    code = (
        "import sys\nfrom sluicegate.kit import registry\n"
        f"for each in registry.types({shape!r}): registry.find({shape!r}, each)\n"
        f"print([each for each in {HEAVY!r} if each in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sluicegate.conformance.step import WritingSuite
from sluicegate.steps.archive import Archive


class TestArchive(WritingSuite):
    plugin = Archive
    whole = {"name": "a", "from": "rows", "connection": "c", "item": "x.parquet", "seal": {"to": ["dpo"]}}


@pytest.mark.security
def test_an_archive_is_always_sealed_for_somebody():
    whole = {"from": "a", "connection": "c", "item": "x.parquet"}
    for seal in ({}, {"seal": {"to": []}}, {"seal": {"type": "rot13", "to": ["dpo"]}}, {"seal": None}):
        with pytest.raises(ValidationError):
            Archive.model_validate({**whole, **seal})
    assert Archive.model_validate({**whole, "seal": {"to": ["dpo"]}}).seal.to == ("dpo",)

"""``minus``: the rows of one input that another does not have."""

from __future__ import annotations

from typing import ClassVar, Literal

from sluicegate.kit import comparison


class Minus(comparison.Comparison):
    """Give the rows on the left that are not on the right. Columns go together by name; NULL equals NULL here."""

    type: ClassVar[str] = "minus"
    rows: Literal["distinct", "all"] = "distinct"
    """Whether a row comes out once, or as often as it is on the left more than on the right."""

    word: ClassVar[Literal["EXCEPT", "INTERSECT"]] = "EXCEPT"

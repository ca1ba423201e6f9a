"""``intersect``: the rows that two inputs share."""

from __future__ import annotations

from typing import ClassVar, Literal

from sluicegate.kit import comparison


class Intersect(comparison.Comparison):
    """Give the rows that are on the left and on the right. Columns go together by name; NULL equals NULL here."""

    type: ClassVar[str] = "intersect"
    rows: Literal["distinct", "all"] = "distinct"
    """Whether a row comes out once, or as often as it is on both sides."""

    word: ClassVar[Literal["EXCEPT", "INTERSECT"]] = "INTERSECT"

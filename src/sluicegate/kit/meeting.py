"""Which types go together: two types meet when one holds every value of both, and DuckDB takes just that one.

DuckDB itself is more generous: it makes text of an integer beside a text, a rounded float of an integer beside a
``float32``, and cuts the digits of two decimals to 38. None of that happens without a cast in the flow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.base.errors import Invalid
from sluicegate.kit.types import to_arrow, to_name

if TYPE_CHECKING:
    import pyarrow as pa

_DIGITS = 38
_MANTISSA = {16: 11, 32: 24, 64: 53}


def meet(one: pa.DataType, other: pa.DataType) -> bool:  # noqa: PLR0911 - one line for each family
    """Tell whether values of both go into one column, or compare, exactly."""
    import pyarrow as pa

    is_ = pa.types
    if one.equals(other) or is_.is_null(one) or is_.is_null(other):
        return True
    if isinstance(one, pa.ExtensionType) or isinstance(other, pa.ExtensionType):
        return False
    if is_.is_integer(one) and is_.is_integer(other):
        return _integers(one, other)
    if _is_exact(one) and _is_exact(other):
        (before, after), (before_too, after_too) = _digits(one), _digits(other)
        return max(before, before_too) + max(after, after_too) <= _DIGITS
    if is_.is_floating(one) and is_.is_floating(other):
        return True
    if is_.is_floating(one) and is_.is_integer(other):
        return _bits(other) <= _MANTISSA[one.bit_width]
    if is_.is_integer(one) and is_.is_floating(other):
        return meet(other, one)
    if is_.is_list(one) and is_.is_list(other):
        return meet(one.value_type, other.value_type)
    if is_.is_struct(one) and is_.is_struct(other):
        names = [field.name for field in one] == [field.name for field in other]
        return names and all(meet(ours.type, theirs.type) for ours, theirs in zip(one, other, strict=True))
    return to_name(one) == to_name(other)


def widened(have: pa.DataType, want: pa.DataType) -> pa.DataType | None:
    """Return the number type that holds all values of both; ``None`` when ``have`` does, or there is none.

    Only numbers get wider, and only exactly: never an exact one to a float.
    """
    import pyarrow as pa

    is_, made = pa.types, None
    if is_.is_integer(have) and is_.is_integer(want):
        made = _integer(have, want)
    elif _is_exact(have) and _is_exact(want):
        (before, after), (before_too, after_too) = _digits(have), _digits(want)
        before, after = max(before, before_too), max(after, after_too)
        made = to_arrow(f"decimal({before + after},{after})") if before + after <= _DIGITS else None
    elif is_.is_floating(have) and is_.is_floating(want):
        made = have if have.bit_width >= want.bit_width else want
    return None if made is None or made.equals(have) else made


def _integer(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """Return the smallest integer type that holds both; ``None`` when there is none."""
    signed, bits = _is_signed(one) or _is_signed(other), max(_bits(one), _bits(other))
    size = next((size for size in (8, 16, 32, 64) if size - signed >= bits), None)
    return None if size is None else to_arrow(f"{'' if signed else 'u'}int{size}")


def require(column: str, one: tuple[str, pa.DataType], other: tuple[str, pa.DataType], where: str) -> None:
    """Raise ``Invalid`` when the column's types (each with the name of where it is so) do not meet."""
    (here, kind), (there, second) = one, other
    if not meet(kind, second):
        raise Invalid(
            f"the column {column!r} is {to_name(kind)} in {here!r} and {to_name(second)} in {there!r}",
            where=where,
            hint="Cast one of them in a step before: no type changes by itself.",
        )


def _is_exact(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_decimal(kind))


def _is_signed(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_signed_integer(kind))


def _bits(kind: pa.DataType) -> int:
    """Return the bits of an integer's magnitude."""
    return int(kind.bit_width) - _is_signed(kind)


def _integers(one: pa.DataType, other: pa.DataType) -> bool:
    """Tell whether an integer type holds both: all do, but for ``uint64`` beside one with a sign."""
    return _is_signed(one) == _is_signed(other) or max(_bits(one), _bits(other)) < 64  # noqa: PLR2004 - bits


def _digits(kind: pa.DataType) -> tuple[int, int]:
    """Return the digits before and after the point."""
    import pyarrow as pa

    if pa.types.is_decimal(kind):
        return kind.precision - kind.scale, kind.scale
    return len(str(1 << _bits(kind))), 0

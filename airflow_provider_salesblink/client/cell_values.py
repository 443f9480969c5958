"""Write single values as text: strip blanks, write numbers in plain digits, recognize missing values.

Works with the scalars of numpy and pandas without importing either.
"""

from __future__ import annotations

import re
from decimal import Decimal
from numbers import Integral, Real

_LONGEST_NUMBER = 1000
"""Digits. Python refuses to write much longer integers, and no column needs one."""

HALF_PAIR = re.compile(r"[\ud800-\udfff]")
"""Half a surrogate pair. It cannot be encoded, so it cannot be sent."""


def _characters(*ranges: tuple[int, int]) -> str:
    return "".join(chr(code) for first, last in ranges for code in range(first, last + 1))


BLANKS = _characters(
    (0x01, 0x20), (0x7F, 0xA0), (0xAD, 0xAD), (0x034F, 0x034F), (0x061C, 0x061C), (0x115F, 0x1160), (0x1680, 0x1680),
    (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2000, 0x200F), (0x2028, 0x202F), (0x205F, 0x206F), (0x2800, 0x2800),
    (0x3000, 0x3000), (0x3164, 0x3164), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF9, 0xFFFB), (0xFFFE, 0xFFFE),
    (0x1D159, 0x1D159), (0x1D173, 0x1D17A),
)  # fmt: skip
"""All invisible characters: Unicode's blanks, zero-width and other format characters, fillers, controls.

Without NUL, which marks a broken source, and without what an emoji may end with (variation selectors, tags).
"""

_NEVER_FIRST = BLANKS + _characters((0xFE00, 0xFE0F))


def trimmed(text: str) -> str:
    """Return ``text`` without the blanks and invisible characters around it."""
    if text.isascii():
        return text.strip() if text.isprintable() else text.strip(BLANKS)
    return text.strip(BLANKS).lstrip(_NEVER_FIRST)


def is_missing(value: object) -> bool:
    """Return whether ``value`` is a missing value: None, NaN of any kind, NaT, pandas.NA."""
    if value is None:
        return True
    if isinstance(value, str | int):
        return False
    if isinstance(value, Decimal):
        return value.is_nan()
    if type(value).__name__ in ("NAType", "NaTType"):
        return True
    try:
        # Only a value that is not a number differs from itself.
        return bool(value != value)
    except (TypeError, ValueError, RecursionError):
        return False


def as_text(value: object) -> str | None:
    """Return a string, number or boolean as text; None for anything else, also for NaN and infinite numbers.

    Numbers are written in plain digits, without an exponent: ``0.00001``, ``1000``. ``-0`` is ``0``.
    """
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool) or (type(value).__name__ in ("bool", "bool_") and _is_numpy(value)):
        return str(bool(value)).lower()
    if isinstance(value, Integral):
        return str(int(value)) if abs(int(value)) < 10**_LONGEST_NUMBER else None
    if isinstance(value, Decimal):
        return _digits(value)
    if isinstance(value, float) or (isinstance(value, Real) and _is_numpy(value)):
        # numpy's repr includes the type; its str is the shortest text for the number.
        digits = _digits(Decimal(float.__repr__(value) if isinstance(value, float) else str(value)))
        return digits.removesuffix(".0") if digits else None
    return None


def _digits(number: Decimal) -> str | None:
    if not number.is_finite() or max(abs(number.adjusted()), -int(number.as_tuple().exponent)) > _LONGEST_NUMBER:
        return None
    return f"{number or abs(number):f}"


def _is_numpy(value: object) -> bool:
    return type(value).__module__ == "numpy"

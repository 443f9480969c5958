"""Write numbers, rates and dates as a report shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date, datetime

LEAST_FOR_PERCENT = 20
"""Below this base, a report shows "1 of 5" without a percentage, which would look more exact than it is."""
LEAST_FOR_WARNING = 200
"""Below this base, no rate is marked as high: a few unlucky mails would do it."""
HIGH = {"bounces": 0.05, "unsubscribes": 0.02}
"""Rates per mail sent above which a report marks a rate as high. Amazon SES reviews a sender above 5% of bounces."""


def share(count: int, base: int) -> float | None:
    """Return ``count`` as a share of ``base``; None where this makes no sense."""
    return count / base if 0 <= count <= base and base else None


def percent(count: int, base: int) -> str:
    """Return a share as text, such as ``1.9%``; empty where the base is too small, or smaller than the count."""
    found = share(count, base)
    if found is None or base < LEAST_FOR_PERCENT:
        return ""
    if count and found < 0.001:
        return "<0.1%"
    return f"{100 * found:.1f}%"


def is_high(measure: str, count: int, base: int) -> bool:
    """Return whether to mark a rate as high. A small base never is."""
    found = share(count, base)
    return found is not None and base >= LEAST_FOR_WARNING and found > HIGH[measure]


def number(value: int) -> str:
    """Return a number with thousands separators."""
    return f"{value:,}"


def counted(value: int, one: str, many: str) -> str:
    """Return a number with its noun: "1 mail", "1,200 mails"."""
    return f"{value:,} {one if value == 1 else many}"


def day(value: date) -> str:
    """Return a day, such as ``5 Nov 2026``, in English whatever the machine's language is."""
    return f"{short_day(value)} {value.year}"


def short_day(value: date) -> str:
    """Return a day without its year."""
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return f"{value.day} {months[value.month - 1]}"


def minute(value: datetime) -> str:
    """Return a time in UTC, such as ``5 Nov 2026, 08:15 UTC``."""
    return f"{day(value.date())}, {value:%H:%M} UTC"

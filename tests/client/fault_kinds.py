"""The sandbox's faults, grouped by what the client does about them."""

from __future__ import annotations

from typing import Any

import pytest

LOST: list[tuple[str, dict[str, Any]]] = [("reset", {}), ("close", {}), ("cut", {})]
SPOILT: list[tuple[str, dict[str, Any]]] = [("html", {}), ("truncated", {}), ("garbage", {})]
DOWN: list[tuple[str, dict[str, Any]]] = [("status", {"status": status}) for status in (500, 502, 503, 504)]
BUSY: list[tuple[str, dict[str, Any]]] = [("429", {}), ("429", {"retry_after": 0})]


def worded(value: object) -> str:
    return "-".join(map(str, value.values())) if isinstance(value, dict) else str(value)


def faults(*groups: list[tuple[str, dict[str, Any]]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("kind", "options"), [fault for group in groups for fault in group], ids=worded)

"""Several streams of a trigger as one."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from airflow_provider_salesblink.triggers.merging import merged

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

SOON = 5.0


async def counting(log: list[str], name: str, items: int, pause: float = 0.0) -> AsyncGenerator[str, None]:
    """Yield items, and note what the consumer lets it do."""
    try:
        for number in range(items):
            await asyncio.sleep(pause)
            yield f"{name}{number}"
            log.append(f"after {name}{number}")
    finally:
        log.append(f"closed {name}")


async def failing(error: Exception) -> AsyncGenerator[str, None]:
    yield "first"
    raise error


def test_all_items_come_and_those_of_a_stream_in_their_order() -> None:
    async def story() -> list[str]:
        async with asyncio.timeout(SOON):
            return [item async for item in merged([counting([], "a", 50), counting([], "b", 30, 0.001)])]

    items = asyncio.run(story())

    for name, count in (("a", 50), ("b", 30)):
        assert [item for item in items if item[0] == name] == [f"{name}{number}" for number in range(count)]
    assert len(items) == 80


def test_a_stream_goes_on_only_when_its_item_was_consumed() -> None:
    log: list[str] = []

    async def story() -> None:
        async with aclosing(merged([counting(log, "a", 2)])) as items:
            assert await anext(items) == "a0"
            await asyncio.sleep(0.05)
            assert log == []
            assert await anext(items) == "a1"
            assert log == ["after a0"]

    asyncio.run(story())

    assert log == ["after a0", "closed a"]


def test_the_error_of_one_stream_ends_all() -> None:
    log: list[str] = []

    async def story() -> None:
        async with asyncio.timeout(SOON):
            async for _ in merged([counting(log, "a", 1000, 0.01), failing(ConnectionError("the database is gone"))]):
                pass

    with pytest.raises(ConnectionError, match="the database is gone"):
        asyncio.run(story())

    assert log[-1] == "closed a"


def test_all_streams_are_closed_with_the_consumer() -> None:
    log: list[str] = []

    async def story() -> set[str]:
        async with aclosing(merged([counting(log, "a", 9), counting(log, "b", 9, 60)])) as items:
            await anext(items)
        return {each for each in log if "closed" in each}

    assert asyncio.run(story()) == {"closed a", "closed b"}

"""Merge several streams of a trigger into one."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

Item = TypeVar("Item")


async def merged(streams: Sequence[AsyncGenerator[Item, None]]) -> AsyncGenerator[Item, None]:
    """Yield the items of all streams as they come, until one stream fails or all have ended.

    A stream continues only after its item was consumed, as it would without the merging: what it does next may rely
    on that.
    """
    items: asyncio.Queue[Item] = asyncio.Queue()

    async def forward(stream: AsyncGenerator[Item, None]) -> None:
        async with aclosing(stream):
            async for item in stream:
                items.put_nowait(item)
                await items.join()

    forwards = {asyncio.ensure_future(forward(stream)) for stream in streams}
    arrival = asyncio.ensure_future(items.get())
    try:
        while forwards or arrival.done():
            await asyncio.wait({arrival, *forwards}, return_when=asyncio.FIRST_COMPLETED)
            if arrival.done():
                yield arrival.result()
                items.task_done()
                arrival = asyncio.ensure_future(items.get())
            for ended in {each for each in forwards if each.done()}:
                forwards.remove(ended)
                ended.result()
    finally:
        for task in (arrival, *forwards):
            task.cancel()
        await asyncio.gather(arrival, *forwards, return_exceptions=True)

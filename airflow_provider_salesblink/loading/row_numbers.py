"""Many row numbers in few words: the first and the last of each run of them."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def in_runs(numbers: Iterable[int]) -> Iterator[list[int]]:
    """Ascending numbers as the first and the last of each run of them."""
    run: list[int] = []
    for number in numbers:
        if run and number == run[1] + 1:
            run[1] = number
            continue
        if run:
            yield run
        run = [number, number]
    if run:
        yield run


class Runs:
    """The numbers that :func:`in_runs` was given."""

    def __init__(self, runs: list[list[int]]) -> None:
        self._firsts = [first for first, _ in runs]
        self._lasts = [last for _, last in runs]

    def __contains__(self, number: int) -> bool:
        place = bisect_right(self._firsts, number) - 1
        return place >= 0 and number <= self._lasts[place]

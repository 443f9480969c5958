"""Parse standard JSON: a whole document at once, or one list in it, element by element.

The time grows with the length of the document only, whatever it contains.
"""

from __future__ import annotations

import io
import json
import math
import re
from abc import ABC, abstractmethod
from typing import IO, TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterator

LONGEST_VALUE = 4_194_304
"""Characters that one element of a streamed list, or one value outside the list, may have."""

_PIECE = 65_536
_LOOKAHEAD = 3
_BLANKS = re.compile(r"[ \t\n\r]*")

Path = tuple[str, ...]


def parsed(content: bytes) -> Any:  # noqa: ANN401
    """Return the value of a JSON document.

    :raises ValueError: it is not JSON, contains NaN, infinity or a number with thousands of digits, or is nested too
        deeply.
    """
    try:
        return json.loads(content, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None


class Readable(ABC):
    """Text that is read in pieces."""

    @abstractmethod
    def read(self, characters: int) -> str:
        """Return the next piece; empty at the end."""


def elements(
    file: IO[bytes] | Readable,
    paths: Collection[Path],
    on_other: Callable[[Path, Any], None],
    decoder: json.JSONDecoder | None = None,
) -> Iterator[Any]:
    """Yield the elements of the first list at one of ``paths`` in an open document, which may be larger than memory.

    :param paths: each the keys that lead to the list; an empty path is the document itself.
    :param on_other: called with the path and the value of everything outside the list.
    :param decoder: decodes the values, if not as :func:`parsed` does.
    :raises LookupError: there is no list at any of these paths.
    :raises ValueError: as :func:`parsed`, after the elements before the error; or one value is too long.
    """
    text = _Text(file, decoder or _DECODER)
    is_found = yield from _search(text, (), paths, on_other)
    if text.peek():
        raise ValueError("more than one document")
    if not is_found:
        raise LookupError(paths)


def _search(
    text: _Text, path: Path, paths: Collection[Path], on_other: Callable[[Path, Any], None]
) -> Generator[Any, None, bool]:
    """Yield the list's elements if the value at ``path`` is or contains the list; return whether it does."""
    start = text.peek()
    if start == "[" and path in paths:
        yield from _elements_of_list(text)
        return True
    if start == "{" and any(len(each) > len(path) and each[: len(path)] == path for each in paths):
        return (yield from _search_object(text, path, paths, on_other))
    on_other(path, text.value())
    return False


def _search_object(
    text: _Text, path: Path, paths: Collection[Path], on_other: Callable[[Path, Any], None]
) -> Generator[Any, None, bool]:
    is_found = False
    text.take("{")
    is_over = text.peek() == "}" and text.take("}") == "}"
    while not is_over:
        key = text.value()
        if not isinstance(key, str):
            raise ValueError("a key that is not text")
        text.take(":")
        # The first list counts. Of the rest, only the syntax is checked.
        is_found |= yield from _search(text, (*path, key), () if is_found else paths, on_other)
        is_over = text.take(",}") == "}"
    return is_found


def _elements_of_list(text: _Text) -> Iterator[Any]:
    text.take("[")
    is_over = text.peek() == "]" and text.take("]") == "]"
    while not is_over:
        yield text.value()
        is_over = text.take(",]") == "]"


class _Text:
    """The text of an open file, with only a piece of it in memory."""

    def __init__(self, file: IO[bytes] | Readable, decoder: json.JSONDecoder) -> None:
        self._file = file if isinstance(file, Readable) else io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        self._decode = decoder.raw_decode
        self._piece = ""
        self._at = 0

    def peek(self) -> str:
        """Return the next character that is not a blank; empty at the end."""
        while True:
            blanks = _BLANKS.match(self._piece, self._at)
            self._at = blanks.end() if blanks else self._at
            if self._at < len(self._piece):
                return self._piece[self._at]
            if not self._read_more():
                return ""

    def take(self, characters: str) -> str:
        """Consume the next character, which must be one of these, and return it."""
        found = self.peek()
        if not found or found not in characters:
            raise ValueError(f"expected one of {characters}")
        self._at += 1
        return found

    def value(self) -> Any:  # noqa: ANN401
        """Consume the next value and return it."""
        self.peek()
        while True:
            try:
                value, end = self._decode(self._piece, self._at)
            except RecursionError:
                raise ValueError("nested too deeply") from None
            except ValueError:
                if not self._read_more():
                    raise
                continue
            length = end - self._at
            # A number at the end of the piece, or before an "e+", may continue in the next piece.
            if len(self._piece) - end < _LOOKAHEAD and self._read_more():
                continue
            self._at += length
            return value

    def _read_more(self) -> bool:
        rest = self._piece[self._at :]
        # Doubles the piece, so that a long value is not decoded over and over.
        more = self._file.read(max(_PIECE, len(rest))) if len(rest) <= LONGEST_VALUE else ""
        self._piece, self._at = rest + more, 0
        return bool(more)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number that is too large")
    return number


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)

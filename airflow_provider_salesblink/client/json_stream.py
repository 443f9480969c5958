"""JSON as its standard has it: a whole document, or one list in it, element by element.

In time that grows with the length of the document and with nothing else, whatever its sender made of it.
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
"""Characters of a single element of a list that is read piece by piece, or of what stands beside the list."""

_PIECE = 65_536
_LOOKAHEAD = 3
_BLANKS = re.compile(r"[ \t\n\r]*")

Path = tuple[str, ...]


def parsed(content: bytes) -> Any:  # noqa: ANN401
    """What a document says.

    :raises ValueError: it is no JSON, holds a number that is none or has thousands of digits, or is nested too deeply.
    """
    try:
        return json.loads(content, parse_constant=_no_number, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None


class Readable(ABC):
    """A text that is read in pieces."""

    @abstractmethod
    def read(self, characters: int) -> str:
        """Return the next piece; nothing at the end."""


def elements(
    file: IO[bytes] | Readable,
    paths: Collection[Path],
    beside: Callable[[Path, Any], None],
    decoder: json.JSONDecoder | None = None,
) -> Iterator[Any]:
    """The elements of the first list at one of ``paths`` in an open document, which may be longer than the memory.

    :param paths: the keys that lead to it; an empty one is the document itself.
    :param beside: called with each value that stands elsewhere, and where.
    :param decoder: decodes the values, where they are to be read in another way than :func:`parsed` does.
    :raises LookupError: there is no list in any of these places.
    :raises ValueError: as :func:`parsed`, when the elements before are given already; or one value is too long.
    """
    text = _Text(file, decoder or _DECODER)
    is_found = yield from _searched(text, (), paths, beside)
    if text.upcoming():
        raise ValueError("more than one document")
    if not is_found:
        raise LookupError(paths)


def _searched(
    text: _Text, path: Path, paths: Collection[Path], beside: Callable[[Path, Any], None]
) -> Generator[Any, None, bool]:
    """Whether the value at ``path`` was, or held, the list; with its elements on the way."""
    start = text.upcoming()
    if start == "[" and path in paths:
        yield from _listed(text)
        return True
    if start == "{" and any(len(each) > len(path) and each[: len(path)] == path for each in paths):
        return (yield from _searched_in_object(text, path, paths, beside))
    beside(path, text.value())
    return False


def _searched_in_object(
    text: _Text, path: Path, paths: Collection[Path], beside: Callable[[Path, Any], None]
) -> Generator[Any, None, bool]:
    is_found = False
    text.take("{")
    is_over = text.upcoming() == "}" and text.take("}") == "}"
    while not is_over:
        key = text.value()
        if not isinstance(key, str):
            raise ValueError("a key that is no text")
        text.take(":")
        # The first list counts; of what comes behind it only the form.
        is_found |= yield from _searched(text, (*path, key), () if is_found else paths, beside)
        is_over = text.take(",}") == "}"
    return is_found


def _listed(text: _Text) -> Iterator[Any]:
    text.take("[")
    is_over = text.upcoming() == "]" and text.take("]") == "]"
    while not is_over:
        yield text.value()
        is_over = text.take(",]") == "]"


class _Text:
    """The text of an open file, of which only a piece is in memory."""

    def __init__(self, file: IO[bytes] | Readable, decoder: json.JSONDecoder) -> None:
        self._file = file if isinstance(file, Readable) else io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        self._decode = decoder.raw_decode
        self._piece = ""
        self._at = 0

    def upcoming(self) -> str:
        """The next character that is no blank; nothing at the end."""
        while True:
            blanks = _BLANKS.match(self._piece, self._at)
            self._at = blanks.end() if blanks else self._at
            if self._at < len(self._piece):
                return self._piece[self._at]
            if not self._has_more():
                return ""

    def take(self, characters: str) -> str:
        """Go past the next character, which is one of these."""
        found = self.upcoming()
        if not found or found not in characters:
            raise ValueError(f"neither of {characters}")
        self._at += 1
        return found

    def value(self) -> Any:  # noqa: ANN401
        """Go past the next value."""
        self.upcoming()
        while True:
            try:
                value, end = self._decode(self._piece, self._at)
            except RecursionError:
                raise ValueError("nested too deeply") from None
            except ValueError:
                if not self._has_more():
                    raise
                continue
            length = end - self._at
            # A number that ends with the piece, or before its "e+", may go on in the next one.
            if len(self._piece) - end < _LOOKAHEAD and self._has_more():
                continue
            self._at += length
            return value

    def _has_more(self) -> bool:
        rest = self._piece[self._at :]
        # As much again as was not enough, so that a long value is not read over and over.
        more = self._file.read(max(_PIECE, len(rest))) if len(rest) <= LONGEST_VALUE else ""
        self._piece, self._at = rest + more, 0
        return bool(more)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number beyond all bounds")
    return number


_DECODER = json.JSONDecoder(parse_constant=_no_number, parse_float=_finite)

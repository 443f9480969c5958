"""Unpack, decode and stream the text of an open file. Any other kind of file is an error that names it."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_salesblink.client.errors import InvalidInputError
from airflow_provider_salesblink.loading.file_formats import (
    BYTE_ORDER_MARKS,
    GZIP,
    SAMPLE,
    foreign_kind,
    unmarked_wide_encoding,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_LINE = 64 * 1024 * 1024
"""Bytes. Without a bound, a packed file of a few kilobytes without a line end takes all memory."""

_LINE_END = re.compile(r"\r\n|\r|\n")
_BROKEN_GZIP = (EOFError, zlib.error, gzip.BadGzipFile)


class TextFile:
    """The text of an open file, as lines or in pieces.

    :param encoding: the file's encoding; a byte order mark overrides it. Default: UTF-8.
    :param remedy: what to do when the file has another encoding.
    :param format_remedy: what to do when the file has another format. Default: what helps with a file of rows.

    ``encoding``: the encoding that was found. ``is_packed``: whether the file is packed with gzip.

    :raises InvalidInputError: when it is a workbook, a page, an archive, or text in an encoding that cannot be known.
    """

    def __init__(self, file: IO[bytes], encoding: str | None = None, remedy: str = "", format_remedy: str = "") -> None:
        self._remedy = remedy
        self._lines = 0
        self._is_begun = False
        try:
            self._bytes = _Stream(file)
            self.is_packed = self._bytes.sample.startswith(GZIP)
            if self.is_packed:
                self._bytes = _Stream(gzip.GzipFile(fileobj=io.BufferedReader(self._bytes)))
        except _BROKEN_GZIP:
            raise self._broken() from None
        sample = self._bytes.sample
        if kind := foreign_kind(sample):
            if format_remedy:
                kind = f"{kind.partition(':')[0]}: {format_remedy}"
            raise InvalidInputError(f"The file is {kind}.")
        marked = next((name for mark, name in BYTE_ORDER_MARKS.items() if sample.startswith(mark)), None)
        if not marked and not encoding and (guess := unmarked_wide_encoding(sample)):
            how = f', or pass csv_options={{"encoding": "{guess}"}}' if remedy else ""
            raise InvalidInputError(
                f"The file looks like {guess[:6].upper()} without a byte order mark: save it as UTF-8{how}."
            )
        self.encoding = marked or encoding or "utf-8"
        self._text = io.TextIOWrapper(io.BufferedReader(self._bytes), encoding=self.encoding, newline="")

    def __iter__(self) -> Iterator[str]:
        """Read line by line.

        :raises InvalidInputError: when bytes are not text in this encoding, gzip data is broken, or a line is endless.
        """
        self._bytes.longest_line = LONGEST_LINE
        try:
            for line in self._text:
                self._lines += 1
                yield line
        except (UnicodeError, *_BROKEN_GZIP) as error:
            raise self._problem(error) from None

    def read(self, characters: int) -> str:
        """Read a piece.

        :raises InvalidInputError: as :meth:`__iter__`.
        """
        try:
            piece = self._text.read(characters)
        except (UnicodeError, *_BROKEN_GZIP) as error:
            raise self._problem(error, is_counted=not self._is_begun) from None
        self._is_begun = True
        self._lines += piece.count("\n")
        return piece

    def _problem(self, error: Exception, *, is_counted: bool = True) -> InvalidInputError:
        if not isinstance(error, UnicodeError):
            return self._broken()
        what = "The file"
        if is_counted and isinstance(error, UnicodeDecodeError):
            # The lines of the piece that was decoded last are not among those read.
            before = error.object[: error.start].decode(self.encoding, "ignore")
            what = f"Line {self._lines + len(_LINE_END.findall(before)) + 1} of the file"
        name = self.encoding.upper().removesuffix("-SIG")
        return InvalidInputError(f"{what} is not {name}: save the file as UTF-8{self._remedy}.")

    def _broken(self) -> InvalidInputError:
        where = f" after line {self._lines}" if self._lines else ""
        return InvalidInputError(f"The file is gzip data that is damaged or cut off{where}: make or upload it again.")


class _Stream(io.RawIOBase):
    """A stream whose first bytes were read ahead."""

    def __init__(self, rest: Any) -> None:  # noqa: ANN401
        self.sample = b""
        while len(self.sample) < SAMPLE and (more := rest.read(SAMPLE - len(self.sample))):
            self.sample += more
        self.longest_line: float = float("inf")
        self._ahead = self.sample
        self._rest = rest
        self._unbroken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401
        found = self._ahead[: len(buffer)] or self._rest.read(len(buffer))
        self._ahead = self._ahead[len(found) :]
        self._unbroken = 0 if b"\n" in found or b"\r" in found else self._unbroken + len(found)
        if self._unbroken > self.longest_line:
            raise InvalidInputError(
                f"A line of the file is longer than {LONGEST_LINE // 1024**2} MB: write one row a line."
            )
        buffer[: len(found)] = found
        return len(found)

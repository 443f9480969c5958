"""How a CSV file is written, from the user's options and from its first lines."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass

from airflow_provider_salesblink.client.cell_values import BLANKS
from airflow_provider_salesblink.client.errors import InvalidInputError

DELIMITERS = ",;\t|"

_KNOWN = ("delimiter", "quotechar", "escapechar", "encoding", "skip_rows")
_LONGEST_HEADER = 1_000_000
_SEP = re.compile(r"\"?sep=(.)\"?", re.IGNORECASE)


@dataclass(frozen=True)
class CsvOptions:
    """How a CSV file is written.

    :param delimiter: what stands between cells. None: found in the header.
    :param quotechar: what stands around a cell that holds a delimiter. None: quotes have no meaning.
    :param escapechar: what stands before a quote inside of a cell. None: such a quote is doubled.
    :param encoding: the file's encoding, for one without a byte order mark. None: UTF-8.
    :param skip_rows: how many lines stand above the header.
    """

    delimiter: str | None = None
    quotechar: str | None = '"'
    escapechar: str | None = None
    encoding: str | None = None
    skip_rows: int = 0

    @classmethod
    def of(cls, given: object) -> CsvOptions:
        """Return the options that a user gives as a mapping.

        :raises InvalidInputError: when an option is unknown, or has a value that it cannot have.
        """
        if given is None:
            return cls()
        if not isinstance(given, Mapping):
            raise InvalidInputError(f"csv_options is a {type(given).__name__}, not a mapping of {', '.join(_KNOWN)}.")
        unknown = [str(name)[:40] for name in given if name not in _KNOWN]
        if unknown:
            raise InvalidInputError(f"csv_options has no option {unknown[0]!r}; it has {', '.join(_KNOWN)}.")
        signs = {name: _sign(name, given.get(name)) for name in ("delimiter", "escapechar")}
        quotechar = _sign("quotechar", given.get("quotechar", '"'))
        used = [sign for sign in (*signs.values(), quotechar) if sign]
        if len(set(used)) < len(used):
            raise InvalidInputError("csv_options has one character for two of delimiter, quotechar and escapechar.")
        return cls(
            **signs,
            quotechar=quotechar,
            encoding=_encoding(given.get("encoding")),
            skip_rows=_whole_number("skip_rows", given.get("skip_rows", 0)),
        )


def announced_delimiter(line: str) -> str | None:
    """Return the delimiter of a line such as ``sep=;``, which Excel reads above the header; None for another line."""
    found = _SEP.match(line.lstrip(BLANKS))
    if found and not line.lstrip(BLANKS)[found.end() :].strip(BLANKS + found[1] + '"'):
        return found[1]
    return None


def outside_quotes(text: str, quotechar: str | None) -> tuple[str, bool]:
    """Return the part of a header outside of quoted cells, and whether its last quoted cell is still open."""
    if not quotechar:
        return text, False
    quote = re.escape(quotechar)
    start = rf"(^|[{re.escape(DELIMITERS)}])[{re.escape(BLANKS.replace(chr(9), ''))}]*"
    cell = re.compile(rf"{start}{quote}(?:[^{quote}]|{quote}{quote})*({quote}|$)")
    is_open = False

    def without(found: re.Match[str]) -> str:
        nonlocal is_open
        is_open = not found[2]
        return found[1]

    return cell.sub(without, text[:_LONGEST_HEADER]), is_open


def _sign(name: str, value: object) -> str | None:
    if value is None or (value == "" and name != "delimiter"):
        return None
    text = "\t" if value == "\\t" else value
    if not isinstance(text, str) or len(text) != 1 or text in "\r\n\0" or (text in " \ufeff" and name != "delimiter"):
        raise InvalidInputError(f"csv_options[{name!r}] takes one character, such as {_example(name)}.")
    return text


def _example(name: str) -> str:
    return {"delimiter": '";" or "\\t"', "quotechar": '"\'"'}.get(name, '"\\\\"')


def _encoding(name: object) -> str | None:
    if name is None:
        return None
    try:
        # Also keeps out codecs between bytes and bytes, such as "zip", and between texts.
        "Email".encode(codecs.lookup(str(name)).name)
    except (LookupError, ValueError, TypeError):
        raise InvalidInputError(
            'csv_options["encoding"] is not an encoding that Python knows. '
            'Pass one such as "utf-8", "cp1252", "utf-16-le".'
        ) from None
    return str(name)


def _whole_number(name: str, value: object) -> int:
    # A template gives text.
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,9}\s*", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidInputError(f"csv_options[{name!r}] takes a whole number from 0.")
    return value

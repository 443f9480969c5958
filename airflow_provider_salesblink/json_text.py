"""Any value as JSON text that can be written to a file, and in which no spreadsheet finds a formula."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
# Characters that begin a formula wherever a spreadsheet may begin a cell: it splits the file at commas and the like.
# And characters that some readers take for the end of a line.
_HAZARDS = re.compile(r"(?<!\w)[=+\-@\uff1d\uff0b\uff0d\uff20]|[\x7f-\x9f\u2028\u2029]")


def json_line(record: Mapping[str, Any]) -> str:
    """Return ``record`` as a line of JSON that keeps every value, and in which no spreadsheet finds a formula.

    Characters that begin a formula, that end a line, and halves of surrogate pairs, which cannot be written to a file,
    become JSON escapes.
    """
    return json_text(record) + "\n"


def json_text(value: object) -> str:
    """Return any value as JSON in the same way."""
    text = json.dumps(value, ensure_ascii=False, default=str, allow_nan=False)
    text = _STRING.sub(lambda string: _HAZARDS.sub(_escaped, string[0]), text)
    return text.encode("utf-8", "backslashreplace").decode()


def _escaped(character: re.Match[str]) -> str:
    return f"\\u{ord(character[0]):04x}"

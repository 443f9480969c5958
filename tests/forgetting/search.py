"""A search for an address in all files of a folder, in the forms in which files may have it."""

from __future__ import annotations

import base64
import gzip
from typing import TYPE_CHECKING
from urllib.parse import quote

from pyarrow.parquet import read_table

if TYPE_CHECKING:
    from pathlib import Path


def found_in(folder: Path, address: str) -> list[str]:
    """Return the files of a folder that have an address, in any case."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return [str(path.relative_to(folder)) for path in files if _has(path, address)]


def forms(address: str) -> list[bytes]:
    """Return the forms of an address: as text, in links, as an escape of JSON, and in base64 at each offset."""
    plain = address.lower()
    texts = (plain, quote(plain), plain.replace("@", "%2540"), plain.replace("@", "\\u0040"))
    return [*(each.encode() for each in texts), *(_in_base64(plain.encode(), offset) for offset in range(3))]


def _in_base64(content: bytes, offset: int) -> bytes:
    # The first and the last characters depend on what is around it.
    return base64.b64encode(b" " * offset + content)[(4 if offset else 0) :].rstrip(b"=")[:-1]


def _has(path: Path, address: str) -> bool:
    content = path.read_bytes()
    if content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)
    if content.startswith(b"PAR1"):
        content = str(read_table(path).to_pylist()).encode()
    *texts, in_base64_0, in_base64_1, in_base64_2 = forms(address)
    folded = content.lower()
    return any(each in folded for each in texts) or any(
        each in content for each in (in_base64_0, in_base64_1, in_base64_2)
    )

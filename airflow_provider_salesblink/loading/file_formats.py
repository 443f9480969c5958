"""Recognize the format of a file by its first bytes, whatever its name says."""

from __future__ import annotations

import codecs

SAMPLE = 4096
"""Bytes that are enough to recognize a format."""

GZIP = b"\x1f\x8b"

BYTE_ORDER_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}

_EXCEL = "an Excel workbook (.xlsx): save it as CSV UTF-8"
_SIGNATURES = {
    b"\xd0\xcf\x11\xe0": "an old Excel workbook (.xls), or another old Office file: save it as CSV UTF-8",
    b"PAR1": "a Parquet file: give it a name that ends in .parquet",
    b"%PDF": "a PDF document: load the table that it was made from",
    b"SQLite format 3\0": "an SQLite database: export the table as CSV",
    b"Obj\x01": "an Avro file: write it as CSV, JSON lines or Parquet",
    b"ORC": "an ORC file: write it as CSV, JSON lines or Parquet",
    b"ARROW1": "an Arrow file: write it as CSV, JSON lines or Parquet",
    b"FEA1": "a Feather file: write it as CSV, JSON lines or Parquet",
    b"BZh": "a bzip2 archive: unpack it, or use gzip",
    b"\xfd7zXZ": "an xz archive: unpack it, or use gzip",
    b"\x28\xb5\x2f\xfd": "a Zstandard archive: unpack it, or use gzip",
    b"7z\xbc\xaf": "a 7z archive: unpack it, or use gzip",
    b"Rar!": "a RAR archive: unpack it, or use gzip",
    b"{\\rtf": "a rich text document: save the table as CSV UTF-8",
    b"\x89PNG": "an image: give the table itself",
    b"\xff\xd8\xff": "an image: give the table itself",
    GZIP: "gzip data inside gzip data: unpack it once",
}
_PAGES = (b"<!doctype", b"<html", b"<head", b"<body", b"<table", b"<?xml", b"<!--", b"<error")


def foreign_kind(sample: bytes) -> str | None:
    """Return the format of a file that cannot hold rows, and what to do about it; None if it may hold rows."""
    if sample.startswith(b"PK\x03\x04"):
        return _inside_zip(sample)
    for signature, kind in _SIGNATURES.items():
        if sample.startswith(signature):
            # Three letters may also begin a header.
            return None if signature.isalpha() and sample.isascii() and b"\0" not in sample else kind
    if _without_mark(sample).lstrip().lower().startswith(_PAGES):
        return "a page of HTML or XML, maybe of a login or an error: download the file itself"
    return None


def unmarked_wide_encoding(sample: bytes) -> str | None:
    """Return the encoding of text with many NULs, as UTF-16 and UTF-32 without a byte order mark have."""
    nuls = sample.count(0)
    if len(sample) < 4 or nuls < len(sample) * 0.3:
        return None
    even = sample[::2].count(0)
    width = "32" if nuls > len(sample) * 0.6 else "16"
    is_big = sample[0] == 0 if width == "32" else even > nuls / 2
    return f"utf-{width}-{'be' if is_big else 'le'}"


def _inside_zip(sample: bytes) -> str:
    if b"opendocument.spreadsheet" in sample:
        return "an OpenDocument spreadsheet (.ods): save it as CSV UTF-8"
    if b"[Content_Types].xml" in sample or b"xl/" in sample or b"_rels/" in sample:
        return _EXCEL
    return "a ZIP archive: unpack it, or use gzip"


def _without_mark(sample: bytes) -> bytes:
    for mark in BYTE_ORDER_MARKS:
        if sample.startswith(mark):
            # Enough to see a page in, in each of the encodings that have a mark.
            return sample.removeprefix(mark).replace(b"\0", b"")
    return sample

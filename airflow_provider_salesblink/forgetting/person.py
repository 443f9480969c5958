"""The person to forget: which texts name them, and which rows of a file are theirs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from airflow_provider_salesblink.client.columns import is_email
from airflow_provider_salesblink.client.identity import normalized
from airflow_provider_salesblink.client.redaction import ADDRESS_SHOWN_AS, find_addresses, replace_addresses
from airflow_provider_salesblink.results.forgotten import forgotten_event

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_salesblink.client.identity import AddressHash
    from airflow_provider_salesblink.forgetting.file_kinds import Kind

Row = dict[str, Any]

_MAY_BE_ADDRESS = re.compile(
    rb"@|%(?:25)*(?:40|EF)|\\u(?:0040|ff20|fe6b)|&#|&commat|\xef\xbc\xa0|\xef\xb9\xab", re.IGNORECASE
)
"""What the line of an address has, however it is written. Other lines need not be parsed."""
_ODD = re.compile(rb"[\x80-\xff]|\\u|%|&")
"""What a line has in which letters of an address may be written in another way than as themselves."""
_AT_SIGN = re.compile("[@%&\uff20\ufe6b]")
_AT = re.compile(r"&#0*64;|&#x0*40;|&commat;", re.IGNORECASE)


class Person:
    """The person to forget.

    :param prospect_ids: their ids in SalesBlink. They only count in rows that show no address and no hash.
    :param stand_in: replaces their hash in rows that stay.
    """

    def __init__(self, address: str, addresses: AddressHash, prospect_ids: Iterable[str], stand_in: str) -> None:
        self._addresses = addresses
        self._normalized = normalized(address)
        self.hash = addresses.digest(address).hex()
        self.stand_in = stand_in
        self._ids = frozenset(prospect_ids)
        words = re.findall("[a-z0-9]+", self._normalized.rpartition("@")[0])
        self._word = max(words, key=len, default="").encode()
        self._needles = tuple(each.encode() for each in (self.hash, *self._ids))

    def is_named_in(self, text: str) -> bool:
        """Return whether a text has the person's address, in any spelling."""
        return self.without_address(text) != text

    def without_address(self, text: str) -> str:
        """Return a text with each occurrence of the person's address replaced."""
        if not _AT_SIGN.search(text):
            return text
        if self._is(text):
            return ADDRESS_SHOWN_AS
        return replace_addresses(text, lambda found: ADDRESS_SHOWN_AS if self._is(found) else found)

    def may_be_in(self, line: bytes) -> bool:
        """Return False if a line certainly does not name the person. Quick, because most lines do not."""
        if any(each in line for each in self._needles):
            return True
        if not _MAY_BE_ADDRESS.search(line):
            return False
        return self._word in line.lower() or _ODD.search(line) is not None

    def forgotten(self, row: Row, kind: Kind) -> Row | None:
        """Return a row without the person: the same row if it does not name them, None if it is to be removed."""
        if not self._owns(row, kind.person_columns, kind.id_column):
            return self._cleaned(row)
        if not kind.keeps_rows:
            return None
        if kind.name == "events":
            return self._cleaned(forgotten_event(row, self._addresses, self.stand_in))
        return {**row, "person": row["person"] and self.stand_in, "prospect_id": None}

    def _owns(self, row: Row, columns: Iterable[str], id_column: str | None) -> bool:
        """Return whether a row is the person's."""
        shown = [value for name in columns for value in self._identities(row, name)]
        if shown:
            return any(value == self.hash or self._is_alone_in(value) for value in shown)
        return id_column is not None and row[id_column] in self._ids

    def _is_alone_in(self, text: str) -> bool:
        # A refused row may have the addresses of two people in one cell. It stays, for the other one.
        left = self.without_address(text)
        return left != text and not find_addresses(left.replace(ADDRESS_SHOWN_AS, " "))

    def _identities(self, row: Row, column: str) -> list[str]:
        """Return the texts in a column that say whose row it is."""
        value = row.get(column)
        if isinstance(value, dict):
            # Refused rows, and what changed in a snapshot: the address is a cell of it.
            return [str(each) for name, each in value.items() if is_email(str(name)) and each]
        return [value] if isinstance(value, str) and value else []

    def _cleaned(self, row: Row) -> Row:
        return dict(self._without_mentions(row))

    def _without_mentions(self, value: Any) -> Any:  # noqa: ANN401  # a JSON value
        match value:
            case str():
                return self.without_address(value)
            case dict():
                return {self.without_address(str(name)): self._without_mentions(each) for name, each in value.items()}
            case list():
                return [self._without_mentions(each) for each in value]
        return value

    def _is(self, text: str) -> bool:
        # In a link, an address may be encoded more than once.
        for _ in range(3):
            if normalized(text.strip(" .'\"")) == self._normalized:
                return True
            text = _AT.sub("@", unquote(text))
        return False

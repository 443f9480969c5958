"""How the names of a source's columns show in errors and logs: a cell that may be personal data is hidden."""

from __future__ import annotations

import re

from airflow_provider_salesblink.client.columns import plain
from airflow_provider_salesblink.client.redaction import redacted

_NUMBER = re.compile(r"[\W\d_]*\d[\W\d_]*")
_USUAL_NAME = re.compile(
    r"mail|name|nombre|phone|tel|mobile|company|firma|empresa|title|position|role|contact|address|city|country|street|zip|"
    r"url|web|site|domain|linkedin|date|status|stage|lead|owner|source|note|comment|tag|industry|^id$|plan|unsubscribed|opt"
)


def is_usual(name: str) -> bool:
    """Return whether a column has a usual name for a column of people. If none has, the line may be a person."""
    return _USUAL_NAME.search(plain(name)) is not None


def looks_like_data(name: str) -> bool:
    """Return whether a cell of a header looks like an address, a phone number, a web page, or another number."""
    return (
        any(sign in name for sign in ("@", "\uff20", "://", "www."))
        or _NUMBER.fullmatch(name) is not None
        or sum(map(str.isdigit, name)) > 6
    )


def shown_name(name: str) -> str:
    """Return a column's name as an error shows it."""
    return "<hidden>" if looks_like_data(name) else redacted(repr(name[:40]))


def listed(header: list[str]) -> str:
    """Return the first names of a header as an error lists them."""
    return ", ".join("<hidden>" if looks_like_data(name) else repr(redacted(name)[:40]) for name in header[:20])

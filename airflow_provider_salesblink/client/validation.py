"""Check the callers' arguments before anything is sent. Each error names the argument that is wrong."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from numbers import Integral
from typing import Any
from urllib.parse import SplitResult, urlsplit

from airflow_provider_salesblink.client import cell_values
from airflow_provider_salesblink.client.columns import EMAIL, documented, is_email
from airflow_provider_salesblink.client.errors import InvalidInputError
from airflow_provider_salesblink.client.identity import InvalidAddressError, is_address, read_address

_DEFAULT_PORTS = {"http": 80, "https": 443}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

_MISSING_VALUES = frozenset({"none", "null", "nan", "undefined"})
"""What templates and data frames write for a missing value."""

LARGEST_NUMBER = 1e9
"""No argument needs a larger number."""


def identifier(argument: str, value: object) -> str:
    """Return an id as text that can be one part of a path. Accepts text and whole numbers.

    :raises InvalidInputError: ``value`` has another type, is empty, is an address, is the text of a missing value, or
        cannot be part of a path.
    """
    text = _require_text(argument, _whole_number_as_text(value))
    if text.strip().casefold() in _MISSING_VALUES:
        raise InvalidInputError(f"{argument} is the text {text!r}: the template or column it comes from has no value.")
    if "@" in text:
        raise InvalidInputError(f"{argument} contains an @: pass an address as email, not as an id.")
    # HTTP libraries resolve "." and ".." even when quoted, and the call would go to another path.
    if text in (".", "..") or _CONTROL.search(text):
        raise InvalidInputError(f"{argument} is not an id: it is a dot, or has a line break or control character.")
    return text


def term(argument: str, value: object) -> str:
    """Return a search term as text. Accepts text and whole numbers.

    :raises InvalidInputError: ``value`` has another type, or is empty.
    """
    return _require_text(argument, _whole_number_as_text(value))


def people(argument: str, value: object, most: int) -> list[Any]:
    """Return the people of one call as a list; each of them is not checked yet.

    :param most: how many one call takes.
    :raises InvalidInputError: ``value`` is not a list, is empty, or has more.
    """
    if not isinstance(value, list | tuple):
        raise InvalidInputError(f"{argument} is a {type(value).__name__}: pass a list of people.")
    if not 1 <= len(value) <= most:
        raise InvalidInputError(f"{argument} has {len(value)} people: one call takes 1 to {most}.")
    return list(value)


def address(argument: str, value: object) -> str:
    """Return the e-mail address in ``value``, cleaned as by :func:`identity.read_address`.

    :raises InvalidInputError: ``value`` is not text, or not an address.
    """
    try:
        return read_address(_require_text(argument, value))
    except InvalidAddressError as reason:
        raise InvalidInputError(f"{argument} is not an e-mail address: {reason}.") from None


def address_or_domain(argument: str, value: object) -> str:
    """Return an e-mail address or a bare domain, cleaned.

    :raises InvalidInputError: ``value`` is neither.
    """
    text = _require_text(argument, value).strip()
    if "@" in text:
        return address(argument, text)
    if not is_address(f"a@{text}"):
        raise InvalidInputError(f"{argument} is neither an e-mail address nor a domain.")
    return text


def new_prospect(data: object) -> dict[str, Any]:
    """Return the columns of a person to add, with the documented names in their documented spelling.

    Cleans the address and leaves out missing values (None, NaN, NaT, pandas.NA). A number that JSON would write with an
    exponent becomes text in plain digits.

    :raises InvalidInputError: ``data`` is not a mapping, a column name is not text, two names mean the same column, or
        ``Email`` is missing or invalid.
    """
    columns: dict[str, Any] = {}
    for given, value in _require_columns("data", data).items():
        name = documented(given)
        if name in columns:
            raise InvalidInputError(f"data has two columns for {name!r}: remove one of them.")
        columns[name] = value
    columns = {
        name: _in_plain_digits(value)
        for name, value in columns.items()
        if name == EMAIL or not cell_values.is_missing(value)
    }
    if EMAIL not in columns:
        raise InvalidInputError(f"data has no {EMAIL!r} column; its columns: {', '.join(sorted(columns)) or 'none'}.")
    columns[EMAIL] = address(f"data[{EMAIL!r}]", columns[EMAIL])
    return columns


def changes(fields: object) -> dict[str, str]:
    """Return the fields to set on a prospect, as the text that the API accepts.

    :raises InvalidInputError: ``fields`` is not a mapping or is empty, two names mean the same column, or a value is
        not text, a number or a boolean.
    """
    given = _require_columns("fields", fields)
    if not given:
        raise InvalidInputError("fields is empty: pass at least one field to set.")
    if len({documented(name) for name in given}) < len(given):
        raise InvalidInputError("fields has two spellings of one column: remove one of them.")
    texts = {name: _field_text(f"fields[{name!r}]", value) for name, value in given.items()}
    for name, value in texts.items():
        if is_email(name):
            texts[name] = address(f"fields[{name!r}]", value)
    return texts


def _field_text(argument: str, value: object) -> str:
    text = cell_values.as_text(value)
    if text is not None:
        # Refuses text that JSON cannot hold (half a surrogate pair) before it is sent.
        encoded(argument, text)
        return text
    if isinstance(value, float):
        raise InvalidInputError(f"{argument} is NaN or infinite: remove it, or pass a number.")
    raise InvalidInputError(f"{argument} is a {type(value).__name__}: pass text, a number, true or false.")


def _in_plain_digits(value: object) -> object:
    """Return a number as text in plain digits if JSON would write it otherwise, and any other value as it is."""
    if isinstance(value, str | int):
        return value
    text = cell_values.as_text(value)
    is_written_plainly = isinstance(value, float) and float.__repr__(value) in (text, f"{text}.0")
    return value if text is None or is_written_plainly else text


def number(argument: str, value: object, smallest: float, largest: float = LARGEST_NUMBER) -> Any:  # noqa: ANN401
    """Return ``value``, a number from ``smallest`` to ``largest``.

    :raises InvalidInputError: it is not a number, or outside these bounds.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        # The error does not show the value: a secret may have been passed by mistake.
        raise InvalidInputError(f"{argument} is a {type(value).__name__}: pass a number.")
    if not smallest <= value <= largest:
        raise InvalidInputError(f"{argument} is out of bounds: pass a number from {smallest} to {largest:.0f}.")
    return value


def whole_number(argument: str, value: object, smallest: int) -> Any:  # noqa: ANN401
    """Return ``value`` as an int, a whole number of at least ``smallest``.

    :raises InvalidInputError: it is not a whole number, or too small.
    """
    if number(argument, value, smallest) != int(value):  # type: ignore[call-overload]
        raise InvalidInputError(f"{argument} is {value!r}: pass a whole number.")
    return int(value)  # type: ignore[call-overload]


def encoded(argument: str, value: object) -> bytes:
    """Return ``value`` as JSON.

    :raises InvalidInputError: JSON cannot hold it (a date, a set, NaN, half a surrogate pair).
    """
    try:
        return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        reason = "it contains half a surrogate pair"
    except TypeError as error:
        # Python's message names the type: "Object of type date is not JSON serializable".
        reason = str(error)
    except (ValueError, RecursionError):
        reason = "it contains NaN, infinity, or itself"
    raise InvalidInputError(f"{argument} cannot be written as JSON: {reason}.")


def api_key(value: object) -> str:
    """Return an API key that can be sent as a header.

    :raises InvalidInputError: it is empty, or has characters other than printable ASCII without blanks.
    """
    if not isinstance(value, str) or not value:
        raise InvalidInputError("There is no API key: create one under Integrations in SalesBlink.")
    if not value.isascii() or not value.isprintable() or " " in value:
        raise InvalidInputError(
            "The API key contains a blank, a line break or another character that no key has "
            "(perhaps copied along with it): enter only the key."
        )
    return value


def root_url(value: object) -> str:
    """Return the root URL in one spelling: host in lower case, no default port, no slash at the end.

    Clients share their rate limit and reservations only if they use the same key and the same root URL.

    :raises InvalidInputError: it is not an http(s) URL, has a user, query or fragment, contains the path of an API, or
        is plain http to another machine.
    """
    url = _split(value)
    if url is None or url.scheme not in ("http", "https") or not url.hostname:
        raise InvalidInputError("The root URL is not an http(s) URL: write it like https://run.salesblink.io.")
    if "@" in url.netloc or url.query or url.fragment:
        raise InvalidInputError("The root URL has a user, a query or a fragment: write it like https://host[:port].")
    if "/api/public" in url.path:
        # SalesBlink's own description gives the address with this path.
        raise InvalidInputError(
            "The root URL contains /api/public, which the client adds itself: write it like https://run.salesblink.io."
        )
    if url.scheme == "http" and not _is_loopback(url.hostname):
        raise InvalidInputError(
            f"The root URL is http:// to {url.hostname}: the key would travel unencrypted. Use https:// "
            "(plain http is for a server on this machine only)."
        )
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    port = "" if url.port in (None, _DEFAULT_PORTS[url.scheme]) else f":{url.port}"
    return url._replace(netloc=f"{host}{port}").geturl().rstrip("/")


def split_root(root: str) -> tuple[str, str, str]:
    """Return the scheme and host of a root URL, a slash if there is a path, and the path."""
    scheme, _, rest = root.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host}", slash, path


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _split(value: object) -> SplitResult | None:
    if not isinstance(value, str) or _CONTROL.search(value) or " " in value:
        return None
    try:
        url = urlsplit(value)
        _ = url.port
    except ValueError:
        return None
    return url


def not_a_text(argument: str, value: object) -> InvalidInputError:
    """Return the error for an argument that must be text and is not."""
    return InvalidInputError(
        f"{argument} is a {type(value).__name__}, not text: put it in quotes, or use str(). If it comes from a "
        "template: Airflow's render_template_as_native_obj=True turns text that looks like a number, a list, True or "
        "None into one; remove that option, or put quotes into the template (\"'{{ ... }}'\")."
    )


def _whole_number_as_text(value: object) -> object:
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    text = cell_values.as_text(value) if is_whole else None
    return value if text is None else text


def _require_text(argument: str, value: object) -> str:
    if not isinstance(value, str):
        raise not_a_text(argument, value)
    if not value.strip():
        raise InvalidInputError(f"{argument} is empty.")
    if cell_values.HALF_PAIR.search(value):
        raise InvalidInputError(f"{argument} contains half a surrogate pair, which cannot be sent.")
    return value


def _require_columns(argument: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidInputError(f"{argument} is a {type(value).__name__}, not a mapping of columns to values.")
    for name in value:
        if not isinstance(name, str) or not name.strip():
            raise InvalidInputError(f"{argument} has a column whose name is empty or not text.")
    return value

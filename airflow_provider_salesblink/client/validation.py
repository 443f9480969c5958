"""What callers may pass: checked before anything is sent, each with an error that says which argument is wrong."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from numbers import Integral
from typing import Any
from urllib.parse import SplitResult, urlsplit

from airflow_provider_salesblink.client import values
from airflow_provider_salesblink.client.columns import EMAIL, documented, is_email
from airflow_provider_salesblink.client.errors import InvalidInputError
from airflow_provider_salesblink.client.identity import InvalidAddressError, read_address

_USUAL_PORTS = {"http": 80, "https": 443}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

_NOTHING = frozenset({"none", "null", "nan", "undefined"})
"""What templates and data frames write where there is no value."""

MOST = 1e9
"""No number that a client takes can mean more."""


def identifier(argument: str, value: object) -> str:
    """An id that can stand as one part of a path; a whole number stands for its digits.

    :raises InvalidInputError: neither a text nor a whole number, empty, an address, what is left of a value that was
        not there, or nothing a path can hold.
    """
    text = _text(argument, _digits(value))
    if text.strip().casefold() in _NOTHING:
        raise InvalidInputError(f"{argument} is the text {text!r}: the template or column it comes from holds nothing.")
    if "@" in text:
        raise InvalidInputError(f"{argument} holds an @: an address is given as email, not as an id.")
    # HTTP libraries resolve "." and ".." even when quoted, and the call would reach another address.
    if text in (".", "..") or _CONTROL.search(text):
        raise InvalidInputError(f"{argument} is no id: it is a dot, or holds a line break or control character.")
    return text


def term(argument: str, value: object) -> str:
    """A text to search for; a whole number stands for its digits.

    :raises InvalidInputError: neither a text nor a whole number, or empty.
    """
    return _text(argument, _digits(value))


def address(argument: str, value: object) -> str:
    """Return the e-mail address that ``value`` holds, cleaned as :func:`identity.read_address` does.

    :raises InvalidInputError: not a text, or no address.
    """
    try:
        return read_address(_text(argument, value))
    except InvalidAddressError as reason:
        raise InvalidInputError(f"{argument} is no e-mail address: {reason}.") from None


def new_prospect(data: object) -> dict[str, Any]:
    """The columns of a person to add, the documented ones spelled as documented and the address trimmed.

    A missing value (None, NaN, NaT, pandas.NA) is left out; a number that JSON would write with an exponent becomes
    the text of its plain digits.

    :raises InvalidInputError: no mapping, a column name that is no text, two columns that are the same one, no
        ``Email``, an address that is none, or a value that JSON cannot hold.
    """
    columns: dict[str, Any] = {}
    for given, value in _columns("data", data).items():
        name = documented(given)
        if name in columns:
            raise InvalidInputError(f"data has two columns for {name!r}: leave one of them out.")
        columns[name] = value
    columns = {name: _plain(value) for name, value in columns.items() if name == EMAIL or not values.is_missing(value)}
    if EMAIL not in columns:
        raise InvalidInputError(f"data has no {EMAIL!r} column; its columns: {', '.join(sorted(columns)) or 'none'}.")
    columns[EMAIL] = address(f"data[{EMAIL!r}]", columns[EMAIL])
    return columns


def changes(fields: object) -> dict[str, str]:
    """The fields to set on a prospect, as the texts that the API takes.

    :raises InvalidInputError: no mapping, an empty one, two columns that are the same one, or a value that is no
        text, number or truth value.
    """
    given = _columns("fields", fields)
    if not given:
        raise InvalidInputError("fields is empty: name at least one field to set.")
    if len({documented(name) for name in given}) < len(given):
        raise InvalidInputError("fields has two spellings of one column: leave one of them out.")
    texts = {name: as_text(f"fields[{name!r}]", value) for name, value in given.items()}
    for name, value in texts.items():
        if is_email(name):
            texts[name] = address(f"fields[{name!r}]", value)
    return texts


def as_text(argument: str, value: object) -> str:
    """The text of a single value: a text as it is, ``true``/``false``, a number in digits.

    :raises InvalidInputError: None, a list, a mapping, or another thing that is not one value.
    """
    text = values.as_text(value)
    if text is not None:
        # What JSON cannot hold (half a surrogate pair) is refused here, and not by the server.
        encoded(argument, text)
        return text
    if isinstance(value, float):
        raise InvalidInputError(f"{argument} is NaN or infinite: leave it out, or give a number.")
    raise InvalidInputError(f"{argument} is a {type(value).__name__}: a field takes a text, a number, true or false.")


def _plain(value: object) -> object:
    """``value`` in plain digits, where JSON would write it otherwise or has no way to write it."""
    if isinstance(value, str | int):
        return value
    text = values.as_text(value)
    is_written_plainly = isinstance(value, float) and float.__repr__(value) in (text, f"{text}.0")
    return value if text is None or is_written_plainly else text


def number(argument: str, value: object, least: float, most: float = MOST) -> Any:  # noqa: ANN401
    """A number between ``least`` and ``most``.

    :raises InvalidInputError: it is outside of these, or no number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        # Without the value: whatever has come here by mistake may be a secret.
        raise InvalidInputError(f"{argument} is a {type(value).__name__}: it takes a number.")
    if not least <= value <= most:
        raise InvalidInputError(f"{argument} is out of bounds: it takes a number from {least} to {most:.0f}.")
    return value


def whole_number(argument: str, value: object, least: int) -> Any:  # noqa: ANN401
    """A whole number that is not below ``least``.

    :raises InvalidInputError: it is, or is no whole number.
    """
    if number(argument, value, least) != int(value):  # type: ignore[call-overload]
        raise InvalidInputError(f"{argument} is {value!r}: it takes a whole number.")
    return int(value)  # type: ignore[call-overload]


def encoded(argument: str, value: object) -> bytes:
    """``value`` as JSON.

    :raises InvalidInputError: JSON has no way to write it (a date, a set, NaN, half a surrogate pair).
    """
    try:
        return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        reason = "it holds half a surrogate pair"
    except TypeError as error:
        # Python's own words, which name the type: "Object of type date is not JSON serializable".
        reason = str(error)
    except (ValueError, RecursionError):
        reason = "it holds NaN, infinity, or itself"
    raise InvalidInputError(f"{argument} cannot be written as JSON: {reason}.")


def api_key(value: object) -> str:
    """A key that can be sent as a header.

    :raises InvalidInputError: empty, or with blanks, line breaks or other than printable ASCII characters.
    """
    if not isinstance(value, str) or not value:
        raise InvalidInputError("There is no API key: create one under Integrations in SalesBlink.")
    if not value.isascii() or not value.isprintable() or " " in value:
        raise InvalidInputError(
            "The API key holds a blank, a line break or another character no key has "
            "(perhaps copied along with it): enter the key alone."
        )
    return value


def root_url(value: object) -> str:
    """The root URL of SalesBlink in one spelling: host in lower case, no usual port, no slash at its end.

    Everything that is shared by the users of a key is shared by those whose root URL is the same.

    :raises InvalidInputError: no http(s) URL, one with user, query or fragment, or plain http to another machine.
    """
    url = _split(value)
    if url is None or url.scheme not in ("http", "https") or not url.hostname:
        raise InvalidInputError("The root URL is no http(s) URL: give it like https://run.salesblink.io.")
    if "@" in url.netloc or url.query or url.fragment:
        raise InvalidInputError("The root URL holds a user, a query or a fragment: give it like https://host[:port].")
    if url.scheme == "http" and not _is_loopback(url.hostname):
        raise InvalidInputError(
            f"The root URL is http:// to {url.hostname}: the key would travel unencrypted. Use https:// "
            "(plain http is for a server on this machine only)."
        )
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    port = "" if url.port in (None, _USUAL_PORTS[url.scheme]) else f":{url.port}"
    return url._replace(netloc=f"{host}{port}").geturl().rstrip("/")


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
    """Return the error for an argument that takes a text and got something else."""
    return InvalidInputError(
        f"{argument} is a {type(value).__name__}, not a text: put it in quotes, or use str(). If a template gave it: "
        "Airflow's render_template_as_native_obj=True makes numbers, lists, True and None of text that looks like "
        "them; leave it out, or put quotes into the template (\"'{{ ... }}'\")."
    )


def _digits(value: object) -> object:
    return str(value) if not isinstance(value, bool) and isinstance(value, Integral) else value


def _text(argument: str, value: object) -> str:
    if not isinstance(value, str):
        raise not_a_text(argument, value)
    if not value.strip():
        raise InvalidInputError(f"{argument} is empty.")
    if values.HALF_PAIR.search(value):
        raise InvalidInputError(f"{argument} holds half a surrogate pair, which no server can be sent.")
    return value


def _columns(argument: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidInputError(f"{argument} is a {type(value).__name__}, not a mapping of columns to values.")
    for name in value:
        if not isinstance(name, str) or not name.strip():
            raise InvalidInputError(f"{argument} has a column whose name is empty or no text.")
    return value

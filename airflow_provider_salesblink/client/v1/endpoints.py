"""Any other call of the API v1, by its path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

from airflow_provider_salesblink.client import validation
from airflow_provider_salesblink.client.errors import InvalidInputError
from airflow_provider_salesblink.client.v1 import decoding, paging

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_salesblink.client.requestor import Answer, Requestor
    from airflow_provider_salesblink.client.v1.decoding import Json

Paging = Literal["offset", "page_in_skip", "page"]

# The strictest form of each, which all endpoints with this kind of paging accept.
_PAGINATORS: dict[str, paging.Paginator] = {
    "offset": paging.BlocklistOffset(),
    "page_in_skip": paging.PageInSkip(100),
    "page": paging.PageNumber(100),
}
_OF_PAGES = ("limit", "skip", "per_page", "page")
_METHODS = ("POST", "PATCH", "PUT", "DELETE")


class Endpoints:
    """Calls by path, relative to ``/api/public/v1.0.0``. Each raises a :class:`SalesBlinkError` if it fails."""

    def __init__(self, requestor: Requestor) -> None:
        self._requestor = requestor

    def read(self, path: str, query: Mapping[str, object] | None = None, paging: Paging | None = None) -> Any:  # noqa: ANN401
        """Send a GET.

        :param path: such as ``/lists/abc/leads``; a part with a slash or a percent sign must be percent-encoded.
        :param query: query parameters. SalesBlink ignores those that it does not know.
        :param paging: how the endpoint counts pages: ``offset`` (``skip`` counts items), ``page_in_skip`` (``skip`` is
            a page number), ``page`` (``page`` and ``per_page``). The client then sends these parameters itself.
        :return: with ``paging`` an iterator over the items of all pages; without it the answer, or what it has under
            ``data``.
        """
        parts, texts = _parts(path), _texts(query or {})
        if paging is None:
            return self._requestor.read(*parts, query=texts).decoded(_payload)
        return self._each(parts, texts, paging)

    def _each(self, parts: list[str], query: dict[str, str], kind: str) -> Iterator[Any]:
        if kind not in _PAGINATORS:
            raise InvalidInputError(f"paging is unknown: pass one of {', '.join(_PAGINATORS)}, or nothing.")
        if given := [name for name in _OF_PAGES if name in query]:
            raise InvalidInputError(f"query has {given[0]!r}, which the client sends itself with paging: remove it.")

        def fetch(page: dict[str, str]) -> list[Any]:
            return self._requestor.read(*parts, query={**query, **page}).decoded(decoding.array)

        advice = f" Or the endpoint does not page as paging={kind!r} says: then pass another kind."
        return paging.each_item(fetch, _PAGINATORS[kind], _key, "an endpoint", advice)

    def write(self, method: str, path: str, body: Mapping[str, Any] | None = None, *, repeatable: bool = False) -> Json:
        """Send a POST, PATCH, PUT or DELETE, and return the object in the answer; an empty one if there is none.

        :param body: the JSON; None sends nothing.
        :param repeatable: whether sending it twice does the same as sending it once. If it is False, a lost answer is
            an error, because the client cannot know whether the call was carried out.
        :raises InvalidInputError: the call would empty the blocklist, which this client never does.
        :raises AmbiguousWriteError: the answer was lost and ``repeatable`` is False.
        """
        method, parts = _method(method), _parts(path)
        if method == "DELETE" and [part.strip(" /").casefold() for part in parts] == ["unsubscribe"]:
            raise InvalidInputError(
                "DELETE /unsubscribe empties the blocklist, so that people who opted out may get mails. This client "
                "does not send it; take single entries off with POST /unsubscribe/remove."
            )
        send = self._requestor.write if repeatable else self._requestor.send_once
        answer: Answer = send(*parts, body=body, method=method)
        return decoding.written(answer)


def _method(given: str) -> str:
    method = validation.term("method", given).strip().upper()
    if method not in _METHODS:
        raise InvalidInputError(f"method is unknown: pass one of {', '.join(_METHODS)}.")
    return method


def _parts(path: str) -> list[str]:
    """Return the parts of a path, each without percent-encoding: the requestor encodes them."""
    text = validation.term("path", path).strip()
    if "://" in text or "?" in text or "#" in text:
        raise InvalidInputError(
            "The path of an endpoint is written like /lists: leave out the server, and pass parameters as query."
        )
    parts = [unquote(part) for part in text.strip("/").split("/")]
    if parts[0] == "api":
        raise InvalidInputError("The path of an endpoint is written like /lists: leave out /api/public/v1.0.0.")
    # A server may read an encoded slash as a slash.
    segments = {segment.strip() for part in parts for segment in part.split("/")}
    if not all(map(str.strip, parts)) or segments & {".", ".."} or not "".join(parts).isprintable():
        raise InvalidInputError(
            "The path of an endpoint has an empty part, a dot as a part, or a control character: write it like /lists."
        )
    return parts


def _texts(query: Mapping[str, object]) -> dict[str, str]:
    return {name: _text(name, value) for name, value in query.items() if value is not None}


def _text(name: str, value: object) -> str:
    # JSON writes true, not True.
    return str(value).lower() if isinstance(value, bool) else validation.term(f"query[{name!r}]", value)


def _payload(body: object) -> object:
    return body["data"] if isinstance(body, dict) and body.get("data") is not None else body


def _key(found: object) -> str | None:
    if isinstance(found, dict):
        return decoding.text_id(found, "id", "_id", "lead_id")
    return found if isinstance(found, str) else None

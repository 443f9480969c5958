"""The operator for any endpoint of SalesBlink's API v1."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow_provider_salesblink.argument_types import named_values, path_text
from airflow_provider_salesblink.operators.base import SalesBlinkOperator, one_of, outcome
from airflow_provider_salesblink.operators.files import check_path, write_lines

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from airflow_provider_salesblink.client import SalesBlinkClient

Method = Literal["GET", "POST", "PATCH", "PUT", "DELETE"]
Paging = Literal["offset", "page_in_skip", "page"]


class SalesBlinkApiOperator(SalesBlinkOperator):
    """Call any endpoint of SalesBlink's API v1, with the rate limit, the retries and the errors of this provider.

    A GET reads one answer, or with ``paging`` all pages, and writes it to ``output_path``, one JSON object per line.
    Another method is sent once: if its answer is lost, the task fails without a retry. Set ``repeatable`` if carrying
    it out twice does no harm; then it is retried like a read.

    This operator checks nothing that the other operators check: adding people with it may mail them twice, or mail
    people who opted out. It refuses ``DELETE /unsubscribe``, which empties the blocklist.

    XCom: ``outcome``. For a GET: "found", ``count`` (the number of lines), and ``path`` if ``output_path`` is set. For
    another method: "done". Nothing of an answer's content goes to XCom.

    :param endpoint: the path below ``/api/public/v1.0.0``, without a query, such as ``/lists`` (templated).
    :param method: "GET", "POST", "PATCH", "PUT" or "DELETE".
    :param query: the query of a GET, as a dict or JSON text (templated). SalesBlink ignores unknown names.
    :param body: the JSON body of another method, as a dict or JSON text (templated).
    :param paging: how the endpoint counts its pages: "offset" (``skip`` is a number of records), "page_in_skip"
        (``skip`` is the number of a page, from 0), or "page" (``page`` and ``per_page``, from 1). None for one answer.
    :param output_path: the file to write what a GET returns to (any object storage; templated).
    :param repeatable: whether a call that is not a GET may be carried out twice.
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param max_wait: the most seconds that the task may be deferred after 429s.
    """

    template_fields: Sequence[str] = ("endpoint", "query", "body", "output_path", "salesblink_conn_id")
    template_fields_renderers = {"query": "json", "body": "json"}  # noqa: RUF012

    def __init__(
        self,
        *,
        endpoint: str,
        method: Method = "GET",
        query: Mapping[str, Any] | str | None = None,
        body: Mapping[str, Any] | str | None = None,
        paging: Paging | None = None,
        output_path: str | os.PathLike[str] | None = None,
        repeatable: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        one_of("method", method, get_args(Method))
        if paging is not None:
            one_of("paging", paging, get_args(Paging))
        self.endpoint = endpoint
        self.method = method
        self.query = query
        self.body = body
        self.paging = paging
        self.output_path: str | None = path_text(output_path)
        self.repeatable = repeatable

    def call_salesblink(self, client: SalesBlinkClient) -> dict[str, Any]:
        """Call the endpoint."""
        from airflow_provider_salesblink.client import validation

        validation.term("endpoint", self.endpoint)
        if self.method == "GET":
            self._refuse("GET", body=self.body)
            return self._read(client)
        self._refuse(self.method, query=self.query, paging=self.paging, output_path=self.output_path)
        body = named_values("body", self.body)
        client.endpoints.write(self.method, self.endpoint, body, repeatable=self.repeatable)
        return outcome("done", dry_run=client.dry_run)

    def _refuse(self, method: str, **arguments: object) -> None:
        from airflow_provider_salesblink.client import InvalidInputError

        given = [name for name, value in arguments.items() if value is not None]
        if given:
            raise InvalidInputError(f"A {method} takes no {' and no '.join(given)}: remove it, or change the method.")

    def _read(self, client: SalesBlinkClient) -> dict[str, Any]:
        from airflow_provider_salesblink.json_text import json_line

        check_path(self.output_path)
        found = client.endpoints.read(self.endpoint, named_values("query", self.query), paging=self.paging)
        records = _Counted(found if self.paging or isinstance(found, list) else [found])
        if self.output_path is None:
            records.read_to_the_end()
            return outcome("found", count=records.count)
        write_lines(self.output_path, map(json_line, records))
        return outcome("found", count=records.count, path=self.output_path)

    def may_run_again(self, error: Exception) -> bool:
        """Return False after a lost answer to a write: it may have been carried out."""
        from airflow_provider_salesblink.client import AmbiguousWriteError

        return super().may_run_again(error) and not isinstance(error, AmbiguousWriteError)


class _Counted:
    """Records that are counted while they are read."""

    def __init__(self, records: Iterable[Any]) -> None:
        self._records = records
        self.count = 0

    def __iter__(self) -> Iterator[Any]:
        for record in self._records:
            self.count += 1
            yield record

    def read_to_the_end(self) -> None:
        """Count the records without keeping any."""
        deque(self, maxlen=0)

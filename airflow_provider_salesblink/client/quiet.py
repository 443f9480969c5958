"""Keeps private things out of the HTTP library's debug log, which writes whole URLs: a search holds an address."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from threading import local
from typing import TYPE_CHECKING

from airflow_provider_salesblink.client.addresses import redacted

if TYPE_CHECKING:
    from collections.abc import Iterator

_TALKATIVE = ("urllib3.connectionpool", "urllib3.util.retry")

_ours = local()


def _without_query(argument: object) -> object:
    return redacted(argument.partition("?")[0]) if isinstance(argument, str) else argument


def _filter(record: logging.LogRecord) -> bool:
    if getattr(_ours, "sending", False) and isinstance(record.args, tuple):
        record.args = tuple(map(_without_query, record.args))
    return True


@contextmanager
def urllib3() -> Iterator[None]:
    """Within it, this thread's requests are logged without their query. Other threads' and users' are as ever."""
    for name in _TALKATIVE:
        logging.getLogger(name).addFilter(_filter)
    _ours.sending = True
    try:
        yield
    finally:
        _ours.sending = False

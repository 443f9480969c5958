"""Name the campaign in the error that SalesBlink does not have it."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_provider_salesblink.client.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

_LIKE_AN_ID = re.compile(r"(?=.*\d)[\w-]+")


@contextmanager
def naming_campaign(campaign_id: str) -> Iterator[None]:
    """Name the campaign in the error of a call about it.

    :raises NotFoundError: SalesBlink does not have the campaign.
    """
    try:
        yield
    except NotFoundError as error:
        error.append(f"The campaign_id is {campaign_id!r}.")
        if not _LIKE_AN_ID.fullmatch(campaign_id):
            error.append("If this is the campaign's name, pass its id: SearchCampaignsOperator finds it.")
        raise

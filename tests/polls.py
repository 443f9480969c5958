"""The requests of polls on both APIs: a poll is one request on the classic API, and several pages on the API v1."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox import Request, Sandbox
    from tests.apis import Api

_FIRST_ON_V1 = {"campaigns": "v1.listSequences", "prospects": "v1.listSequenceLeads"}

_NOT_FIRST = re.compile(
    # To find out which of the APIs accepts the key.
    r"(/my-team|/account/verify"
    # A poll of a campaign's people on v1 reads these after the leads of the sequence.
    r"|/api/public/v1\.0\.0/(sequences/[^/]+|lists/[^/]+/leads))$"
)


class Polls:
    """The polls that reach a sandbox over one of the two APIs. Tests name them as the classic API does."""

    def __init__(self, api: Api, sandbox: Sandbox) -> None:
        self._is_v1 = api.is_v1
        self._sandbox = sandbox
        self.of_campaigns = "/api/public/v1.0.0/sequences" if api.is_v1 else "/api/campaigns"
        """The path of the first request of a poll of all campaigns."""
        self.requests_for_people = 4 if api.is_v1 else 1
        """How many requests a poll of the people of a campaign with one short list takes."""

    def of_people(self, campaign_id: str) -> str:
        """Return the path of the first request of a poll of a campaign's people."""
        return f"/api/public/v1.0.0/sequences/{campaign_id}/leads" if self._is_v1 else f"/api/prospects/{campaign_id}"

    def fault(self, polled: str, kind: str, **options: Any) -> None:
        """Add a fault to the first request of polls of ``campaigns`` or ``prospects``."""
        self._sandbox.fault(_FIRST_ON_V1[polled] if self._is_v1 else polled, kind, **options)

    @property
    def looks(self) -> list[Request]:
        """The first request of each poll so far."""
        return [request for request in self._sandbox.requests if not _NOT_FIRST.search(request.path)]

"""The words that arguments take. Operators, loads and sensors share them; importing them costs nothing."""

from __future__ import annotations

from typing import Literal

ALL = "all"
"""The ``campaign_id`` of tasks that are about all campaigns."""

CampaignState = Literal["paused", "running", "completed", "needs-attention", "archived"]
OnTrip = Literal["pause", "fail", "succeed"]
Mode = Literal["insert", "upsert", "update", "mirror"]
OnExisting = Literal["skip", "update", "add"]
OptOuts = Literal["unsubscribe", "skip"]
OptOutScope = Literal["account", "campaign"]
OptOutUnknown = Literal["fail", "add"]
SyncDirection = Literal["to_salesblink", "from_salesblink", "both"]
FeedName = Literal["sent", "opens", "clicks", "replies", "reports"]
FileFormat = Literal["jsonl", "parquet"]
PeopleAs = Literal["hash", "address", "none"]

"""The words that arguments take. Operators, loads and sensors share them; importing them costs nothing."""

from __future__ import annotations

from typing import Literal

CampaignState = Literal["paused", "running", "completed", "needs-attention", "archived"]
FileFormat = Literal["jsonl", "parquet"]
Mode = Literal["insert", "upsert", "update", "mirror"]
OnExisting = Literal["skip", "update", "add"]
OptOuts = Literal["unsubscribe", "skip"]
OptOutScope = Literal["account", "campaign"]
OptOutUnknown = Literal["fail", "add"]
SyncDirection = Literal["to_salesblink", "from_salesblink", "both"]

"""What the sandbox stores, as plain values: sequences, lists, leads, and the mails that would start."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

StartReason = Literal["added", "unpaused", "attached", "moved", "re-planned"]


@dataclass(frozen=True)
class CampaignState:
    """The current state of a campaign, which the v1 API calls a sequence."""

    id: str
    name: str
    paused: bool
    archived: bool = False


@dataclass(frozen=True)
class ListState:
    """The current state of a list of leads."""

    id: str
    name: str
    archived: bool = False


@dataclass(frozen=True)
class Person:
    """The current state of a prospect, which the v1 API calls a lead.

    :param campaign_id: the campaign that was asked for, or the first one that uses the list; empty if there is none.
    :param fields: its columns, in their original order; the names are those of the classic API.
    :param list_id: the list that the lead is on.
    :param archived: whether the lead is archived, so that no mail starts.
    """

    id: str
    campaign_id: str
    email: str
    fields: dict[str, Any]
    unsubscribed: bool
    list_id: str = field(default="", compare=False)
    archived: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class Start:
    """A mail that the real SalesBlink would send: one person starts in one sequence.

    :param at: Unix time.
    """

    sequence_id: str
    lead_id: str
    email: str
    reason: StartReason
    at: float

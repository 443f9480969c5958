"""What a plan consists of: its steps, and how many of each kind there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Action = Literal["opt_out", "add", "update", "unsubscribe"]
"""``opt_out`` unsubscribes people who opted out according to the source; ``unsubscribe`` people without a row in a
mirror."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to send.

    :param key: its position in the plan.
    :param number: the row that it comes from; 0 for people who have no row.
    :param who: the person, as :func:`identity.fingerprint` returns them.
    :param prospect_id: the prospect to update or unsubscribe.
    :param columns: the columns of the person to add, or the fields to set.
    """

    key: int
    number: int
    action: Action
    who: bytes
    prospect_id: str | None
    columns: dict[str, str]


@dataclass
class Counts:
    """Number of rows or people per planned action.

    ``rows`` is the sum of ``add``, ``update`` (if each person is in the campaign once), ``there``, ``missing``,
    ``opted_out``, ``repeats`` and ``rejected``. ``missing`` are people who are not in the campaign, and who a mode that
    never adds leaves out. ``opted_out`` includes ``opted_out_elsewhere``, in other campaigns.
    ``opt_out`` and ``unsubscribe`` count people to unsubscribe; ``unclear`` counts people without a row in a mirror
    whose own address cannot be read, and ``not_unsubscribed`` those whose unsubscribe SalesBlink refused.
    """

    rows: int = 0
    add: int = 0
    update: int = 0
    unsubscribe: int = 0
    there: int = 0
    missing: int = 0
    opted_out: int = 0
    repeats: int = 0
    rejected: int = 0
    opt_out: int = 0
    opted_out_elsewhere: int = 0
    in_campaign: int = 0
    subscribed: int = 0
    unclear: int = 0
    not_unsubscribed: int = 0

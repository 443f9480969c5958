"""Conditions to wait for, and whether an answer of SalesBlink meets them. Pure: no requests, no clock."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.client.columns import as_text, documented
from airflow_provider_salesblink.client.errors import InvalidInputError
from airflow_provider_salesblink.client.redaction import redacted

if TYPE_CHECKING:
    from airflow_provider_salesblink.choices import CampaignState
    from airflow_provider_salesblink.client.records import Campaign, Prospect

Where = Mapping[str, Any]

_TESTS = ("in", "exists", "gte")


@dataclass(frozen=True)
class Met:
    """The condition is met.

    :param found: ids and states for XCom; no address, no field's value.
    """

    found: dict[str, Any]


@dataclass(frozen=True)
class Hopeless:
    """The condition will never be met, or SalesBlink does not show whether it is."""

    reason: str


Verdict = Met | Hopeless | None
"""None: undecided, keep waiting."""


@dataclass(frozen=True, eq=False)
class CampaignIs:
    """The condition that a campaign is in a state.

    :param campaign_id: its id; None if the name identifies it.
    :param campaign_name: its full name.
    """

    state: CampaignState
    campaign_id: str | None = None
    campaign_name: str | None = None

    def judge(self, named: Sequence[Campaign]) -> Verdict:
        """Return a verdict on ``paused`` or ``running``, which a campaign shows itself.

        :param named: the campaigns with this id or name.
        """
        meant = self._only(named)
        if isinstance(meant, Hopeless):
            return meant
        if meant["paused"] is None:
            return Hopeless(
                f"SalesBlink does not say whether campaign {meant['id']} is paused, so it is not possible to "
                f"wait for {self.state!r}. {_fields_shown(meant['raw'])}"
            )
        return self._met(meant) if meant["paused"] == (self.state == "paused") else None

    def judge_by_ids(self, named: Sequence[Campaign], ids: Collection[str]) -> Verdict:
        """Return a verdict on a state for which SalesBlink can list the campaigns.

        :param named: the campaigns with this id or name.
        :param ids: the ids of the campaigns in the state.
        """
        meant = self._only(named)
        if isinstance(meant, Hopeless):
            return meant
        return self._met(meant) if meant["id"] in ids else None

    def _only(self, named: Sequence[Campaign]) -> Campaign | Hopeless:
        # By id: a list may show the same campaign twice.
        found = {each["id"]: each for each in named}
        return next(iter(found.values())) if len(found) == 1 else Hopeless(self._not_one(found))

    def _met(self, meant: Campaign) -> Met:
        return Met({"outcome": self.state, "campaign_id": meant["id"]})

    def _not_one(self, ids: Collection[str]) -> str:
        if ids:
            return redacted(
                f"{len(ids)} campaigns are called {self.campaign_name!r}: {', '.join(ids)}. "
                "Pass campaign_id to choose one."
            )
        which = f"called {self.campaign_name!r}" if self.campaign_id is None else f"with the id {self.campaign_id!r}"
        return redacted(
            f"SalesBlink's list of campaigns has none {which}. Check it, check that the campaign is not archived, and "
            "check that the key's user may see it."
        )


@dataclass(frozen=True, eq=False)
class ProspectIs:
    """The condition that a person is in a campaign and their data matches.

    :param where: field -> text, or tests ``{"in": [...]}``, ``{"exists": true}``, ``{"gte": ...}``; all must match.
    :param unsubscribed: whether they have opted out; None accepts both.
    :raises InvalidInputError: ``where`` holds something else.
    """

    where: Where = field(default_factory=dict)
    unsubscribed: bool | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.where, Mapping):
            raise InvalidInputError(f"where is a {type(self.where).__name__}: pass a mapping of fields to values.")
        for name, wanted in self.where.items():
            _check(name, wanted)

    def judge(self, prospect: Prospect) -> Verdict:
        """Return a verdict on one person of the campaign."""
        if self.unsubscribed is not None and prospect["unsubscribed"] is None:
            if self._may_be_shown_later(prospect):
                return None
            return Hopeless(
                "SalesBlink does not say whether the prospect has unsubscribed, so it is not possible to wait for it. "
                + _fields_shown(prospect["raw"])
            )
        if self.unsubscribed not in (None, prospect["unsubscribed"]) or not matches(prospect["fields"], self.where):
            return None
        shown = {name: prospect[name] for name in ("campaign_id", "unsubscribed")}
        return Met({"outcome": "found", "prospect_id": prospect["id"], **shown})

    def _may_be_shown_later(self, prospect: Prospect) -> bool:
        """Return whether a status leaves the opt-out open for now.

        The status of a person who opted out will show it. Without a value, the campaign has not begun with the person.
        """
        fields = prospect["fields"]
        if not self.unsubscribed:
            return "status" in fields and fields["status"] is None
        return "status" in fields or isinstance(prospect["raw"].get("status"), str)


def matches(fields: Mapping[str, Any], where: Where) -> bool:
    """Return whether a prospect's fields match ``where``. Documented fields match in any spelling."""
    spelled = {documented(name): as_text(value) for name, value in fields.items()}
    return all(
        _holds(as_text(fields[name]) if name in fields else spelled.get(documented(name)), wanted)
        for name, wanted in where.items()
    )


def _holds(found: str | None, wanted: object) -> bool:
    if not isinstance(wanted, Mapping):
        return found == as_text(wanted)
    return all(_passes(found, test, value) for test, value in wanted.items())


def _passes(found: str | None, test: str, value: Any) -> bool:  # noqa: ANN401
    if test == "exists":
        return bool(found) is value
    if found is None:
        return False
    if test == "in":
        return found in map(as_text, value)
    return _is_at_least(found, str(as_text(value)))


def _is_at_least(found: str, least: str) -> bool:
    """Compare as numbers if ``least`` is a number, else as text, which is right for ISO dates."""
    number = _number(least)
    if number is None:
        return found >= least
    other = _number(found)
    return other is not None and other >= number


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _check(name: object, wanted: object) -> None:
    if not isinstance(name, str) or not name.strip():
        raise InvalidInputError("where has a field without a name.")
    shown = redacted(repr(name))
    if not isinstance(wanted, Mapping):
        if as_text(wanted) is None:
            raise InvalidInputError(
                f"where[{shown}] is a {type(wanted).__name__}: pass a text, a number, or a test such as "
                '{"in": [...]} or {"exists": true}.'
            )
        return
    unknown = [test for test in wanted if test not in _TESTS]
    if unknown or not wanted:
        which = f"no test {unknown[0]!r}" if unknown else "an empty test"
        raise InvalidInputError(f"where[{shown}] has {which}; known: {', '.join(_TESTS)}.")
    for test, value in wanted.items():
        _check_test(shown, test, value)


def _check_test(shown: str, test: str, value: object) -> None:
    if test == "exists" and not isinstance(value, bool):
        raise InvalidInputError(f"where[{shown}]: 'exists' takes true or false.")
    if test == "in" and (
        not isinstance(value, Sequence) or isinstance(value, str) or any(as_text(each) is None for each in value)
    ):
        raise InvalidInputError(f"where[{shown}]: 'in' takes a list of texts and numbers.")
    if test == "gte" and as_text(value) is None:
        raise InvalidInputError(f"where[{shown}]: 'gte' takes a number or a text.")


def _fields_shown(raw: Mapping[str, Any]) -> str:
    # Redact before cutting: half an address would not be recognized.
    names = ", ".join(sorted(redacted(name)[:40] for name in raw)[:30])
    return f"Fields in its answer: {names or 'none'}."

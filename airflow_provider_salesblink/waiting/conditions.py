"""What somebody waits for, and whether what SalesBlink told is it. Pure: no requests, no clock."""

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
    """It has come.

    :param found: ids and states for XCom; no address, no field's value.
    """

    found: dict[str, Any]


@dataclass(frozen=True)
class Hopeless:
    """It will never come, or could not be seen."""

    reason: str


Verdict = Met | Hopeless | None
"""None: not yet."""


@dataclass(frozen=True, eq=False)
class CampaignIs:
    """A campaign is paused, or running.

    :param campaign_id: its id, or None where its name says which.
    :param campaign_name: its full name.
    """

    state: CampaignState
    campaign_id: str | None = None
    campaign_name: str | None = None

    def judge(self, named: Sequence[Campaign]) -> Verdict:
        """Whether it is, by the campaigns that have its id, or its name."""
        # By id: a list may show the same one twice.
        found = {each["id"]: each for each in named}
        if len(found) != 1:
            return Hopeless(self._not_one(found))
        (meant,) = found.values()
        if meant["paused"] is None:
            return Hopeless(
                f"SalesBlink does not say whether campaign {meant['id']} is paused, so {self.state!r} cannot be waited "
                f"for. {_fields_told(meant['raw'])}"
            )
        if meant["paused"] != (self.state == "paused"):
            return None
        return Met({"outcome": self.state, "campaign_id": meant["id"]})

    def _not_one(self, ids: Collection[str]) -> str:
        if ids:
            return redacted(
                f"{len(ids)} campaigns are called {self.campaign_name!r}: {', '.join(ids)}. "
                "Say with campaign_id which one is meant."
            )
        which = f"called {self.campaign_name!r}" if self.campaign_id is None else f"with the id {self.campaign_id!r}"
        return redacted(f"SalesBlink's list of campaigns has none {which}. Check it, and the key's user.")


@dataclass(frozen=True, eq=False)
class ProspectIs:
    """Somebody is in a campaign, and what is told of them matches.

    :param where: field -> text, or tests ``{"in": [...]}``, ``{"exists": true}``, ``{"gte": ...}``; all must hold.
    :param unsubscribed: whether they have opted out; None where it does not matter.
    :raises InvalidInputError: ``where`` holds something else.
    """

    where: Where = field(default_factory=dict)
    unsubscribed: bool | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.where, Mapping):
            raise InvalidInputError(f"where is a {type(self.where).__name__}: give a mapping of fields to values.")
        for name, wanted in self.where.items():
            _check(name, wanted)

    def judge(self, prospect: Prospect) -> Verdict:
        """Whether it is so by what SalesBlink tells of the person."""
        if self.unsubscribed is not None and prospect["unsubscribed"] is None:
            if self.unsubscribed and isinstance(prospect["raw"].get("status"), str):
                # This word leaves it open; the word for somebody who opted out will not.
                return None
            return Hopeless(
                "SalesBlink does not say whether the prospect has unsubscribed, so that cannot be waited for. "
                + _fields_told(prospect["raw"])
            )
        if self.unsubscribed not in (None, prospect["unsubscribed"]) or not matches(prospect["fields"], self.where):
            return None
        told = {name: prospect[name] for name in ("campaign_id", "unsubscribed")}
        return Met({"outcome": "found", "prospect_id": prospect["id"], **told})


def matches(fields: Mapping[str, Any], where: Where) -> bool:
    """Whether a prospect's fields are what ``where`` asks for; a documented one is found however it is spelled."""
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
    """As numbers where the least is one, else as texts, which is right for dates in ISO form."""
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
                f"where[{shown}] is a {type(wanted).__name__}: give a text, a number, or a test such as "
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


def _fields_told(raw: Mapping[str, Any]) -> str:
    # Cut last: half an address would not be found.
    names = ", ".join(sorted(redacted(name)[:40] for name in raw)[:30])
    return f"It told: {names or 'nothing'}."

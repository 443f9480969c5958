"""Prospects of the classic API (``/api/prospect*``): the people in campaigns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.client import validation
from airflow_provider_salesblink.client.classic import column_conflicts, decoding
from airflow_provider_salesblink.client.classic.prospect_checks import ProspectChecks
from airflow_provider_salesblink.client.classic.prospect_erasure import ProspectErasure
from airflow_provider_salesblink.client.columns import EMAIL
from airflow_provider_salesblink.client.errors import InvalidInputError, NotFoundError, UnsupportedByApiError
from airflow_provider_salesblink.client.identity import spellings
from airflow_provider_salesblink.client.records import LookUp, of_person
from airflow_provider_salesblink.client.requestor import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from airflow_provider_salesblink.client.records import Prospect
    from airflow_provider_salesblink.client.requestor import Requestor

_NO_LISTS = (
    "list_id is for SalesBlink's API v1. The connection uses the classic API, which has no lists: remove list_id, or "
    "set the connection's extra api_version to 'v1'. Nothing was sent."
)


class Prospects(ProspectErasure):
    """Calls about prospects. Each raises a subclass of :class:`SalesBlinkError` if it fails.

    ``checks`` decides whether the ids and the state in a prospect's record are certainly SalesBlink's.
    """

    import_time = 0.0
    """Seconds between the answer to an add and the person's place in the campaign."""
    batch_size = 1
    """The most people that one call of :meth:`send` adds."""
    sets_all_fields_at_once = False
    """Whether one call sets all fields of a person."""

    def __init__(self, requestor: Requestor) -> None:
        self._requestor = requestor
        self.adds_refused = ""
        self.checks = ProspectChecks(requestor)

    def search(self, email: str) -> list[Prospect]:
        """Return the prospects with this address, one for each campaign they are in (``GET /prospect?term=``).

        Searches for each spelling of the address that SalesBlink may store, because the API may compare text: as given,
        in lower case, and with an international domain in both of its forms. Leaves out other people in the results.

        :raises NotFoundError: the API answers 404 to each search.
        """
        email = validation.address("email", email)
        found: dict[object, Prospect] = {}
        missing: list[NotFoundError] = []
        searches = spellings(email)
        for spelling in searches:
            try:
                answer = self._requestor.read("prospect", query={"term": spelling})
            except NotFoundError as error:
                missing.append(error)
                continue
            for each in of_person(answer.decoded(decoding.prospects), email):
                found.setdefault(each["id"] or object(), each)
        if len(missing) == len(searches):
            raise missing[0]
        return list(found.values())

    def look_up(
        self,
        campaign_id: str,
        email: str,
        learn: Callable[[Iterable[Prospect]], Iterable[Prospect]] = iter,
        list_id: str | None = None,  # noqa: ARG002
    ) -> LookUp:
        """Find a person in the account and in a campaign, before they are added.

        The campaign is listed even if the search finds nobody, because nothing documents that it finds everybody.

        :param learn: sees all prospects that the client reads, and passes them on.
        :param list_id: for the API v1 only.
        """
        try:
            everywhere = [*learn(self.search(email))]
        except NotFoundError:
            everywhere = []
        in_campaign = [found for found in everywhere if found["campaign_id"] == campaign_id]
        # A column of the person's own may look like the campaign's id.
        if not in_campaign or any(column_conflicts.campaign_is_unclear(each["raw"]) for each in in_campaign):
            in_campaign = of_person(learn(self.each(campaign_id)), email)
        states = [each["unsubscribed"] for each in (*in_campaign, *everywhere)]
        return LookUp(everywhere, in_campaign, opted_out=True if any(states) else None if None in states else False)

    def in_campaign(self, campaign_id: str, email: str, list_id: str | None = None) -> list[Prospect]:  # noqa: ARG002
        """Return the prospects with an address in a campaign."""
        return of_person(self.each(campaign_id), validation.address("email", email))

    def opted_out_elsewhere(self, campaign_id: str, email: str) -> bool | None:
        """Return whether a person opted out in any campaign; None if SalesBlink does not show it.

        A missing state in this campaign does not count: the caller knows this campaign.
        """
        try:
            found = self.search(email)
        except NotFoundError:
            return False
        if any(each["unsubscribed"] for each in found):
            return True
        elsewhere = [each for each in found if each["campaign_id"] != campaign_id]
        return None if any(each["unsubscribed"] is None for each in elsewhere) else False

    def each_opt_out(self) -> Iterator[str]:
        """Raise: the classic API has no list of everybody who opted out.

        :raises UnsupportedByApiError: always.
        """
        raise UnsupportedByApiError(
            "SalesBlink's classic API has no list of everybody who opted out: look people up one by one."
        )

    def reservation_scope(self, campaign_id: str) -> str:
        """Return in what a person who is being added is reserved: here the campaign."""
        return campaign_id

    def list(self, campaign_id: str) -> list[Prospect]:
        """Return everybody in a campaign, in the API's order (``GET /prospects/<campaignID>``, which has no paging).

        :raises NotFoundError: there is no such campaign.
        """
        campaign_id = validation.identifier("campaign_id", campaign_id)
        found = self._requestor.read("prospects", campaign_id).decoded(decoding.prospects)
        for each in found:
            each["campaign_id"] = campaign_id
        return found

    def each(self, campaign_id: str, list_id: str | None = None, *, with_columns: bool = True) -> Iterator[Prospect]:  # noqa: ARG002
        """Yield everybody in a campaign, as :meth:`list` returns them. For campaigns that are too large for memory.

        :param list_id: for the API v1 only.
        :param with_columns: for the API v1 only: here ``fields`` always has the columns.
        :raises NotFoundError: there is no such campaign.
        """
        campaign_id = validation.identifier("campaign_id", campaign_id)
        answer = self._requestor.read("prospects", campaign_id, long=True)
        for found in answer.each(decoding.each_prospect):
            found["campaign_id"] = campaign_id
            yield found

    def get(self, prospect_id: str) -> Prospect:
        """Return one prospect (``GET /prospect/<prospectID>``).

        :raises NotFoundError: there is no prospect with this id.
        """
        prospect_id = validation.identifier("prospect_id", prospect_id)
        answer = self._requestor.read("prospect", prospect_id)
        return answer.decoded(lambda body: decoding.single_prospect(body, prospect_id))

    def on_list(self, list_id: str) -> Iterator[Prospect]:  # noqa: ARG002
        """Raise: the classic API has no lists.

        :raises UnsupportedByApiError: always.
        """
        raise UnsupportedByApiError(_NO_LISTS)

    def in_other_campaigns(
        self,
        campaign_id: str,  # noqa: ARG002
        *,
        list_id: str | None = None,  # noqa: ARG002
        allow_other_campaigns: bool = False,  # noqa: ARG002
    ) -> Iterator[Prospect]:
        """Yield nobody: on the classic API, an add concerns one campaign."""
        return iter(())

    def in_campaigns_of(self, list_id: str, besides: Collection[str] = ()) -> Iterator[Prospect]:  # noqa: ARG002
        """Raise: the classic API has no lists.

        :raises UnsupportedByApiError: always.
        """
        raise UnsupportedByApiError(_NO_LISTS)

    def check_list_alone(self, list_id: str, *, allow_running: bool = False) -> None:  # noqa: ARG002
        """Raise: the classic API has no lists.

        :raises UnsupportedByApiError: always.
        """
        raise UnsupportedByApiError(_NO_LISTS)

    def send_to_list(
        self,
        list_id: str,  # noqa: ARG002
        people: Sequence[Mapping[str, Any]],  # noqa: ARG002
        *,
        allow_running: bool = False,  # noqa: ARG002
    ) -> Sequence[str | None]:
        """Raise: the classic API has no lists.

        :raises UnsupportedByApiError: always.
        """
        raise UnsupportedByApiError(_NO_LISTS)

    def check_list(
        self,
        campaign_id: str,  # noqa: ARG002
        *,
        list_id: str | None = None,
        allow_other_campaigns: bool = False,  # noqa: ARG002
    ) -> str | None:
        """Check whether people may be added to a list of a campaign: not on the classic API, which has no lists.

        :return: None, as there is no list.
        :raises UnsupportedByApiError: ``list_id`` is not None.
        """
        if list_id is not None:
            raise UnsupportedByApiError(_NO_LISTS)
        return None

    def add(
        self,
        campaign_id: str,
        data: Mapping[str, Any],
        *,
        list_id: str | None = None,
        allow_other_campaigns: bool = False,  # noqa: ARG002
        ignore_ids: Collection[str | None] = (),
    ) -> Prospect:
        """Add one person to a campaign (``POST /prospect-add``) exactly once, even if the answer is lost.

        After a lost answer, reads the campaign and sends the person again only if they are not there.

        :param data: the person's columns: ``Email``, and any others, which the campaign's templates can use.
        :param list_id: for the API v1 only.
        :param allow_other_campaigns: for the API v1 only: here an add concerns one campaign.
        :param ignore_ids: ids of prospects with the same address that were in the campaign before; finding one of them
            does not mean that the person was added.
        :raises InvalidInputError: ``data`` is invalid, or this client must not add people.
        :raises AmbiguousWriteError: the answer was lost and the campaign cannot be read.
        """
        campaign_id, columns = self._new(campaign_id, data, list_id)
        answer = self._requestor.write_once(
            "prospect-add",
            body={"campaignID": campaign_id, "data": columns},
            find_existing=lambda: self._find(campaign_id, columns[EMAIL], ignore_ids),
        )
        return _added(answer, campaign_id, columns) if isinstance(answer, Answer) else answer

    def send(
        self,
        campaign_id: str,
        people: Sequence[Mapping[str, Any]],
        *,
        list_id: str | None = None,
        allow_other_campaigns: bool = False,  # noqa: ARG002
    ) -> Sequence[str | None]:
        """Add one person as :meth:`add` does, but do not read back a lost answer: the caller may check many at once.

        :param people: the columns of exactly one person.
        :return: the person's id; None if the answer does not show it.
        :raises AmbiguousWriteError: the answer was lost.
        """
        (data,) = validation.people("people", people, self.batch_size)
        campaign_id, columns = self._new(campaign_id, data, list_id)
        answer = self._requestor.send_once("prospect-add", body={"campaignID": campaign_id, "data": columns})
        return [_added(answer, campaign_id, columns)["id"]]

    def _new(self, campaign_id: str, data: Mapping[str, Any], list_id: str | None) -> tuple[str, dict[str, Any]]:
        """Check the arguments of an add."""
        campaign_id = validation.identifier("campaign_id", campaign_id)
        if self.adds_refused:
            raise InvalidInputError(self.adds_refused)
        self.check_list(campaign_id, list_id=list_id)
        return campaign_id, _new_prospect(data)

    def _find(self, campaign_id: str, email: str, ignore_ids: Collection[str | None]) -> Prospect | None:
        here = of_person(self.each(campaign_id), email)
        return next((each for each in here if each["id"] not in ignore_ids), None)

    def update(self, prospect_id: str, fields: Mapping[str, Any]) -> Prospect:
        """Set fields of a prospect (``POST /prospect``, one call per field). The same value again changes nothing.

        :param fields: column -> value; the client sends values as text, which the API requires.
        """
        prospect_id = validation.identifier("prospect_id", prospect_id)
        changes = validation.changes(fields)
        column_conflicts.refuse_reserved("fields", changes)
        shown: dict[str, Any] = {}
        dry_run = False
        for key, value in changes.items():
            body = {"prospectID": prospect_id, "key": key, "value": value}
            answer = self._requestor.write("prospect", body=body)
            shown, dry_run = decoding.acknowledged(answer.body, decoding.PROSPECT_NAMES), answer.dry_run
        return _changed(shown, prospect_id, dry_run=dry_run)

    def is_done_with(self, prospect: Prospect) -> bool:
        """Return whether :meth:`unsubscribe` would change nothing."""
        return self.checks.is_surely_unsubscribed(prospect)

    def unsubscribe(self, prospect_id: str) -> Prospect:
        """Stop all outreach to a prospect (``POST /prospect-unsubscribe``). This cannot be undone.

        SalesBlink deletes their upcoming email, LinkedIn and call tasks. A second call changes nothing.
        """
        prospect_id = validation.identifier("prospect_id", prospect_id)
        answer = self._requestor.write("prospect-unsubscribe", body={"prospectID": prospect_id})
        shown = decoding.acknowledged(answer.body, decoding.PROSPECT_NAMES)
        return _changed(shown, prospect_id, dry_run=answer.dry_run)


def _new_prospect(data: Mapping[str, Any]) -> dict[str, Any]:
    columns = validation.new_prospect(data)
    column_conflicts.refuse_reserved("data", columns)
    return columns


def _added(answer: Answer, campaign_id: str, columns: dict[str, Any]) -> Prospect:
    shown = decoding.prospect(decoding.acknowledged(answer.body, decoding.PROSPECT_NAMES))
    record: Prospect = {**shown, "email": columns[EMAIL], "campaign_id": campaign_id, "fields": columns}
    if answer.dry_run:
        record["dry_run"] = True
    return record


def _changed(shown: dict[str, Any], prospect_id: str, *, dry_run: bool) -> Prospect:
    record = decoding.prospect(shown)
    record["id"] = prospect_id
    if dry_run:
        record["dry_run"] = True
    return record

"""Operators for prospects, the people in campaigns: add, update, unsubscribe, search, list and get them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, get_args

from airflow_provider_salesblink.argument_types import path_text
from airflow_provider_salesblink.choices import OnExisting, OptOutUnknown
from airflow_provider_salesblink.links import CampaignLink
from airflow_provider_salesblink.operators.base import (
    PersonOperator,
    SalesBlinkOperator,
    exactly_one,
    json_argument,
    one_of,
    outcome,
    redacted_names,
)
from airflow_provider_salesblink.operators.files import check_path, read_columns, write_records
from airflow_provider_salesblink.operators.forgetting import ForgetPersonOperator
from airflow_provider_salesblink.operators.loads import AddProspectsOperator
from airflow_provider_salesblink.operators.snapshots import ListProspectsOperator

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from airflow_provider_salesblink.client import Prospect, SalesBlinkClient

__all__ = [
    "AddProspectOperator",
    "AddProspectsOperator",
    "ForgetPersonOperator",
    "GetProspectOperator",
    "ListProspectsOperator",
    "SearchProspectOperator",
    "UnsubscribeOperator",
    "UpdateProspectOperator",
]


class AddProspectOperator(SalesBlinkOperator):
    """Add one person to a campaign, unless they are in it already or opted out.

    The task looks the person up by address first (two reads) and reserves them while it adds them. So nobody is mailed
    twice when the task runs again, or when another task adds the same person at the same time. The exception is
    ``on_existing="add"``, which asks for a second enrolment. A person who is unsubscribed in this campaign or, as far
    as the key can see, in another one is never added.

    XCom: ``outcome``, ``campaign_id`` and ``prospect_id`` (None if SalesBlink does not return it). Outcomes: "added";
    "skipped" if the person was in the campaign; "updated" or "unchanged" with ``on_existing="update"``; "opted_out".

    :param campaign_id: the campaign's id (templated).
    :param data: the person's columns, which must include ``Email``, as a dict or JSON text (templated); or the path of
        a file that holds them as one JSON object (any object storage). A file keeps people out of XCom, rendered
        templates and the Airflow UI. Values become text, None counts as missing, and an empty text leaves the value of
        an existing person as it is.
    :param on_existing: what to do with a person who is in the campaign: leave them ("skip"), set the columns that
        differ ("update"), or enroll them a second time ("add").
    :param opt_out_unknown: what to do with a person in SalesBlink whose record does not say whether they opted out:
        fail the task ("fail") or add them ("add").
    :param list_id: the list to add the person to; None for the campaign's only list (templated; API v1 only).
    :param allow_other_campaigns: add the person although another running campaign uses the list and will mail them too
        (API v1 only).
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param max_wait: the most seconds that the task may be deferred after 429s.
    """

    template_fields: Sequence[str] = ("campaign_id", "data", "list_id", "salesblink_conn_id")
    template_fields_renderers = {"data": "json"}  # noqa: RUF012
    operator_extra_links = (CampaignLink(),)

    def __init__(
        self,
        *,
        campaign_id: str,
        data: Mapping[str, Any] | str | os.PathLike[str],
        on_existing: OnExisting = "skip",
        opt_out_unknown: OptOutUnknown = "fail",
        list_id: str | None = None,
        allow_other_campaigns: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        one_of("on_existing", on_existing, get_args(OnExisting))
        one_of("opt_out_unknown", opt_out_unknown, get_args(OptOutUnknown))
        self.campaign_id = campaign_id
        self.data = path_text(data)
        self.on_existing = on_existing
        self.opt_out_unknown = opt_out_unknown
        self.list_id = list_id
        self.allow_other_campaigns = allow_other_campaigns

    def call_salesblink(self, client: SalesBlinkClient) -> dict[str, Any]:
        """Look the person up, and add them if they may be added."""
        from airflow_provider_salesblink.loading.add_person import add_person
        from airflow_provider_salesblink.loading.destination import ListChoice

        self.check_reservations_are_shared(client)
        word, prospect = add_person(
            client,
            self.campaign_id,
            read_columns(self.data),
            on_existing=self.on_existing,
            opt_out_unknown=self.opt_out_unknown,
            list_choice=ListChoice(self.list_id, self.allow_other_campaigns),
            owner=self.owner_name,
        )
        return outcome(
            word,
            dry_run=prospect.get("dry_run", False),
            campaign_id=self.campaign_id,
            prospect_id=prospect["id"],
        )

    def may_run_again(self, error: Exception) -> bool:
        """Return False after an ambiguous write with ``on_existing="add"``: a retry could enroll the person again."""
        from airflow_provider_salesblink.client import AmbiguousWriteError

        return super().may_run_again(error) and not (
            self.on_existing == "add" and isinstance(error, AmbiguousWriteError)
        )


class UpdateProspectOperator(PersonOperator):
    """Set fields of a prospect: one call for each field that differs, none for the others.

    Pass exactly one of ``prospect_id`` and ``email``. An address means every prospect that has it, one for each
    campaign the person is in. Safe to run again.

    XCom: ``outcome`` "updated" or "unchanged", ``prospect_ids``, and ``fields``, the names of the fields that were set.

    :param prospect_id: the prospect's id (templated).
    :param email: the person's address (templated). It replaces Airflow's ``email``, so this task sends no alert mails.
    :param fields: a dict of column to value, or the same as JSON text (templated).
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param max_wait: the most seconds that the task may be deferred after 429s.
    """

    template_fields: Sequence[str] = ("prospect_id", "email", "fields", "salesblink_conn_id")
    template_fields_renderers = {"fields": "json"}  # noqa: RUF012

    def __init__(
        self, *, fields: Mapping[str, Any], prospect_id: str | None = None, email: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(email=email, **kwargs)
        self.prospect_id = prospect_id
        self.fields = fields

    def call_salesblink(self, client: SalesBlinkClient) -> dict[str, Any]:
        """Read the prospects and set the fields that differ."""
        from airflow_provider_salesblink.client import validation
        from airflow_provider_salesblink.loading.add_person import id_of, set_differing
        from airflow_provider_salesblink.loading.reserved_columns import ReservedColumns

        exactly_one(prospect_id=self.prospect_id, email=self.email, hint=self.missing_email_hint)
        wanted = validation.changes(json_argument("fields", self.fields, dict))
        ReservedColumns(client).refuse_reserved(wanted)
        by_id = self.email is None
        found = [client.prospects.get(cast("str", self.prospect_id))] if by_id else self.require_prospects(client)
        unclear = ReservedColumns(client, found[0]["campaign_id"])
        prospects = list(unclear.learn(found))
        sent, dry_run = set_differing(client, prospects, wanted, unclear)
        self.log.info("Fields set: %s.", ", ".join(redacted_names(sent)) or "none")
        word = "updated" if sent else "unchanged"
        ids = list(dict.fromkeys(map(id_of, prospects)))
        return outcome(word, dry_run=dry_run, prospect_ids=ids, fields=redacted_names(sent))


class UnsubscribeOperator(PersonOperator):
    """Stop all outreach to a person. SalesBlink offers no way to undo this.

    Pass exactly one of ``prospect_id`` and ``email``. An address means every prospect that has it. Safe to run again.

    XCom: ``outcome`` and ``prospect_ids``. Outcomes: "unsubscribed"; "unchanged" if SalesBlink shows that every
    prospect with the address was unsubscribed before; "missing" if nobody was found and ``missing_ok`` is set.

    :param prospect_id: the prospect's id (templated).
    :param email: the person's address (templated). It replaces Airflow's ``email``, so this task sends no alert mails.
    :param missing_ok: succeed if no prospect has this id or address (default: fail).
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param max_wait: the most seconds that the task may be deferred after 429s.
    """

    template_fields: Sequence[str] = ("prospect_id", "email", "salesblink_conn_id")

    def __init__(
        self, *, prospect_id: str | None = None, email: str | None = None, missing_ok: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(email=email, **kwargs)
        self.prospect_id = prospect_id
        self.missing_ok = missing_ok

    def call_salesblink(self, client: SalesBlinkClient) -> dict[str, Any]:
        """Find the prospects and unsubscribe each one, even if another one fails."""
        from airflow_provider_salesblink.client import NotFoundError, validation
        from airflow_provider_salesblink.loading.add_person import id_of

        exactly_one(prospect_id=self.prospect_id, email=self.email, hint=self.missing_email_hint)
        if self.email is None:
            return self._unsubscribe_each(client, {validation.identifier("prospect_id", self.prospect_id): None})
        try:
            found = self.require_prospects(client)
        except NotFoundError:
            if not self.missing_ok:
                raise
            found = []
        return self._unsubscribe_each(client, {id_of(each): each for each in found})

    def _unsubscribe_each(self, client: SalesBlinkClient, found: Mapping[str, Prospect | None]) -> dict[str, Any]:
        from airflow_provider_salesblink.client import NotFoundError, RateLimitedError, SalesBlinkError

        written, missing, done = [], [], set[str]()
        failed: SalesBlinkError | None = None
        for prospect_id, prospect in found.items():
            if prospect_id in done or (prospect and client.prospects.is_done_with(prospect)):
                continue
            try:
                if prospect:
                    client.prospects.checks.id_to_act_on(prospect)
                written.append(client.prospects.unsubscribe(prospect_id))
                # On the API v1, one call is for all leads of the person.
                done.update(written[-1]["raw"].get("lead_ids", ()))
            except NotFoundError as error:
                missing.append(error)
            except RateLimitedError as error:
                # The limit holds for the whole key, so the calls for the other prospects would fail too.
                failed = error
                break
            except SalesBlinkError as error:
                # Prefer a temporary error: the task's next try then handles all of them.
                failed = error if failed is None or failed.permanent else failed
        there = len(found) - len(missing)
        self.log.info("Prospects: %d; unsubscribed now: %d; not found: %d.", there, len(written), len(missing))
        if failed or (missing and not self.missing_ok):
            raise failed or missing[0]
        word = "unsubscribed" if written else "unchanged" if there else "missing"
        ids = list(found) if there else []
        return outcome(word, dry_run=any(each.get("dry_run", False) for each in written), prospect_ids=ids)


class SearchProspectOperator(PersonOperator):
    """Search for a person by address.

    XCom: ``outcome`` "found" (also if nobody was found), ``count``, ``prospect_ids``, ``campaign_ids``, and
    ``unsubscribed``: whether any of the prospects is unsubscribed (None if SalesBlink does not say).

    :param email: the person's address (templated). It replaces Airflow's ``email``, so this task sends no alert mails.
    :param output_path: the file to write the prospects to, one JSON object per line (any object storage; templated).
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param max_wait: the most seconds that the task may be deferred after 429s.
    """

    template_fields: Sequence[str] = ("email", "output_path", "salesblink_conn_id")

    def __init__(self, *, email: str, output_path: str | os.PathLike[str] | None = None, **kwargs: Any) -> None:
        super().__init__(email=email, **kwargs)
        self.output_path: str | None = path_text(output_path)

    def call_salesblink(self, client: SalesBlinkClient) -> dict[str, Any]:
        """Search, and write the prospects to the file."""
        check_path(self.output_path)
        found = self.search_prospects(client)
        said = [each["unsubscribed"] for each in found if each["unsubscribed"] is not None]
        return outcome(
            "found",
            count=len(found),
            prospect_ids=[each["id"] for each in found],
            campaign_ids=[each["campaign_id"] for each in found],
            unsubscribed=any(said) if said else None,
            **write_records(self.output_path, found),
        )


class GetProspectOperator(SalesBlinkOperator):
    """Get one prospect by id. The task fails if there is no such prospect.

    XCom: ``outcome`` "found", ``prospect_id``, ``campaign_id``, ``unsubscribed`` (None if SalesBlink does not say),
    ``fields`` (the names of the columns), and ``path`` if ``output_path`` is set. The values go only into the file.

    :param prospect_id: the prospect's id (templated).
    :param output_path: the file to write the prospect to, as one line of JSON (any object storage; templated).
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param max_wait: the most seconds that the task may be deferred after 429s.
    """

    template_fields: Sequence[str] = ("prospect_id", "output_path", "salesblink_conn_id")
    operator_extra_links = (CampaignLink(),)

    def __init__(self, *, prospect_id: str, output_path: str | os.PathLike[str] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.prospect_id = prospect_id
        self.output_path: str | None = path_text(output_path)

    def call_salesblink(self, client: SalesBlinkClient) -> dict[str, Any]:
        """Read the prospect, and write it to the file."""
        check_path(self.output_path)
        found = client.prospects.get(self.prospect_id)
        return outcome(
            "found",
            prospect_id=found["id"],
            campaign_id=found["campaign_id"],
            unsubscribed=found["unsubscribed"],
            fields=redacted_names(sorted(found["fields"])),
            **write_records(self.output_path, [found]),
        )

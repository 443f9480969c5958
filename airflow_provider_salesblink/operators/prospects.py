"""Operators for prospects, the people in campaigns: add, change, unsubscribe, look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, get_args

from airflow_provider_salesblink.arguments import path_text
from airflow_provider_salesblink.choices import OnExisting, OptOutUnknown
from airflow_provider_salesblink.links import CampaignLink
from airflow_provider_salesblink.operators.base import (
    AddressedOperator,
    SalesBlinkOperator,
    exactly_one,
    json_argument,
    one_of,
    outcome,
    shown,
)
from airflow_provider_salesblink.operators.files import check_path, read_columns, write_records
from airflow_provider_salesblink.operators.loads import AddProspectsOperator

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from airflow_provider_salesblink.client import Prospect, SalesBlinkClient

__all__ = [
    "AddProspectOperator",
    "AddProspectsOperator",
    "GetProspectOperator",
    "ListProspectsOperator",
    "SearchProspectOperator",
    "UnsubscribeOperator",
    "UpdateProspectOperator",
]


class AddProspectOperator(SalesBlinkOperator):
    """Add one person to a campaign, unless they are there or opted out.

    The person is looked up by address first (two reads), and reserved while they are added, so that running the task
    again, for whatever reason, or another with the same person beside it, mails nobody twice; except with
    ``on_existing="add"``, which asks for just that. Whoever is known as unsubscribed, in this campaign or another, is
    never added.

    XCom: ``outcome``, ``campaign_id``, ``prospect_id`` (None where SalesBlink does not tell it). Outcomes: "added";
    "skipped", the person was there; "updated" or "unchanged" with ``on_existing="update"``; "opted_out".

    :param campaign_id: the campaign's id (templated).
    :param data: the person's columns, ``Email`` among them, also as JSON text (templated); or the path of a file that
        holds them as one JSON object (any object storage), which keeps people out of XCom, rendered templates and the
        Airflow UI. As in a load, values become text, None is no value, and an empty text changes nothing of a person
        who is there.
    :param on_existing: what to do with a person who is in the campaign: leave them ("skip"), set the columns that
        differ ("update"), or enrol them a second time ("add").
    :param opt_out_unknown: what to do with a person who is in SalesBlink already, but of whom it does not say whether
        they opted out: fail the task ("fail"), or add them ("add").
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param max_wait: most seconds to be deferred after 429s.
    """

    template_fields: Sequence[str] = ("campaign_id", "data", "salesblink_conn_id")
    template_fields_renderers = {"data": "json"}  # noqa: RUF012
    operator_extra_links = (CampaignLink(),)

    def __init__(
        self,
        *,
        campaign_id: str,
        data: Mapping[str, Any] | str | os.PathLike[str],
        on_existing: OnExisting = "skip",
        opt_out_unknown: OptOutUnknown = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        one_of("on_existing", on_existing, get_args(OnExisting))
        one_of("opt_out_unknown", opt_out_unknown, get_args(OptOutUnknown))
        self.campaign_id = campaign_id
        self.data = path_text(data)
        self.on_existing = on_existing
        self.opt_out_unknown = opt_out_unknown

    def act(self, client: SalesBlinkClient) -> dict[str, Any]:
        """Look the person up and add them."""
        from airflow_provider_salesblink.loading.add_person import add_person

        self.check_reservations_are_shared(client)
        word, prospect = add_person(
            client,
            self.campaign_id,
            read_columns(self.data),
            on_existing=self.on_existing,
            opt_out_unknown=self.opt_out_unknown,
            owner=self.owner_name,
        )
        return outcome(
            word,
            dry_run=prospect.get("dry_run", False),
            campaign_id=self.campaign_id,
            prospect_id=prospect["id"],
        )

    def may_run_again(self, error: Exception) -> bool:
        """Not after a write in doubt with ``on_existing="add"``: nothing would keep the retry from adding twice."""
        from airflow_provider_salesblink.client import AmbiguousWriteError

        return super().may_run_again(error) and not (
            self.on_existing == "add" and isinstance(error, AmbiguousWriteError)
        )


class UpdateProspectOperator(AddressedOperator):
    """Set fields of a prospect: one call for each field that differs, none for the others.

    Exactly one of ``prospect_id`` and ``email`` says who; an address stands for every prospect that has it, one for
    each campaign the person is in. Safe to run again.

    XCom: ``outcome`` "updated" or "unchanged", ``prospect_ids``, and ``fields``, the names of those that were set.

    :param prospect_id: the prospect's id (templated).
    :param email: the person's address (templated). Not Airflow's ``email``: alert mails are off for this operator.
    :param fields: column -> value, or such an object as JSON text (templated).
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param max_wait: most seconds to be deferred after 429s.
    """

    template_fields: Sequence[str] = ("prospect_id", "email", "fields", "salesblink_conn_id")
    template_fields_renderers = {"fields": "json"}  # noqa: RUF012

    def __init__(
        self, *, fields: Mapping[str, Any], prospect_id: str | None = None, email: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(email=email, **kwargs)
        self.prospect_id = prospect_id
        self.fields = fields

    def act(self, client: SalesBlinkClient) -> dict[str, Any]:
        """Compare and set."""
        from airflow_provider_salesblink.client import validation
        from airflow_provider_salesblink.loading.add_person import id_of, set_differing
        from airflow_provider_salesblink.loading.column_conflicts import ColumnConflicts

        exactly_one(prospect_id=self.prospect_id, email=self.email, hint=self.hint)
        wanted = validation.changes(json_argument("fields", self.fields, dict))
        ColumnConflicts(client).refuse_reserved(wanted)
        by_id = self.email is None
        found = [client.prospects.get(cast("str", self.prospect_id))] if by_id else self.of_address(client)
        unclear = ColumnConflicts(client, found[0]["campaign_id"])
        prospects = list(unclear.learn(found))
        sent, dry_run = set_differing(client, prospects, wanted, unclear)
        self.log.info("Fields set: %s.", ", ".join(shown(sent)) or "none")
        word = "updated" if sent else "unchanged"
        return outcome(word, dry_run=dry_run, prospect_ids=[id_of(found) for found in prospects], fields=shown(sent))


class UnsubscribeOperator(AddressedOperator):
    """Stop all outreach to a person. SalesBlink offers no way back.

    Exactly one of ``prospect_id`` and ``email`` says who; an address stands for every prospect that has it. Safe to
    run again.

    XCom: ``outcome`` "unsubscribed", "unchanged" (by address, where SalesBlink says that they were) or "missing";
    ``prospect_ids``.

    :param prospect_id: the prospect's id (templated).
    :param email: the person's address (templated). Not Airflow's ``email``: alert mails are off for this operator.
    :param missing_ok: whether nobody with this id or address is a success.
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param max_wait: most seconds to be deferred after 429s.
    """

    template_fields: Sequence[str] = ("prospect_id", "email", "salesblink_conn_id")

    def __init__(
        self, *, prospect_id: str | None = None, email: str | None = None, missing_ok: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(email=email, **kwargs)
        self.prospect_id = prospect_id
        self.missing_ok = missing_ok

    def act(self, client: SalesBlinkClient) -> dict[str, Any]:
        """Find the prospects and unsubscribe each, whatever becomes of the others."""
        from airflow_provider_salesblink.client import NotFoundError, validation
        from airflow_provider_salesblink.loading.add_person import id_of

        exactly_one(prospect_id=self.prospect_id, email=self.email, hint=self.hint)
        if self.email is None:
            return self._unsubscribed(client, {validation.identifier("prospect_id", self.prospect_id): None})
        try:
            found = self.of_address(client)
        except NotFoundError:
            if not self.missing_ok:
                raise
            found = []
        return self._unsubscribed(client, {id_of(each): each for each in found})

    def _unsubscribed(self, client: SalesBlinkClient, found: Mapping[str, Prospect | None]) -> dict[str, Any]:
        from airflow_provider_salesblink.client import NotFoundError, RateLimitedError, SalesBlinkError

        written, missing = [], []
        failed: SalesBlinkError | None = None
        for prospect_id, prospect in found.items():
            if prospect and client.prospects.checks.is_surely_unsubscribed(prospect):
                continue
            try:
                if prospect:
                    client.prospects.checks.id_to_act_on(prospect)
                written.append(client.prospects.unsubscribe(prospect_id))
            except NotFoundError as error:
                missing.append(error)
            except RateLimitedError as error:
                # The key is limited: nobody else is asked for before the server's time.
                failed = error
                break
            except SalesBlinkError as error:
                # What may pass counts more: the next try takes up both.
                failed = error if failed is None or failed.permanent else failed
        there = len(found) - len(missing)
        self.log.info("Prospects: %d; unsubscribed now: %d; not there: %d.", there, len(written), len(missing))
        if failed or (missing and not self.missing_ok):
            raise failed or missing[0]
        word = "unsubscribed" if written else "unchanged" if there else "missing"
        ids = list(found) if there else []
        return outcome(word, dry_run=any(each.get("dry_run", False) for each in written), prospect_ids=ids)


class SearchProspectOperator(AddressedOperator):
    """Look up a person by address.

    XCom: ``outcome`` "found" (also when nobody is), ``count``, ``prospect_ids``, ``campaign_ids``, and
    ``unsubscribed``: whether any of the prospects is (None where SalesBlink does not say).

    :param email: the person's address (templated). Not Airflow's ``email``: alert mails are off for this operator.
    :param output_path: where to write the prospects, one JSON object a line (templated; any object storage).
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param max_wait: most seconds to be deferred after 429s.
    """

    template_fields: Sequence[str] = ("email", "output_path", "salesblink_conn_id")

    def __init__(self, *, email: str, output_path: str | os.PathLike[str] | None = None, **kwargs: Any) -> None:
        super().__init__(email=email, **kwargs)
        self.output_path: str | None = path_text(output_path)

    def act(self, client: SalesBlinkClient) -> dict[str, Any]:
        """Search."""
        check_path(self.output_path)
        found = self.searched(client)
        said = [each["unsubscribed"] for each in found if each["unsubscribed"] is not None]
        return outcome(
            "found",
            count=len(found),
            prospect_ids=[each["id"] for each in found],
            campaign_ids=[each["campaign_id"] for each in found],
            unsubscribed=any(said) if said else None,
            **write_records(self.output_path, found),
        )


class ListProspectsOperator(SalesBlinkOperator):
    """List everybody in a campaign.

    XCom: ``outcome`` "found", ``campaign_id``, ``count``, ``unsubscribed`` (how many are known to be),
    ``prospect_ids``, and ``path`` where one is given. The people themselves go only into the file.

    :param campaign_id: the campaign's id (templated).
    :param output_path: where to write the prospects, one JSON object a line (templated; any object storage).
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param max_wait: most seconds to be deferred after 429s.
    """

    template_fields: Sequence[str] = ("campaign_id", "output_path", "salesblink_conn_id")
    operator_extra_links = (CampaignLink(),)

    def __init__(self, *, campaign_id: str, output_path: str | os.PathLike[str] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.campaign_id = campaign_id
        self.output_path: str | None = path_text(output_path)

    def act(self, client: SalesBlinkClient) -> dict[str, Any]:
        """List the campaign's people."""
        check_path(self.output_path)
        found = client.prospects.list(self.campaign_id)
        return outcome(
            "found",
            campaign_id=self.campaign_id,
            count=len(found),
            unsubscribed=sum(each["unsubscribed"] is True for each in found),
            prospect_ids=[each["id"] for each in found],
            **write_records(self.output_path, found),
        )


class GetProspectOperator(SalesBlinkOperator):
    """Look at one prospect.

    XCom: ``outcome`` "found", ``prospect_id``, ``campaign_id``, ``unsubscribed`` (None where SalesBlink does not
    say), ``fields`` (the names of the columns), and ``path`` where one is given. Fails when there is none.

    :param prospect_id: the prospect's id (templated).
    :param output_path: where to write the prospect as one line of JSON (templated; any object storage).
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param max_wait: most seconds to be deferred after 429s.
    """

    template_fields: Sequence[str] = ("prospect_id", "output_path", "salesblink_conn_id")
    operator_extra_links = (CampaignLink(),)

    def __init__(self, *, prospect_id: str, output_path: str | os.PathLike[str] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.prospect_id = prospect_id
        self.output_path: str | None = path_text(output_path)

    def act(self, client: SalesBlinkClient) -> dict[str, Any]:
        """Read the prospect."""
        check_path(self.output_path)
        found = client.prospects.get(self.prospect_id)
        return outcome(
            "found",
            prospect_id=found["id"],
            campaign_id=found["campaign_id"],
            unsubscribed=found["unsubscribed"],
            fields=shown(sorted(found["fields"])),
            **write_records(self.output_path, [found]),
        )

"""The operator that lists the people of a campaign: as a list, as a snapshot, or as what changed since the last one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_salesblink.argument_types import check_flag, path_text
from airflow_provider_salesblink.choices import FileFormat
from airflow_provider_salesblink.links import CampaignLink
from airflow_provider_salesblink.operators.base import SalesBlinkOperator, one_of, outcome
from airflow_provider_salesblink.operators.files import check_path, is_same, write_records
from airflow_provider_salesblink.operators.snapshot_files import (
    ForgottenInFolders,
    StoredFiles,
    check_ending,
    default_previous_path,
    fixed_folder,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from airflow_provider_salesblink.client import SalesBlinkClient


class ListProspectsOperator(SalesBlinkOperator):
    """List all prospects of a campaign.

    XCom: ``outcome`` "found", ``campaign_id``, ``count``, ``unsubscribed`` (the number of prospects that SalesBlink
    shows as unsubscribed), ``prospect_ids``, and ``path`` if ``output_path`` is set. Addresses and columns go only into
    the file.

    With ``file_format``, the file is a snapshot: one row for each person, also with their state in the campaign. XCom
    has no ``prospect_ids`` then, so that memory stays the same for campaigns of any size.

    With ``changes_only``, the file has a row for each person who appeared in the campaign, changed, or left since the
    look before, and XCom also has ``appeared``, ``changed`` and ``left`` (numbers of people), ``time`` and
    ``previous_time`` (None at the first look). The task keeps a snapshot for the next look, and moves to it only when
    everybody was read and the changes are written.

    :param campaign_id: the campaign's id (templated).
    :param output_path: the file to write the prospects to, as JSON lines unless ``file_format`` is another (any object
        storage; templated).
    :param file_format: "jsonl" or "parquet". None for "jsonl" without the person's state in the campaign.
    :param changes_only: write what changed since the look before, and not everybody.
    :param previous_path: the file that keeps the snapshot for the next look (any object storage; templated). None for
        ``_<campaign_id>.snapshot`` in the folder of ``output_path``, above the part of it that has a template.
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param max_wait: the most seconds that the task may be deferred after 429s.
    """

    template_fields: Sequence[str] = ("campaign_id", "output_path", "previous_path", "salesblink_conn_id")
    operator_extra_links = (CampaignLink(),)

    def __init__(
        self,
        *,
        campaign_id: str,
        output_path: str | os.PathLike[str] | None = None,
        file_format: FileFormat | None = None,
        changes_only: bool = False,
        previous_path: str | os.PathLike[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if file_format is not None:
            one_of("file_format", file_format, get_args(FileFormat))
        check_flag("changes_only", changes_only)
        self.campaign_id = campaign_id
        self.output_path: str | None = path_text(output_path)
        self.file_format = file_format
        self.changes_only = changes_only
        self.previous_path: str | None = path_text(previous_path)
        self._fixed_folder = fixed_folder(self.output_path)

    def call_salesblink(self, client: SalesBlinkClient) -> dict[str, Any]:
        """List the prospects, and write them or what changed to the file."""
        check_path(self.output_path)
        check_path(self.previous_path, "previous_path")
        if self.previous_path is not None and not self.changes_only:
            raise AirflowFailException("previous_path is for changes_only=True: pass both, or remove it.")
        if not (self.changes_only or self.file_format):
            return self._list(client)
        if self.output_path is None:
            argument = "changes_only" if self.changes_only else "file_format"
            raise AirflowFailException(f"{argument} needs output_path, the file to write to.")
        return self._write(client, self.output_path, self.file_format or "jsonl")

    def _list(self, client: SalesBlinkClient) -> dict[str, Any]:
        found = [*self._forgotten(client).others(client.prospects.list(self.campaign_id))]
        return outcome(
            "found",
            campaign_id=self.campaign_id,
            count=len(found),
            unsubscribed=sum(each["unsubscribed"] is True for each in found),
            prospect_ids=[each["id"] for each in found],
            **write_records(self.output_path, found),
        )

    def _write(self, client: SalesBlinkClient, path: str, file_format: FileFormat) -> dict[str, Any]:
        from airflow_provider_salesblink.client import validation
        from airflow_provider_salesblink.results.known_campaign import naming_campaign
        from airflow_provider_salesblink.results.row_files import check_installed

        campaign_id = validation.identifier("campaign_id", self.campaign_id)
        check_ending(path, file_format)
        check_installed(file_format)
        write = self._write_changes if self.changes_only else self._write_snapshot
        with naming_campaign(campaign_id):
            found = write(client, campaign_id, path, file_format)
        return outcome("found", campaign_id=campaign_id, **found, path=path)

    def _write_snapshot(
        self, client: SalesBlinkClient, campaign_id: str, path: str, file_format: FileFormat
    ) -> dict[str, Any]:
        from airflow_provider_salesblink.results.row_files import write_rows
        from airflow_provider_salesblink.results.snapshots import COLUMNS, People

        forgotten = self._forgotten(client)
        with People() as people:
            people.read(forgotten.others(client.prospects.each(campaign_id)))
            StoredFiles(check=forgotten.check_unchanged).replace(
                path, lambda file: write_rows(file, people.rows(), COLUMNS, file_format)
            )
            return people.counts()

    def _write_changes(
        self, client: SalesBlinkClient, campaign_id: str, path: str, file_format: FileFormat
    ) -> dict[str, Any]:
        from airflow_provider_salesblink.results.snapshot_comparison import compare
        from airflow_provider_salesblink.results.snapshot_store import SnapshotStore, Target

        folder = self._fixed_folder or path.rpartition("/")[0]
        previous_path = self.previous_path or default_previous_path(folder, campaign_id)
        if is_same(path, previous_path):
            raise AirflowFailException("previous_path is output_path: the snapshot would be overwritten.")
        forgotten = self._forgotten(client)
        store = SnapshotStore(previous_path, campaign_id, StoredFiles(previous_path, forgotten.check_unchanged))
        task = f"{self.dag_id}.{self.task_id}" if self.owner_name else None
        target = Target(path, file_format, self.owner_name, task)
        if self.previous_path is None:
            store.check_task(task)
        return compare(lambda: forgotten.others(client.prospects.each(campaign_id)), campaign_id, target, store)

    def _forgotten(self, client: SalesBlinkClient) -> ForgottenInFolders:
        return ForgottenInFolders(client.addresses, self.output_path, self.previous_path)

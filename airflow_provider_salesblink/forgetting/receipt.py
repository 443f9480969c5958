"""The receipt: what was done to forget a person, and what SalesBlink still holds. It shows no address."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.forgetting.files import FileChanges
from airflow_provider_salesblink.forgetting.in_salesblink import InSalesBlink, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FORMAT = "airflow-provider-salesblink receipt of forgetting 1"
YOURS = (
    "The sources of your loads (files, tables): remove the person there, or the next load reads them again.",
    "What was copied from files of this provider, such as tables of a warehouse, and backups.",
    "Your own suppression list may keep the address, for the same reason as the blocklist.",
)
"""What the person may still be in that is not this provider's."""
IN_THE_RUN = (
    "The conf of this DAG run has the address, and Airflow keeps it in its database. Delete the run, and pass the "
    "address in a file (email_path) next time."
)


@dataclass
class Receipt:
    """What was done to forget a person.

    :param person: the keyed hash of the address.
    :param connection: the Airflow connection.
    :param still_held: what SalesBlink still holds, in sentences.
    :param earlier: the receipt of an earlier run, which may not have completed; None without one.
    :param is_in_conf: whether the conf of the DAG run has the address.
    :param is_finished: whether all steps were tried.
    """

    person: str
    connection: str
    still_held: Sequence[str]
    dry_run: bool = False
    earlier: Mapping[str, Any] | None = None
    in_salesblink: InSalesBlink = field(default_factory=InSalesBlink)
    files: FileChanges = field(default_factory=FileChanges)
    is_in_conf: bool = False
    is_finished: bool = False
    time: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def problems(self) -> list[Problem]:
        """Return what failed."""
        unreadable = [
            Problem("files", f"{path} ({reason})", permanent=True) for path, reason in self.files.unreadable.items()
        ]
        return [*self.in_salesblink.problems, *unreadable]

    @property
    def prospect_ids(self) -> list[str]:
        """Return the ids of the person in SalesBlink, with those that an earlier run found before it removed them."""
        return self._joined("prospect_ids", self.in_salesblink.prospect_ids)

    def as_json(self) -> dict[str, Any]:
        """Return the receipt."""
        done = self.in_salesblink
        rows = {**self._earlier_rows(), **{path: {"kind": self.files.kinds[path], "rows": number}
                                           for path, number in self.files.rows.items()}}  # fmt: skip
        return {
            "format": FORMAT,
            "person": self.person,
            "time": self.time.isoformat(timespec="seconds"),
            "connection": self.connection,
            "dry_run": self.dry_run,
            "complete": self.is_finished and not (self.problems or self.dry_run),
            "in_salesblink": {
                "prospect_ids": self.prospect_ids,
                "campaign_ids": self._joined("campaign_ids", done.campaign_ids),
                "opted_out": max(done.opted_out, int(self._earlier("opted_out", 0))),
                "blocked": done.blocked,
                "removed_from": self._joined("removed_from", done.removed_from),
                "impossible": done.impossible,
            },
            "files": [{"path": path, **found} for path, found in sorted(rows.items())],
            "files_left": self.files.left,
            "problems": [asdict(problem) for problem in self.problems],
            "salesblink_still_holds": list(self.still_held),
            "not_touched": [*YOURS, *([IN_THE_RUN] if self.is_in_conf else [])],
        }

    def for_xcom(self) -> dict[str, Any]:
        """Return counts and ids."""
        shown = self.as_json()
        found = shown["in_salesblink"]
        return {
            "person": self.person,
            "prospect_ids": found["prospect_ids"],
            "campaign_ids": found["campaign_ids"],
            "opted_out": found["opted_out"],
            "blocked": found["blocked"],
            "removed_from": found["removed_from"],
            "files": len(shown["files"]),
            "rows": sum(each["rows"] for each in shown["files"]),
            "files_left": len(self.files.left),
        }

    def _earlier(self, name: str, default: Any) -> Any:  # noqa: ANN401  # a JSON value
        return self.earlier["in_salesblink"].get(name, default) if self.earlier else default

    def _earlier_rows(self) -> dict[str, dict[str, Any]]:
        files = self.earlier["files"] if self.earlier else []
        return {each["path"]: {"kind": each["kind"], "rows": each["rows"]} for each in files}

    def _joined(self, name: str, found: list[str]) -> list[str]:
        return list(dict.fromkeys([*self._earlier(name, []), *found]))


def is_of(receipt: object, person: str) -> bool:
    """Return whether the content of a file is a receipt of this person."""
    return isinstance(receipt, dict) and (receipt.get("format"), receipt.get("person")) == (FORMAT, person)


def is_of_dry_run(receipt: Mapping[str, Any]) -> bool:
    """Return whether a dry run wrote a receipt, so that nothing in it was done."""
    return bool(receipt.get("dry_run"))

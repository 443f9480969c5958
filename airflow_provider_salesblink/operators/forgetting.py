"""The operator that forgets a person: in SalesBlink, and in the files that this provider wrote."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath, mask_secret

from airflow_provider_salesblink.argument_types import json_argument, path_text
from airflow_provider_salesblink.operators.base import PersonOperator, exactly_one, outcome
from airflow_provider_salesblink.operators.files import check_path, exists, fail_for_good, open_bytes
from airflow_provider_salesblink.operators.snapshot_files import StoredFiles

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_salesblink.client import RateLimitedError, SalesBlinkClient
    from airflow_provider_salesblink.forgetting.files import Place
    from airflow_provider_salesblink.forgetting.receipt import Receipt

_LONGEST_ADDRESS_FILE = 10_000
"""Bytes of a file with one address."""


class ForgetPersonOperator(PersonOperator):
    """Forget a person, for example after a request for erasure: in SalesBlink, and in the files of this provider.

    In SalesBlink, it unsubscribes the person everywhere, puts the address on the blocklist, and takes them off all
    lists, in this order: a task that is killed in between leaves nobody who still gets mail. The classic API can only
    unsubscribe. On v1, somebody who is not in SalesBlink is blocked all the same.

    In the files below ``paths``, it removes the person's rows from snapshots, lists of people and refused rows, and
    redacts those of events and outcomes, which keep counting. The folders get a list of keyed hashes, so that later
    extractions and snapshots do not write the person again. Files that this provider did not write stay as they are.

    Safe to run again. A step that fails does not stop the others; the task then fails and says which remain. In a dry
    run it only counts.

    XCom: ``outcome`` "forgotten", ``person`` (the keyed hash), ``prospect_ids``, ``campaign_ids``, ``opted_out`` (the
    number of prospects), ``blocked``, ``removed_from`` (ids of lists), ``files`` and ``rows`` that changed,
    ``files_left`` (the number of files that have the address and were not written by this provider), and
    ``receipt_path``.

    :param email_path: a file that holds nothing but the address (any object storage; templated). It keeps the address
        out of Airflow's database.
    :param email: the address instead (templated). Airflow's database keeps it if it comes from ``params``, from XCom
        or from the text of the DAG.
    :param paths: files and folders that this provider wrote (any object storage; a list, its JSON text, or one of them;
        templated).
    :param receipt_path: the file to write the receipt to, as JSON without the address (any object storage; templated).
        A later run adds to the receipt of an earlier one; a dry run leaves it as it is.
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param max_wait: the most seconds that the task may be deferred after 429s.
    """

    template_fields: Sequence[str] = ("email", "email_path", "paths", "receipt_path", "salesblink_conn_id")

    def __init__(
        self,
        *,
        email: str | None = None,
        email_path: str | os.PathLike[str] | None = None,
        paths: Iterable[str | os.PathLike[str]] | str | os.PathLike[str] = (),
        receipt_path: str | os.PathLike[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(email=email, **kwargs)
        self.email_path: str | None = path_text(email_path)
        self.paths = paths
        self.receipt_path: str | None = path_text(receipt_path)
        self._conf: object = None
        self._earlier: dict[str, Any] | None = None

    def prepare(self, context: Context) -> None:
        """Convert the arguments, and keep the conf of the run, which may have the address."""
        super().prepare(context)
        self._conf = getattr(context.get("dag_run"), "conf", None)

    def restore_state(self, saved: dict[str, Any]) -> None:
        """Take over what was done before the task was deferred."""
        self._earlier = saved.get("earlier")

    def state_to_save(self, limited: RateLimitedError) -> dict[str, Any]:  # noqa: ARG002
        """Return what was done so far: the receipt, which has no address."""
        return {"earlier": self._earlier}

    def call_salesblink(self, client: SalesBlinkClient) -> dict[str, Any]:
        """Forget the person in SalesBlink, then in the files, and write the receipt."""
        from airflow_provider_salesblink.forgetting.files import FileForgetting
        from airflow_provider_salesblink.forgetting.in_salesblink import SalesBlinkForgetting

        check_path(self.receipt_path, "receipt_path")
        email, places = self._address(), self._places()
        receipt = self._receipt(client, email)
        forgetting = SalesBlinkForgetting(client, email)
        receipt.in_salesblink = forgetting.result
        try:
            forgetting.run(before_removal=lambda: self._save(receipt))
        finally:
            self._earlier = receipt.as_json()
            self._save(receipt)
        self._warn(client, receipt)
        ignored = [ObjectStoragePath(self.receipt_path).path] if self.receipt_path else []
        files = FileForgetting(places, email, client.addresses, receipt.prospect_ids, ignored)
        receipt.files = files.changes
        files.run(dry_run=client.dry_run)
        receipt.is_finished = True
        self._save(receipt)
        return self._result(receipt)

    def _result(self, receipt: Receipt) -> dict[str, Any]:
        if problems := receipt.problems:
            steps = "; ".join(f"{problem.step}: {problem.message}" for problem in problems)
            message = (
                f"The person is not forgotten completely. What failed: {steps} Everything else was done. Correct the "
                "cause and run the task again: what is done changes nothing."
            )
            raise (AirflowFailException if all(each.permanent for each in problems) else RuntimeError)(message)
        where = {"receipt_path": self.receipt_path} if self.receipt_path else {}
        return outcome("forgotten", dry_run=receipt.dry_run, **receipt.for_xcom(), **where)

    def _address(self) -> str:
        """Return the address, from the argument or from the file.

        :raises AirflowFailException: there is none, or the file holds something else.
        """
        from airflow_provider_salesblink.client import validation

        exactly_one(email=self.email, email_path=self.email_path, hint=self.missing_email_hint)
        if self.email_path is None:
            return validation.address("email", self.email)
        check_path(self.email_path, "email_path")
        with open_bytes(self.email_path, "email_path") as file:
            text = file.read(_LONGEST_ADDRESS_FILE).decode("utf-8-sig", errors="replace").strip()
        mask_secret(text)
        if len(text.splitlines()) != 1:
            raise AirflowFailException(
                f"The file of email_path has {len(text.splitlines())} lines: give a file that holds one address and "
                "nothing else. For several people, map the task over several files."
            )
        return validation.address("email_path", text)

    def _places(self) -> list[Place]:
        """Return the files and folders to search.

        :raises AirflowFailException: one of them does not exist.
        """
        from airflow_provider_salesblink.forgetting.files import Place

        given = path_text(self.paths)
        if isinstance(given, str):
            given = json_argument("paths", given, list) if given.lstrip().startswith("[") else [given]
        found = []
        for number, each in enumerate(map(path_text, given)):
            name = f"paths[{number}]"
            if not isinstance(each, str) or each.strip() in ("", "None"):
                raise AirflowFailException(
                    f"{name} is {type(each).__name__} or empty: give the path of a file or folder."
                )
            with fail_for_good(name, each):
                path = ObjectStoragePath(each)
                is_there = path.exists()
            if not is_there:
                raise AirflowFailException(
                    f"{name} {each!r} does not exist. Correct it, because files elsewhere would keep the address. "
                    "Nothing was sent."
                )
            found.append(Place(path.fs, path.path))
        return found

    # The receipt.

    def _receipt(self, client: SalesBlinkClient, email: str) -> Receipt:
        from airflow_provider_salesblink.forgetting.person import Person
        from airflow_provider_salesblink.forgetting.receipt import Receipt, is_of, is_of_dry_run

        person = Person(email, client.addresses, (), "")
        earlier = None
        if self.receipt_path is not None and exists(self.receipt_path, "receipt_path"):
            with open_bytes(self.receipt_path, "receipt_path") as file:
                found = _parsed(file.read())
            if not is_of(found, person.hash):
                raise AirflowFailException(
                    "receipt_path is another file, or the receipt of another person, which would be overwritten. Give "
                    "each person a receipt of their own, for example with {{ run_id }} or {{ ti.map_index }} in the "
                    "path. Nothing was sent."
                )
            earlier = None if is_of_dry_run(found) else found
        conf = json.dumps(self._conf, ensure_ascii=False, default=str)
        return Receipt(
            person.hash, self.salesblink_conn_id, client.prospects.kept_after_erasure, client.dry_run,
            earlier or self._earlier, is_in_conf=person.is_named_in(conf),
        )  # fmt: skip

    def _save(self, receipt: Receipt) -> None:
        # A dry run does not take the place of what says what was done.
        if self.receipt_path is not None and not (receipt.dry_run and receipt.earlier):
            text = json.dumps(receipt.as_json(), indent=2, ensure_ascii=False) + "\n"
            StoredFiles().replace(self.receipt_path, lambda file: file.writelines([text.encode()]))

    def _warn(self, client: SalesBlinkClient, receipt: Receipt) -> None:
        from airflow_provider_salesblink.forgetting.receipt import IN_THE_RUN

        if receipt.is_in_conf:
            self.log.warning("%s", IN_THE_RUN)
        if client.addresses.is_derived and self.paths:
            self.log.warning(
                "The connection has no hash_key, so a new API key changes all hashes, and people who were forgotten "
                "are not recognized any more. Set hash_key to the secret that you hash with."
            )
        for step, reason in receipt.in_salesblink.impossible.items():
            self.log.warning("Step %s is not possible: %s", step, reason)


def _parsed(content: bytes) -> Any:  # noqa: ANN401  # a JSON value
    try:
        return json.loads(content)
    except ValueError:
        return None

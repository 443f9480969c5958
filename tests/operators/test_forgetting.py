"""ForgetPersonOperator: what reaches SalesBlink and in which order, the receipt, and what happens on errors."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_salesblink.client.v1 import Prospects
from airflow_provider_salesblink.operators.prospects import ForgetPersonOperator
from airflow_provider_salesblink.sandbox import V1Rules
from tests.apis import BOTH

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.apis import Api

    Changes = Callable[[], list[tuple[str, str, Any]]]

pytestmark = pytest.mark.apis(*BOTH)

ANA = "ana@example.com"
V1_ONLY = pytest.mark.apis("v1")
CLASSIC_ONLY = pytest.mark.apis("classic")


@pytest.fixture
def campaigns(sandbox: Sandbox) -> list[str]:
    """Return the ids of two campaigns, each with Ana (in two spellings) and Bo."""
    found = [sandbox.add_campaign(name) for name in ("Spring", "Autumn")]
    for campaign, email in zip(found, ("Ana@Example.com", ANA), strict=True):
        sandbox.add_person(campaign, {"Email": email, "First Name": "Ana"})
        sandbox.add_person(campaign, {"Email": "bo@example.com"})
    return found


@pytest.fixture
def receipt(tmp_path: Path) -> Path:
    return tmp_path / "receipt.json"


def task(**options: Any) -> ForgetPersonOperator:
    return ForgetPersonOperator(**{"task_id": "forget", "email": ANA, **options})


def forget(**options: Any) -> dict[str, Any]:
    return task(**options).execute({})


def states(sandbox: Sandbox) -> dict[str, set[bool]]:
    """Return each address in SalesBlink, in lower case, with whether it is unsubscribed."""
    found: dict[str, set[bool]] = {}
    for person in sandbox.people():
        found.setdefault(person.email.lower(), set()).add(person.unsubscribed)
    return found


def test_a_person_gets_no_mail_any_more_and_is_removed_where_the_api_can(
    sandbox: Sandbox, api: Api, campaigns: list[str], receipt: Path
) -> None:
    result = forget(receipt_path=receipt)

    left = {"bo@example.com": {False}}
    assert states(sandbox) == (left if api.is_v1 else {ANA: {True}, **left})
    # The classic sandbox blocks who unsubscribes, too.
    assert sandbox.blocked() == [ANA]
    assert result["outcome"] == "forgotten"
    assert sorted(result["campaign_ids"]) == sorted(campaigns)
    assert (result["opted_out"], len(result["prospect_ids"])) == (2, 2)
    assert (result["blocked"], len(result["removed_from"])) == ((True, 2) if api.is_v1 else (None, 0))
    kept = json.loads(receipt.read_text())
    assert kept["complete"]
    assert set(kept["in_salesblink"]["impossible"]) == (set() if api.is_v1 else {"block", "remove"})
    assert ("blocklist" in kept["salesblink_still_holds"][0]) is api.is_v1
    assert "@" not in str(result) + receipt.read_text()


@V1_ONLY
def test_all_mail_is_stopped_before_anything_is_removed(campaigns: list[str], changes: Changes) -> None:  # noqa: ARG001
    forget()

    steps = [path.rpartition("/")[2] for _, path, _ in changes()]
    assert [*dict.fromkeys(steps)] == ["unsubscribe", "remove"]
    # Both the opt-out of a lead and the blocklist end in this word.
    paths = [path for _, path, _ in changes()]
    assert paths.index("/unsubscribe") > max(n for n, path in enumerate(paths) if path.startswith("/leads/"))
    assert paths.index("/unsubscribe") < paths.index("/contacts/remove")


def test_a_second_run_changes_nothing(sandbox: Sandbox, campaigns: list[str]) -> None:  # noqa: ARG001
    forget()
    before, blocked = states(sandbox), sandbox.blocked()

    assert forget()["outcome"] == "forgotten"
    assert (states(sandbox), sandbox.blocked()) == (before, blocked)


def test_somebody_who_is_not_in_salesblink_is_blocked(sandbox: Sandbox, api: Api, receipt: Path) -> None:
    result = forget(receipt_path=receipt)

    assert sandbox.blocked() == ([ANA] if api.is_v1 else [])
    assert (result["outcome"], result["prospect_ids"], result["opted_out"]) == ("forgotten", [], 0)


@V1_ONLY
@pytest.mark.parametrize("archived_leads", ["left_out", "included"])
def test_nobody_is_missed_on_archived_lists_and_under_other_spellings(sandbox: Sandbox, archived_leads: Any) -> None:
    sandbox.v1 = V1Rules(archived_leads=archived_leads)
    old, unused = sandbox.add_list("Old"), sandbox.add_list("Unused")
    sandbox.add_lead(old, {"email": "ANA@EXAMPLE.COM"}, archived=True)
    sandbox.add_lead(unused, {"email": ANA})
    sandbox.add_lead(unused, {"email": ANA})

    result = forget()

    assert sandbox.leads(old) == sandbox.leads(unused) == []
    assert sorted(result["removed_from"]) == sorted([old, unused])


def test_answers_that_are_lost_change_nothing(sandbox: Sandbox, api: Api, campaigns: list[str]) -> None:  # noqa: ARG001
    api.fault("prospect-unsubscribe", "reset", when="after")
    for operation in ("addToBlocklist", "removeContact") if api.is_v1 else ():
        sandbox.fault(f"v1.{operation}", "reset", when="after")

    assert forget()["opted_out"] == 2
    assert states(sandbox).get(ANA) == (None if api.is_v1 else {True})


@CLASSIC_ONLY
def test_a_prospect_that_cannot_be_unsubscribed_does_not_stop_the_others(
    sandbox: Sandbox, campaigns: list[str], receipt: Path
) -> None:
    sandbox.fault("prospect-unsubscribe", "status", status=403)

    with pytest.raises(AirflowFailException, match=r"not forgotten completely\. What failed: unsubscribe: ") as failed:
        forget(receipt_path=receipt)

    assert "@" not in str(failed.value) + receipt.read_text()
    assert states(sandbox)[ANA] == {True, False}
    assert not json.loads(receipt.read_text())["complete"]
    forget(receipt_path=receipt)
    kept = json.loads(receipt.read_text())
    assert kept["complete"]
    assert sorted(kept["in_salesblink"]["campaign_ids"]) == sorted(campaigns)


def test_a_campaign_or_list_that_cannot_be_read_does_not_stop_the_rest(
    sandbox: Sandbox, api: Api, campaigns: list[str], receipt: Path
) -> None:
    api.fault("prospects", "status", status=403)

    with pytest.raises(AirflowFailException, match="What failed: search: "):
        forget(receipt_path=receipt)

    (problem,) = json.loads(receipt.read_text())["problems"]
    places = [each.id for campaign in campaigns for each in sandbox.lists(campaign)] if api.is_v1 else campaigns
    assert problem["message"].partition(":")[0] in places
    assert states(sandbox)[ANA] == {True}
    assert forget(receipt_path=receipt)["outcome"] == "forgotten"
    assert states(sandbox).get(ANA) == (None if api.is_v1 else {True})


def test_somebody_who_only_the_list_of_a_campaign_shows_is_unsubscribed(
    sandbox: Sandbox,
    api: Api,
    campaigns: list[str],  # noqa: ARG001
) -> None:
    # Nothing documents that the search finds everybody.
    api.fault("prospect", "status", status=404, times=2)

    assert forget()["opted_out"] == 2
    assert states(sandbox).get(ANA) == (None if api.is_v1 else {True})


@V1_ONLY
def test_nobody_is_removed_whose_address_could_not_be_blocked(
    sandbox: Sandbox,
    campaigns: list[str],  # noqa: ARG001
    receipt: Path,
) -> None:
    sandbox.fault("v1.addToBlocklist", "status", status=403)

    with pytest.raises(AirflowFailException, match="block: "):
        forget(receipt_path=receipt)

    assert states(sandbox)[ANA] == {True}
    assert forget(receipt_path=receipt)["outcome"] == "forgotten"
    assert ANA not in states(sandbox)
    assert json.loads(receipt.read_text())["complete"]


@V1_ONLY
def test_a_retry_adds_to_the_receipt_of_the_run_that_failed(
    sandbox: Sandbox, campaigns: list[str], receipt: Path
) -> None:
    sandbox.fault("v1.removeContact", "status", status=403)

    with pytest.raises(AirflowFailException, match="remove: "):
        forget(receipt_path=receipt)
    result = forget(receipt_path=receipt)

    assert len(result["removed_from"]) == len(result["prospect_ids"]) == 2
    assert sorted(result["campaign_ids"]) == sorted(campaigns)


@V1_ONLY
@pytest.mark.usefixtures("campaigns")
def test_no_later_run_takes_from_the_receipt_what_was_done(
    connection: Callable[..., None], tmp_path: Path, receipt: Path
) -> None:
    rejects = tmp_path / "rejected.jsonl"
    rejects.write_text(json.dumps({"row": 1, "reason": "it", "columns": {"Email": ANA}}) + "\n")
    forget(paths=[rejects], receipt_path=receipt)
    done = {**json.loads(receipt.read_text()), "time": ""}
    assert len(done["in_salesblink"]["removed_from"]) == 2
    assert done["files"]

    forget(paths=[rejects], receipt_path=receipt)
    assert {**json.loads(receipt.read_text()), "time": ""} == done

    before = receipt.read_text()
    connection(extra={"dry_run": True})
    forget(paths=[rejects], receipt_path=receipt)
    assert receipt.read_text() == before


@V1_ONLY
def test_the_receipt_has_the_ids_before_nothing_else_shows_them(
    campaigns: list[str],  # noqa: ARG001
    receipt: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = []
    real = Prospects.remove

    def remove(self: Prospects, prospect: Any) -> Any:
        # A task that is killed here leaves what is on the disk.
        known.append(json.loads(receipt.read_text())["in_salesblink"]["prospect_ids"])
        return real(self, prospect)

    monkeypatch.setattr(Prospects, "remove", remove)
    result = forget(receipt_path=receipt)

    assert known[0] == result["prospect_ids"]
    assert len(known[0]) == 2


@V1_ONLY
def test_a_task_that_is_deferred_goes_on_with_what_it_did(
    sandbox: Sandbox, connection: Callable[..., None], campaigns: list[str]
) -> None:
    connection(extra={"max_attempts": 1})
    sandbox.fault("v1.removeContact", "429", retry_after=1)
    deferred_task = task()

    with pytest.raises(TaskDeferred) as deferred:
        deferred_task.execute({})
    saved = json.loads(json.dumps(deferred.value.kwargs))
    assert "@" not in str(saved)
    assert saved["earlier"]["in_salesblink"]["opted_out"] == 2
    assert not saved["earlier"]["complete"]
    result = task().resume({}, **saved)

    assert (len(result["removed_from"]), result["opted_out"]) == (2, 2)
    assert sorted(result["campaign_ids"]) == sorted(campaigns)


def test_a_wrong_key_fails_before_any_file_is_changed(
    connection: Callable[..., None], tmp_path: Path, receipt: Path
) -> None:
    # Without a hash_key, a wrong key would look for wrong hashes.
    connection(password="wrong")
    rejects = tmp_path / "rejected.jsonl"
    rejects.write_text(json.dumps({"row": 1, "reason": "it", "columns": {"Email": ANA}}) + "\n")

    with pytest.raises(AirflowFailException, match="key"):
        forget(paths=rejects, receipt_path=receipt)

    assert ANA in rejects.read_text()
    assert not json.loads(receipt.read_text())["complete"]


def test_a_dry_run_only_counts(
    sandbox: Sandbox, connection: Callable[..., None], campaigns: list[str], tmp_path: Path, receipt: Path
) -> None:
    connection(extra={"dry_run": True})
    rejects = tmp_path / "rejected.jsonl"
    rejects.write_text(json.dumps({"row": 1, "reason": "it", "columns": {"Email": ANA}}) + "\n")

    result = forget(paths=[tmp_path], receipt_path=receipt)

    assert (result["outcome"], result["would_be"]) == ("dry_run", "forgotten")
    assert (result["files"], result["rows"]) == (1, 1)
    assert sorted(result["campaign_ids"]) == sorted(campaigns)
    assert all(request.method == "GET" for request in sandbox.requests)
    assert ANA in rejects.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["receipt.json", "rejected.jsonl"]
    assert not json.loads(receipt.read_text())["complete"]


# The arguments


def test_the_address_may_be_in_a_file(sandbox: Sandbox, campaigns: list[str], tmp_path: Path) -> None:  # noqa: ARG001
    (tmp_path / "request.txt").write_text("\ufeff Ana@example.com \n")

    assert forget(email=None, email_path=tmp_path / "request.txt")["opted_out"] == 2


@pytest.mark.parametrize("content", ["ana@example.com\nbo@example.com", "", "Ana Example"])
def test_a_file_with_anything_else_is_an_error_that_does_not_show_it(
    sandbox: Sandbox, tmp_path: Path, content: str
) -> None:
    (tmp_path / "request.txt").write_text(content)

    with pytest.raises(AirflowFailException, match="email_path") as failed:
        forget(email=None, email_path=tmp_path / "request.txt")

    assert "@example" not in str(failed.value)
    assert "Ana" not in str(failed.value)
    assert not sandbox.requests


def test_a_path_that_does_not_exist_is_an_error_before_anything_is_sent(sandbox: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(AirflowFailException, match=r"paths\[1\] .*does not exist"):
        forget(paths=[tmp_path, tmp_path / "nothing"])

    assert not sandbox.requests


@pytest.mark.parametrize("content", ["another file", '{"person": "another"}'])
def test_no_other_file_is_overwritten_by_a_receipt(sandbox: Sandbox, receipt: Path, content: str) -> None:
    receipt.write_text(content)

    with pytest.raises(AirflowFailException, match="would be overwritten"):
        forget(receipt_path=receipt)

    assert receipt.read_text() == content
    assert not sandbox.requests


def test_an_address_in_the_conf_of_the_run_is_reported(
    campaigns: list[str],  # noqa: ARG001
    receipt: Path,
    task_log: Callable[[], list[str]],
) -> None:
    context: Any = {"dag_run": SimpleNamespace(conf={"who": ["Ana@Example.com"]}, run_type="manual")}

    task(receipt_path=receipt).execute(context)

    assert any("conf of this DAG run has the address" in line for line in task_log())
    assert "Delete the run" in json.loads(receipt.read_text())["not_touched"][-1]
    assert not any("@" in line for line in task_log())

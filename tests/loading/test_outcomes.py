"""An outcome for every row: whatever happens to a load, each row has one, and the counts are those of the report."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import NotFoundError, RateLimitedError, SalesBlinkError
from airflow_provider_salesblink.client.identity import AddressHash
from airflow_provider_salesblink.loading import LoadFailedError
from airflow_provider_salesblink.loading.plan import Plan
from airflow_provider_salesblink.loading.planner import Planner
from airflow_provider_salesblink.loading.rows import Reject, Row
from airflow_provider_salesblink.sandbox import V1Rules
from tests.apis import BOTH
from tests.loading.people import people

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.loading import Mode, Report
    from airflow_provider_salesblink.loading.outcomes import Outcome
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.apis import Api
    from tests.conftest import CampaignUnderTest

pytestmark = pytest.mark.apis(*BOTH)

WORDS = ("added", "updated", "there", "opted_out", "repeats", "rejected", "taken_by_others", "missing")
THERE = [
    {"Email": "same@example.com", "Company": "X"},
    {"Email": "changed@example.com", "Company": "Old"},
    {"Email": "gone@example.com"},
]
ROWS = [
    {"Email": "same@EXAMPLE.com", "Company": "X"},
    {"Email": "changed@example.com", "Company": "New"},
    {"Email": "out@example.com"},
    {"Email": "new@example.com"},
    {"Email": "NEW@example.com "},
    {"Email": "nobody"},
    {"First Name": "Ana"},
    {"Email": "said-no@example.com", "Out": "yes"},
    {"Email": "unclear@example.com", "Out": "perhaps"},
]


class Kept(list["Outcome"]):
    """Keeps what a load passes to ``on_outcomes``."""

    def __call__(self, outcomes: Iterable[Outcome]) -> None:
        self[:] = outcomes

    def counts(self) -> dict[str, int]:
        return dict(Counter(each.outcome for each in self))

    def words(self) -> list[str]:
        return [each.outcome for each in self]

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(each.as_json_line()) for each in self]


def assert_agrees(report: Report, kept: Kept, *more: str) -> None:
    """The counts of the outcomes are those of the report, and there is one outcome for each row."""
    xcom = report.for_xcom()
    found = {word: xcom[word] for word in (*WORDS, *more)}
    assert kept.counts() == {word: number for word, number in found.items() if number}
    assert len(kept) == xcom["rows"] == sum(found.values())


@pytest.fixture
def inhabited(sandbox: Sandbox, campaign: CampaignUnderTest) -> None:
    for columns in THERE:
        sandbox.add_person(campaign.id, columns)
    sandbox.add_person(campaign.id, {"Email": "out@example.com"}, unsubscribed=True)


@pytest.mark.usefixtures("inhabited")
@pytest.mark.parametrize(("mode", "of_changed"), [("insert", "there"), ("upsert", "updated"), ("mirror", "updated")])
def test_each_row_has_one_outcome_in_its_order(
    mode: Mode, of_changed: str, load_rows: Callable[..., Report], new_client: Callable[..., SalesBlinkClient]
) -> None:
    kept, client = Kept(), new_client(hash_key="of this test")

    report = load_rows(
        ROWS, mode=mode, client=client, max_rejected=9, max_unsubscribes=1, opt_out_columns=["Out"], on_outcomes=kept
    )

    assert kept.words() == [
        "there", of_changed, "opted_out", "added", "repeats", "rejected", "rejected", "opted_out", "rejected",
    ]  # fmt: skip
    assert [each.row for each in kept] == list(range(1, 10))
    assert_agrees(report, kept)
    digest = hmac.digest(b"of this test", b"new@example.com", "sha256").hex()
    assert [each.person for each in kept[3:7]] == [digest, digest, None, None]
    assert kept[3].person == client.address_hash("New@Example.com")
    assert [each.reason for each in kept[4:6]] == [
        "Row 4 has the same person.", "Its 'Email' is not an e-mail address: it has no at sign."
    ]  # fmt: skip


@pytest.mark.usefixtures("inhabited")
def test_a_line_has_the_documented_keys_and_shows_no_address(load_rows: Callable[..., Report]) -> None:
    kept = Kept()

    load_rows(ROWS, max_rejected=9, opt_out_columns=["Out"], on_outcomes=kept)

    for each, record in zip(kept, kept.records(), strict=True):
        assert list(record) == ["row", "person", "outcome", "reason", "prospect_id", "time"]
        assert record["time"] == each.time.isoformat(timespec="milliseconds")
        assert record["time"].endswith("+00:00")
    text = "".join(each.as_json_line() for each in kept).lower()
    assert "example" not in text
    assert hashlib.sha256(b"new@example.com").hexdigest() not in text, "a hash without a key is as good as the address"


@pytest.mark.usefixtures("inhabited")
def test_people_of_the_campaign_have_their_ids(load_rows: Callable[..., Report], sandbox: Sandbox) -> None:
    ids = {person.email: person.id for person in sandbox.people()}
    kept = Kept()

    load_rows([THERE[0], THERE[1], {"Email": "out@example.com"}, THERE[0]], on_outcomes=kept)

    shown = ["same@example.com", "changed@example.com", "out@example.com", "same@example.com"]
    assert [each.prospect_id for each in kept] == [ids[email] for email in shown]


def test_people_who_were_added_have_their_ids(load_rows: Callable[..., Report], sandbox: Sandbox) -> None:
    kept = Kept()

    load_rows(people(5), on_outcomes=kept)

    ids = {person.email: person.id for person in sandbox.people()}
    assert [each.prospect_id for each in kept] == [ids[row["Email"]] for row in people(5)]


@pytest.mark.usefixtures("inhabited")
def test_a_dry_run_keeps_what_would_happen(
    load_rows: Callable[..., Report], new_client: Callable[..., SalesBlinkClient]
) -> None:
    kept = Kept()

    report = load_rows(
        ROWS, mode="upsert", client=new_client(dry_run=True), max_rejected=9, opt_out_columns=["Out"], on_outcomes=kept
    )

    assert kept.words()[:4] == ["there", "updated", "opted_out", "added"]
    assert_agrees(report, kept)


def test_a_person_who_opted_out_in_another_campaign_counts_once(
    load_rows: Callable[..., Report], sandbox: Sandbox
) -> None:
    other = sandbox.add_campaign("Other")
    sandbox.add_person(other, {"Email": "p1@example.com"}, unsubscribed=True)
    kept = Kept()

    report = load_rows(people(3), on_outcomes=kept)

    assert kept.words() == ["added", "opted_out", "added"]
    assert kept[1].reason == "The person opted out in another campaign, or is on SalesBlink's blocklist."
    assert_agrees(report, kept)


def test_people_of_no_row_are_not_in_the_file_even_if_their_unsubscribe_is_refused(
    api: Api, load_rows: Callable[..., Report], sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    for columns in people(4):
        sandbox.add_person(campaign.id, columns)
    api.fault("prospect-unsubscribe", "status", status=400, times=1)
    kept = Kept()

    report = load_rows(people(2), mode="mirror", max_unsubscribes=1, max_rejected=1, on_outcomes=kept)

    assert kept.words() == ["there", "there"]
    assert_agrees(report, kept)
    xcom = report.for_xcom()
    assert (xcom["unsubscribed"], xcom["not_unsubscribed"], xcom["rejected"]) == (1, 1, 0)


def test_a_refused_unsubscribe_of_nobodys_row_still_fails_the_load(
    api: Api, load_rows: Callable[..., Report], sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    for columns in people(4):
        sandbox.add_person(campaign.id, columns)
    api.fault("prospect-unsubscribe", "status", status=400, times=1)

    with pytest.raises(LoadFailedError, match="1 of 2 rows refused"):
        load_rows(people(2), mode="mirror", max_unsubscribes=1)


@pytest.mark.apis("classic")
def test_a_person_with_two_prospects_has_one_outcome(
    api: Api, load_rows: Callable[..., Report], sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    for _ in range(2):
        sandbox.add_person(campaign.id, {"Email": "p0@example.com", "First Name": "Old"})
    api.fault("prospect-update", "status", status=400, times=1)
    refused, updated = Kept(), Kept()

    first = load_rows(people(1), mode="upsert", max_rejected=1, on_outcomes=refused)
    second = load_rows([{"Email": "p0@example.com", "First Name": "New"}], mode="upsert", on_outcomes=updated)

    assert (refused.words(), updated.words()) == (["rejected"], ["updated"])
    assert_agrees(first, refused)
    assert_agrees(second, updated)


def test_a_reason_shows_no_cell_that_salesblink_repeats() -> None:
    plan = Plan("insert", address_hash=AddressHash("", api_key="key"))
    columns = {"Email": "quinlan@example.com", "Last Name": "Quinlan", "Plan": "A"}
    Planner(plan).decide(iter([Row(1, columns)]))
    (step,) = plan.steps("add")

    plan.refuse(step, "A call failed: Quinlan at quinlan@example.com is unwanted.")

    (outcome,) = plan.outcomes.each()
    assert outcome.reason == "A call failed: <hidden> at <hidden> is unwanted."
    plan.close()


def test_a_load_that_a_guard_stops_has_sent_nothing(
    load_rows: Callable[..., Report], sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    for columns in people(4, start=10):
        sandbox.add_person(campaign.id, columns)
    kept = Kept()

    with pytest.raises(LoadFailedError) as failed:
        load_rows([*people(2), people(1, start=10)[0]], mode="mirror", on_outcomes=kept)

    assert kept.words() == ["not_sent", "not_sent", "there"]
    assert_agrees(failed.value.report, kept, "not_sent")


@pytest.mark.apis("v1")
def test_people_who_are_still_imported_are_in_doubt_until_they_show(
    load_rows: Callable[..., Report], sandbox: Sandbox
) -> None:
    sandbox.v1 = V1Rules(import_delay=60)
    options: dict[str, Any] = {"owner": "a", "settling_time": 100, "longest_wait": 2}
    parts = [Kept(), Kept(), Kept()]
    done: dict[str, Any] = {}

    for part, earlier in zip(parts[:2], [Kept(), parts[0]], strict=True):
        with pytest.raises(RateLimitedError) as waiting:
            load_rows(
                people(7), **options, done_before=done, earlier_outcomes=earlier.records(), on_outcomes=part
            )  # fmt: skip
        done = waiting.value.report.done()
    sandbox.advance(60)
    report = load_rows(
        people(7), **options, done_before=done, earlier_outcomes=parts[1].records(), on_outcomes=parts[2]
    )

    assert [part.counts() for part in parts] == [{"in_doubt": 7}, {"in_doubt": 7}, {"added": 7}]
    assert_agrees(report, parts[2])


@pytest.mark.apis("classic")
def test_a_load_that_ends_midway_says_who_was_sent(
    api: Api, load_rows: Callable[..., Report], sandbox: Sandbox
) -> None:
    api.fault("prospect-add", "slow", seconds=0.0, times=3)
    api.fault("prospect-add", "status", status=401)
    kept = Kept()

    with pytest.raises(SalesBlinkError):
        load_rows(people(8), max_in_flight=1, opt_out_scope="campaign", on_outcomes=kept)

    there = {person.email for person in sandbox.people()}
    sure = {f"p{each.row - 1}@example.com" for each in kept if each.outcome == "added"}
    unsure = {f"p{each.row - 1}@example.com" for each in kept if each.outcome in ("added", "in_doubt")}
    assert len(kept) == 8
    assert sure <= there <= unsure
    assert set(kept.words()) <= {"added", "in_doubt", "not_sent"}


def test_an_error_before_all_rows_are_read_leaves_no_outcomes(load_rows: Callable[..., Report]) -> None:
    def dies() -> Iterable[Row]:
        yield Row(1, {"Email": "ana@example.com"})
        raise OSError

    kept = Kept()

    with pytest.raises(OSError):  # noqa: PT011
        load_rows(dies(), on_outcomes=kept)
    with pytest.raises(NotFoundError):
        load_rows(people(1), campaign_id="nobody", on_outcomes=kept)

    assert kept == []


def test_a_sink_that_fails_does_not_hide_why_the_load_failed(
    load_rows: Callable[..., Report], caplog: pytest.LogCaptureFixture
) -> None:
    def full(_: object) -> None:
        raise OSError("no space left for p0@example.com")

    with pytest.raises(LoadFailedError, match="1 of 1 rows refused"):
        load_rows([{"Email": "nobody"}], on_outcomes=full)
    with pytest.raises(OSError, match="no space"):
        load_rows(people(1), on_outcomes=full)

    assert "The outcomes of the rows could not be written (OSError)." in caplog.text
    assert "p0@" not in caplog.text


@pytest.mark.apis("classic")
def test_parts_of_a_load_add_up(
    load_rows: Callable[..., Report], new_client: Callable[..., SalesBlinkClient], sandbox: Sandbox,
    campaign: CampaignUnderTest, tmp_path: Any,
) -> None:  # fmt: skip
    sandbox.add_person(campaign.id, people(1)[0])
    paced = new_client(writes_per_minute=4, pacing_url=f"file://{tmp_path}/pace.sqlite")
    first, second = Kept(), Kept()
    rows = [*people(10), {"Email": "nobody"}]

    with pytest.raises(RateLimitedError) as limited:
        load_rows(rows, client=paced, longest_wait=1, opt_out_scope="campaign", max_rejected=1, on_outcomes=first)
    done = limited.value.report.done()
    report = load_rows(
        rows, opt_out_scope="campaign", max_rejected=1, done_before=done, earlier_outcomes=first.records(),
        on_outcomes=second,
    )  # fmt: skip

    assert first.counts() == {"added": 4, "not_sent": 5, "there": 1, "rejected": 1}
    assert_agrees(limited.value.report, first, "not_sent")
    assert second.counts() == {"added": 9, "there": 1, "rejected": 1}
    assert_agrees(report, second)
    assert [each.time for each in second if each in first] == [each.time for each in first if each in second]


def test_an_unreadable_file_of_an_earlier_part_costs_no_row(
    load_rows: Callable[..., Report], sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    for columns in people(3):
        sandbox.add_person(campaign.id, columns)
    earlier: list[Any] = [{}, 5, {"outcome": "added", "time": "soon"}, {"outcome": "added", "time": None, "row": 1}]
    kept = Kept()

    report = load_rows(people(3), done_before={"added": 3}, earlier_outcomes=earlier, on_outcomes=kept)

    assert kept.words() == ["there"] * 3
    assert_agrees(report, kept)


@pytest.mark.parametrize("seed", range(12))
def test_any_rows_in_any_mode_have_outcomes_that_agree(
    seed: int, load_rows: Callable[..., Report], sandbox: Sandbox, campaign: CampaignUnderTest, tmp_path: Any
) -> None:
    chance = random.Random(seed)
    names = [f"q{number}@example.com" for number in range(12)]
    for name in chance.sample(names, 6):
        sandbox.add_person(campaign.id, {"Email": name, "Company": "Old"}, unsubscribed=chance.random() < 0.3)
    listed = tmp_path / "suppressed.txt"
    listed.write_text("\n".join(chance.sample(names, 2)))
    rows: list[Row | Reject] = []
    for number in range(1, 40):
        columns = {"Email": chance.choice([*names, "nobody"]).upper(), "Company": chance.choice(["Old", "New"])}
        if chance.random() < 0.1:
            rows.append(Reject(number, "It is damaged.", columns, blocks_person=chance.random() < 0.5))
        else:
            rows.append(Row(number, columns, opted_out=chance.random() < 0.1))
    options: dict[str, Any] = {
        "mode": chance.choice(["insert", "upsert", "update", "mirror"]),
        "opt_outs": chance.choice(["unsubscribe", "skip"]),
        "suppression_path": listed, "max_rejected": 40, "max_unsubscribes": 1,
    }  # fmt: skip
    kept = Kept()

    report = load_rows(iter(rows), **options, on_outcomes=kept)

    assert [each.row for each in kept] == list(range(1, 40))
    assert_agrees(report, kept)
    report.row_outcomes = None
    assert_agrees(report, kept)

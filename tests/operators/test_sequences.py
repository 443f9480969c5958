"""Operators for sequences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_salesblink.links import CampaignLink, campaign_page
from airflow_provider_salesblink.operators.sequences import (
    CloneSequenceOperator,
    GetSequenceStatsOperator,
    SetSequenceStatusOperator,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.sandbox import Sandbox

    Changes = Callable[[], list[tuple[str, str, Any]]]

pytestmark = pytest.mark.apis("v1")


@pytest.mark.parametrize(("status", "word"), [("PAUSED", "paused"), ("paused", "paused"), ("Stopped", "stopped")])
def test_a_status_that_ends_sending_pauses_the_sequence(
    status: str, word: str, sandbox: Sandbox, changes: Changes
) -> None:
    sequence_id = sandbox.add_campaign("Spring")

    result = SetSequenceStatusOperator(task_id="t", sequence_id=sequence_id, status=status).execute({})

    assert result == {"outcome": word, "sequence_id": sequence_id}
    assert changes() == [("POST", f"/sequences/{sequence_id}/status", {"status": word.upper()})]
    assert sandbox.campaigns()[0].paused


def test_active_starts_the_sequence(sandbox: Sandbox) -> None:
    sequence_id = sandbox.add_campaign("Spring", paused=True)

    result = SetSequenceStatusOperator(task_id="t", sequence_id=sequence_id, status="active").execute({})

    assert result == {"outcome": "active", "sequence_id": sequence_id}
    assert not sandbox.campaigns()[0].paused


def test_a_sequence_that_runs_is_not_started_again(
    sandbox: Sandbox, changes: Changes, task_log: Callable[[], list[str]]
) -> None:
    sequence_id = sandbox.add_campaign("Spring")

    result = SetSequenceStatusOperator(task_id="t", sequence_id=sequence_id, status="ACTIVE").execute({})

    assert result == {"outcome": "active", "sequence_id": sequence_id}
    assert changes() == []
    assert task_log()[0] == "The sequence runs already; nothing was sent."


@pytest.mark.parametrize("status", ["", "running", None, 1.5, ["PAUSED"]])
def test_an_unknown_status_fails_before_anything_is_sent(status: Any, sandbox: Sandbox) -> None:
    with pytest.raises(AirflowFailException, match="status"):
        SetSequenceStatusOperator(task_id="t", sequence_id="s1", status=status).execute({})

    assert not sandbox.requests


def test_a_pause_that_fails_says_that_the_sequence_may_still_run(
    task_log: Callable[[], list[str]], sandbox: Sandbox
) -> None:
    with pytest.raises(AirflowFailException, match="404"):
        SetSequenceStatusOperator(task_id="t", sequence_id="nobody", status="paused").execute({})
    assert task_log() == ["The sequence may still be running: setting its status may have failed."]

    with pytest.raises(AirflowFailException, match="404"):
        SetSequenceStatusOperator(task_id="t", sequence_id="nobody", status="active").execute({})
    assert len(task_log()) == 1
    assert not sandbox.campaigns()


def test_a_dry_run_sets_no_status(sandbox: Sandbox, connection: Callable[..., None], changes: Changes) -> None:
    connection(extra={"dry_run": True})
    sequence_id = sandbox.add_campaign("Spring")

    result = SetSequenceStatusOperator(task_id="t", sequence_id=sequence_id, status="paused").execute({})

    assert result == {"outcome": "dry_run", "would_be": "paused", "sequence_id": sequence_id}
    assert changes() == []


def test_a_clone_is_a_paused_copy(sandbox: Sandbox) -> None:
    source = sandbox.add_campaign("Spring")

    result = CloneSequenceOperator(task_id="t", sequence_id=source).execute({})

    (copy,) = [each for each in sandbox.campaigns() if each.id != source]
    assert result == {"outcome": "cloned", "sequence_id": copy.id, "source_id": source}
    assert copy.paused


def test_a_clone_whose_answer_is_lost_is_never_repeated(sandbox: Sandbox) -> None:
    source = sandbox.add_campaign("Spring")
    sandbox.fault("v1.cloneSequence", "reset", when="after")

    with pytest.raises(AirflowFailException, match="its answer was lost"):
        CloneSequenceOperator(task_id="t", sequence_id=source).execute({})

    assert len(sandbox.campaigns()) == 2


def test_a_dry_run_clones_nothing(sandbox: Sandbox, connection: Callable[..., None]) -> None:
    connection(extra={"dry_run": True})
    source = sandbox.add_campaign("Spring")

    result = CloneSequenceOperator(task_id="t", sequence_id=source).execute({})

    assert result == {"outcome": "dry_run", "would_be": "cloned", "sequence_id": None, "source_id": source}
    assert len(sandbox.campaigns()) == 1


def test_the_totals_are_counts_without_the_owners_address(sandbox: Sandbox) -> None:
    sequence_id = sandbox.add_campaign("Spring")
    sandbox.add_person(sequence_id, {"Email": "ana@example.com"})

    result = GetSequenceStatsOperator(task_id="t", sequence_id=sequence_id).execute({})

    assert (result.pop("outcome"), result.pop("sequence_id")) == ("found", sequence_id)
    assert {"leads", "sent", "opens", "replies"} <= set(result)
    assert all(type(count) is int for count in result.values())


@pytest.mark.parametrize("operator", [CloneSequenceOperator, GetSequenceStatsOperator])
def test_an_unknown_sequence_fails_the_task_for_good(operator: Any) -> None:
    with pytest.raises(AirflowFailException, match="404"):
        operator(task_id="t", sequence_id="nobody").execute({})


def test_a_task_links_to_its_sequence() -> None:
    for operator in (SetSequenceStatusOperator, CloneSequenceOperator, GetSequenceStatsOperator):
        assert [type(link) for link in operator.operator_extra_links] == [CampaignLink]

    task = GetSequenceStatsOperator(task_id="t", sequence_id="spring")
    assert CampaignLink().get_link(task, ti_key=None) == campaign_page("spring")


@pytest.mark.apis("classic")
@pytest.mark.parametrize(
    "task",
    [
        SetSequenceStatusOperator(task_id="t", sequence_id="s1", status="paused"),
        CloneSequenceOperator(task_id="t", sequence_id="s1"),
        GetSequenceStatsOperator(task_id="t", sequence_id="s1"),
    ],
)
def test_on_the_classic_api_the_task_fails_and_says_what_to_set(task: Any, sandbox: Sandbox) -> None:
    with pytest.raises(AirflowFailException, match="Set the connection's extra api_version to 'v1'"):
        task.execute({})

    assert not sandbox.requests

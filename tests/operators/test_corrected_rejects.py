"""A rejects file is a source of rows, once its rows are corrected."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_salesblink.operators.prospects import AddProspectsOperator
from tests.apis import BOTH

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.conftest import CampaignUnderTest

pytestmark = pytest.mark.apis(*BOTH)


def load(campaign: CampaignUnderTest, **options: Any) -> dict[str, Any]:
    return AddProspectsOperator(task_id="t", campaign_id=campaign.id, **{"max_rejected": 9, **options}).execute({})


def corrected(path: Path, change: Callable[[dict[str, Any]], object]) -> str:
    """Write the lines of a rejects file, each after a change; return the new path."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        change(line)
    new = path.with_name("corrected.jsonl")
    new.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return str(new)


@pytest.mark.parametrize("columns", [None, {"mail": "Email", "Firma": "Company"}])
def test_corrected_rows_are_loaded_under_the_names_that_they_have(
    columns: dict[str, str] | None, sandbox: Sandbox, campaign: CampaignUnderTest, tmp_path: Path
) -> None:
    rejected = tmp_path / "rejected.jsonl"
    names = ("mail", "Firma") if columns else ("Email", "Company")
    rows = [dict(zip(names, cells, strict=True)) for cells in [("ana@example", "X"), ("ben@@example.com", "Y")]]
    load(campaign, rows=rows, columns=columns, rejected_path=str(rejected))

    path = corrected(rejected, lambda line: line["columns"].update(Email=f"p{line['row']}@example.com"))
    xcom = load(campaign, rows_path=path, columns=columns)

    assert (xcom["rows"], xcom["added"], xcom["rejected"]) == (2, 2, 0)
    people = {person.email: person.fields["Company"] for person in sandbox.people()}
    assert people == {"p1@example.com": "X", "p2@example.com": "Y"}


def test_a_file_that_nobody_corrected_is_refused_for_the_same_reasons(
    sandbox: Sandbox, campaign: CampaignUnderTest, tmp_path: Path
) -> None:
    rejected, again = tmp_path / "rejected.jsonl", tmp_path / "again.jsonl"
    rows: list[Any] = [{"Email": "ana@example"}, {"First Name": "Ben"}, {"Email": "c@d.co", "Plan": ["x"]}, "text"]
    load(campaign, rows=rows, rejected_path=str(rejected))

    xcom = load(campaign, rows_path=str(rejected), rejected_path=str(again))

    assert (xcom["rows"], xcom["rejected"]) == (4, 4)
    reasons = [[json.loads(line)["reason"] for line in path.read_text().splitlines()] for path in (rejected, again)]
    assert reasons[1][:3] == reasons[0][:3]
    assert not sandbox.people()


def test_a_person_who_may_have_opted_out_stays_out_until_a_column_says_otherwise(
    sandbox: Sandbox, campaign: CampaignUnderTest, tmp_path: Path
) -> None:
    rejected = tmp_path / "rejected.jsonl"
    rows = [{"Email": f"{name}@example.com", "Out": "perhaps"} for name in ("ana", "ben", "eve")]
    load(campaign, rows=rows, opt_out_columns=["Out"], rejected_path=str(rejected))
    said = {1: {"Out": "no"}, 2: {"Out": "yes"}, 3: {}}

    path = corrected(rejected, lambda line: line["columns"].pop("Out", None))
    ignored = load(campaign, rows_path=path)
    path = corrected(rejected, lambda line: (line["columns"].pop("Out"), line["columns"].update(said[line["row"]])))
    answered = load(campaign, rows_path=path, opt_out_columns=["Out"])

    assert (ignored["rejected"], ignored["added"]) == (3, 0)
    assert (answered["added"], answered["opted_out"], answered["rejected"]) == (1, 1, 1)
    assert [person.email for person in sandbox.people()] == ["ana@example.com"]


def test_no_other_row_of_a_person_in_doubt_is_loaded(
    sandbox: Sandbox, campaign: CampaignUnderTest, tmp_path: Path
) -> None:
    path = tmp_path / "mixed.jsonl"
    doubt = {"row": 5, "reason": "?", "may_have_opted_out": True, "columns": {"Email": "ana@example.com"}}
    path.write_text("\n".join(map(json.dumps, [{"Email": "Ana@example.com"}, doubt])))

    assert load(campaign, rows_path=str(path))["rejected"] == 2
    assert not sandbox.people()


def test_rows_whose_opt_out_columns_were_read_need_none_again(
    sandbox: Sandbox, campaign: CampaignUnderTest, tmp_path: Path
) -> None:
    rejected = tmp_path / "rejected.jsonl"
    load(campaign, rows=[{"Email": "ana@example", "Out": "no"}], opt_out_columns=["Out"], rejected_path=str(rejected))

    path = corrected(rejected, lambda line: line.update(columns={"Email": "ana@example.com"}))
    load(campaign, rows_path=path, opt_out_columns=["Out"])

    assert [person.email for person in sandbox.people()] == ["ana@example.com"]


def test_an_object_with_other_keys_is_an_ordinary_row(campaign: CampaignUnderTest, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    row = {"row": 1, "reason": "x", "columns": {"Email": "ana@example.com"}, "Email": "ben@example.com"}
    path.write_text(json.dumps(row))

    with pytest.raises(AirflowFailException, match="'columns' is a dict: give a text or a number"):
        load(campaign, rows_path=str(path), max_rejected=0)

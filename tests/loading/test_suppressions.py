"""Who is on the list of suppressed people is not mailed; and a list that cannot be read stops the load."""

from __future__ import annotations

import hashlib
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import InvalidInputError
from airflow_provider_salesblink.loading.suppressions import Suppressions
from tests.loading.people import people, writes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_salesblink.loading import Report
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.conftest import CampaignUnderTest


def sha256(normalized: str) -> str:
    return hashlib.sha256(normalized.encode()).hexdigest()


@pytest.mark.parametrize(
    ("entry", "held", "others"),
    [
        ("ana@example.com", ["ana@example.com", " ANA@Example.com", "mailto:ana@example.com"], ["bo@example.com"]),
        ("Ana <ana@example.com>", ["ana@example.com"], []),
        ("ａｎａ＠example.com", ["ana@example.com"], []),
        ("\u200bexample.com", ["ana@example.com"], []),
        ("ana@bücher.example", ["ana@xn--bcher-kva.example", "Ana@BÜCHER.example"], ["ana@bucher.example"]),
        ("example.com", ["ana@example.com", "bo@mail.example.com"], ["ana@notexample.com", "ana@example.com.br"]),
        ("@Example.COM", ["ana@example.com"], ["ana@example.org"]),
        ("*.example.com", ["ana@example.com", "bo@mail.example.com"], ["ana@example.org"]),
        (".example.com", ["ana@example.com"], ["ana@badexample.com"]),
        ("www.example.com.", ["ana@example.com", "bo@shop.example.com"], ["ana@example.org"]),
        ("bücher.example", ["ana@xn--bcher-kva.example", "a@x.bücher.example"], ["ana@cher.example"]),
        (sha256("ana@example.com"), ["Ana@Example.com"], ["bo@example.com"]),
        (sha256("ana@xn--bcher-kva.example").upper(), ["ana@bücher.example"], ["bo@bücher.example"]),
    ],
)
def test_an_entry_holds_every_spelling_of_what_it_names_and_nobody_else(
    entry: str, held: list[str], others: list[str]
) -> None:
    found = Suppressions(["Email\n", "# left us\n", "\n", f"  {entry} \r\n"])

    assert len(found) == 1
    assert [found.hold(address) for address in held] == [True] * len(held)
    assert not any(map(found.hold, others))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("ana@example.com;bo@example.com", "Line 3 .* several cells: write one address"),
        ("ana@example.com,2027-01-01,left", "Line 3 .* several cells"),
        ("https://www.example.com/ana", "Line 3 .* a web address: write only the domain"),
        ("example.com/ana", "not an address, a domain"),
        ("3.14", "not an address, a domain"),
        ("ana%40example.com", "not an address, a domain"),
        ("ana(at)example.com", "not an address, a domain"),
        ('{"error":"not.found"}', "not an address, a domain"),
        ("email:example.com", "not an address, a domain"),
        ("ana@example.com bo@example.com", "more than one address"),
        ("ana", "Line 3 .* not an address, a domain or a SHA-256"),
        (sha256("ana@example.com")[:-1], "not an address, a domain"),
        ("ana @example.com", "a blank inside"),
        ("'ana@example.com", "it starts with a quote or another sign"),
    ],
)
def test_a_line_that_is_no_entry_is_an_error_that_shows_nothing_of_it(line: str, says: str) -> None:
    with pytest.raises(InvalidInputError, match=says) as failed:
        Suppressions(["email", "bo@example.com", line])

    assert not any(part in str(failed.value) for part in ("ana@", "bo@", "2027", sha256("ana@example.com")[:8]))


@pytest.mark.parametrize(
    ("first", "is_entry"),
    [("E-Mail", False), ("email address", False), ("SHA-256", False), ("e.mail", True), ("ha.sh", True)],
)
def test_a_header_is_not_an_entry_and_a_domain_is_not_a_header(first: str, is_entry: bool) -> None:
    assert len(Suppressions([first, "ana@example.com"])) == 1 + is_entry


@pytest.mark.parametrize("mode", ["insert", "upsert", "mirror"])
@pytest.mark.parametrize("opt_outs", ["unsubscribe", "skip"])
def test_who_is_suppressed_is_never_added_nor_changed(
    mode: str,
    opt_outs: str,
    sandbox: Sandbox,
    campaign: CampaignUnderTest,
    load_rows: Callable[..., Report],
    tmp_path: Path,
) -> None:
    path = tmp_path / "suppressed.txt"
    path.write_text(f"p0@example.com\n{sha256('p1@example.com')}\nexample.org\n")
    sandbox.add_person(campaign.id, {"Email": "P1@example.com", "Company": "Old"})
    rows = [*people(3), {"Email": "ana@example.org"}, {"Email": "P1@example.com", "Company": "New"}]

    report = load_rows(rows, mode=mode, suppression_path=path, opt_outs=opt_outs)

    unsubscribes = mode != "insert" and opt_outs == "unsubscribe"
    assert sorted(writes(sandbox)) == ["prospect-add", *["prospect-unsubscribe"] * unsubscribes]
    counts = report.for_xcom()
    assert (counts["added"], counts["opted_out"], counts["repeats"], counts["unsubscribed"]) == (1, 3, 1, unsubscribes)
    found = {person.email: person for person in sandbox.people()}
    assert found.keys() == {"P1@example.com", "p2@example.com"}
    assert (found["P1@example.com"].fields["Company"], found["P1@example.com"].unsubscribed) == ("Old", unsubscribes)
    before = len(writes(sandbox))
    load_rows(rows, mode=mode, suppression_path=path, opt_outs=opt_outs)
    assert len(writes(sandbox)) == before


@pytest.mark.parametrize("content", [None, b"ana@example.com\n\xff\xfe\x00\n", b"p0@example.com\nnonsense\n"])
def test_a_list_that_cannot_be_read_stops_the_load_before_anything_is_sent(
    content: bytes | None, sandbox: Sandbox, load_rows: Callable[..., Report], tmp_path: Path
) -> None:
    path = tmp_path / "suppressed.txt"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(InvalidInputError) as failed:
        load_rows(people(3), suppression_path=path)

    assert sandbox.requests == []
    assert failed.value.permanent


def test_an_empty_list_is_a_warning_and_a_full_one_is_counted(
    load_rows: Callable[..., Report], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    path = tmp_path / "suppressed.txt"

    path.write_text("")
    load_rows(people(1), suppression_path=path)
    path.write_text(f"ana@example.com\nexample.org\nexample.net\n{sha256('bo@example.com')}\n")
    load_rows(people(1), suppression_path=str(path))

    assert [r.levelname for r in caplog.records if "file is empty" in r.message] == ["WARNING"]
    assert "The suppression file holds 1 addresses, 2 domains, 1 hashes." in caplog.text


def test_an_insert_logs_how_many_it_leaves_in_the_campaign(
    sandbox: Sandbox, campaign: CampaignUnderTest, load_rows: Callable[..., Report], tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    (tmp_path / "suppressed.txt").write_text("p0@example.com\np1@example.com\n")
    sandbox.add_person(campaign.id, people(1)[0])

    load_rows(people(2), suppression_path=tmp_path / "suppressed.txt")

    assert "who are in the campaign: 1. Mode 'insert' leaves them there" in caplog.text


def test_a_long_list_takes_little_memory() -> None:
    def entries() -> Any:
        return (f"p{number}@example.com\n" for number in range(200_000))

    tracemalloc.start()
    found = Suppressions(entries())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 20_000_000
    assert found.hold("P199999@example.com")
    assert not found.hold("p200000@example.com")

"""The pages of reports in Airflow's API server: who may see them, what they show, and what they never show."""

from __future__ import annotations

import http.client
import os
import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_salesblink.operators.reports import CampaignReportOperator
from airflow_provider_salesblink.results.report_page import GENERATOR
from airflow_provider_salesblink.sandbox.http_server import HttpServer
from tests.results.report_events import row, write_events

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.generation(3)

SETTING = "AIRFLOW__SALESBLINK__REPORTS_PATH"
SECRET = "a-secret-of-the-server"


def attach(**storage: Any) -> None:
    """Make a storage known to Airflow."""
    from airflow.sdk.io import attach

    attach(**storage)


class Answer:
    """What Airflow's API server returned."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.content = response.read()

    @property
    def text(self) -> str:
        return self.content.decode()

    @property
    def names(self) -> list[str]:
        return re.findall(r'href="reports/([^"]+)"', self.text)


Get = Callable[..., Answer]
Write = Callable[..., None]


@pytest.fixture(scope="module")
def server(airflow_database: None) -> Iterator[str]:  # noqa: ARG001
    """Run Airflow's API server with its usual login, and return its URL."""
    from airflow.api_fastapi.app import create_app

    server = HttpServer(create_app("core"))
    port = server.start(0)
    yield f"http://127.0.0.1:{port}"
    server.stop()


def token(role: str | None) -> str:
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    made: str = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="ana", role=role))
    return made


@pytest.fixture
def get(server: str) -> Get:
    """Return a function that requests a path exactly as it is written, by default as a viewer."""

    def send(path: str, method: str = "GET", headers: dict[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection(urlsplit(server).netloc, timeout=30)
        try:
            own = {"Authorization": f"Bearer {token('viewer')}"} if headers is None else headers
            connection.request(method, path, headers=own)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    return send


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of reports, which is empty."""
    folder = tmp_path / "reports"
    folder.mkdir()
    monkeypatch.setenv(SETTING, str(folder))
    return folder


@pytest.fixture
def write_report(tmp_path_factory: pytest.TempPathFactory, connection: Callable[..., None]) -> Callable[..., None]:  # noqa: ARG001
    """Return a function that lets the operator write a report."""

    def write(path: Path | str, name: str = "Spring", at: float | None = None) -> None:
        events = write_events(tmp_path_factory.mktemp("events"), [row("sent", 1, sequence_name=name)])
        CampaignReportOperator(task_id="t", output_path=path, campaign_id="c1", events_path=events).execute({})
        if at is not None:
            os.utime(path, (at, at))

    return write


# Who may see them

PATHS = [
    "/salesblink/reports", "/salesblink/reports/spring.html", "/salesblink/reports/spring.csv",
    "/salesblink/reports/nothing.html", "/salesblink/", "/salesblink/docs", "/salesblink/redoc",
    "/salesblink/openapi.json", "/salesblink/any/where", "/salesblink/reports/", "/salesblink/reports/..%2fx",
]  # fmt: skip


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", PATHS)
def test_every_path_needs_a_login(get: Get, write_report: Write, folder: Path, path: str, method: str) -> None:
    write_report(folder / "spring.html")

    answer = get(path, method, headers={})

    assert answer.status == 401
    assert b"spring" not in answer.content


@pytest.mark.parametrize("path", PATHS)
def test_a_user_without_a_role_and_a_forged_token_are_refused(
    get: Get, write_report: Write, folder: Path, path: str
) -> None:
    write_report(folder / "spring.html")

    for bearer in (token(None), token("viewer")[:-4] + "AAAA"):
        answer = get(path, headers={"Authorization": f"Bearer {bearer}"})

        assert answer.status == 403
        assert "Airflow refused access to this page." in answer.text


def test_the_cookie_of_airflows_ui_is_a_login(get: Get, write_report: Write, folder: Path) -> None:
    write_report(folder / "spring.html")

    assert get("/salesblink/reports", headers={"Cookie": f"_token={token('viewer')}"}).names == ["spring.html"]


@pytest.mark.parametrize("path", ["/salesblink/docs", "/salesblink/openapi.json", "/salesblink/any", "/salesblink/"])
def test_there_are_no_other_pages(get: Get, path: str) -> None:
    answer = get(path)

    assert answer.status == 404
    assert "There is no such page." in answer.text


# What they show


def test_the_list_shows_the_newest_report_first_with_its_campaign_and_time(
    get: Get, write_report: Write, folder: Path
) -> None:
    write_report(folder / "old.html", "Autumn", at=datetime(2026, 11, 1, 8, 15, tzinfo=UTC).timestamp())
    write_report(folder / "new & shiny#1.html", "<b>Spring</b>", at=datetime(2026, 11, 2, 9, 0, tzinfo=UTC).timestamp())

    answer = get("/salesblink/reports")

    assert answer.status == 200
    assert answer.names == ["new%20%26%20shiny%231.html", "old.html"]
    assert "&lt;b&gt;Spring&lt;/b&gt;, 2 Nov 2026" in answer.text
    assert "campaign report" not in answer.text
    assert "1 Nov 2026, 08:15 UTC" in answer.text
    assert get(f"/salesblink/reports/{answer.names[0]}").status == 200


def test_a_report_is_the_page_itself_with_a_way_back(get: Get, write_report: Write, folder: Path) -> None:
    write_report(folder / "spring.html")

    answer = get("/salesblink/reports/spring.html")

    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    back = '\n<nav><a href="../reports">All reports</a></nav>'
    assert answer.text.replace(back, "") == (folder / "spring.html").read_text(encoding="utf-8")
    assert back in answer.text


def test_the_figures_of_a_report_are_a_download(get: Get, write_report: Write, folder: Path) -> None:
    write_report(folder / "spring.html")
    (folder / "other.csv").write_text("Email\nana@example.com\n")

    answer = get("/salesblink/reports/spring.csv")

    assert answer.content == (folder / "spring.csv").read_bytes()
    assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''spring.csv"
    assert get("/salesblink/reports/other.csv").status == 404


def test_a_report_that_was_written_again_shows_its_new_title(get: Get, write_report: Write, folder: Path) -> None:
    write_report(folder / "r.html", "Spring", at=1_000_000_000)
    assert "Spring" in get("/salesblink/reports").text

    write_report(folder / "r.html", "Autumn", at=1_000_000_100)

    assert "Autumn" in get("/salesblink/reports").text


def test_other_storages_work(get: Get, write_report: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    attach(protocol="memory", fs=MemoryFileSystem())
    monkeypatch.setenv(SETTING, "memory://reports-in-the-ui")
    write_report("memory://reports-in-the-ui/spring.html")

    assert get("/salesblink/reports").names == ["spring.html"]
    assert f"{datetime.now(UTC).year}-" in get("/salesblink/reports").text
    assert "Mails sent" in get("/salesblink/reports/spring.html").text
    assert get("/salesblink/reports/spring.csv").content.startswith(b"table,")


def test_a_long_list_ends(get: Get, write_report: Write, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_salesblink.plugins.report_folder.MOST", 2)
    for number in range(3):
        write_report(folder / f"{number}.html", at=1_000_000_000 + number)

    answer = get("/salesblink/reports")

    assert answer.names == ["2.html", "1.html"]
    assert "These are the 2 newest." in answer.text


# What they never show


def test_only_files_that_the_operator_wrote_are_shown(get: Get, write_report: Write, folder: Path) -> None:
    write_report(folder / "spring.html")
    page = (folder / "spring.html").read_text(encoding="utf-8")
    (folder / "foreign.html").write_text(f"<!doctype html><body>{SECRET} {'x' * 5000} {GENERATOR}")
    (folder / "people.csv").write_text(SECRET)
    (folder / "report.txt").write_text(page)
    (folder / ".hidden.html").write_text(page)
    (folder / "empty.html").touch()
    (folder / "dangling.html").symlink_to(folder / "nowhere.html")
    os.mkfifo(folder / "pipe.html")
    (folder / "below").mkdir()
    (folder / "below" / "inner.html").write_text(page)
    (folder / "large.html").write_bytes(page.encode() + b" " * 10_000_000)

    assert get("/salesblink/reports").names == ["spring.html"]
    for name in ("foreign.html", "people.csv", "report.txt", ".hidden.html", "empty.html", "below", "large.html"):
        answer = get(f"/salesblink/reports/{name}")
        assert (answer.status, SECRET in answer.text) == (404, False), name
    assert get("/salesblink/reports/below/inner.html").status == 404
    assert get("/salesblink/reports/below%2Finner.html").status == 404


@pytest.mark.parametrize(
    "name",
    [
        "../outside.html", "..%2foutside.html", "%2e%2e/outside.html", "%2e%2e%2foutside.html", "..%252foutside.html",
        "..%5coutside.html", ".%2e%2foutside.html", "x/..%2f..%2foutside.html", "%00/../outside.html", "~%2fx.html",
        "*.html", "linked.html", "linked.csv", "linked-folder%2foutside.html", "{absolute}", "%2f{absolute}",
        "file:{absolute}", "file:%2f%2f{absolute}", "outside.html%00.html", "spring.html/../../outside.html",
    ],
)  # fmt: skip
def test_no_name_leads_out_of_the_folder(get: Get, write_report: Write, folder: Path, name: str) -> None:
    outside = folder.parent / "outside.html"
    write_report(outside, SECRET)
    (folder / "linked.html").symlink_to(outside)
    (folder / "linked.csv").symlink_to(outside.with_suffix(".csv"))
    (folder / "linked-folder").symlink_to(folder.parent)

    answer = get(f"/salesblink/reports/{name.format(absolute=str(outside).replace('/', '%2f'))}")

    assert SECRET not in answer.text
    assert "Mails sent" not in answer.text
    assert get("/salesblink/reports").names == []


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_forbids_scripts_foreign_frames_and_copies(
    get: Get, write_report: Write, folder: Path, path: str
) -> None:
    write_report(folder / "spring.html")

    headers = get(path).headers

    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'self'" in policy
    assert "script" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"


# When something is wrong


def test_without_the_setting_the_page_says_how_to_set_it(get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SETTING, "")

    answer = get("/salesblink/reports")

    assert answer.status == 404
    assert f"Set reports_path in the section [salesblink] of Airflow&#39;s configuration ({SETTING})" in answer.text


def test_an_empty_folder_and_a_missing_one_say_what_fills_them(get: Get, folder: Path) -> None:
    assert "There are no reports yet." in get("/salesblink/reports").text

    folder.rmdir()

    answer = get("/salesblink/reports")
    assert answer.status == 404
    assert "does not exist yet. The first report creates it." in answer.text
    assert str(folder) not in answer.text


class _Gone(MemoryFileSystem):  # type: ignore[misc]
    def cat_file(self, path: str, *arguments: Any, **options: Any) -> bytes:
        if path.endswith("gone.html"):
            raise FileNotFoundError(path)
        found: bytes = super().cat_file(path, *arguments, **options)
        return found


def test_a_report_that_is_removed_meanwhile_does_not_hide_the_others(
    get: Get, write_report: Write, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    attach(protocol="memory", conn_id="gone", fs=_Gone())
    monkeypatch.setenv(SETTING, "memory://gone@some-reports")
    for name in ("spring", "gone"):
        write_report(f"memory://gone@some-reports/{name}.html")

    assert get("/salesblink/reports").names == ["spring.html"]
    assert get("/salesblink/reports/gone.html").status == 404
    assert "The report gone.html is not shown (FileNotFoundError)." in caplog.text


class _Broken(MemoryFileSystem):  # type: ignore[misc]
    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:  # noqa: ARG002
        raise PermissionError(f"{SECRET} of ana@example.com")


class _Silent(MemoryFileSystem):  # type: ignore[misc]
    ended = threading.Event()

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:  # noqa: ARG002
        self.ended.wait(30)
        return []


def test_a_storage_that_refuses_is_an_error_in_plain_words(
    get: Get, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    attach(protocol="memory", conn_id="broken", fs=_Broken())
    monkeypatch.setenv(SETTING, "memory://broken@lake")

    for path in ("/salesblink/reports", "/salesblink/reports/spring.html"):
        answer = get(path)
        assert answer.status == 502
        assert "The storage of the reports cannot be read." in answer.text
        assert SECRET not in answer.text
        assert "Traceback" not in answer.text
    assert "The folder in [salesblink] reports_path cannot be read (PermissionError" in caplog.text
    assert "ana@example.com" not in caplog.text


def test_a_storage_without_a_driver_is_an_error_in_plain_words(get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SETTING, "unheard-of://lake")

    assert get("/salesblink/reports").status == 502


def test_a_storage_that_does_not_answer_stops_neither_the_page_nor_airflow(
    get: Get, monkeypatch: pytest.MonkeyPatch
) -> None:
    attach(protocol="memory", conn_id="silent", fs=_Silent())
    monkeypatch.setenv(SETTING, "memory://silent@lake")
    monkeypatch.setattr("airflow_provider_salesblink.plugins.report_pages.SECONDS", 0.5)
    others: list[Answer] = []
    waiting = threading.Thread(target=lambda: others.append(get("/salesblink/reports")))
    waiting.start()
    try:
        assert get("/api/v2/version").status == 200
        assert get("/salesblink/reports").status == 504
        waiting.join()
    finally:
        _Silent.ended.set()
    assert "does not answer. Try again later." in others[0].text

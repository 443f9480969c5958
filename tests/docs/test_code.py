"""Each block of code on the pages runs, or is compared with what it describes.

``check_of`` knows the kinds of blocks. A block of an unknown kind fails, so no block stays unchecked: add a check here,
or write the block so that it can run.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from contextlib import closing
from importlib import import_module
from importlib.util import find_spec
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.command_line.main import main
from airflow_provider_salesblink.hooks.salesblink import SalesBlinkHook
from airflow_provider_salesblink.provider_info import get_provider_info
from airflow_provider_salesblink.sandbox import Sandbox
from demo import airflow_home
from tests.command_line.conftest import Person
from tests.conftest import ROOT
from tests.docs.pages import DOCS, PAGES, Block, blocks
from tests.docs.running import run_python, served, without_port_and_key
from tests.results.report_events import row, write_events

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Check = Callable[["Bench", Block], None]

NEWER = ("AssetWatcher", "ApproveLoadOperator")
"""What Airflow 2 does not have."""
BLOCKS = [
    pytest.param(block, marks=[pytest.mark.generation(3)] if any(name in block.text for name in NEWER) else [])
    for page in PAGES
    for block in blocks(page)
]
SHOWN_ELSEWHERE = ("{toctree}", "{include}", "{literalinclude}")
"""Directives that Sphinx fills from files with tests of their own."""


class Bench:
    """What a check may use: a folder, the sandbox behind the connection, and an Airflow."""

    def __init__(
        self,
        place: Path,
        sandbox: Sandbox,
        conf: dict[str, str],
        run_dag: Callable[..., Any],
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        self.place = place
        self.sandbox = sandbox
        self.conf = conf
        self.run_dag = run_dag
        self.monkeypatch = monkeypatch
        self.capfd = capfd
        self.printed = ""


@pytest.fixture
def bench(
    place: Path,
    sandbox: Sandbox,
    conf: dict[str, str],
    run_dag: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Bench:
    return Bench(place, sandbox, conf, run_dag, monkeypatch, capfd)


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_the_code_on_the_pages_works(block: Block, bench: Bench) -> None:
    check = check_of(block)

    assert check is not None, (
        f"There is no check for this block of {block.page.name}; add one to {__name__}:\n{block.text}"
    )
    check(bench, block)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("rust", "fn main() {}"),
        ("{code-block} python", "1 / 0"),
        ("text", "nothing printed this"),
        ("", "airflow pools list"),
        ("", "make demo\nrm -rf /"),
    ],
)
def test_a_block_of_an_unknown_kind_has_no_check(language: str, text: str) -> None:
    assert check_of(Block(DOCS / "loading.md", 1, language, text)) is None


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("python", "raise SystemExit(1)"),
        ("python", "def test_it():\n    assert False"),
        ("python", "from airflow.providers.common.compat.sdk import DAG\n\nwith DAG('loads', shedule=None):\n    pass"),
        ("sql", "CREATE TABEL x"),
        ("", "AddProspectOperator(task_id='add', campaign='spring')"),
        ("", "default_args={'on_failure_callback': PauseCampaignNotifier()}"),
        ("", '{"campaigns": [}'),
        ("", "make tset"),
        ("sh", "python -m airflow_provider_salesblink plan leads.csv --campaign spring-2027"),
        ("sh", "airflow salesblink load none.csv --campaign-id spring-2027"),
        ("", "pip install airflow-provider-salesblink[all]"),
        ("", 'export AIRFLOW_CONN_SALESBLINK_DEFAULT=\'{"conn_type": "salesblink"}\''),
        ("", "python -m airflow_provider_salesblink.sandbox --sed demo"),
        ("", "--faults 'prospect-ad=reset'"),
        ("", "python benchmarks/bench_none.py"),
        ("", "python benchmarks/bench_add.py --add 10"),
        ("", "curl http://127.0.0.1:43443/sandbox/fault -d '{}'"),
    ],
)
def test_a_wrong_block_fails_its_check(language: str, text: str, bench: Bench) -> None:
    block = Block(DOCS / "loading.md", 1, language, text)
    check = check_of(block)

    assert check is not None
    with pytest.raises((Exception, pytest.fail.Exception)):
        check(bench, block)


# Which check


def check_of(block: Block) -> Check | None:
    if block.language.startswith(SHOWN_ELSEWHERE):
        return check_included
    if block.language:
        return _check_of_fenced(block)
    if _commands(block.text) is not None:
        return check_commands
    if block.text.startswith("SalesBlink sandbox at "):
        return check_greeting
    return check_json if block.text.startswith(("{", "[")) else _check_of_fragment(block.text)


def _check_of_fenced(block: Block) -> Check | None:
    if block.language == "python":
        return _check_of_python(block.text)
    if block.language == "text":
        return check_printed if _is_printed(block) else None
    return {"json": check_json, "sql": check_sql, "sh": check_commands}.get(block.language)


def _check_of_python(code: str) -> Check:
    if re.search(r"^def test_", code, flags=re.MULTILINE):
        return check_tests
    return check_dag if re.search(r"^with DAG\(", code, flags=re.MULTILINE) else check_script


def _check_of_fragment(text: str) -> Check | None:
    for mode in ("exec", "eval"):
        try:
            compile(_as_python(text), "<page>", mode)
        except SyntaxError:
            continue
        return check_fragment
    return None


# Python


def check_dag(bench: Bench, block: Block) -> None:
    """Run a file with a DAG to success."""
    (bench.place / "dags").mkdir()
    (bench.place / "dags" / "page.py").write_text(block.text)
    (dag,) = airflow_home.dags_of(bench.place / "dags").values()
    run = bench.run_dag(dag, run_conf={name: bench.conf[name] for name in dag.params if name in bench.conf})
    assert run.state == "success"


def check_tests(bench: Bench, block: Block) -> None:
    """Run a file with tests; they must pass."""
    (bench.place / "test_page.py").write_text(block.text)
    run_python("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_page.py", place=bench.place)


def check_script(bench: Bench, block: Block) -> None:
    """Run a script; it must print what the page shows below it."""
    printed = run_python("-c", block.text, place=bench.place)
    below = _neighbor(block, +1)
    if below and below.language == "text":
        assert printed == below.text


def check_printed(bench: Bench, block: Block) -> None:  # noqa: ARG001
    """The output below a script or a command is checked together with it."""
    assert _is_printed(block)


def _is_printed(block: Block) -> bool:
    above = _neighbor(block, -1)
    return above is not None and (
        _check_of_fenced(above) is check_script or above.text.startswith(tuple(PROVIDER_COMMANDS))
    )


def _neighbor(block: Block, step: int) -> Block | None:
    all_of_page = blocks(block.page)
    place = all_of_page.index(block) + step if block in all_of_page else -1
    return all_of_page[place] if 0 <= place < len(all_of_page) else None


def check_fragment(bench: Bench, block: Block) -> None:  # noqa: ARG001
    """Run a piece of a DAG: its names must exist and take these arguments."""
    names = _public_names()
    exec(dedent(_as_python(block.text)), names)  # noqa: S102


def _as_python(text: str) -> str:
    """Return code that can run: ``a=b,`` is an argument of a call that the page does not show."""
    is_argument = re.match(r"\w+=\S", text)
    return f"dict({text})" if is_argument else text


def _public_names() -> dict[str, Any]:
    info = get_provider_info()
    modules = [name for kind in ("operators", "sensors") for name in info[kind][0]["python-modules"]]
    package = "airflow_provider_salesblink"
    modules += [f"{package}.{name}" for name in ("assets", "triggers.events", "triggers.health")]
    modules += [f"{package}.notifications.campaigns"]
    names: dict[str, Any] = {}
    for module in modules:
        names |= {name: thing for name, thing in vars(import_module(module)).items() if not name.startswith("_")}
    if find_spec("airflow.sdk"):
        from airflow.sdk import AssetWatcher

        names["AssetWatcher"] = AssetWatcher
    return names


# Other languages


def check_included(bench: Bench, block: Block) -> None:  # noqa: ARG001
    """Check that an included file is a page, which is checked itself, or an example, which tests/airflow runs."""
    if block.language.startswith("{toctree}"):
        return
    file = (block.page.parent / block.language.split()[-1]).resolve()
    assert file in PAGES or (file.parent == ROOT / "dags_examples" and file.exists())


def check_sql(bench: Bench, block: Block) -> None:  # noqa: ARG001
    """Run SQL in a database with the tables that the page creates above it."""
    with closing(sqlite3.connect(":memory:")) as database:
        for above in blocks(block.page, "sql"):
            if above.line < block.line:
                database.executescript(above.text)
        database.executescript(block.text)


def check_json(bench: Bench, block: Block) -> None:  # noqa: ARG001
    read = json.loads(block.text)
    if "campaigns" in read:
        with Sandbox(seed=read) as sandbox:
            assert sandbox.campaigns()


def check_greeting(bench: Bench, block: Block) -> None:  # noqa: ARG001
    """Compare with the output of the sandbox's command; `...` stands for what the page leaves out."""
    started = _neighbor(block, -1)
    assert started
    with served(*shlex.split(started.text.splitlines()[-1])[3:]) as lines:
        printed = [without_port_and_key(line) for line in lines]
    shown = [without_port_and_key(line) for line in block.text.splitlines()]
    assert shown == [printed[0], "...", printed[-1]]


# Command lines


def check_commands(bench: Bench, block: Block) -> None:
    commands = _commands(block.text)
    assert commands
    for check, words in commands:
        check(bench, words)
    below = _neighbor(block, +1)
    if bench.printed and below and below.language == "text":
        assert _without_digest(bench.printed) == _without_digest(below.text)


def _without_digest(plan: str) -> str:
    return re.sub(r"^Plan \w{12}\.", "Plan.", plan, flags=re.MULTILINE)


def _commands(text: str) -> list[tuple[Callable[[Bench, list[str]], None], list[str]]] | None:
    """Return the commands of a block, each with its check; None if a line is an unknown command."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        check = next((check for start, check in COMMANDS.items() if line.startswith(start)), None)
        if check is None:
            return None
        found.append((check, shlex.split(line)))
    return found


def check_make(bench: Bench, words: list[str]) -> None:  # noqa: ARG001
    targets = set(re.findall(r"^([\w.-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert {word for word in words[1:] if "=" not in word} <= targets


def check_pip(bench: Bench, words: list[str]) -> None:  # noqa: ARG001
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = re.fullmatch(r"([\w-]+)(?:\[([\w,]+)\])?", words[2])
    assert found
    assert found[1] == project["name"]
    assert set(found[2].split(",") if found[2] else ()) <= set(project["optional-dependencies"])


def check_export(bench: Bench, words: list[str]) -> None:
    name, value = words[1].split("=", 1)
    bench.monkeypatch.setenv(name, value)
    client = SalesBlinkHook(name.removeprefix("AIRFLOW_CONN_").lower()).get_conn()
    assert repr(client).startswith("SalesBlinkClient(base_url='http")


def check_sandbox(bench: Bench, words: list[str]) -> None:  # noqa: ARG001
    """Start the sandbox with its command, or with the given options, and stop it."""
    with served(*(words[3:] if words[0] == "python" else words)) as greeting:
        assert greeting[0].startswith("SalesBlink sandbox at ")


def check_benchmark(bench: Bench, words: list[str]) -> None:  # noqa: ARG001
    """Check that the file exists and knows the options; a benchmark takes too long to run."""
    code = (ROOT / words[1]).read_text()
    assert all(f'"{word.partition("=")[0]}"' in code for word in words[2:] if word.startswith("--"))


def check_curl(bench: Bench, words: list[str]) -> None:
    if not shutil.which("curl"):
        pytest.skip("no curl here")
    mine = [re.sub(r"http://127\.0\.0\.1:\d+", bench.sandbox.url, word) for word in words]
    subprocess.run([*mine, "--fail", "--silent", "--show-error", "--max-time", "10"], check=True, capture_output=True)


def check_provider_command(bench: Bench, words: list[str]) -> None:
    """Run a command of the provider, for a person who answers yes."""
    bench.monkeypatch.chdir(bench.place)
    bench.monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "client")
    bench.monkeypatch.setattr(sys, "warnoptions", ["ignore"])
    bench.monkeypatch.setattr(sys, "stdin", Person(lambda: "y\n"))
    write_events(bench.place / "events", [row("sent", 1, sequence_id="spring-2027")])
    bench.capfd.readouterr()
    try:
        code = main(words[3:] if words[0] == "python" else words[2:])
    except SystemExit as wrong:
        pytest.fail(f"wrong arguments: {wrong.code}")
    printed = bench.capfd.readouterr()
    assert code == 0, printed.err
    bench.printed = printed.out


PROVIDER_COMMANDS = {
    "python -m airflow_provider_salesblink ": check_provider_command,
    "airflow salesblink ": check_provider_command,
}
COMMANDS = {
    **PROVIDER_COMMANDS,
    "make ": check_make,
    "pip install ": check_pip,
    "export AIRFLOW_CONN_": check_export,
    "python -m airflow_provider_salesblink.sandbox": check_sandbox,
    "--": check_sandbox,
    "python benchmarks/": check_benchmark,
    "curl ": check_curl,
}

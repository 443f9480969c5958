"""The commands and their arguments. Both entries make their parsers of this table, and it imports nothing of Airflow.

An argument that belongs to an operator has the operator's name for it, and its default is the operator's.
"""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

from airflow_provider_salesblink.choices import Mode, OptOuts, OptOutScope
from airflow_provider_salesblink.connection_form import DEFAULT_CONN_ID

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Argument:
    """An argument of a command.

    :param flags: as argparse takes them: one name for a positional argument.
    :param options: what else argparse takes, such as ``type``.
    """

    flags: tuple[str, ...]
    help: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the name of the value that argparse makes of it."""
        return str(self.options.get("dest") or self.flags[0].lstrip("-").replace("-", "_"))


@dataclass(frozen=True)
class Command:
    """A command.

    :param help: what it does, in one line.
    :param description: what it does, in full.
    :param example: arguments to show in an example. The name of the program comes before them.
    """

    name: str
    help: str
    description: str
    example: str
    arguments: tuple[Argument, ...]


PROGRAM = "python -m airflow_provider_salesblink"
SUMMARY = "Load people into SalesBlink campaigns, and write reports"
WIDTH = 100
"""Letters in a line of a description."""
NOTES = f"""\
The API key comes from an Airflow connection, never from an argument, because others can read
arguments. Set the environment variable AIRFLOW_CONN_{DEFAULT_CONN_ID.upper()}, or create the connection in Airflow.
Exit codes: 0 done, 1 failed or refused, 2 wrong arguments, 130 stopped with Ctrl-C.
"""


def _flag(name: str, help: str, **options: Any) -> Argument:  # noqa: A002
    return Argument((name,), help, options)


def _switch(name: str, help: str) -> Argument:  # noqa: A002
    # None means that the switch is not given, as for all other arguments: the operator has the default.
    return _flag(name, help, action="store_true", default=None)


def _choice(name: str, words: Any, help: str) -> Argument:  # noqa: A002, ANN401
    return _flag(name, help, choices=get_args(words))


def _json_object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ArgumentTypeError("""pass a JSON object in single quotes, such as '{"name": "value"}'""")
    return found


_CONNECTION = (
    Argument(
        ("--conn-id", "--salesblink-conn-id"),
        f"the Airflow connection that holds the API key (default: {DEFAULT_CONN_ID})",
        {"dest": "salesblink_conn_id", "metavar": "ID", "default": DEFAULT_CONN_ID},
    ),
)
_JSON = (_switch("--json", "print the result as JSON, for other programs"),)
_MAX_WAIT = (
    _flag(
        "--max-wait",
        "the most seconds to wait, all waits together, while SalesBlink answers that there are too many requests "
        "(default: 3600)",
        type=float,
        metavar="SECONDS",
    ),
)
_LOAD = (
    Argument(
        ("rows_path",),
        "the people: a CSV, JSON or Parquet file, also on an object storage that Airflow can read",
        {"metavar": "FILE"},
    ),
    _flag("--campaign-id", "the campaign's id", metavar="ID"),
    _flag("--campaign-name", "the campaign's full name, instead of its id; only one may have it", metavar="NAME"),
    _choice(
        "--mode",
        Mode,
        "insert (default) adds people who are not in the campaign; upsert also sets the fields that differ; update "
        "only sets them, and adds nobody; mirror adds, sets, and unsubscribes people who are in the campaign but not "
        "in the file",
    ),
    _flag(
        "--columns",
        "the file's column names and SalesBlink's, as a JSON object; only these are loaded (default: all columns)",
        type=_json_object,
        metavar="JSON",
    ),
    _flag(
        "--csv-options",
        "how the CSV file is written, as a JSON object with delimiter, quotechar, escapechar, encoding or skip_rows",
        type=_json_object,
        metavar="JSON",
    ),
    _flag(
        "--opt-out-columns",
        "a column of the file that says who opted out; give it once for each such column",
        action="append",
        metavar="NAME",
    ),
    _choice(
        "--opt-outs",
        OptOuts,
        "what to do with people in the campaign who opted out according to the file or the suppression file: "
        "unsubscribe them (default; not with mode insert), or skip them",
    ),
    _choice(
        "--opt-out-scope",
        OptOutScope,
        "account (default) adds nobody who opted out in any campaign that the key sees; campaign checks this campaign "
        "only",
    ),
    _flag(
        "--suppression-path",
        "a file of people who must not be mailed: one address, domain or hash a line",
        metavar="FILE",
    ),
    _switch("--fill-empty", "set only fields that are empty in SalesBlink"),
    _flag("--max-adds", "load nothing if more people would be added: a number, or a share such as 0.1", metavar="N"),
    _flag("--max-updates", "load nothing if more people would be updated; likewise", metavar="N"),
    _flag(
        "--daily-new-people",
        "add at most so many new people a day, all loads of the key together, and wait for the next day",
        metavar="N",
    ),
    _flag(
        "--sending-window",
        "add people only in these hours, such as 'Mon-Fri 09:00-17:00 Europe/Berlin', and wait for them",
        metavar="HOURS",
    ),
    _flag(
        "--max-unsubscribes",
        "load nothing if a mirror would unsubscribe a larger share of the campaign (default: 0.1)",
        type=float,
        metavar="SHARE",
    ),
    _flag(
        "--max-rejected",
        "how many rows may be refused without an error; the other rows are loaded anyway (default: 0)",
        type=int,
        metavar="N",
    ),
    _flag("--rejected-path", "where to write the refused rows with their reasons, as JSON lines", metavar="FILE"),
    _flag(
        "--outcomes-path",
        "where to write the outcome of every row, as JSON lines without addresses",
        metavar="FILE",
    ),
    _flag("--list-id", "the list to add people to (API v1 only; default: the campaign's only list)", metavar="ID"),
    _switch(
        "--allow-other-campaigns",
        "add people although another running campaign uses the list and will mail them too (API v1 only)",
    ),
    _flag("--max-in-flight", "the most calls at once (default: 8)", type=int, metavar="N"),
    _flag(
        "--settle",
        "the most seconds to wait until SalesBlink shows people that it accepted (API v1 only; default: 5 minutes and "
        "the connection's time-out)",
        type=float,
        metavar="SECONDS",
    ),
    *_MAX_WAIT,
    *_CONNECTION,
    *_JSON,
)

COMMANDS = (
    Command(
        "test",
        "Test the API key of a connection",
        "Test the API key of a connection, and show which of SalesBlink's APIs accept it. Does what the button Test of "
        "the connection form does, and changes nothing.",
        "test --conn-id salesblink_default",
        _CONNECTION,
    ),
    Command(
        "plan",
        "Show what a load would do, and write nothing to SalesBlink",
        "Show what a load of a file into a campaign would do: how many people it would add, change or refuse, some of "
        "them with masked addresses, how long it would take, and whether a limit would stop it. Writes nothing to "
        "SalesBlink.",
        "plan leads.csv --campaign-id spring-2027 --mode upsert",
        (
            *_LOAD,
            _flag(
                "--plan-path",
                "where to write the plan, for load --approved-plan. The file holds no address",
                metavar="FILE",
            ),
        ),
    ),
    Command(
        "load",
        "Load the people of a file into a campaign",
        "Load the people of a file into a campaign, nobody twice. Shows the plan first and asks, unless there is "
        "--approved-plan or --yes. Running it again continues where it stopped.",
        "load leads.csv --campaign-id spring-2027 --rejected-path rejected.jsonl",
        (
            *_LOAD,
            _flag(
                "--approved-plan",
                "the file that plan --plan-path wrote. The load does not ask, and stops before it sends anything if it "
                "would do more than this plan",
                metavar="FILE",
            ),
            _switch("--yes", "load without showing the plan and asking"),
        ),
    ),
    Command(
        "report",
        "Write a report of extracted events as an HTML page and as CSV",
        "Write a report of the events that ExtractEventsOperator wrote: an HTML page, and the same figures as CSV next "
        "to it.",
        "report events --output-path report.html --campaign-id spring-2027",
        (
            Argument(
                ("events_path",),
                "the folder that is the output_path of ExtractEventsOperator",
                {"metavar": "EVENTS_FOLDER"},
            ),
            _flag("--output-path", "the page to write; its name ends in .html", metavar="FILE", required=True),
            _flag("--campaign-id", "the campaign's id (default: all campaigns)", metavar="ID"),
            _flag(
                "--outcomes-path",
                "the outcomes of loads into this campaign, a file or a folder, to count the people who were added",
                metavar="PATH",
            ),
            _flag("--since", "the earliest time to report on, in UTC unless it has a time zone", metavar="TIME"),
            _flag("--until", "the first time to leave out", metavar="TIME"),
            *_MAX_WAIT,
            *_CONNECTION,
            *_JSON,
        ),
    ),
)


def epilog(command: Command, program: str) -> str:
    """Return what the help of a command shows at its end."""
    return f"Example:\n  {program} {command.example}\n\n{NOTES}"

"""The command line of the sandbox."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import sys
import threading
from textwrap import fill
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.sandbox import Limits, Sandbox, SandboxUsageError, Shapes, V1Rules
from airflow_provider_salesblink.sandbox.activity import EVENTS, PRESETS
from airflow_provider_salesblink.sandbox.database import IN_MEMORY
from airflow_provider_salesblink.sandbox.faults import KINDS, TARGETS
from airflow_provider_salesblink.sandbox.shapes import choices
from airflow_provider_salesblink.sandbox.state import APIS
from airflow_provider_salesblink.sandbox.v1.rules import choices as rule_choices

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY_VARIABLE = "SALESBLINK_SANDBOX_KEY"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sandbox until SIGINT or SIGTERM. Return 2 if an option is invalid or a file or port is unavailable."""
    options = _parser().parse_args(arguments)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    try:
        sandbox = Sandbox(
            port=options.port,
            db=options.db,
            seed=options.seed,
            key=options.key or os.environ.get(KEY_VARIABLE),
            faults=options.faults,
            limits=Limits.parse(options.limits),
            shapes=Shapes.parse(options.shapes),
            v1=V1Rules.parse(options.v1),
            serves=options.serves.split(","),
            life=options.life,
        )
        with sandbox:
            print(_greeting(sandbox), flush=True)
            stopped.wait()
    except SandboxUsageError as error:
        print(f"{error}.", file=sys.stderr)
        return 2
    return 0


def _greeting(sandbox: Sandbox) -> str:
    extra = {} if "classic" in sandbox.serves else {"extra": {"api_version": "v1"}}
    connection = json.dumps({"conn_type": "salesblink", "host": sandbox.url, "password": sandbox.key} | extra)
    return "\n".join(
        [
            f"SalesBlink sandbox at {sandbox.url}/ key {sandbox.key}",
            f"Contents: {sandbox.url}/  API: {sandbox.url}/docs  The sandbox sends no email. Press Ctrl+C to stop it.",
            f"Key of a member who cannot use administrator calls: {sandbox.member_key}",
            f"export AIRFLOW_CONN_SALESBLINK_DEFAULT={shlex.quote(connection)}",
        ]
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_salesblink.sandbox",
        description="Run a local SalesBlink on 127.0.0.1. It serves both APIs and sends no email.",
        epilog=_epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free port)")
    parser.add_argument("--db", default=IN_MEMORY, metavar="FILE", help="SQLite file for all data (default: in memory)")
    parser.add_argument(
        "--seed", metavar="demo|FILE.json", help="data for an empty sandbox: the built-in demo, or a JSON file"
    )
    parser.add_argument("--key", help=f"API key (default: ${KEY_VARIABLE}, or a random key)")
    parser.add_argument("--faults", default="", metavar="TEXT", help="faults to inject; see below")
    parser.add_argument(
        "--limits",
        default="",
        metavar="TEXT",
        help="rate limits: reads=30,writes=15,deletes=10,window=60,retry_after=seconds|date|none; or: real",
    )
    parser.add_argument("--shapes", default="", metavar="TEXT", help="response shapes of the classic API; see below")
    parser.add_argument("--v1", default="", metavar="TEXT", help="what nobody has documented of the v1 API; see below")
    parser.add_argument("--serves", default=",".join(APIS), metavar="APIS", help="APIs to serve: %(default)s (default)")
    parser.add_argument("--life", default="", metavar="TEXT", help="events that happen without requests; see below")
    return parser


def _epilog() -> str:
    kinds = "\n".join(f"    {kind:<10} {means}" for kind, means in KINDS.items())
    shapes = "\n".join(f"    {name:<16} {' | '.join(words)}" for name, words in choices().items())
    rules = "\n".join(f"    {name:<28} {_rule(name, words)}" for name, words in rule_choices().items())
    events = "\n".join(f"    {name:<12} {means}" for name, means in EVENTS.items())
    presets = "\n".join(f"  {name} is {text}" for name, text in PRESETS.items())
    operations = fill(", ".join(TARGETS), 116, subsequent_indent="    ")
    return f"""\
faults: comma-separated operation=kind[:option=value]*[@share|xN]
  prospect-add=reset:when=after@0.05,campaigns=429:retry_after=3x2,*=status:status=503
  @0.05 affects a random 5% of the requests, x2 the next two, and neither only the next one.
  :when=after processes the request first, and then applies the fault to the response.
  operations: {operations}
  kinds:
{kinds}

shapes: comma-separated name=value; the first value is the default
{shapes}

v1: comma-separated name=value
{rules}

life: comma-separated event:every=seconds[:after=seconds][xN]
  unsubscribe:every=30x2,reply:every=20
  x2 stops after two events; without it, the event repeats without end. The first event comes after `after` seconds,
  or after `every` seconds if `after` is not given.
  history:events=100000:days=14:late=0.05:future=0.001 fills the feeds of the v1 API at the start with events of the
  people in the sandbox (use --seed). These are the defaults. late is the share of events that arrive up to two days
  late, future the share of those that are dated 18 hours ahead.
{presets}
  events:
{events}
"""


def _rule(name: str, words: Sequence[Any]) -> str:
    default = getattr(V1Rules(), name)
    shown = " | ".join(str(word).lower() for word in words) if words else "a number"
    return f"{shown} (default: {str(default).lower()})"


if __name__ == "__main__":
    sys.exit(main())

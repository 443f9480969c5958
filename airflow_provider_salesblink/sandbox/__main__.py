"""Command line of the sandbox."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import sys
import threading
from typing import TYPE_CHECKING

from airflow_provider_salesblink.sandbox import Limits, Sandbox, SandboxUsageError, Shapes
from airflow_provider_salesblink.sandbox.activity import HAPPENINGS, PRESETS
from airflow_provider_salesblink.sandbox.faults import KINDS, TARGETS
from airflow_provider_salesblink.sandbox.shapes import choices
from airflow_provider_salesblink.sandbox.store import IN_MEMORY

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY_VARIABLE = "SALESBLINK_SANDBOX_KEY"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; 2 = something was not understood or not available."""
    said = _parser().parse_args(arguments)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        sandbox = Sandbox(
            port=said.port,
            db=said.db,
            seed=said.seed,
            key=said.key or os.environ.get(KEY_VARIABLE),
            faults=said.faults,
            limits=Limits.parse(said.limits),
            shapes=Shapes.parse(said.shapes),
            life=said.life,
        )
        with sandbox:
            print(_greeting(sandbox), flush=True)
            ended.wait()
    except SandboxUsageError as error:
        print(f"{error}.", file=sys.stderr)
        return 2
    return 0


def _greeting(sandbox: Sandbox) -> str:
    connection = json.dumps({"conn_type": "salesblink", "host": sandbox.url, "password": sandbox.key})
    return "\n".join(
        [
            f"SalesBlink sandbox at {sandbox.url}/ key {sandbox.key}",
            f"What it holds: {sandbox.url}/  The API: {sandbox.url}/docs  Nobody gets mail from here; Ctrl+C ends it.",
            f"Key of somebody who is no administrator: {sandbox.member_key}",
            f"export AIRFLOW_CONN_SALESBLINK_DEFAULT={shlex.quote(connection)}",
        ]
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_salesblink.sandbox",
        description="A SalesBlink to run at home, on 127.0.0.1: the classic API, mailing nobody.",
        epilog=_epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    parser.add_argument("--db", default=IN_MEMORY, metavar="FILE", help="keep everything in a SQLite file")
    parser.add_argument("--seed", metavar="demo|FILE.json", help="what an empty sandbox starts with")
    parser.add_argument("--key", help=f"the API key (default: ${KEY_VARIABLE}, or a random one)")
    parser.add_argument("--faults", default="", metavar="TEXT", help="what goes wrong; see below")
    parser.add_argument(
        "--limits",
        default="",
        metavar="TEXT",
        help="reads=30,writes=15,window=60,retry_after=seconds|date|none; or: real",
    )
    parser.add_argument("--shapes", default="", metavar="TEXT", help="how answers look; see below")
    parser.add_argument("--life", default="", metavar="TEXT", help="what happens by itself; see below")
    return parser


def _epilog() -> str:
    kinds = "\n".join(f"    {kind:<10} {means}" for kind, means in KINDS.items())
    shapes = "\n".join(f"    {name:<16} {' | '.join(words)}" for name, words in choices().items())
    happenings = "\n".join(f"    {name:<12} {means}" for name, means in HAPPENINGS.items())
    presets = "\n".join(f"  {name} is {stands_for}" for name, stands_for in PRESETS.items())
    operations = ", ".join(TARGETS)
    return f"""\
faults: comma-separated operation=kind[:option=value]*[@share|xN]
  prospect-add=reset:when=after@0.05,campaigns=429:retry_after=3x2,*=status:status=503
  @0.05 hits 5 % of the requests at random, x2 the next two; neither: the next one.
  :when=after carries the request out and then spoils the answer.
  operations: {operations}
  kinds:
{kinds}

shapes: comma-separated name=word; the first word is the default
{shapes}

life: comma-separated happening:every=seconds[:after=seconds][xN]
  unsubscribe:every=30x2,reply:every=20
  x2 ends it after two; without it, it goes on for good. The first comes after=..., or else every=... seconds.
{presets}
  happenings:
{happenings}
"""


if __name__ == "__main__":
    sys.exit(main())

"""A process of Airflow, with the metrics that its environment says, which runs tasks on request.

It reads one JSON list a line: the path of a class, and its arguments; and answers with what came of it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from demo import airflow_home

try:
    from statsd import StatsClient
except ImportError:
    StatsClient = object


class BrokenClient(StatsClient):  # type: ignore[misc, valid-type]
    """A client for Airflow's ``statsd_custom_client_path`` that fails each time."""

    def incr(self, *_: Any, **__: Any) -> None:
        raise RuntimeError("the server is away")


def run(path: str, arguments: dict[str, Any]) -> Any:
    """Return what the task leaves in XCom, or what the trigger fires."""
    module, _, name = path.rpartition(".")
    made = getattr(import_module(f"airflow_provider_salesblink.{module}"), name)(**arguments)
    if not hasattr(made, "execute"):
        return asyncio.run(first_event(made))
    try:
        return made.execute({})
    except BaseException as error:  # noqa: BLE001  # a deferral is one too
        return type(error).__name__


async def first_event(trigger: Any) -> Any:
    async for event in trigger.run():
        return event.payload
    return None


def main() -> None:
    airflow_home.use_home(Path(sys.argv[1]))
    for line in sys.stdin:
        path, arguments = json.loads(line)
        print(f"result {json.dumps(run(path, arguments))}", flush=True)


if __name__ == "__main__":
    main()

"""What a person at a terminal sees: results on standard output; progress, questions and errors on standard error."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import FrameType

LOGGER = "airflow_provider_salesblink"
_LEVELS = {
    "airflow": logging.ERROR,
    "airflow.task": logging.ERROR,
    # Without a database it logs a traceback, and then there is no connection, which the command reports.
    "airflow.models.connection": logging.CRITICAL,
}
"""The levels of Airflow's loggers: most of what they say is of no use at a terminal."""
_NOT_SHOWN = ("cannot be called outside", "Outcome: ")
"""Parts of messages that say what the command does on purpose, or what its result shows."""
_STOPPING = (
    "Stopping. Requests that are on their way are finished first; press Ctrl-C again to stop at once.{continues}"
)


@contextmanager
def results_alone_on_stdout() -> Iterator[TextIO]:
    """Yield the standard output, for results alone: what anything else prints there goes to standard error meanwhile.

    Airflow logs to standard output, with handlers that keep the stream, so its file descriptor is redirected.
    """
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(os.dup(kept), "w", encoding=sys.stdout.encoding, errors="backslashreplace") as out:
            yield out
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


@contextmanager
def stopping_once(continues: str) -> Iterator[None]:
    """While active, the first Ctrl-C stops the command in order, and says so; the second ends the process.

    :param continues: a sentence about running the command again; may be empty.
    """

    def stop(_: int, __: FrameType | None) -> None:
        signal.signal(signal.SIGINT, lambda *_: os._exit(128 + signal.SIGINT))
        show(_STOPPING.format(continues=f" {continues}" if continues else ""))
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def log_on_stderr() -> Iterator[None]:
    """While active, show the provider's log on standard error, a plain line each, and of Airflow's only the errors."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines("%(asctime)s %(message)s", "%H:%M:%S"))
    handler.addFilter(lambda record: not any(part in str(record.msg) for part in _NOT_SHOWN))
    before = {name: logging.getLogger(name).level for name in (LOGGER, *_LEVELS)}
    for name, level in {LOGGER: logging.INFO, **_LEVELS}.items():
        logging.getLogger(name).setLevel(level)
    logger = logging.getLogger(LOGGER)
    logger.addHandler(handler)
    propagated, logger.propagate = logger.propagate, False
    try:
        yield
    finally:
        logger.propagate = propagated
        logger.removeHandler(handler)
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


class _Lines(logging.Formatter):
    """Lines that no name of a column or a campaign can disguise with the control characters of a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        # Without the traceback: the command shows the error itself.
        record.exc_info = record.exc_text = None
        return printable(super().format(record))


def show(text: str) -> None:
    """Show a text to the person at the terminal."""
    print("\n".join(map(printable, text.split("\n"))), file=sys.stderr, flush=True)


def ask(question: str) -> bool:
    """Ask a question, and return whether the answer is yes. No answer is a no.

    :raises KeyboardInterrupt: the answer is Ctrl-C.
    """
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    # Nothing is on its way while a person thinks, so the words of `stopping_once` would be wrong.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return sys.stdin.readline().strip().lower() in ("y", "yes")
    finally:
        signal.signal(signal.SIGINT, before)


def can_ask() -> bool:
    """Return whether there is a person to ask."""
    return sys.stdin is not None and sys.stdin.isatty()


def print_json(out: TextIO, result: Mapping[str, Any]) -> None:
    """Print a result for other programs."""
    print(json.dumps(result, indent=2), file=out, flush=True)


def print_lines(out: TextIO, lines: Iterable[str]) -> None:
    """Print a result for a person."""
    print(*map(printable, lines), sep="\n", file=out, flush=True)


def printable(line: str) -> str:
    """Return a line without the characters that control a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in line)

"""Stores what the v1 API knows of a sequence besides the classic API's campaign: settings, archive, condition."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_salesblink.sandbox.blocklist_store import Run

Condition = Literal["", "completed", "needs-attention"]
SEQUENCE = "SELECT id, name, paused, archived, condition, settings, created FROM campaign"


@dataclass(frozen=True)
class Sequence:
    """A sequence.

    :param condition: ``completed``, ``needs-attention`` (a sender cannot send), or empty.
    :param settings: what the API's callers set, under the API's names.
    :param created: Unix time.
    """

    id: str
    name: str
    paused: bool
    archived: bool
    condition: Condition
    settings: dict[str, Any]
    created: float

    @property
    def status(self) -> str:
        """Return the word that the listing's filter uses."""
        return "paused" if self.paused else self.condition or "running"


class SequenceStore:
    """The sequences in the sandbox's database.

    :param run: executes a statement with its values, and returns the rows.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    def all(self) -> list[Sequence]:
        """Return all sequences, in the order they were added."""
        return [_sequence(row) for row in self._run(f"{SEQUENCE} ORDER BY n")]

    def get(self, sequence_id: str) -> Sequence | None:
        """Return a sequence, or None if it does not exist."""
        rows = self._run(f"{SEQUENCE} WHERE id = ?", sequence_id)
        return _sequence(rows[0]) if rows else None

    def update(self, found: Sequence, *, name: str | None = None, settings: Mapping[str, Any]) -> None:
        """Change the name and the settings of a sequence."""
        self._run(
            "UPDATE campaign SET name = ?, settings = ? WHERE id = ?",
            *(name or found.name, json.dumps(found.settings | dict(settings)), found.id),
        )

    def set_archived(self, sequence_id: str, *, archived: bool) -> None:
        """Archive a sequence, which pauses it, or restore it."""
        self._run(
            "UPDATE campaign SET archived = ?, paused = paused OR ? WHERE id = ?", archived, archived, sequence_id
        )

    def set_condition(self, sequence_id: str, condition: Condition) -> None:
        """Set the condition of a sequence."""
        self._run("UPDATE campaign SET condition = ? WHERE id = ?", condition, sequence_id)


def _sequence(row: tuple[Any, ...]) -> Sequence:
    sequence_id, name, paused, archived, condition, settings, created = row
    return Sequence(sequence_id, name, bool(paused), bool(archived), condition, json.loads(settings), created)
